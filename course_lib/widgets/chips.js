// Chips: words to press, in groups. A chip is pressed while the caption has all of its words.

const CHIP_STYLE = `
.cw-chips { display: grid; grid-template-columns: minmax(0, max-content) minmax(0, 1fr); gap: 8px 10px; align-items: baseline; margin: 10px 0 14px; }
.cw-chips[hidden] { display: none; }
.cw-chips > span, .cw-chips summary { color: var(--quiet); font-size: 13px; }
.cw-chips details { grid-column: 1 / -1; }
.cw-chips summary { cursor: pointer; width: max-content; }
.cw-chips details .cw-chip-row { margin-top: 8px; }
.cw-chip-row { display: flex; flex-wrap: wrap; gap: 5px; }
.cw-chip-row .cw-button { padding: 2px 10px; border-radius: 12px; }
.cw-chip-row .cw-button[aria-pressed=true] { border-color: var(--accent); background: var(--accent); color: var(--paper); }
@media (max-width: 480px) { .cw-chips { grid-template-columns: minmax(0, 1fr); gap: 4px; } .cw-chips > span { margin-top: 4px; } }
`;

// groups: [[name, [text, ...], folded], ...]. `press(words, on)` is called with the words of a chip; `show(told)` marks those of a
// caption. One chip of a group is a stop of the Tab key, the arrow keys lead to the others.
function chipGroups(groups, silent, press, signal) {
  const root = element("div", { class: "cw-chips" });
  const chips = groups.flatMap(([name, texts, folded]) => {
    const row = element("div", { class: "cw-chip-row", role: "group", "aria-label": name });
    const made = texts.map((text) => ({ words: tokenise(text, silent), node: element("button", { class: "cw-button", type: "button" }, text) }));
    const nodes = made.map(({ node }) => node);
    row.append(...nodes);
    oneStop(row, nodes, signal);
    if (folded) root.append(element("details", {}, element("summary", {}, name), row));
    else root.append(element("span", { "aria-hidden": "true" }, name), row);
    return made;
  });
  const pressed = ({ node }) => node.getAttribute("aria-pressed") === "true";
  for (const chip of chips) {
    chip.node.addEventListener("click", () => {
      if (!pressed(chip)) { press(chip.words, true); return; }
      // "blond hair" goes, "curly hair" stays: so does "hair"
      const kept = chips.filter((other) => other !== chip && pressed(other) && !other.words.every((word) => chip.words.includes(word)));
      press(chip.words.filter((word) => !kept.some(({ words }) => words.includes(word))), false);
    }, { signal });
  }
  const show = (told) => chips.forEach(({ words, node }) => node.setAttribute("aria-pressed", words.every((word) => told.includes(word))));
  return { root, show };
}

// Of these nodes the Tab key stops at one, where the focus was last; arrows go on and back, Home to the first.
function oneStop(row, nodes, signal) {
  const stop = (node) => nodes.forEach((other) => { other.tabIndex = other === node ? 0 : -1; });
  const go = (index) => nodes[Math.min(Math.max(index, 0), nodes.length - 1)].focus();
  row.addEventListener("focusin", (event) => stop(event.target), { signal });
  followKeys(row, (dx, dy, large) => go(nodes.indexOf(document.activeElement) + (dx - dy) * (large ? 5 : 1)), () => go(0), signal);
  stop(nodes[0]);
}
