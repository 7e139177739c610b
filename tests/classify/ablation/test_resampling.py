"""The bootstrap of macro-F1 against a plain loop, and intervals against simulated truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from classify.ablation.resampling import joined, resampled_macro_f1
from classify.evaluation.intervals import group_weights
from classify.sweep_results import paired


@given(st.integers(0, 2**16), st.integers(2, 5), st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_each_sample_is_what_scikit_learn_says(seed, classes, pictures):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, pictures)
    predicted = random.integers(-1, classes, (2, pictures))
    groups = np.unique(random.integers(0, pictures, pictures), return_inverse=True)[1]
    found = resampled_macro_f1(labels, predicted, groups, draws=5, seed=seed)
    weights = np.concatenate(list(group_weights(labels, groups, 5, seed)))[:, groups]
    for weight, row in zip(weights, found, strict=True):
        for k in range(2):
            expected = f1_score(
                labels,
                predicted[k],
                labels=np.unique(labels),
                average="macro",
                zero_division=0,
                sample_weight=weight,
            )
            assert row[k] == pytest.approx(expected, abs=1e-6)


def test_blocks_do_not_matter(monkeypatch):
    random = np.random.default_rng(0)
    labels, predicted = random.integers(0, 3, 50), random.integers(0, 3, (1, 50))
    monkeypatch.setattr("classify.evaluation.intervals._CHUNK", 150)
    found = resampled_macro_f1(labels, predicted, np.arange(50), draws=20)
    weights = np.concatenate(list(group_weights(labels, np.arange(50), 20, 0)))
    assert found.shape == (20, 1)
    again = [f1_score(labels, predicted[0], average="macro", sample_weight=weight) for weight in weights]
    assert found[:, 0] == pytest.approx(again)


def test_copies_count_as_one_picture():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 60)
    predicted = np.where(random.random((1, 60)) < 0.7, labels, 1 - labels)
    alone = resampled_macro_f1(labels, predicted, np.arange(60))
    fourfold = resampled_macro_f1(np.tile(labels, 4), np.tile(predicted, 4), np.tile(np.arange(60), 4))
    believed_apart = resampled_macro_f1(np.tile(labels, 4), np.tile(predicted, 4), np.arange(240))
    assert fourfold.std() == pytest.approx(alone.std(), rel=0.1)
    assert believed_apart.std() < 0.6 * alone.std()


def test_joined_is_students_without_pictures_and_wider_with_them():
    values = [0.03, 0.05, 0.01]
    students = paired(dict(enumerate(values)), dict.fromkeys(range(3), 0.0))
    alone, both = joined(values, 0.0), joined(values, 0.02)
    assert alone.low == pytest.approx(students.low)
    assert alone.high == pytest.approx(students.high)
    assert both.mean == pytest.approx(0.03)
    wide = joined(values, 1.0)
    assert wide.high - wide.mean == pytest.approx(1.96, abs=0.01), "seeds say next to nothing then: normal"
    assert joined([0.1], 0.01).low is None
    assert not joined([0.1, 0.1], 0.0).told


def test_the_interval_covers():
    random = np.random.default_rng(1)
    inside = 0
    for _ in range(400):
        shift = random.normal(0, 0.02)  # of the test pictures, the same for all seeds
        found = joined(shift + random.normal(0.1, 0.02, 3), 0.02)
        inside += found.low <= 0.1 <= found.high
    assert 0.93 <= inside / 400 <= 1
