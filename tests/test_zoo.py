"""Weights: saved whole, loaded only when intact, and never allowed to choose what code is run."""

import hashlib
import json
import random
import shutil

import pytest
import torch
from helpers import ROOT, same
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from course_lib import recipes, zoo
from course_lib.errors import WeightsError
from course_lib.methods.autoencoder import Autoencoder, LinearAutoencoder
from course_lib.methods.cyclegan import CycleGAN

KWARGS = dict(latent=4, size=8, widths=(4, 8), squeeze=4, hidden=16)
CYCLE = dict(widths=(4, 8), blocks=1, d_widths=(4, 8), pool=12, size=16)


def one_sentence(words, call, *arguments):
    with pytest.raises(WeightsError, match=words) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Autoencoder(**KWARGS)


@pytest.fixture
def bundle(tmp_path, monkeypatch, model):
    """A data folder of one's own, named by COURSE_DATA, with two published models."""
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    for name, net in (("one_toy", model), ("two_toy", Autoencoder(**KWARGS | {"latent": 5}))):
        source = tmp_path / f"{name}.safetensors"
        zoo.save(source, net, KWARGS | {"latent": net.latent}, recipe=name, step=7, data="toy")
        zoo.publish(name, source, licence="MIT", scores={"error": 0.123456}, card=f"# {name}")
    return tmp_path / "data" / "weights"


def crafted(path, **about):
    """A weights file with the tensors of a toy and metadata of our choice."""
    kwargs = json.dumps(KWARGS)
    whole = {"class": "course_lib.methods.autoencoder:Autoencoder", "kwargs": kwargs, "step": "0"} | about
    save_file(Autoencoder(**KWARGS).state_dict(), path, {k: v for k, v in whole.items() if v is not None})
    return path


# ---- saved and loaded


def test_published_model_loads_in_eval_mode_with_what_is_known_about_it(bundle, model):
    loaded = zoo.load("one_toy")
    assert type(loaded) is Autoencoder
    assert not any(module.training for module in loaded.modules())
    assert loaded.latent == 4
    x = Autoencoder.tiny()[1]
    with torch.no_grad():
        assert torch.allclose(loaded(x), model.eval()(x), atol=5e-3)  # stored in fp16
    entry = zoo.manifest()["one_toy"]
    content = (bundle / "one_toy.safetensors").read_bytes()
    assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    assert entry["bytes"] == len(content)
    assert (entry["class"], entry["step"]) == ("course_lib.methods.autoencoder:Autoencoder", 7)
    assert (entry["licence"], entry["scores"]) == ("MIT", {"error": 0.1235})
    assert (bundle / "one_toy.md").read_text("utf-8") == "# one_toy"
    about = zoo.describe(bundle / "one_toy.safetensors")
    assert (about["recipe"], about["data"], about["step"]) == ("one_toy", "toy", "7")
    assert list(zoo.manifest()) == ["one_toy", "two_toy"]


def test_a_path_is_loaded_without_the_manifest(bundle, tmp_path, model):
    zoo.save(tmp_path / "mine.safetensors", model, KWARGS)
    for path in (tmp_path / "mine.safetensors", str(tmp_path / "mine.safetensors")):
        assert same(zoo.load(path).state_dict(), zoo.load("one_toy").state_dict())


def test_matrices_are_halves_and_vectors_are_not(bundle, model):
    stored = load_file(bundle / "one_toy.safetensors")
    for name, tensor in model.state_dict().items():
        expected = torch.float16 if tensor.dim() > 1 else tensor.dtype
        assert stored[name].dtype == expected, name
        assert stored[name].dtype == torch.float16 or torch.equal(stored[name], tensor)
    assert {p.dtype for p in zoo.load("one_toy").parameters()} == {torch.float32}


def test_values_that_leave_the_range_of_halves_are_kept(tmp_path, model):
    with torch.no_grad():
        model.decoder.net[0][0].weight.mul_(1e6)
        model.encoder.net[1][1].running_var.mul_(1e20)
    zoo.save(tmp_path / "a.safetensors", model, KWARGS)
    loaded = zoo.read(tmp_path / "a.safetensors")
    assert torch.equal(loaded.decoder.net[0][0].weight, model.decoder.net[0][0].weight)
    assert torch.equal(loaded.encoder.net[1][1].running_var, model.encoder.net[1][1].running_var)


def test_shared_or_sliced_tensors_are_saved(tmp_path):
    """Views and transposes have storages of their own kind; the file holds their values."""
    net = LinearAutoencoder(latent=4, size=8)
    net.decoder[0].weight.data = net.encoder[1].weight.data.t()  # tied, as in the exercise
    zoo.save(tmp_path / "a.safetensors", net, dict(latent=4, size=8))
    loaded = zoo.read(tmp_path / "a.safetensors")
    assert torch.equal(loaded.decoder[0].weight, loaded.encoder[1].weight.t())


def test_a_full_disk_leaves_the_old_file(bundle, model, monkeypatch):
    def no_space(fd):
        raise OSError(28, "No space left on device")

    path = bundle / "one_toy.safetensors"
    before = path.read_bytes()
    monkeypatch.setattr("course_lib.zoo.os.fsync", no_space)
    one_sentence("Could not write .*one_toy.*No space left", zoo.save, path, model, KWARGS)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_is_named(tmp_path, model):
    (tmp_path / "file").write_text("")
    one_sentence(
        "Could not write .*Choose another place", zoo.save, tmp_path / "file" / "a.safetensors", model, {}
    )


def test_publishing_where_nothing_can_be_written(bundle, model, tmp_path, monkeypatch):
    zoo.save(tmp_path / "new.safetensors", model, KWARGS)
    (bundle / "new.md").mkdir()
    with pytest.raises(WeightsError, match="Could not write to .*weights: Is a directory"):
        zoo.publish("new", tmp_path / "new.safetensors", licence="MIT", scores={}, card="")
    assert "new" not in zoo.manifest()


# ---- parts that only training needs


@pytest.fixture
def translators():
    """A CycleGAN whose every tensor differs from a fresh one's."""
    torch.manual_seed(0)
    model, _ = CycleGAN.tiny()
    for tensor in model.state_dict().values():
        tensor.add_(1)
    return model


def test_left_out_parts_are_not_written_and_come_back_fresh(translators, tmp_path):
    path = tmp_path / "a.safetensors"
    zoo.save(path, translators, CYCLE)
    stored = load_file(path)
    assert {name.split(".")[0] for name in stored} == {"G", "F", "colours_A", "colours_B"}
    weights = sum(2 * p.numel() for net in (translators.G, translators.F) for p in net.parameters())
    assert path.stat().st_size < 2 * weights  # the pools alone, 24 pictures, would add nearly 3 times that
    torch.manual_seed(3)
    fresh = CycleGAN(**CYCLE).state_dict()
    torch.manual_seed(3)
    loaded = zoo.read(path)
    for name, tensor in loaded.state_dict().items():
        if name in stored:
            assert torch.equal(tensor, stored[name].float()), name
            assert not torch.equal(tensor, fresh[name]), name
        else:
            assert torch.equal(tensor, fresh[name]), name
    assert loaded.pool_A.count == 0


def altered(path, change):
    """A weights file again, after `change` has been at its tensors."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata)
    return path


def test_everything_else_is_still_loaded_strictly(translators, tmp_path):
    path = tmp_path / "a.safetensors"
    for name in ("G.leave.weight", "F.enter.0.bias", "colours_B.std"):
        zoo.save(path, translators, CYCLE)
        altered(path, lambda tensors, name=name: tensors.pop(name))
        one_sentence(f'does not fit .*:CycleGAN: .*Missing key.* "{name}"', zoo.read, path)
    for name in ("G.more", "D_AB.net.0.0.weight", "D_A", "D_A.net.9.weight", "pool", ""):
        zoo.save(path, translators, CYCLE)
        altered(path, lambda tensors, name=name: tensors.update({name: torch.zeros(2)}))
        one_sentence(f'does not fit .*:CycleGAN: .*Unexpected key.* "{name}"', zoo.read, path)
    zoo.save(path, translators, CYCLE)
    altered(path, lambda tensors: tensors.update({"G.leave.bias": torch.zeros(3)}))
    one_sentence("does not fit .*:CycleGAN: .*size mismatch for G.leave.bias", zoo.read, path)


def test_a_file_from_before_a_part_was_left_out_loads_as_it_did(translators, tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    with monkeypatch.context() as before:
        before.setattr(CycleGAN, "left_out", ())
        zoo.save(path, translators, CYCLE)
        whole = zoo.read(path).state_dict()
    assert torch.equal(whole["D_A.net.0.0.bias"], translators.D_A.net[0][0].bias)
    assert same(zoo.read(path).state_dict(), whole)


# ---- not intact


def test_unknown_name_suggests_the_nearest(bundle):
    sentence = one_sentence('no weights named "one_toi"', zoo.load, "one_toi")
    assert 'Did you mean "one_toy"? All: one_toy, two_toy.' in sentence
    (bundle / "manifest.json").write_text("{}")
    one_sentence("None are bundled", zoo.load, "one_toy")


def test_missing_file(bundle):
    (bundle / "one_toy.safetensors").unlink()
    one_sentence(
        "one_toy.safetensors is missing: run `git checkout -- data/weights/one_toy", zoo.load, "one_toy"
    )


def test_truncated_file(bundle):
    path = bundle / "one_toy.safetensors"
    whole = path.read_bytes()
    for size in (0, 7, 100, len(whole) - 1):
        path.write_bytes(whole[:size])
        one_sentence(f"has {size:,} bytes, not {len(whole):,}", zoo.load, "one_toy")
        one_sentence("is not a readable weights file", zoo.load, path)


def test_every_altered_bit_is_found(bundle):
    path = bundle / "one_toy.safetensors"
    whole = path.read_bytes()
    chance = random.Random(0)
    for _ in range(20):
        altered = bytearray(whole)
        altered[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(altered)
        one_sentence("is not the published file, its sha256 differs: .*git checkout", zoo.load, "one_toy")


def test_swapped_files(bundle):
    one, two = bundle / "one_toy.safetensors", bundle / "two_toy.safetensors"
    shutil.move(one, bundle / "x")
    shutil.move(two, one)
    shutil.move(bundle / "x", two)
    one_sentence("it is cut or swapped", zoo.load, "one_toy")
    assert zoo.inspect("two_toy", zoo.manifest()["two_toy"]) != ""


def test_swapped_hashes(bundle):
    entries = zoo.manifest()
    entries["one_toy"]["sha256"] = entries["two_toy"]["sha256"]
    (bundle / "manifest.json").write_text(json.dumps(entries))
    one_sentence("its sha256 differs", zoo.load, "one_toy")
    assert zoo.load("two_toy").latent == 5


@pytest.mark.parametrize("content", ["", "{", "\xff\xfe", "<<<<<<< HEAD\n{}"])
def test_damaged_manifest(bundle, content):
    (bundle / "manifest.json").write_bytes(content.encode("latin-1"))
    one_sentence("manifest.json cannot be read: run `git checkout", zoo.load, "one_toy")


def test_missing_manifest(bundle):
    (bundle / "manifest.json").unlink()
    one_sentence("manifest.json cannot be read", zoo.load, "one_toy")


def test_missing_path(tmp_path):
    one_sentence(
        "nowhere.safetensors is not a readable weights file", zoo.load, tmp_path / "nowhere.safetensors"
    )


# ---- something else in the file


class Trap:
    """Unpickling this would leave a file behind."""

    def __reduce__(self):
        return (open, ("unpickled", "w"))


def test_a_pickle_is_refused_and_not_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weights": Trap()}, tmp_path / "a.safetensors")
    one_sentence("is not a readable weights file", zoo.load, tmp_path / "a.safetensors")
    assert not (tmp_path / "unpickled").exists()


def test_a_foreign_class_is_refused_and_its_module_not_imported(tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text("open('imported', 'w')\nfrom torch.nn import Identity as Model\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in (
        "evil:Model",
        "os:system",
        "torch.nn:Linear",
        "course_lib.zoo:load",
        "course_lib.methods_evil:X",
        ":",
    ):
        path = crafted(tmp_path / "a.safetensors", **{"class": name})
        one_sentence(f'asks for "{name}", which is not under course_lib.methods: refused', zoo.load, path)
    assert not (tmp_path / "imported").exists()


@pytest.mark.parametrize(
    "name",
    [
        "course_lib.methods.nothing:X",
        "course_lib.methods.autoencoder:Nothing",
        "course_lib.methods.autoencoder:nn",  # a module
        "course_lib.methods.autoencoder:ConvEncoder",  # from another module
        "course_lib.methods.autoencoder:reconstruction_error",  # a function
        "course_lib.methods.autoencoder:Autoencoder.tiny",
        "course_lib.methods.:X",
        "course_lib.methods..zoo:load",
        "course_lib.methods./../zoo:load",
        "course_lib.methods.autoencoder",
    ],
)
def test_a_class_that_is_not_there(name, tmp_path):
    path = crafted(tmp_path / "a.safetensors", **{"class": name})
    one_sentence("which this version of course_lib does not have", zoo.load, path)


FOREIGN = [
    '{"latent": 5}',
    '{"nothing": 1}',
    "[1]",
    "3",
    "{",
    '{"widths": [1]}',
    '{"size": 9}',
    '{"latent": -1}',
]


@pytest.mark.parametrize("kwargs", [*FOREIGN, '{"size": "a"}'])
def test_kwargs_that_do_not_fit(kwargs, tmp_path):
    path = crafted(tmp_path / "a.safetensors", kwargs=kwargs)
    one_sentence("does not fit course_lib.methods.autoencoder:Autoencoder: .", zoo.load, path)


def test_weights_of_another_class(tmp_path):
    path = crafted(
        tmp_path / "a.safetensors", **{"class": "course_lib.methods.autoencoder:LinearAutoencoder"}
    )
    one_sentence("does not fit .*LinearAutoencoder", zoo.load, path)
    path = crafted(
        tmp_path / "b.safetensors",
        **{"class": "course_lib.methods.autoencoder:LinearAutoencoder", "kwargs": '{"latent": 4, "size": 8}'},
    )
    one_sentence("does not fit .*LinearAutoencoder: .*[Mm]issing key", zoo.load, path)


@pytest.mark.parametrize("missing", ["class", "kwargs", "step"])
def test_a_file_that_does_not_say_what_it_is(missing, tmp_path):
    path = crafted(tmp_path / "a.safetensors", **{missing: None})
    one_sentence(f"does not say what it holds \\({missing} missing\\)", zoo.load, path)


def test_no_metadata_at_all(tmp_path):
    save_file({"x": torch.zeros(3)}, tmp_path / "a.safetensors")
    one_sentence("does not say what it holds", zoo.load, tmp_path / "a.safetensors")


# ---- where the data is


def test_course_data_points_elsewhere(bundle, tmp_path, monkeypatch):
    assert zoo.folder() == bundle
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(Exception, match="no data folder at .*nowhere.*COURSE_DATA"):
        zoo.load("one_toy")
    monkeypatch.delenv("COURSE_DATA")
    assert zoo.folder() == ROOT / "data" / "weights"


# ---- the bundled files

try:
    BUNDLED = zoo.manifest()
except WeightsError:  # its own test says so
    BUNDLED = {}
bundled = pytest.mark.parametrize("name", BUNDLED)


def test_the_folder_holds_what_the_manifest_lists_and_nothing_else():
    weights = {path.stem for path in zoo.folder().glob("*.safetensors")}
    assert weights == zoo.manifest().keys()
    assert {path.name for path in zoo.folder().iterdir()} <= {
        "manifest.json", *(f"{name}.{end}" for name in recipes.names() for end in ("safetensors", "md"))
    }  # fmt: skip


@bundled
def test_bundled_weights_load_and_are_those_of_their_recipe(name):
    entry = BUNDLED[name]
    loaded = zoo.load(name)
    recipe = recipes.find(name)()
    assert type(loaded) is recipe.method
    about = zoo.describe(zoo.folder() / f"{name}.safetensors")
    assert json.loads(about["kwargs"]) == json.loads(json.dumps(recipe.kwargs))
    assert (about["recipe"], about["data"]) == (name, recipe.about)
    assert entry["class"] == f"{recipe.method.__module__}:{recipe.method.__name__}" == about["class"]
    assert entry["licence"] == recipe.licence
    assert entry["step"] == recipe.steps == int(about["step"])
    assert all(torch.isfinite(t).all() for t in loaded.state_dict().values())


@bundled
def test_bundled_weights_have_a_card_that_names_their_scores(name):
    card = (zoo.folder() / f"{name}.md").read_text("utf-8")
    recipe = recipes.find(name)()
    for part in (f"# {name}", recipe.about, recipe.limits, recipe.licence, f"`course train {name}`"):
        assert part in card
    for key, value in BUNDLED[name]["scores"].items():
        assert f"{key}: {value:.4g}" in card


def test_promised_scores_are_reached():
    """What the course says about its weights, on the test pictures."""
    scores = {name: entry["scores"] for name, entry in BUNDLED.items()}
    assert scores["ae32_fashion"]["ratio to PCA"] <= 0.42
    assert scores["fashion_features"]["accuracy"] >= 0.91
    samples, distance = scores["ddpm_fashion_class"], "Fréchet distance"
    assert samples[distance] <= 0.6 * scores["gan_fashion"][distance]
    assert samples["share of the total variance"] <= 0.06
    assert samples["recall"] >= 0.5
    assert samples["class accuracy, guidance 2"] > 0.95 > samples["class accuracy"] > 0.9
    enlarged = scores["sr_fashion"]  # the mean is nearer to the truth, a draw looks more real
    assert enlarged["mean of 8 answers, PSNR"] > enlarged["network, PSNR"] > enlarged["bicubic, PSNR"]
    assert enlarged[f"network, {distance}"] < enlarged[f"mean of 8 answers, {distance}"]
    psnr = scores["denoiser_fashion"]
    for kind in ("gaussian", "salt and pepper"):
        others = [v for k, v in psnr.items() if k.startswith(f"{kind}, ") and "autoencoder" not in k]
        assert len(others) == 3
        assert psnr[f"{kind}, autoencoder"] > max(others)


@pytest.mark.trust
@bundled
def test_scores_in_the_manifest_are_those_that_are_measured(name):
    measured = recipes.find(name)().evaluate(zoo.load(name))
    assert measured == pytest.approx(BUNDLED[name]["scores"], rel=5e-3)
