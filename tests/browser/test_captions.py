"""CaptionBox in a page: it reads what Python reads and draws what torch draws, for hands and keys."""

import json

import numpy as np
import pytest
import torch
from actions import PIXELS, open_notebook, run_cell, violations, write_notebook
from test_runtime_widgets import RENDER_AND_CLEAN_UP
from torch import nn

from course_lib.captions import LENGTH, people_words
from course_lib.errors import CourseError
from course_lib.methods.text_to_image import TextToImage
from course_lib.samplers import ddim
from course_lib.widgets import CaptionBox
from course_lib.widgets.page import module_source, write_page
from course_lib.widgets.page_noise import page_noise
from course_lib.widgets.runtime import runtime_html
from course_lib.words import SILENT, encode, tokenise, unknown

pytestmark = pytest.mark.browser

WORDS = people_words()
GROUPS = {
    "Style": ["noto", "twemoji"],
    "Tone": ["light", "medium", "dark"],
    "Hair": ["blond hair", "curly hair"],
    "Who": ["woman", "man", "police officer", "cook"],
}


def random_painter():
    torch.manual_seed(0)
    painter = TextToImage(words=WORDS, size=8, widths=(8, 16), embed=16, text=8, T=100)
    for parameter in painter.parameters():
        nn.init.normal_(parameter, 0, 0.15)
        parameter.data = parameter.data.half().float()  # as the page holds it
    return painter.eval()


PAINTER = random_painter()
ALPHA_BAR = PAINTER.alpha_bar


def eps(x, t, tokens):
    """Mostly the noise of a picture in a grey that the words choose, and some of a network's."""
    a = ALPHA_BAR[t].view(-1, 1, 1, 1)
    grey = 0.5 * torch.sin(tokens.float().sum(1)).view(-1, 1, 1, 1)
    return 0.9 * (x - grey * a.sqrt()) / (1 - a).sqrt() + 0.1 * PAINTER.eps(x, t, tokens)


@pytest.fixture(scope="module")
def made():
    """One CaptionBox for the module: its export takes seconds."""
    widget = CaptionBox(
        eps, ALPHA_BAR, words=WORDS, length=LENGTH, shape=(3, 8, 8), groups=GROUPS, steps=(5, 10), count=3,
        caption="woman cook", seed=4,
    )  # fmt: skip
    assert widget.onnx, widget.reason
    return widget


@pytest.fixture
def box(page, tmp_path, made):
    page.goto(made.to_html(tmp_path / "box.html").as_uri())
    page.locator("[data-samples]").wait_for()
    return page.locator(".cw")


def sampled(caption, seed=4, guidance=2.0, steps=5, count=3):
    """The page's run, in torch: its steps."""
    x = torch.from_numpy(np.stack([page_noise(seed, 192, i).reshape(3, 8, 8) for i in range(count)]))
    told, untold = PAINTER.encode([caption] * count), PAINTER.encode([""] * count)

    def guided(x, t):
        none = eps(x, t, untold)
        return none + guidance * (eps(x, t, told) - none)

    return list(ddim(guided, x, ALPHA_BAR, steps=steps))


def levels(x):
    """Pictures (N, 3, H, W) as the page's bytes, (N, H * W * 3)."""
    return np.rint((x.clamp(-1, 1).permute(0, 2, 3, 1).flatten(1).numpy() + 1) * 127.5)


def held(widget):
    """The bytes of the pictures in the page, (N, H * W * 3)."""
    return np.array([one.evaluate(PIXELS) for one in widget.locator("canvas.cw-image").all()], dtype=float)


def at_rest(page, widget):
    page.wait_for_timeout(400)  # a hand that types has to rest first
    page.wait_for_function("document.querySelector('.cw-live-step').textContent.includes('ms a step')")
    return held(widget)


def line(page):
    return page.get_by_label("Caption", exact=True)


def chip(page, name):
    return page.get_by_role("button", name=name, exact=True)


def answer(page):
    return page.locator(".cw-caption-answer")


# --- the words


CAPTIONS = [
    "",
    "   ",
    "woman cook: dark skin tone",
    "WOMAN, Cook!! (Dark) skin-tone",
    "Noto person in medium dark",
    "medium\n\tLight man; medium light woman",
    "mediumdark medium-dark medium - dark medium  darkness",
    "a man the man an a man",
    "the a an skin tone",
    "breast-feeding -man- man- woman--man woman-man-dark",
    "astronot with helmet",
    "wommen cok pilott fire fighter",
    "Mrs. Claus’s “red” hair's",
    "Café ÉLÈVE İstanbul ΣΊΣΥΦΟΣ straße 日本 snake_case _ x2 ½ Ⅻ é e\u0301",
    "woman 👩🏾‍🚀 man",
    "one two three four five six seven eight nine ten eleven twelve",
    " ".join(WORDS[:11]),
    " ".join(WORDS[:12]),
    "hair hairs hare haircuts chair airs fairy's merpersons manwoman zzz aaaaaaa l",
]  # fmt: skip


def misspelt(count):
    """Words of the vocabulary with letters left out, added, swapped: what close matches are found for."""
    random = np.random.default_rng(0)
    for _ in range(count):
        word = list(random.choice(WORDS))
        for _ in range(random.integers(1, 4)):
            i = random.integers(len(word) + 1)
            word[i : i + random.integers(0, 3)] = random.choice(list("aeiorstn"), random.integers(0, 3))
        yield "".join(word)


READ = """async ({ source, captions, vocabulary }) => {
    const module = source + "\\nexport { readCaption };";
    const url = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
    const { readCaption } = await import(url);
    return captions.map((caption) => readCaption(caption, vocabulary));
}"""


def in_python(caption):
    """The row of tokens, or else the complaint."""
    try:
        return encode([caption], WORDS, LENGTH)[0].tolist(), None
    except CourseError as error:
        return None, str(error)


def test_the_page_reads_what_python_reads(page, tmp_path):
    page.goto(write_page(tmp_path / "words.html", "Words", "").as_uri())
    captions = [*CAPTIONS, *misspelt(300)]
    vocabulary = {"words": WORDS, "silent": SILENT, "length": LENGTH}
    given = page.evaluate(
        READ, {"source": module_source("words"), "captions": captions, "vocabulary": vocabulary}
    )
    understood = 0
    for caption, read in zip(captions, given, strict=True):
        assert read["told"] == tokenise(caption), caption
        assert {word: near for word, near in read["strange"]} == unknown(caption, WORDS), caption
        row, complaint = in_python(caption)
        assert (read.get("tokens"), read.get("complaint")) == (row, complaint), caption
        understood += row is not None
    assert 8 <= understood < 100
    assert sum(len(read["strange"][0][1]) > 1 for read in given if read["strange"]) > 50


# --- the pictures


def test_pictures_are_those_of_torch(box, page):
    chip(page, "Play").click()
    assert np.abs(at_rest(page, box) - levels(sampled("woman cook")[-1].x)).max() <= 1
    line(page).fill("Man: medium dark skin tone, BEARD!")
    true = sampled("beard medium-dark man")[-1].x  # their order says nothing, but for rounding
    assert np.abs(at_rest(page, box) - levels(true)).max() <= 1
    assert np.abs(levels(true) - levels(sampled("woman cook")[-1].x)).max() > 10
    assert answer(page).inner_text() == "It reads: man · medium-dark · beard"
    page.get_by_label("Guidance").focus()
    page.keyboard.press("Home")
    assert (
        np.abs(at_rest(page, box) - levels(sampled("man medium-dark beard", guidance=1.0)[-1].x)).max() <= 1
    )
    page.get_by_label("Seed", exact=True).fill("99")
    page.keyboard.press("Enter")
    page.get_by_label("Steps").select_option("10")
    page.get_by_role("combobox", name="Pictures").select_option("8")
    true = sampled("man medium-dark beard", seed=99, guidance=1.0, steps=10, count=8)[-1].x
    assert np.abs(at_rest(page, box) - levels(true)).max() <= 1
    page.get_by_role("combobox", name="Pictures").select_option("1")
    assert np.abs(at_rest(page, box) - levels(true[:1])).max() <= 1


def test_no_caption_is_one_too(box, page):
    line(page).fill("")
    assert np.abs(at_rest(page, box) - levels(sampled("")[-1].x)).max() <= 1
    assert answer(page).inner_text() == "It reads nothing."
    assert page.get_by_role("img", name="3 pictures of no caption").is_visible()


def test_frames_are_what_is_held_or_the_guess_of_the_end(box, page):
    chip(page, "Play").click()
    at_rest(page, box)
    scrub = page.get_by_role("slider", name="How far along")
    true = sampled("woman cook")
    scrub.focus()
    for keys, k in ((["Home"], 0), (["ArrowRight", "ArrowRight"], 2)):
        for key in keys:
            page.keyboard.press(key)
        assert np.abs(held(box) - levels(true[k].x)).max() <= 1
    page.get_by_label("Show the guess").check()
    assert np.abs(at_rest(page, box) - levels(true[-1].x)).max() <= 1
    scrub.focus()
    page.keyboard.press("Home")
    assert np.abs(held(box) - levels(true[0].x0)).max() <= 1
    assert np.abs(levels(true[0].x0) - levels(true[0].x)).max() > 100


# --- words that are not known


def test_unknown_words_are_named_and_nothing_is_drawn(box, page):
    before, step = held(box), box.locator(".cw-live-step").inner_text()
    line(page).fill("woman cok with helmet")
    page.keyboard.press("Enter")
    assert (
        answer(page)
        .inner_text()
        .startswith('No picture in training had these words of "woman cok with helmet": "cok" (known: cook')
    )
    assert '"helmet"' in answer(page).inner_text()
    assert answer(page).get_attribute("role") == "status"
    page.wait_for_timeout(300)
    assert box.locator(".cw-live-step").inner_text() == step
    assert (held(box) == before).all()
    chip(page, "cook in place of cok").click()
    assert line(page).input_value() == "woman cook with helmet"
    line(page).fill("woman cook with")
    assert np.abs(at_rest(page, box) - levels(sampled("woman cook with")[-1].x)).max() <= 1
    line(page).fill("a b c d e f g h i j k l")
    page.keyboard.press("Enter")
    assert "Take other words" in answer(page).inner_text()
    line(page).fill(" ".join(WORDS[:12]))
    page.keyboard.press("Enter")
    assert "has 12 words, but there is room for 11: leave some out." in answer(page).inner_text()


def test_a_hand_that_types_is_left_alone(box, page):
    page.evaluate("""() => {
        window.answers = [];
        const node = document.querySelector(".cw-caption-answer");
        const note = () => answers.push(node.textContent);
        new MutationObserver(note).observe(node, { childList: true, subtree: true });
    }""")
    line(page).fill("")
    line(page).press_sequentially("man cook", delay=5)
    assert [text for text in page.evaluate("answers") if "No picture" in text] == []
    assert np.abs(at_rest(page, box) - levels(sampled("man cook")[-1].x)).max() <= 1
    line(page).press_sequentially(" hou")
    answer(page).get_by_text('"hou"').wait_for()  # it has rested for long enough


# --- chips


def pressed(page):
    return page.locator(".cw-chip-row [aria-pressed=true]").all_inner_texts()


def test_chips_add_and_remove_words(box, page):
    assert pressed(page) == ["woman", "cook"]
    chip(page, "noto").click()
    chip(page, "police officer").click()
    assert line(page).input_value() == "woman cook noto police officer"
    chip(page, "cook").click()
    assert line(page).input_value() == "woman noto police officer"
    assert pressed(page) == ["noto", "woman", "police officer"]
    chip(page, "police officer").click()
    chip(page, "blond hair").click()
    chip(page, "curly hair").click()
    chip(page, "blond hair").click()
    assert line(page).input_value() == "woman noto hair curly"  # the hair of curly hair stays
    assert pressed(page) == ["noto", "curly hair", "woman"]
    assert np.abs(at_rest(page, box) - levels(sampled("woman noto hair curly")[-1].x)).max() <= 1
    page.get_by_text("All other words").click()
    chip(page, "zombie").click()
    assert line(page).input_value() == "woman noto hair curly zombie"
    line(page).fill("man dark")
    assert pressed(page) == ["dark", "man"]  # before anything is drawn


def test_chips_by_keyboard(box, page):
    line(page).focus()
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "noto"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    assert line(page).input_value() == "woman cook twemoji"
    page.keyboard.press("Tab")  # a group is one stop
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    assert line(page).input_value() == "woman cook twemoji dark"
    page.keyboard.press("Home")
    assert page.locator(":focus").inner_text() == "light"
    page.keyboard.press("Shift+Tab")
    assert page.locator(":focus").inner_text() == "twemoji"


# --- where there is no network, little room, another theme


def test_a_saved_box_plays_its_recording(page, tmp_path, made):
    page.goto(write_page(tmp_path / "saved.html", "Saved", made.html()).as_uri())
    box = page.locator(".cw")
    box.wait_for()
    assert "A recorded run: “woman cook”, seed 4, guidance 2.0, 5 steps. Run this cell" in box.inner_text()
    assert not line(page).is_visible()
    assert not chip(page, "noto").is_visible()
    end = held(box)
    assert np.abs(end - levels(sampled("woman cook")[-1].x)).mean() < 15
    page.get_by_role("slider", name="How far along").focus()
    page.keyboard.press("Home")
    assert np.abs(held(box) - end).mean() > 40
    page.keyboard.press("Space")
    page.wait_for_function("document.querySelector('.cw-live-step').textContent.startsWith('step 5 of 5')")
    assert (held(box) == end).all()
    assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_for_axe_to_find(page, tmp_path, made, scheme):
    page.emulate_media(color_scheme=scheme)
    body = made.html(network=True) + runtime_html()
    page.goto(write_page(tmp_path / "box.html", "Captions", body).as_uri())
    page.locator(f"[data-samples][data-theme={scheme}]").wait_for()
    page.get_by_text("All other words").click()
    assert violations(page) == []
    line(page).fill("womann")
    page.keyboard.press("Enter")
    assert violations(page) == []


def test_it_fits_a_phone(page, tmp_path, made):
    page.set_viewport_size({"width": 320, "height": 700})
    page.goto(made.to_html(tmp_path / "phone.html").as_uri())
    page.locator("[data-samples]").wait_for()
    page.get_by_role("combobox", name="Pictures").select_option("8")
    page.get_by_text("All other words").click()
    line(page).fill("verylongwordthatnobodyhaseverseen" * 8)
    page.keyboard.press("Enter")
    page.locator("canvas.cw-image").nth(7).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_finger_presses_chips(box, page):
    place = chip(page, "dark").bounding_box()
    page.touchscreen.tap(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    assert line(page).input_value() == "woman cook dark"


def test_a_view_that_is_taken_away_frees_its_network(page, tmp_path, made):
    page.goto(made.to_html(tmp_path / "page.html").as_uri())
    page.locator("[data-samples]").wait_for()
    given = {**made.state(), "onnx": made.onnx}
    state = {name: {"bytes": list(v)} if isinstance(v, bytes) else v for name, v in given.items()}
    found = page.evaluate(RENDER_AND_CLEAN_UP, {"source": made._esm, "state": state})
    assert found["during"]["sessions"] == 2
    assert found["after"] == {"listeners": 0, "observers": 0, "sessions": 0}
    assert found["left"] == 0


# --- in JupyterLab


CELLS = [
    """from course_lib.schedules import alpha_bars, cosine_betas
from course_lib.widgets import CaptionBox
a = alpha_bars(cosine_betas(100))
def eps(x, t, tokens):
    share = a.float()[t].view(-1, 1, 1, 1)
    level = ((tokens > 1).sum(1) * 0.2 - 0.7).view(-1, 1, 1, 1)
    return (x - level * share.sqrt()) / (1 - share).sqrt()
words = ("big", "cat", "dog")
w = CaptionBox(eps, a, words=words, length=4, shape=(1, 8, 8), steps=(5,), count=1, guidance=1.0)
w""",
    "w",
    "w.caption = 'a BIG dog'",
    "import json; print(json.dumps([w.caption, w.seed]))",
    "try:\n    w.caption = 'cats'\nexcept Exception as error:\n    print(error)",
]


def in_cell(page, index):
    return page.locator(".jp-Cell").nth(index).locator(".cw")


def near_level(page, widget, level, tolerance=1):
    """Wait until the only picture is one grey: `level` in [-1, 1], to `tolerance` of 255."""
    for _ in range(100):
        if np.abs(held(widget) - (level + 1) * 127.5).max() <= tolerance:
            return
        page.wait_for_timeout(50)
    assert held(widget)[0] == pytest.approx(np.full(192, (level + 1) * 127.5), abs=tolerance)


def test_kernel_and_two_views_follow_each_other_and_a_saved_notebook_plays(lab):
    write_notebook(lab.root / "captions.ipynb", CELLS)
    page = open_notebook(lab, "captions.ipynb")
    for index in (0, 1):
        run_cell(page, index)
        page.locator(".jp-Cell").nth(index).locator("[data-samples]").wait_for()
    run_cell(page, 2)
    for index in (0, 1):
        near_level(page, in_cell(page, index), -0.3)
        assert in_cell(page, index).locator("input[type=text]").input_value() == "a BIG dog"
    first = in_cell(page, 0).locator("input[type=text]")
    first.focus()
    page.keyboard.press("End")
    page.keyboard.type(" cat x")  # JupyterLab: x cuts a cell
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    for index in (0, 1):
        near_level(page, in_cell(page, index), -0.1)
    assert in_cell(page, 1).locator("input[type=text]").input_value().strip() == "a BIG dog cat"
    assert json.loads(run_cell(page, 3)) == [first.input_value(), 0]
    assert '"cats" (known: cat)' in run_cell(page, 4)
    assert violations(page, {"include": [[".cw"]]}) == []
    assert (page.errors, page.outside) == ([], [])
    page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    page.close()
    text = (lab.root / "captions.ipynb").read_text()
    assert len(text) < 120_000
    (lab.root / "captions_again.ipynb").write_text(text)
    page = open_notebook(lab, "captions_again.ipynb")
    page.evaluate("jupyterapp.shell.currentWidget.context.sessionContext.shutdown()")
    widget = in_cell(page, 0)
    widget.get_by_text("A recorded run: no caption").wait_for()
    near_level(page, widget, -0.7, 8)  # the recording is lossy
    page.close()
    assert page.errors == []
