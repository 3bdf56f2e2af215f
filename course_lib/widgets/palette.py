"""Ten class colours that stay apart for colour-blind readers, for light and for dark pages.

They started as the Okabe-Ito palette (Okabe and Ito, "Color Universal Design", 2008) and two additions, and
were moved as little as needed until every pair differs under simulated protanopia, deuteranopia and
tritanopia; the test measures it.
"""

LIGHT = (
    "#325dba", "#ce881a", "#1eb087", "#c8412a", "#5ec0fe", "#b375cb", "#b6c011", "#1b200b",
    "#747682", "#800078",
)  # fmt: skip

DARK = (
    "#2396ff", "#ff8400", "#00866b", "#b45306", "#3fe0fc", "#bc65ba", "#c6df5c", "#fdffee",
    "#a1a39c", "#8b2572",
)  # fmt: skip
