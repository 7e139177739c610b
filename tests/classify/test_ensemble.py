"""Several networks in one: who learns from what, how they answer together, and a whole run of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from classify import models, weights
from classify.models.ensemble import Ensemble
from classify.optimizers import Muon, make_optimizers
from classify.prediction import predict
from classify.saliency import find_layer, saliency
from classify.settings import read_settings
from classify.training import train
from classify.verification import verify
from curate.errors import UserError

SETTINGS = [
    "model.name=plain-cnn", "model.members=2", "data.size=16", "model.width=4", "training.minutes=0", "training.epochs=2",
    "training.batch_size=8", "training.device=cpu", "training.precision=fp32",
]  # fmt: skip


class Constant(nn.Module):
    """The same logits for every picture."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))
        self.seen = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = len(x)
        return self.logits.expand(len(x), -1)

    def prepare(self, images: torch.Tensor) -> None:
        self.seen = -len(images)


def test_in_training_each_picture_is_one_members() -> None:
    first, second = Constant(1.0, 0.0), Constant(0.0, 2.0)
    found = Ensemble([first, second]).train()(torch.zeros(5, 3, 4, 4))
    assert found.tolist() == [[1.0, 0.0]] * 3 + [[0.0, 2.0]] * 2
    found[4].sum().backward()
    assert second.logits.grad is not None
    assert bool(second.logits.grad.any())
    assert first.logits.grad is None or not bool(first.logits.grad.any())


def test_judging_the_answer_is_the_mean_of_the_probabilities() -> None:
    first, second = Constant(3.0, 0.0), Constant(0.0, 1.0)
    ensemble = Ensemble([first, second]).eval()
    found = ensemble(torch.zeros(2, 3, 4, 4)).softmax(1)
    mean = (first.logits.softmax(0) + second.logits.softmax(0)) / 2
    torch.testing.assert_close(found, mean.expand(2, -1))
    assert first.seen == second.seen == 2


def test_members_that_want_pictures_see_them() -> None:
    wanting = Constant(0.0, 1.0)
    network = Ensemble([wanting, nn.Identity()])
    assert isinstance(network, models.Preparing)
    network.prepare(torch.zeros(7, 3, 4, 4))
    assert wanting.seen == -7


def test_members_start_from_different_weights_and_each_head_is_adamws() -> None:
    torch.manual_seed(0)
    network = models.create("small-resnet", 3, {"size": 16, "width": 4, "members": 3})
    heads = [member.head.weight for member in network.members]
    assert not torch.equal(heads[0], heads[1])
    settings = read_settings(None, ["optimizer.name=muon"]).resolved()
    parts = [{"params": list(network.parameters()), "lr_scale": 1.0}]
    muon, adamw = make_optimizers(settings.optimizer, parts, 3)
    assert isinstance(muon, Muon)
    moved = {id(weight) for group in adamw.param_groups for weight in group["params"]}
    assert all(id(head) in moved for head in heads)
    assert all(weight.ndim == 4 for group in muon.param_groups for weight in group["params"])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, make_drawing):
    root = tmp_path_factory.mktemp("set")
    for index in range(24):
        name = "ab"[index % 2]
        (root / name).mkdir(exist_ok=True)
        make_drawing(index).save(root / name / f"{index}.png")
    return root


def test_a_run_of_an_ensemble(pictures, tmp_path) -> None:
    result = train(pictures, tmp_path / "run", read_settings(None, SETTINGS), workers=1)
    classifier = weights.load(result.best)
    assert len(classifier.model.members) == 2
    files = sorted(str(path) for path in pictures.rglob("*.png"))
    table = predict(files, classifier, workers=1)
    assert np.allclose(table[[name for name in table if name.startswith("p:")]].sum(axis=1), 1, atol=1e-5)
    assert not verify(tmp_path / "run").bad
    layer = find_layer(classifier)
    assert len(layer.others) == 1
    heat = saliency(classifier, np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8), 0)
    assert heat.shape == (16, 16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["training.batch_size=3"], "less than two pictures for each of 2 members"),
        (["model.name=lite0", "model.weights=pretrained"], "start from the same weights"),
    ],
)
def test_what_makes_no_ensemble(change, message, pictures, tmp_path) -> None:
    with pytest.raises(UserError, match=message) as caught:
        train(pictures, tmp_path / "run", read_settings(None, [*SETTINGS, *change]), workers=1)
    assert caught.value.remedy
    assert not (tmp_path / "run").exists()
