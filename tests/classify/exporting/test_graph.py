"""Whole graphs: logits and probabilities are the classifier's, for every network; what stands in the file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from classify import models, weights
from classify.exporting.check import TOLERANCE, Runtime, compare, synthetic
from classify.exporting.graph import Answers, graph
from classify.weights import Classifier, Preprocessing
from curate.errors import UserError

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

DEEPER = ("resnet34", "resnet50", "resnet101")
"""More of the blocks of resnet18 or of one that is tested once; tracing them takes long."""

NETWORKS = [name for name in models.names() if name not in DEEPER] + [
    "lite0",
    "timm:test_vit",
    "hf:vit",
]


def classifier_of(name, size=32, views=None, temperature=1.0, members=1, **preprocessing):
    torch.manual_seed(0)
    if name == "hf:vit":
        config = pytest.importorskip("transformers").ViTConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=size, patch_size=8
        )  # fmt: skip
        options = {"config": config.to_dict(), "size": size}
    else:
        family = models.family_of(name)
        options = family.options(size, 0.0) if family else {"size": size, "width": 4}
    options |= {"members": members}
    network = models.create(name, 3, options).eval().requires_grad_(False)
    return Classifier(
        network,
        ["ant", "bee", "cät"],
        Preprocessing(size, **preprocessing),
        {"evaluation": views or {}},
        {"model": {"name": name, "options": options}, "temperature": temperature},
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_answers_alike(name):
    classifier = classifier_of(name)
    found = compare(graph(classifier, {}).SerializeToString(), classifier, synthetic(4))
    assert found.passed, str(found)
    assert found.pictures == 4


def test_an_ensemble_answers_alike():
    classifier = classifier_of("plain-cnn", members=3, views={"flip": True}, temperature=0.7)
    found = compare(graph(classifier, {}).SerializeToString(), classifier, synthetic(4))
    assert found.passed, str(found)


@pytest.fixture(scope="module")
def turned():
    """A classifier with all that there is, and its graph."""
    classifier = classifier_of(
        "small-resnet", 16, {"flip": True, "turn": 8.0, "shift": 1}, 1.7, fit="crop", mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7)
    )  # fmt: skip
    torch.nn.init.normal_(classifier.model.head.weight, std=3)
    return classifier, graph(classifier, {"made": {"from": "ümlaut"}})


def test_views_and_temperature_are_those_of_the_classifier(turned):
    classifier, model = turned
    items = synthetic(6)
    assert compare(model.SerializeToString(), classifier, items).passed
    runtime = Runtime(model.SerializeToString())
    for item in items:
        logits, probabilities = runtime(item[None])
        fitted = classifier.preprocessing.picture(Image.fromarray(item))[None]
        assert probabilities == pytest.approx(classifier.probabilities(fitted), abs=TOLERANCE)
        assert np.exp(logits) == pytest.approx(classifier.beliefs(fitted), abs=TOLERANCE)


def test_a_batch_of_any_number(turned):
    _, model = turned
    runtime = Runtime(model.SerializeToString())
    pictures = np.random.default_rng(0).integers(0, 256, (5, 40, 31, 3), dtype=np.uint8)
    together = runtime(pictures)
    for index in range(5):
        for whole, alone in zip(together, runtime(pictures[index : index + 1]), strict=True):
            assert whole[index] == pytest.approx(alone[0], abs=TOLERANCE)


def test_one_view_leaves_the_logits_alone():
    classifier = classifier_of("lenet5", temperature=2.0)
    pictures = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    logits, probabilities = Answers(classifier)(pictures)
    assert torch.equal(logits, classifier.model(classifier.preprocessing.tensor(pictures)))
    assert torch.equal(probabilities, (logits / 2).softmax(1))


def test_the_file_says_what_it_is_and_nothing_of_this_machine(turned):
    _, model = turned
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about.pop("format") == "curate-classify-onnx"
    known = {key: json.loads(text) for key, text in about.items()}
    assert known["classes"] == ["ant", "bee", "cät"]
    assert known["preprocessing"]["fit"] == "crop"
    assert known["views"] == {"flip": True, "turn": 8.0, "shift": 1}
    assert known["temperature"] == 1.7
    assert known["made"] == {"from": "ümlaut"}
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    assert weights.__file__.encode() not in model.SerializeToString()
    assert b".py" not in model.SerializeToString()


def test_the_same_classifier_gives_the_same_bytes(turned):
    classifier, model = turned
    again = graph(classifier, {"made": {"from": "ümlaut"}})
    assert again.SerializeToString() == model.SerializeToString()


def test_a_network_that_cannot_be_exported_is_said():
    class Odd(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(3))

        def forward(self, x):
            return x[:, :3, 0, 0] * (self.weight if x.sum() > 0 else 1)

    classifier = classifier_of("lenet5")
    classifier.model = Odd()
    with pytest.raises(UserError, match="'lenet5' cannot be exported to ONNX"):
        graph(classifier, {})


def test_a_wrong_graph_does_not_pass(turned):
    """The check can fail: another temperature, another mean, other weights."""
    classifier, model = turned
    items = synthetic(3)
    other = classifier_of("small-resnet", 16, {"flip": True, "turn": 8.0, "shift": 1}, 1.7, fit="crop")
    assert not compare(model.SerializeToString(), other, items).passed
    colder = Classifier(classifier.model, classifier.classes, classifier.preprocessing, classifier.settings,
                        {**classifier.metadata, "temperature": 1.0})  # fmt: skip
    found = compare(model.SerializeToString(), colder, items)
    assert found.logits < TOLERANCE < found.probabilities
    assert not found.passed
