"""How fast do widgets follow the hand? Measured in a real JupyterLab and a headless Chromium, never asserted.

For every widget, and for `ipywidgets.interact` with matplotlib on the same decoder in the same run:
- single steps: from a key's event to changed pixels, p50 and p95, in milliseconds;
- 90 keys at 60 a second: how many of them got a picture of their own, how many frames were painted, and how
  long after the last key the last picture came.
Rounds go through all contenders in turn, so that a busy moment of the machine hits them alike.

    python benchmarks/widget_latency.py [ROUNDS]
"""

import json
import os
import platform
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from playwright.sync_api import TimeoutError

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "latency"), str(HERE.parent / "tests" / "browser")]
import contenders as c  # noqa: E402
from actions import open_notebook, run_cell, write_notebook  # noqa: E402
from start import CHROMIUM_FLAGS, find_chromium, running_lab  # noqa: E402

SINGLE, RAPID, HZ = 20, 90, 60
PATIENCE = 8000  # ms for a change to show
START = (
    "index => { probe.root = document.querySelectorAll('.jp-Cell')[index].querySelector('.jp-OutputArea'); }"
)
CLEAR = "() => { probe.inputs.length = probe.changes.length = probe.painted = 0; }"
FIRST = "() => probe.changes.length && probe.inputs.length ? probe.changes[0] - probe.inputs[0] : null"


class Probed:
    """A browser whose pages watch their own pixels."""

    def __init__(self, browser):
        self.plain = browser

    def new_page(self, **options):
        page = self.plain.new_page(**{**options, "viewport": {"width": 1200, "height": 900}})
        page.add_init_script(path=HERE / "latency" / "probe.js")
        return page


class Lab:
    """An open notebook whose first cell is the set-up and whose others are contenders."""

    def __init__(self, stack, browser, rows, extension=True):
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="course-bench-")))
        url, self.root = stack.enter_context(running_lab(root, extension))
        self.url, self.browser, self.rows = url, browser, rows
        write_notebook(self.root / "bench.ipynb", [c.SETUP, *(row.cell for row in rows)])
        self.page = self.open("bench.ipynb")
        for index in range(len(rows) + 1):
            text = run_cell(self.page, index)
            assert "Traceback" not in text, text[-600:]

    def open(self, name):
        self.page = page = open_notebook(self, name)
        return page

    def control(self, row):
        """Bring a contender under the keys; returns its output."""
        index = self.rows.index(row) + 1
        output = self.page.locator(".jp-Cell").nth(index).locator(".jp-OutputArea").first
        control = output.locator(row.keys).first
        control.scroll_into_view_if_needed()
        self.page.evaluate(START, index)
        control.focus()
        self.page.keyboard.press("Home")
        self.page.wait_for_timeout(500)
        return output


def single(lab, row):
    """Milliseconds from key to pixels, for single steps."""
    lab.control(row)
    for warm_up in ("ArrowRight", "ArrowLeft"):
        lab.page.keyboard.press(warm_up)
        lab.page.wait_for_timeout(500)
    taken = []
    for k in range(SINGLE):
        lab.page.evaluate(CLEAR)
        lab.page.keyboard.press(key(k, row.turn))
        try:
            lab.page.wait_for_function(FIRST, timeout=PATIENCE, polling=5)
        except TimeoutError:  # Playwright's
            continue
        taken.append(lab.page.evaluate(FIRST))
        lab.page.wait_for_timeout(60)
    if len(taken) < SINGLE:
        print(
            f"{row.name}: {SINGLE - len(taken)} of {SINGLE} keys changed no pixel and are not in p50 and p95"
        )
    return taken


def rapid(lab, row):
    """Ninety keys: pictures, painted frames, ms from the last key to the last picture, keys a second."""
    lab.control(row)
    lab.page.evaluate(CLEAR)
    begin = time.perf_counter()
    for k in range(RAPID):
        lab.page.keyboard.down(key(k, row.turn))
        wait = begin + (k + 1) / HZ - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
    lab.page.wait_for_timeout(2500)
    inputs, changes, painted = lab.page.evaluate("[probe.inputs, probe.changes, probe.painted]")
    for name in ("ArrowRight", "ArrowLeft"):
        lab.page.keyboard.up(name)
    rate = 1000 * (len(inputs) - 1) / (inputs[-1] - inputs[0])
    return (
        min(len(changes), RAPID),
        min(painted, RAPID),
        (changes[-1] if changes else np.nan) - inputs[-1],
        rate,
    )


def key(k, turn):
    return "ArrowRight" if k // turn % 2 == 0 else "ArrowLeft"


def sampling(lab, row):
    """Milliseconds a step of the sampler in the page, and how many steps were painted."""
    output = lab.control(row)
    lab.page.evaluate(CLEAR)
    output.get_by_role("button", name="New seed").click()
    lab.page.wait_for_timeout(5000)
    changes = lab.page.evaluate("probe.changes")
    return float(np.mean(np.diff(changes))) if len(changes) > 1 else np.nan, len(changes)


def opening(lab):
    """A saved notebook of ten widgets: its KB, the KB of each, seconds from the page's start to ten alive."""
    write_notebook(lab.root / "ten.ipynb", [c.SETUP, *c.TEN])
    page = lab.open("ten.ipynb")
    for index in range(len(c.TEN) + 1):
        run_cell(page, index)
    page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    page.close()
    saved = json.loads((lab.root / "ten.ipynb").read_text())
    sizes = [len(json.dumps(cell["outputs"])) / 1024 for cell in saved["cells"][1:]]
    size = (lab.root / "ten.ipynb").stat().st_size / 1024
    page = lab.browser.new_page(viewport={"width": 1200, "height": 2600})
    page.goto(f"{lab.url}/lab/workspaces/ten/tree/ten.ipynb?reset")
    page.wait_for_function("window.jupyterapp && document.querySelector('.jp-Notebook .jp-Cell')", polling=20)
    ready = time.perf_counter()
    page.wait_for_function("n => document.querySelectorAll('.cw').length >= n", arg=len(c.TEN), polling=20)
    took = time.perf_counter() - ready
    page.close()
    return size, sizes, took


def percentiles(values):
    return [float(np.percentile(values, q)) if values else np.nan for q in (50, 95)]


def print_table(found, base):
    print(f"{'':34}{'p50':>8}{'p95':>8}{'interact is':>14}{'pictures':>10}{'painted':>9}{'last after':>12}")
    for name, (taken, runs) in found.items():
        p50, p95 = percentiles(taken)
        pictures, painted, after = (np.median([run[i] for run in runs]) if runs else np.nan for i in range(3))
        ratio = "" if name == base else f"{percentiles(found[base][0])[0] / p50:.0f} x slower"
        print(f"{name:34}{p50:8.1f}{p95:8.1f}{ratio:>14}{pictures:10.0f}{painted:9.0f}{after:9.0f} ms")


def measure(labs, rounds):
    found = {label: ([], []) for label, _, _ in labs}
    for turn in range(rounds):
        for label, lab, row in labs:
            lab.page.bring_to_front()
            found[label][0].extend(single(lab, row))
            found[label][1].append(rapid(lab, row))
        print(f"round {turn + 1} of {rounds}: load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    return found


def main(rounds):
    chromium = find_chromium()
    if chromium is None:
        print("No Chromium was found (install it, or set CHROMIUM to its path): nothing was measured.")
        return
    from playwright.sync_api import sync_playwright

    with ExitStack() as stack:
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        stack.callback(browser.close)
        ours = Lab(stack, Probed(browser), [c.INTERACT, *c.WIDGETS, c.LIVE, c.SLOW, c.SAMPLER])
        plain = Lab(stack, Probed(browser), [c.LIVE, c.SLOW], extension=False)
        labs = [(row.name, ours, row) for row in [c.INTERACT, *c.WIDGETS, c.LIVE, c.SLOW]]
        labs += [(f"{row.name}, no extension", plain, row) for row in (c.LIVE, c.SLOW)]
        before = os.getloadavg()[0]
        found = measure(labs, rounds)
        ours.page.bring_to_front()
        step, painted = sampling(ours, c.SAMPLER)
        size, sizes, took = opening(ours)
        print(f"{platform.machine()}, {os.cpu_count()} cores, Chromium {browser.version}, {rounds} rounds,")
        print(f"load {before:.1f} before and {os.getloadavg()[0]:.1f} after (1 is one busy core).")
        rates = [run[3] for _, runs in found.values() for run in runs]
        print(f"{RAPID} keys at {np.median(rates):.0f} a second; times in ms, from key to changed pixels.\n")
        print_table(found, c.INTERACT.name)
        print(f"\nLiveDenoiser: {step:.1f} ms a step, {painted} pictures in one run.")
        print(
            f"A saved notebook of {len(c.TEN)} widgets: {size:.0f} KB, all alive {took:.1f} s after the page;"
        )
        print(
            "KB:",
            ", ".join(f"{cell.partition('(')[0]} {kb:.0f}" for cell, kb in zip(c.TEN, sizes, strict=True)),
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
