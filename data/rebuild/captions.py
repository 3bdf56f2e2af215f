"""What a drawing shows, from its caption: tone, gender, concept; and which split the concept is in."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

RUDE = "1f595"  # a rude gesture, left out of every set in all its tones

TONES = {"light": 1, "medium-light": 2, "medium": 3, "medium-dark": 4, "dark": 5}
MAN = {"man", "men", "boy", "prince", "merman", "santa"}
WOMAN = {"woman", "women", "girl", "princess", "mermaid", "mrs"}
NEUTRAL = {
    "man": "person", "woman": "person", "men": "people", "women": "people", "boy": "child", "girl": "child",
    "prince": "person with crown", "princess": "person with crown", "merman": "merperson",
    "mermaid": "merperson", "santa claus": "mx claus", "mrs. claus": "mx claus",
    "old man": "older person", "old woman": "older person", "breast-feeding": "person feeding baby",
}  # fmt: skip
GENDERED = re.compile(r"\b(" + "|".join(sorted(map(re.escape, NEUTRAL), key=len, reverse=True)) + r")\b")

# Picked (see `split`) so that 1,072 / 126 / 126 drawn people fall into train / validation / test, with every
# kind, tone and gender in each and the concepts of HELD_OUT in train.
SALT = "course 5687"

# The five combinations that no model trains on, to ask for something never seen: (tone, word of the caption).
HELD_OUT = {(5, "cook"), (5, "firefighter"), (4, "astronaut"), (1, "mage"), (1, "prince")}


def key(codepoints: str) -> str:
    """A spelling of code points that all packages share: lower case, without the presentation selector."""
    return "-".join(part for part in codepoints.lower().split("-") if part != "fe0f")


def read(folder: Path) -> tuple[dict[str, str], dict[str, list[str]]]:
    """({key: caption}, {key: tags}) from the unpacked emojibase-data."""
    captions, tags = {}, {}
    for entry in json.loads((folder / "package/en/data.json").read_text(encoding="utf-8")):
        tags[key(entry["hexcode"])] = entry.get("tags", [])
        for drawing in [entry, *entry.get("skins", [])]:
            captions[key(drawing["hexcode"])] = drawing["label"]
    return captions, tags


def tone(caption: str) -> int:
    """0 without a skin-tone modifier, else 1 (light) to 5 (dark)."""
    found = re.search(r"([a-z-]+) skin tone", caption)
    return TONES[found.group(1)] if found else 0


def gender(caption: str) -> int:
    """1 where the caption's first part names a man or boy, 2 a woman or girl, 0 neither (or both)."""
    words = set(re.findall(r"[a-z]+", caption.lower().split(":")[0]))
    return {(True, False): 1, (False, True): 2}.get((bool(words & MAN), bool(words & WOMAN)), 0)


def held_out(caption: str) -> bool:
    """Whether the caption is one of the combinations in HELD_OUT."""
    words = re.findall(r"[a-z]+", caption.lower().split(":")[0])
    return any((tone(caption), word) in HELD_OUT for word in words)


def role(caption: str, plain: set[str]) -> str:
    """The caption with tone and gender taken away: that of the gender-neutral drawing, where there is one.

    "woman cook: dark skin tone" -> "cook", "man: light skin tone, beard" -> "person: beard".
    `plain` is the set of all captions in lower case, which knows that it is "cook" but "person walking".
    """
    head, _, rest = caption.lower().partition(":")
    details = [part.strip() for part in rest.split(",")]
    details = [neutral(part) for part in details if part and not part.endswith("skin tone")]
    head = neutral(head)
    shorter = head.removeprefix("person ")
    if head not in plain and shorter in plain:
        head = shorter
    return f"{head}: {', '.join(details)}" if details else head


def neutral(text: str) -> str:
    """Lower-case text with every gendered word replaced: "man cook" -> "person cook"."""
    return GENDERED.sub(lambda match: NEUTRAL[match.group(1)], text)


def concept(role: str) -> str:
    """What must stay in one split: a role without the direction that it faces (a mirrored drawing)."""
    return re.sub(r"(: |, )facing right$", "", role)


def split(name: str) -> str:
    """Where a concept (or a first name) belongs, the same in every set: about 80 % train, 10 % validation,
    10 % test, by a hash of the name and SALT."""
    last = int(hashlib.sha256(f"{SALT}:{name}".encode()).hexdigest(), 16) % 10
    return {8: "validation", 9: "test"}.get(last, "train")
