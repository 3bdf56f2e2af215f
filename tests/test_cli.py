"""The `course` command: what it prints and writes. Mistakes get one sentence and exit code 1."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT, Sampling, python, same
from PIL import Image

from course_lib import cli, data, recipes, viz, zoo
from course_lib.folders import ImageWarning
from course_lib.methods.autoencoder import Autoencoder
from course_lib.methods.cyclegan import CycleGAN
from course_lib.methods.pix2pix import Pix2Pix
from course_lib.sets import to_floats
from course_lib.translation import whole

KWARGS = dict(latent=4, size=8, widths=(4, 8), squeeze=4, hidden=16)


@pytest.fixture
def course(capsys, monkeypatch):
    """Run the command in this process: course("train", ...) -> (exit code, stdout, stderr)."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["course", *map(str, words)])
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def refused(course):
    """Run a command that must end with exit code 1 and one sentence, which is returned."""

    def run(*words):
        code, out, err = course(*words)
        assert (code, out) == (1, "")
        sentence = err.rpartition("\r")[2]  # after the progress bar, if there was one
        assert re.fullmatch(r"course: [^\n]+\n", sentence), err
        return sentence

    return run


@pytest.fixture
def weights(tmp_path):
    """A weights file of a toy autoencoder."""
    zoo.save(tmp_path / "toy.safetensors", Autoencoder(**KWARGS), KWARGS, recipe="ae2_fashion")
    return tmp_path / "toy.safetensors"


@pytest.fixture
def small(monkeypatch):
    """The first 300 pictures of each split of Fashion-MNIST, for quick training."""
    fashion = data.fashion
    monkeypatch.setattr(data, "fashion", lambda split, **o: fashion(split).subset(slice(0, 300)))


# ---- info


def test_info_is_green_here(course):
    code, out, err = course("info")
    assert (code, err) == (0, "")
    assert out.endswith("all green\n")
    assert "BAD" not in out
    for version in (
        f"course-lib {importlib.metadata.version('course-lib')}",
        f"torch {torch.__version__.split('+')[0]}",
    ):
        assert version in out
    assert all(f"ok  data/{name}" in out for name, _, _ in data.verify())
    assert all(f"ok  weights {name}" in out for name in zoo.manifest())
    assert re.search(r"computing on .+, \d+ threads", out)


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A data folder of links to the real files, to be damaged."""
    real = data.root()
    for path in real.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            link = tmp_path / "data" / path.relative_to(real)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def altered(path):
    """Replace a link by a copy in which one byte differs."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)


def test_info_is_red_where_files_are_damaged(course, copy):
    altered(copy / "fashion" / "train_01.png")
    (copy / "text" / "first_names.csv").unlink()
    names = list(zoo.manifest())
    if names:
        altered(copy / "weights" / f"{names[0]}.safetensors")
    code, out, err = course("info")
    assert code == 1
    bad = [line for line in out.splitlines() if line.startswith("BAD")]
    assert len(bad) == 2 + bool(names)
    assert err == f"course: {len(bad)} file(s) are damaged; the lines marked BAD say how to repair each.\n"
    assert "data/fashion/train_01.png" in bad[0]
    assert all("git checkout" in line for line in bad)
    assert "all green" not in out
    assert out.count("ok  data/") == len(data.verify()) - 2


def test_info_without_a_data_folder(course, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "nowhere"))
    code, _, err = course("info")
    assert code == 1
    assert re.fullmatch(r"course: There is no data folder at .*nowhere.*\n", err)


# ---- train


def test_train_writes_a_checkpoint_and_weights_that_load(course, small, tmp_path):
    out = tmp_path / "run"
    code, said, _ = course("train", "ae2_fashion", "--steps", 3, "--out", out, "--device", "cpu", "--seed", 5)
    assert code == 0
    assert "trained to step 3" in said
    assert f"wrote {out / 'ae2_fashion.safetensors'}" in said
    assert sorted(p.name for p in out.iterdir()) == ["ae2_fashion.safetensors", "checkpoint.pt"]
    model, about = zoo.load(out / "ae2_fashion.safetensors"), zoo.describe(out / "ae2_fashion.safetensors")
    plan = recipes.ae2_fashion()
    assert type(model) is plan.method
    assert (about["recipe"], about["step"], about["data"]) == ("ae2_fashion", "3", plan.about)
    # the file holds the averaged networks
    saved = torch.load(out / "checkpoint.pt")["parts"]["ema.encoder"]
    weight = next(k for k in saved if k.endswith("weight"))
    assert torch.equal(
        model.encoder.state_dict()[weight.removeprefix("module.")], saved[weight].half().float()
    )


def test_train_resumes_and_repeats_by_seed(course, small, tmp_path):
    def train(out, *more):
        assert course("train", "ae2_fashion", "--out", tmp_path / out, "--device", "cpu", *more)[0] == 0
        return zoo.load(tmp_path / out / "ae2_fashion.safetensors").state_dict()

    train("a", "--steps", 4)
    first = torch.load(tmp_path / "a" / "checkpoint.pt")
    again, other = train("b", "--steps", 4), train("c", "--steps", 4, "--seed", 1)
    assert same(first, torch.load(tmp_path / "b" / "checkpoint.pt"))
    assert not same(again, other)
    more = train("a", "--steps", 6, "--resume")
    assert torch.load(tmp_path / "a" / "checkpoint.pt")["step"] == 6
    assert not same(more, again)


def test_train_in_bf16(course, small, tmp_path):
    for precision in ("fp32", "bf16"):
        code, *_ = course(
            "train", "ae2_fashion", "--steps", 2, "--out", tmp_path / precision, "--device", "cpu",
            "--precision", precision,
        )  # fmt: skip
        assert code == 0
    a, b = (zoo.load(tmp_path / p / "ae2_fashion.safetensors").state_dict() for p in ("fp32", "bf16"))
    assert not same(a, b)


def test_train_puts_runs_where_it_is_started(course, small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert course("train", "ae2_fashion", "--steps", 1, "--device", "cpu")[0] == 0
    assert (tmp_path / "runs" / "ae2_fashion" / "ae2_fashion.safetensors").exists()


def test_train_publishes_weights_card_and_scores(course, small, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    shelf = tmp_path / "data" / "weights"
    monkeypatch.setattr(zoo, "root", lambda: tmp_path / "data")
    code, said, _ = course(
        "train", "ae2_fashion", "--steps", 2, "--out", tmp_path / "run", "--device", "cpu", "--publish"
    )
    assert code == 0
    assert "published ae2_fashion" in said
    entry = zoo.manifest()["ae2_fashion"]
    assert zoo.inspect("ae2_fashion", entry) == ""
    assert entry["licence"] == recipes.ae2_fashion().licence
    assert entry["scores"].keys() == {"squared error", "PCA's squared error", "ratio to PCA"}
    assert "# ae2_fashion" in (shelf / "ae2_fashion.md").read_text("utf-8")


def test_train_does_not_overwrite_a_run(refused, tmp_path, small):
    (tmp_path / "checkpoint.pt").write_text("precious")
    assert "holds an earlier run" in refused("train", "ae2_fashion", "--steps", 1, "--out", tmp_path)
    assert "not a readable checkpoint" in refused(
        "train", "ae2_fashion", "--steps", 1, "--out", tmp_path, "--resume"
    )
    assert (tmp_path / "checkpoint.pt").read_text() == "precious"


MISTAKES = {
    "unknown recipe": (["ae2_fashon"], 'no recipe "ae2_fashon". Did you mean "ae2_fashion"? All: '),
    "precision": (
        ["ae2_fashion", "--precision", "fp16"],
        'Unknown precision "fp16": choose one of fp32, bf16',
    ),
    "device": (
        ["ae2_fashion", "--device", "quantum"],
        'Device "quantum" was asked for, but this machine has',
    ),
    "no steps": (["ae2_fashion", "--steps", "0"], "--steps must be at least 1, got 0"),
    "negative steps": (["ae2_fashion", "--steps", "-5"], "--steps must be at least 1, got -5"),
    "every": (
        ["ae2_fashion", "--every", "0", "--steps", "1"],
        "every must be a whole number of at least 1, got 0",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_in_training_gives_one_sentence(mistake, refused, tmp_path):
    words, sentence = MISTAKES[mistake]
    assert sentence in refused("train", *words, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_cuda_asked_for_where_there_is_none(refused, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert 'Device "cuda" was asked for, but this machine has cpu' in refused(
        "train", "ae2_fashion", "--device", "cuda"
    )


def test_out_that_cannot_be_written(refused, tmp_path, small):
    (tmp_path / "file").write_text("")
    sentence = refused("train", "ae2_fashion", "--steps", 1, "--out", tmp_path / "file" / "run")
    assert f"Cannot write to {tmp_path}/file/run" in sentence
    assert "Choose another folder" in sentence


def test_nan_while_training(refused, small, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "course_lib.methods.autoencoder.F.mse_loss", lambda a, b: (a - b).mean() * float("nan")
    )
    sentence = refused("train", "ae2_fashion", "--steps", 3, "--out", tmp_path, "--device", "cpu")
    assert "Stopped at step 0" in sentence
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--steps", "--seed"])
def test_words_for_numbers_are_usage_errors(option, course):
    code, _, err = course("train", "ae2_fashion", option, "many")
    assert code == 2
    assert f"Invalid value for '{option}'" in err
    assert "Traceback" not in err


# ---- sample


@pytest.fixture
def sampler(monkeypatch, tmp_path):
    """Pretend that the weights "toy" are those of a model that can sample."""
    model = Sampling.tiny()[0].eval()
    monkeypatch.setattr(zoo, "load", lambda name: model)
    return lambda n, seed: list(model.sample(n, generator=torch.Generator().manual_seed(seed)))[-1].x


def test_sample_writes_the_last_step_as_an_array(course, sampler, tmp_path):
    code, said, _ = course("sample", "toy", "--n", 5, "--seed", 3, "--out", tmp_path / "a.npy")
    assert (code, said) == (0, f"wrote {tmp_path / 'a.npy'}\n")
    made = np.load(tmp_path / "a.npy")
    assert (made.shape, made.dtype) == ((5, 4, 4, 1), np.uint8)
    assert (made == viz.to_uint8(sampler(5, 3))).all()
    assert not (made == viz.to_uint8(sampler(5, 4))).all()


def test_sample_draws_a_square_grid(course, sampler, tmp_path):
    assert course("sample", "toy", "-n", 9, "--out", tmp_path / "a.png")[0] == 0
    shown = np.asarray(Image.open(tmp_path / "a.png"))
    assert (shown == np.asarray(viz.tile(sampler(9, 0), columns=3))).all()


def test_sample_from_a_model_that_cannot(refused, weights, tmp_path):
    sentence = refused("sample", weights, "--out", tmp_path / "a.png")
    assert "holds the class Autoencoder, which cannot make new pictures" in sentence
    assert not (tmp_path / "a.png").exists()


def test_a_caption_is_read(course, tmp_path):
    told = "twemoji mage: light skin tone"
    assert course("sample", "t2i_people", "--caption", told, "--n", 2, "--out", tmp_path / "a.npy")[0] == 0
    model, g = zoo.load("t2i_people"), torch.Generator().manual_seed(0)
    *_, last = model.sample(2, generator=g, captions=told)
    assert (np.load(tmp_path / "a.npy") == viz.to_uint8(last.x)).all()


def test_a_word_that_nobody_taught_is_named(refused, tmp_path):
    sentence = refused("sample", "t2i_people", "--caption", "woman plumber", "--out", tmp_path / "a.png")
    assert 'No picture in training had these words of "woman plumber": "plumber"' in sentence
    assert not (tmp_path / "a.png").exists()


def test_a_model_that_cannot_read_is_told_no_caption(refused, sampler):
    assert "toy cannot read: leave --caption out" in refused("sample", "toy", "--caption", "cook")


def test_mistakes_in_sampling(refused, sampler, tmp_path):
    assert "--n must be at least 1, got 0" in refused("sample", "toy", "--n", 0)
    assert "--n must be at least 1, got -3" in refused("sample", "toy", "--n=-3")
    assert "--out must end in .npy or .png, got a.gif" in refused("sample", "toy", "--out", "a.gif")
    for name in ("a.npy", "a.png"):
        place = tmp_path / "nowhere" / name
        assert f"Could not write {place}: No such file" in refused("sample", "toy", "--out", place)


def test_unknown_weights_suggest_the_nearest(refused):
    names = list(zoo.manifest())
    for command in ("sample", "evaluate"):
        sentence = refused(command, names[0] + "x")
        assert f'no weights named "{names[0]}x". Did you mean "{names[0]}"?' in sentence


# ---- evaluate


def test_evaluate_prints_the_scores_of_a_file_under_any_name(course, small, tmp_path):
    plan = recipes.ae2_fashion()
    model = recipes.build(plan).eval()
    zoo.save(tmp_path / "my own.safetensors", model, plan.kwargs, recipe="ae2_fashion")
    code, said, _ = course("evaluate", tmp_path / "my own.safetensors", "--split", "validation")
    assert code == 0
    scores = plan.evaluate(zoo.load(tmp_path / "my own.safetensors"), "validation")
    assert said == "".join(f"{name}: {value:.4g}\n" for name, value in scores.items())


def test_evaluate_weights_of_no_recipe(refused, tmp_path):
    zoo.save(tmp_path / "a.safetensors", Autoencoder(**KWARGS), KWARGS)
    assert 'There is no recipe ""' in refused("evaluate", tmp_path / "a.safetensors")
    assert "is not a readable weights file" in refused("evaluate", tmp_path / "b.safetensors")


def test_evaluate_knows_two_splits(course, weights):
    code, _, err = course("evaluate", weights, "--split", "train")
    assert code == 2
    assert "validation" in err


# ---- your own pictures: train on two folders


@pytest.fixture
def folders(tmp_path):
    """Two folders of small pictures of odd shapes."""
    rng = np.random.default_rng(0)
    for kind, sizes in {"a": [(20, 30), (40, 25), (17, 17)], "b": [(19, 60), (24, 24)]}.items():
        (tmp_path / kind).mkdir()
        for i, size in enumerate(sizes):
            pixels = rng.integers(0, 255, (*size, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / kind / f"{i}.png")
    return "--a", tmp_path / "a", "--b", tmp_path / "b"


def test_train_on_two_folders_under_both_names_resume_and_evaluate(course, folders, tmp_path):
    def train(name, out, steps, *more):
        options = ("--size", 16, "--out", tmp_path / out, "--device", "cpu", *more)
        code, said, _ = course("train", name, *folders, "--steps", steps, *options)
        assert code == 0
        weights = tmp_path / out / "cyclegan_folders.safetensors"
        assert said.startswith("A: 3 pictures, B: 2 pictures\n")
        assert f"course translate {weights} PICTURE-OR-FOLDER OUT" in said
        return weights, zoo.load(weights)

    train("cyclegan", "run", 1)
    weights, model = train("cyclegan_folders", "run", 2, "--resume")
    assert torch.load(tmp_path / "run" / "checkpoint.pt")["step"] == 2
    pixels = np.concatenate([np.asarray(Image.open(f)).reshape(-1, 3) for f in (tmp_path / "a").iterdir()])
    mean = torch.from_numpy(pixels.mean(0) / 127.5 - 1).float()
    assert torch.allclose(model.colours_A.mean.flatten(), mean, atol=0.06)  # colours are learnt first

    code, said, _ = course("evaluate", weights, *folders, "--size", 16)
    assert code == 0
    names = [line.partition(":")[0] for line in said.splitlines()]
    assert names == [
        f"{score} of {kind}, training pictures" for kind in "AB" for score in ("cycle error", "change")
    ]


MISTAKES_WITH_FOLDERS = {
    "no folders": (["cyclegan_folders"], "learns from your own pictures: say where they are, with --a"),
    "only b": (["cyclegan", "--b", "b"], "learns from your own pictures: say where they are, with --a"),
    "no such folder": (["cyclegan", "--a", "nowhere", "--b", "b"], "nowhere does not exist"),
    "no layout": (["cyclegan", "--a", "a"], "no folder trainA and no trainB in a"),
    "twice": (["cyclegan", "--a", "a", "--b", "a"], "a was given for both kinds of pictures"),
    "size": (["cyclegan", "--a", "a", "--b", "b", "--size", "50"], "must be a multiple of 8 and at least 16"),
    "other recipe": (["ae2_fashion", "--a", "a"], "--a is for recipes that learn from your own folders"),
    "size of other recipe": (["ae2_fashion", "--size", "64"], "--size is for recipes that learn from"),
}


@pytest.mark.parametrize("mistake", MISTAKES_WITH_FOLDERS)
def test_mistake_with_folders_gives_one_sentence(mistake, refused, folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words, sentence = MISTAKES_WITH_FOLDERS[mistake]
    assert sentence in refused("train", *words, "--steps", 1)
    assert not (tmp_path / "runs").exists()


# ---- translate


@pytest.fixture
def translator(tmp_path):
    """A weights file of a toy CycleGAN, and the model."""
    torch.manual_seed(0)
    kwargs = dict(widths=(4, 8), blocks=1, d_widths=(4, 8))
    weights = tmp_path / "cycle.safetensors"
    zoo.save(weights, CycleGAN(**kwargs), kwargs)
    return weights, zoo.load(weights)


def expected(change, file):
    """The translation of a picture file in one pass, uint8 (H, W, C)."""
    pixels = torch.from_numpy(np.array(Image.open(file).convert("RGB"))).permute(2, 0, 1)
    return viz.to_uint8(whole(change, to_floats(pixels[None]), factor=4))[0].astype(int)


def test_translate_a_folder_and_a_picture_both_ways(course, translator, folders, tmp_path):
    weights, model = translator
    (tmp_path / "a" / "sub").mkdir()
    Image.open(tmp_path / "a" / "0.png").save(tmp_path / "a" / "0.webp", lossless=True)
    Image.open(tmp_path / "a" / "1.png").convert("CMYK").save(tmp_path / "a" / "sub" / "c.jpg")
    (tmp_path / "a" / "broken.jpg").write_text("no picture")
    with pytest.warns(ImageWarning, match="skipped, not an image: broken.jpg"):
        code, said, _ = course("translate", weights, tmp_path / "a", tmp_path / "out")
    assert (code, said) == (0, f"wrote 5 pictures to {tmp_path / 'out'}\n")
    made = {str(f.relative_to(tmp_path / "out")) for f in (tmp_path / "out").rglob("*") if f.is_file()}
    assert made == {"0.png", "0.webp.png", "1.png", "2.png", "sub/c.png"}
    for source, target in (("1.png", "1.png"), ("0.webp", "0.webp.png"), ("sub/c.jpg", "sub/c.png")):
        shown = np.asarray(Image.open(tmp_path / "out" / target)).astype(int)
        assert abs(shown - expected(model.translate, tmp_path / "a" / source)).max() <= 1
    picture = tmp_path / "b" / "0.png"
    for name, kind in (("y.png", "PNG"), ("y.webp", "WEBP"), ("y.jpg", "JPEG")):
        one = tmp_path / "x" / name
        assert course("translate", weights, picture, one, "--back")[:2] == (0, f"wrote {one}\n")
        assert (Image.open(one).format, Image.open(one).size) == (kind, (60, 19))
    back = expected(model.translate_back, picture)
    assert abs(np.asarray(Image.open(tmp_path / "x" / "y.png")).astype(int) - back).max() <= 1
    assert abs(back - expected(model.translate, picture)).max() > 5


def test_translate_grey_drawings_into_an_existing_folder(course, tmp_path):
    kwargs = dict(channels=(1, 3), widths=(4, 8), blocks=1, d_widths=(4, 8))
    zoo.save(tmp_path / "toy.safetensors", Pix2Pix(**kwargs), kwargs)
    Image.new("RGB", (20, 12), (255, 0, 0)).save(tmp_path / "line.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "other.png").write_text("stays")
    assert course("translate", tmp_path / "toy.safetensors", tmp_path / "line.png", tmp_path / "out")[0] == 0
    model = zoo.load(tmp_path / "toy.safetensors")
    grey = whole(model.translate, torch.full((1, 1, 12, 20), 76 / 127.5 - 1), factor=4)
    shown = np.asarray(Image.open(tmp_path / "out" / "line.png")).astype(int)
    assert abs(shown - viz.to_uint8(grey)[0]).max() <= 1


def test_translate_replaces_only_what_it_may(course, refused, translator, folders, tmp_path):
    weights, _ = translator
    source, out = tmp_path / "a", tmp_path / "out"
    kept = {f: f.read_bytes() for f in source.iterdir()}
    assert course("translate", weights, source, out)[0] == 0
    assert "is not empty: choose another folder, or say --overwrite" in refused(
        "translate", weights, source, out
    )
    assert "is there already" in refused("translate", weights, source / "0.png", out / "0.png")
    (out / "0.png").write_text("old")
    assert course("translate", weights, source, out, "--overwrite")[0] == 0
    assert Image.open(out / "0.png").size == (30, 20)
    for place in (source, source / "new"):
        assert "a source is never replaced" in refused("translate", weights, source, place, "--overwrite")
    for place in (source, source / "0.png"):
        sentence = refused("translate", weights, source / "0.png", place, "--overwrite")
        assert "belongs to the source, which is never replaced" in sentence
    assert {f: f.read_bytes() for f in source.iterdir()} == kept


def test_mistakes_in_translating(refused, translator, weights, folders, tmp_path):
    mine, picture = translator[0], tmp_path / "a" / "0.png"
    assert "Autoencoder cannot translate" in refused("translate", weights, picture, tmp_path / "x.png")
    assert "nowhere does not exist: give a picture" in refused("translate", mine, "nowhere", "out")
    assert "x.gif must end in .png, .webp" in refused("translate", mine, picture, tmp_path / "x.gif")
    assert "must be a folder, because" in refused("translate", mine, tmp_path / "a", tmp_path / "x.png")
    (tmp_path / "notes.txt").write_text("x")
    assert "notes.txt cannot be used" in refused(
        "translate", mine, tmp_path / "notes.txt", tmp_path / "x.png"
    )
    (tmp_path / "empty").mkdir()
    assert "no usable image in" in refused("translate", mine, tmp_path / "empty", tmp_path / "out")
    sentence = refused("translate", mine, picture, tmp_path / "notes.txt" / "x.png")
    assert f"Could not write {tmp_path}/notes.txt/x.png" in sentence
    kwargs = dict(channels=(3, 3), widths=(4, 8), blocks=1, d_widths=(4, 8))
    zoo.save(tmp_path / "one way.safetensors", Pix2Pix(**kwargs), kwargs)
    sentence = refused("translate", tmp_path / "one way.safetensors", picture, tmp_path / "x.png", "--back")
    assert "Pix2Pix translates one way only" in sentence
    assert not (tmp_path / "x.png").exists()


# ---- the command itself


def test_python_m_course_lib_is_the_course_command():
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="course")
    assert entry.load() is cli.main
    module = python("-m", "course_lib", "--help")
    assert module.returncode == 0
    assert all(
        f" {command} " in module.stdout for command in ("info", "train", "sample", "translate", "evaluate")
    )
    script = shutil.which("course", path=Path(sys.executable).parent)
    if script:
        said = subprocess.run([script, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=300)
        words, expected = (text.partition("OPTIONS")[2].split() for text in (said.stdout, module.stdout))
        assert words == expected


def test_help_answers_without_loading_torch():
    code = "import sys\nsys.argv = ['course', '--help']\nfrom course_lib import cli\n"
    code += "try: cli.main()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"
    finished = python("-c", code)
    assert finished.returncode == 0, finished.stderr


def test_a_mistake_ends_a_real_process_with_one_line():
    finished = python("-m", "course_lib", "info", COURSE_DATA="nowhere")
    assert finished.returncode == 1
    assert re.fullmatch(r"course: There is no data folder at nowhere[^\n]+\n", finished.stderr)
