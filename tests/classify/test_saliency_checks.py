"""The checks of saliency maps: passed by Grad-CAM of a network that has learnt something, failed by maps that say nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from classify import models
from classify.saliency import find_layer, saliency
from classify.saliency_checks import FRACTIONS, Figure, sanity
from classify.weights import Classifier, Preprocessing

SIZE = 32
OPTIONS = {"size": SIZE, "width": 8}


def spots(number, seed):
    """Grey noise with a striped spot of 10 px somewhere: upright stripes in class 0, level ones in class 1; its corner.

    Before it two chequered spots are put anywhere, which say nothing, but which random weights see as well.
    """
    random = np.random.default_rng(seed)
    images = random.normal(128, 12, (number, SIZE, SIZE, 3))
    labels = random.integers(0, 2, number)
    corners = random.integers(0, SIZE - 10, (number, 2))
    stripes = np.where(np.arange(10) // 2 % 2, 230, 20)
    chequered = np.where(np.add.outer(np.arange(10) // 2, np.arange(10) // 2) % 2, 230, 20)
    for image, places in zip(images, random.integers(0, SIZE - 10, (number, 2, 2)), strict=True):
        for y, x in places:
            image[y : y + 10, x : x + 10] = chequered[..., None]
    for image, label, (y, x) in zip(images, labels, corners, strict=True):
        spot = np.tile(stripes, (10, 1))
        image[y : y + 10, x : x + 10] = (spot.T if label else spot)[..., None]
    return images.clip(0, 255).astype(np.uint8), labels, corners


@pytest.fixture(scope="module")
def classifier():
    """A small network that has learnt to tell the stripes apart."""
    torch.manual_seed(0)
    network = models.create("plain-cnn", 2, OPTIONS)
    preprocessing = Preprocessing(SIZE)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for step in range(80):
        images, labels, _ = spots(32, step)
        logits = network(preprocessing.tensor(torch.from_numpy(images)))
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval().requires_grad_(False)
    found = Classifier(
        network, ["upright", "level"], preprocessing, {}, {"model": {"name": "plain-cnn", "options": OPTIONS}}
    )
    images, labels, _ = spots(60, 1000)
    assert (found.probabilities(images).argmax(1) == labels).mean() > 0.95
    return found


@pytest.fixture(scope="module")
def images():
    return spots(12, 2000)[0]


def test_the_map_marks_the_spot(classifier):
    images, labels, corners = spots(8, 3000)
    layer = find_layer(classifier)
    shares = []
    for image, label, (y, x) in zip(images, labels, corners, strict=True):
        found = saliency(classifier, image, int(label), layer)
        shares.append(found[y : y + 10, x : x + 10].sum() / found.sum())
    # The spot is a tenth of the picture; the map's places are 4 px wide and blurred into one another.
    assert np.mean(shares) > 0.2


def test_grad_cam_passes(classifier, images):
    steps = []
    found = sanity(classifier, images, progress=lambda done, total: steps.append((done, total)))
    assert found.learnt
    assert found.needed
    assert found.same.mean > 0.6 > found.random.mean
    assert found.kept_by_map[0] < found.whole.mean - 0.2
    assert found.pictures == len(images)
    assert steps[-1] == (2 * len(images), 2 * len(images))
    stored = json.loads(json.dumps(found.to_dict()))
    assert stored["learnt"] is True
    assert len(stored["kept_by_map"]) == len(stored["fractions"]) == len(FRACTIONS)


def test_it_is_the_same_again(classifier, images):
    assert sanity(classifier, images[:4]) == sanity(classifier, images[:4])


def test_maps_that_do_not_hang_on_the_weights_fail(classifier, images):
    """Edges: sensible to look at, the same for every network. Here they mark the spot, so the answer hangs on them."""

    def edges(network, image, class_index):
        del network, class_index
        grey = image.mean(axis=2)
        return (np.abs(np.gradient(grey, axis=0)) + np.abs(np.gradient(grey, axis=1))).astype(np.float32)

    found = sanity(classifier, images, method=edges)
    assert not found.learnt
    assert found.random.mean == pytest.approx(1)


def test_maps_of_what_does_not_matter_fail(classifier, images):
    layer = find_layer(classifier)

    def inverted(network, image, class_index):
        return 1 - saliency(
            network, image, class_index, find_layer(network) if network is not classifier else layer
        )

    assert not sanity(classifier, images, method=inverted).needed


def test_empty_maps_have_nothing_in_common(classifier, images):
    found = sanity(classifier, images[:4], method=lambda *_: np.zeros((SIZE, SIZE), np.float32))
    assert (found.same.mean, found.random.mean, found.learnt, found.needed) == (0, 0, False, False)


def test_a_figure_by_hand():
    """Mean 2, standard deviation 1; Student's factor for two degrees of freedom is 4.303."""
    found = Figure.of(np.array([1.0, 2.0, 3.0]))
    assert (found.mean, found.spread) == (2, 1)
    assert found.high == pytest.approx(2 + 4.303 / 3**0.5, abs=1e-3)
    assert found.low == pytest.approx(2 - 4.303 / 3**0.5, abs=1e-3)


def test_too_few_pictures(classifier, images):
    with pytest.raises(ValueError, match="2, too few"):
        sanity(classifier, images[:2])
