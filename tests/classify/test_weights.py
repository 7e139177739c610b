import json
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from classify import models, weights
from classify.views import ALONE
from classify.weights import Preprocessing
from curate.errors import UserError

OPTIONS = {"size": 16, "width": 4}
CLASSES = ["ant", "bée", "cat"]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def file(tmp_path):
    torch.manual_seed(1)
    network = models.create("small-resnet", 3, OPTIONS)
    path = tmp_path / "w.safetensors"
    weights.save(
        path,
        network.state_dict(),
        model="small-resnet",
        model_options=OPTIONS,
        classes=CLASSES,
        preprocessing=Preprocessing(16, "crop", (1, 2, 3)),
        settings={"evaluation": {"flip": True}},
        extra={"epoch": 7},
    )
    return path, network.eval()


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)


def test_load_gives_back_all_that_was_saved(file, pictures):
    path, network = file
    found = weights.load(path)
    assert found.classes == CLASSES
    assert found.preprocessing == Preprocessing(16, "crop", (1, 2, 3))
    assert found.settings == {"evaluation": {"flip": True}}
    assert found.metadata == {"model": {"name": "small-resnet", "options": OPTIONS}, "epoch": 7}
    assert not found.model.training
    batch = found.preprocessing.tensor(torch.from_numpy(pictures))
    with torch.no_grad():
        expected = network(batch).softmax(1).numpy()
    np.testing.assert_allclose(found.probabilities(pictures, ALONE), expected, atol=1e-6)


def test_probabilities_average_over_the_mirror_image_where_the_settings_say_so(file, pictures):
    found = weights.load(file[0])
    belief = found.probabilities(pictures)
    assert belief.dtype == np.float32
    assert belief.shape == (5, 3)
    np.testing.assert_allclose(belief.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(belief, found.probabilities(pictures[:, :, ::-1].copy()), atol=1e-6)
    assert not np.allclose(belief, found.probabilities(pictures, ALONE), atol=1e-6)


def test_probabilities_of_nothing_and_of_the_wrong_size(file):
    found = weights.load(file[0])
    assert found.probabilities(np.zeros((0, 16, 16, 3), np.uint8)).shape == (0, 3)
    with pytest.raises(ValueError, match=r"not \(N, 16, 16, 3\)"):
        found.probabilities(np.zeros((2, 8, 8, 3), np.uint8))


def test_the_same_weights_are_the_same_bytes(file, tmp_path):
    path, network = file
    again = tmp_path / "again.safetensors"
    arguments = {
        "model": "small-resnet",
        "model_options": OPTIONS,
        "classes": CLASSES,
        "preprocessing": Preprocessing(16, "crop", (1, 2, 3)),
        "settings": {"evaluation": {"flip": True}},
        "extra": {"epoch": 7},
    }
    state = network.to(memory_format=torch.channels_last).state_dict()
    weights.save(again, dict(reversed(state.items())), **arguments)
    assert again.read_bytes() == path.read_bytes()
    assert names(tmp_path) == ["again.safetensors", "w.safetensors"]


def _garbage(path):
    path.write_bytes(b"no weights at all, just words")


def _foreign(path):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(2)}, path)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def _other_layout(path):
    _edit(path, lambda metadata: metadata.update(version="99"))


def _other_classes(path):
    _edit(path, lambda metadata: metadata.update(classes=json.dumps(["a", "b"])))


def _no_classes(path):
    _edit(path, lambda metadata: metadata.pop("classes"))


def _other_model(path):
    _edit(path, lambda metadata: metadata.update(model=json.dumps({"name": "resnet81", "options": {}})))


def _edit(path, change):
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(path, "pt") as opened:
        metadata = opened.metadata()
        state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    change(metadata)
    save_file(state, path, metadata)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: (path.unlink(), path.mkdir()), "is a folder"),
        (_garbage, "is no weights file"),
        (_cut, "cut short"),
        (_foreign, "names no classes"),
        (_other_layout, "layout 99"),
        (_other_classes, "damaged"),
        (_no_classes, "damaged"),
        (_other_model, "model 'resnet81' is not known"),
    ],
)
def test_what_is_no_weights_file_is_refused_by_name_with_a_remedy(file, spoil, reason):
    path, _ = file
    spoil(path)
    with pytest.raises(UserError, match=reason) as caught:
        weights.load(path)
    assert str(path) in caught.value.message
    assert caught.value.remedy


def test_a_run_for_its_weights_names_the_file_in_it(file):
    path, _ = file
    best = path.with_name("best.safetensors")
    shutil.copy(path, best)
    with pytest.raises(UserError) as caught:
        weights.load(path.parent)
    assert str(best) in caught.value.remedy


def test_preprocessing_survives_json():
    whole = Preprocessing(48, "stretch", (9, 8, 7), (0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    assert Preprocessing.from_dict(json.loads(json.dumps(whole.to_dict()))) == whole


def test_picture_keeps_the_aspect_ratio_with_the_background():
    picture = Preprocessing(8, background=(0, 0, 255)).picture(Image.new("RGB", (40, 20), (255, 0, 0)))
    assert picture.shape == (8, 8, 3)
    assert picture.dtype == np.uint8
    assert (picture[0, 0] == (0, 0, 255)).all()
    assert (picture[4, 4] == (255, 0, 0)).all()


def test_tensor_scales_by_mean_and_std():
    pictures = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 1, 1, 3)
    batch = Preprocessing(1, mean=(0.0, 0.2, 0.5), std=(1.0, 1.0, 0.25)).tensor(pictures)
    assert batch.dtype == torch.float32
    np.testing.assert_allclose(batch.flatten().numpy(), [0, 0, 2], atol=1e-6)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "table"
    path.write_bytes(b"before")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left") as caught:
        weights.write_whole(path, b"after")
    assert "Make room" in caught.value.remedy
    assert path.read_bytes() == b"before"
    assert names(tmp_path) == ["table"]
