"""The estimates of wrong pairs and missed copies, on scores whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import curate
from curate.duplicates.error import (
    EDITS,
    FROM,
    expected_above,
    plant,
    precision,
    recall,
    sample,
    threshold_for,
)
from curate.errors import UserError
from curate.workspace import Workspace


def mixture(rng: np.random.Generator, rate: float, others: int, copies: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of pairs of different pictures (exponential from `FROM` on, below 1) and of copies."""
    tail = FROM + rng.exponential(1 / rate, 4 * others)
    return tail[tail < 1][:others], rng.uniform(0.9, 1.0, copies)


@pytest.mark.parametrize("rate", [8.0, 20.0])
def test_the_true_precision_lies_in_the_interval_as_often_as_stated(rate: float) -> None:
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        wrong, right = mixture(rng, rate, int(rng.integers(30, 150)), 400)
        true = len(right) / (len(right) + (wrong >= 0.87).sum())
        share = precision(np.concatenate([wrong, right]), 0.87)
        held += share.low <= true <= share.high
    assert held >= 186, "95 % of 200, less three standard deviations"


def test_the_best_guess_is_right_on_average() -> None:
    found = []
    for seed in range(100):
        wrong, right = mixture(np.random.default_rng(seed), 10.0, 100, 400)
        share = precision(np.concatenate([wrong, right]), 0.87)
        found.append((share.value, len(right) / (len(right) + (wrong >= 0.87).sum())))
    guess, truth = np.mean(found, axis=0)
    assert guess == pytest.approx(truth, abs=0.004)


def test_tails_at_their_bounds() -> None:
    assert expected_above(np.zeros(0), 0.9) == 0
    assert expected_above(np.full(50, FROM), 0.9) == pytest.approx(0, abs=1e-9)
    share = (1 - 0.9) / (0.9 - FROM)
    flat = np.linspace(FROM, 0.9, 301)
    assert expected_above(flat, 0.9) == pytest.approx(301 * share, rel=0.05), "as many a unit above as below"
    assert expected_above(np.full(50, 0.899), 0.9) == pytest.approx(50 * share), "no rising tail is granted"


def test_without_pairs_nothing_is_claimed() -> None:
    share = precision(np.array([0.2, 0.3]), 0.9)
    assert (share.low, share.high, share.of) == (0.0, 1.0, 0)
    few = precision(np.array([0.95] * 50), 0.9)
    assert few.value == 1
    assert few.low == pytest.approx(1 - 3 / 50)


def test_a_higher_aim_gives_a_higher_threshold() -> None:
    wrong, right = mixture(np.random.default_rng(0), 20.0, 60, 400)
    scores = np.concatenate([wrong, right])
    low, high = threshold_for(scores, 0.95), threshold_for(scores, 0.999)
    assert 0.8 <= low < high <= 1
    assert threshold_for(np.array([0.1]), 0.99) == pytest.approx(0.8)


def test_recall_with_its_interval() -> None:
    share = recall(np.array([0.9] * 18 + [0.1] * 2, np.float32), 0.87)
    assert share.value == pytest.approx(0.9)
    assert (share.low, share.high) == (pytest.approx(0.683, abs=1e-3), pytest.approx(0.988, abs=1e-3))
    assert recall(np.zeros(0, np.float32), 0.87).of == 0


def test_every_edit_gives_another_picture(scene: Callable[..., Image.Image]) -> None:
    image = scene(0)
    names = set()
    for number in range(80):
        name, copy = plant(image, str(number))
        assert copy.mode == "RGB"
        assert copy.tobytes() != image.tobytes()
        assert plant(image, str(number))[1].tobytes() == copy.tobytes()
        names.add(name)
    assert names == set(EDITS)
    assert sample([str(n) for n in range(9)], 3) == sample([str(n) for n in reversed(range(9))], 3)


def test_a_run_states_its_error(folder: Path) -> None:
    curate.dedup(folder, workers=1)
    error = Workspace(folder).read("error").set_index("measure")
    assert error.loc["precision", "of"] == 2
    assert error.loc["recall", "of"] == 9, "every content that holds enough to be recognised"
    assert (error["low"] <= error["value"]).all()
    assert (error["value"] <= error["high"]).all()
    curate.dedup(folder, workers=1, precision=0.999)
    with pytest.raises(UserError, match="precision: 99"):
        curate.dedup(folder, workers=1, precision=99)
