"""What a student does in a notebook and with a widget, and what the page then shows."""

import nbformat

PIXELS = """image => Array.from(image.getContext('2d').getImageData(0, 0, image.width, image.height).data)
    .filter((_, i) => i % 4 < 3)"""


def pixels(widget):
    """The bytes of the decoded image, R, G, B, R, G, B ..."""
    return widget.locator("canvas.cw-image").evaluate(PIXELS)


def halves(widget):
    """The test decoder shows z[0] in the left half and z[1] in the right one: read both back, in -3..3."""
    values = pixels(widget)[::3]
    side = int(len(values) ** 0.5)
    middle = side // 2 * side
    return tuple((values[middle + column] / 127.5 - 1) * 3 for column in (side // 8, side - 1 - side // 8))


def drag(page, widget, start, end, steps=8):
    """Press at `start`, move to `end`, both (x, y) in 0..1 of the plane; returns the image at each step."""
    box = widget.locator(".cw-plane").bounding_box()
    seen = []
    page.mouse.move(box["x"] + start[0] * box["width"], box["y"] + start[1] * box["height"])
    page.mouse.down()
    for i in range(1, steps + 1):
        x, y = (a + (b - a) * i / steps for a, b in zip(start, end, strict=True))
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        seen.append(pixels(widget))
    page.mouse.up()
    return seen


def touch(page, widget, start, end):
    """One finger from `start` to `end`, through the browser's own touch events."""
    box = widget.locator(".cw-plane").bounding_box()
    session = page.context.new_cdp_session(page)

    def send(kind, place):
        points = (
            [{"x": box["x"] + place[0] * box["width"], "y": box["y"] + place[1] * box["height"]}]
            if place
            else []
        )
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    send("touchStart", start)
    for i in range(1, 5):
        send("touchMove", tuple(a + (b - a) * i / 4 for a, b in zip(start, end, strict=True)))
    send("touchEnd", None)
    session.detach()


def step_of(widget):
    """The step that a playground shows, -1 where there is no frame yet."""
    return int(widget.locator(".cw-play-step").inner_text().removeprefix("Step ") or -1)


def until(page, widget, done):
    """Wait until the step that a playground shows fulfils `done`."""
    for _ in range(200):
        if done(step_of(widget)):
            return step_of(widget)
        page.wait_for_timeout(50)
    raise AssertionError(f"step {step_of(widget)}")


def plane_of(widget):
    """The picture of a playground's plane, to compare."""
    return widget.locator(".cw-play-plane canvas").evaluate("c => c.toDataURL()")


def violations(page, context=None):
    """What axe-core finds: a list of "rule: element"."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context=context).response["violations"]
    return [f"{rule['id']}: {node['html'][:120]}" for rule in found for node in rule["nodes"]]


def watched(page):
    """Remember what must not happen: errors in the page and requests that leave this machine."""
    page.errors, page.outside = [], []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("request", lambda request: page.outside.append(request.url) if is_outside(request.url) else None)
    page.set_default_timeout(120_000)
    return page


def is_outside(url):
    return url.startswith(("http", "ws")) and not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:"))


def write_notebook(path, sources):
    cells = [nbformat.v4.new_code_cell(source, id=f"cell-{i}") for i, source in enumerate(sources)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


def open_notebook(lab, name):
    """A page with the notebook open and its kernel idle. The caller closes it."""
    page = watched(lab.browser.new_page(viewport={"width": 1200, "height": 2600}, has_touch=True))
    page.goto(f"{lab.url}/lab/workspaces/{name.removesuffix('.ipynb')}/tree/{name}?reset")
    page.wait_for_function("window.jupyterapp && document.querySelector('.jp-Notebook .jp-Cell')")
    page.wait_for_function(
        "jupyterapp.shell.currentWidget?.context?.sessionContext?.session?.kernel?.status === 'idle'"
    )
    return page


def run_cell(page, index):
    """Run one cell and wait for its end; returns the text of its output area."""
    before = page.evaluate(
        "i => jupyterapp.shell.currentWidget.content.widgets[i].model.executionCount", index
    )
    page.evaluate(
        """async index => {
            jupyterapp.shell.currentWidget.content.activeCellIndex = index;
            await jupyterapp.commands.execute('notebook:run-cell');
        }""",
        index,
    )
    page.wait_for_function(
        "([i, n]) => jupyterapp.shell.currentWidget.content.widgets[i].model.executionCount > (n ?? 0)",
        arg=[index, before],
    )
    return page.locator(".jp-Cell").nth(index).locator(".jp-OutputArea").first.inner_text()
