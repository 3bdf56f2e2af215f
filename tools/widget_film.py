"""Makes the moving picture of the README: the real widget in a real browser, dragged along a path.

    python tools/widget_film.py            writes site/latent_plane.webp

It needs what the browser tests need: Playwright and the system's Chromium.
"""

from __future__ import annotations

import io
import math
import os
import shutil
import tempfile
from pathlib import Path

import torch
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from course_lib import data, zoo
from course_lib.widgets import LatentPlane

TARGET = Path(__file__).resolve().parents[1] / "site" / "latent_plane.webp"
FRAMES, MILLISECONDS = 60, 90


def plane() -> LatentPlane:
    """The widget of notebook 01."""
    model, held = zoo.load("ae2_fashion"), data.fashion("validation")
    with torch.no_grad():
        codes = model.get_submodule("encoder")(held.floats)
    return LatentPlane(
        model.get_submodule("decoder"),
        points=codes,
        labels=held.y,
        names=held.names,
        title="A code of two numbers",
    )


def frames(page: Page) -> list[Image.Image]:
    """Drag the point once around the plane, with a screenshot at each stop."""
    area = page.locator(".cw-plane").bounding_box()
    assert area, "the widget has not drawn its plane"
    shots = []
    for i in range(FRAMES):
        turn = 2 * math.pi * i / FRAMES
        x = 0.5 + 0.36 * math.cos(turn) * (0.75 + 0.25 * math.cos(3 * turn))
        y = 0.5 + 0.36 * math.sin(turn)
        page.mouse.move(area["x"] + x * area["width"], area["y"] + y * area["height"])
        if i == 0:
            page.mouse.down()
        page.wait_for_timeout(30)
        shots.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
    page.mouse.up()
    return shots


def main() -> None:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "plane.html"
        plane().to_html(file)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 640, "height": 500})
        page.goto(file.as_uri())
        page.wait_for_timeout(500)
        shots = frames(page)
        browser.close()
    shots[0].save(
        TARGET, save_all=True, append_images=shots[1:], duration=MILLISECONDS, loop=0, quality=40, method=4
    )
    print(f"{TARGET.name}: {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
