"""First names of the 1990 US Census with their frequency."""

from __future__ import annotations

import csv
from pathlib import Path

from rebuild import captions
from rebuild.sources import NAMES

PACKAGES = (NAMES,)
LOSSY: tuple[str, ...] = ()


def build(unpacked: dict[str, Path], out: Path) -> None:
    """Write one row for each name and sex, most frequent first."""
    folder = unpacked[NAMES.spec] / "names-0.3.0/names"
    with (out / "first_names.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["name", "sex", "percent", "split"])
        for sex, source in (("F", "dist.female.first"), ("M", "dist.male.first")):
            for line in (folder / source).read_text(encoding="ascii").splitlines():
                name, percent = line.split()[:2]
                rows.writerow([name.lower(), sex, percent, captions.split(name.lower())])
