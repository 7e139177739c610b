"""Bootstrap intervals: against what is known, and against simulated truth."""

import numpy as np
import pytest

from classify.evaluation.intervals import draw, group_kinds, intervals, resampled


def table(generator, classes=6, each=40, right=0.7):
    labels = np.repeat(np.arange(classes), each)
    hit = generator.random(len(labels)) < right
    return labels, np.where(hit, labels, generator.integers(0, classes, len(labels)))


def test_accuracy_agrees_with_the_binomial_interval():
    labels, guesses = np.zeros(400, np.int64), (np.arange(400) % 4 == 0).astype(np.int64)
    low, high = intervals(labels, guesses).accuracy
    error = (0.75 * 0.25 / 400) ** 0.5
    assert low == pytest.approx(0.75 - 1.96 * error, abs=0.01)
    assert high == pytest.approx(0.75 + 1.96 * error, abs=0.01)


def test_the_truth_lies_inside_as_often_as_said():
    generator = np.random.default_rng(1)
    rates = np.array([0.5, 0.6, 0.8, 0.9])
    inside = np.zeros(2)
    for seed in range(300):
        labels = np.repeat(np.arange(4), 25)
        hit = generator.random(100) < rates[labels]
        guesses = np.where(hit, labels, (labels + 1) % 4)
        found = intervals(labels, guesses, resamples=200, seed=seed)
        low, high = found.recall.T
        inside += [found.accuracy[0] <= 0.7 <= found.accuracy[1], ((low <= rates) & (rates <= high)).mean()]
    assert 0.91 <= inside[0] / 300 <= 0.985
    assert 0.91 <= inside[1] / 300 <= 0.985


def test_copies_make_no_certainty():
    labels, guesses = table(np.random.default_rng(2))
    alone = intervals(labels, guesses)
    times = 5
    groups = np.repeat(np.arange(len(labels)), times)
    known = intervals(np.repeat(labels, times), np.repeat(guesses, times), groups)
    ignored = intervals(np.repeat(labels, times), np.repeat(guesses, times))

    def width(found):
        return found.macro_f1[1] - found.macro_f1[0]

    assert width(known) == pytest.approx(width(alone), rel=0.15)
    assert width(ignored) < 0.6 * width(alone)
    assert known.groups == len(labels)
    assert np.diff(known.f1, axis=1).mean() == pytest.approx(np.diff(alone.f1, axis=1).mean(), rel=0.2)


def test_a_class_that_is_always_right_is_not_certain():
    labels = np.repeat([0, 1], [10, 30])
    found = intervals(labels, np.where(np.arange(40) < 25, labels, 0))
    assert found.recall[0, 1] == 1
    assert 0.7 < found.recall[0, 0] < 0.95
    every = intervals(labels, labels)
    assert every.accuracy[1] == 1
    assert 0.85 < every.accuracy[0] < 1
    assert every.macro_f1[0] < 1


def test_a_class_of_one_picture_and_guesses_of_classes_without_pictures():
    found = intervals(np.array([0, 0, 0, 1]), np.array([0, 7, 0, 7]))
    assert np.isfinite(found.f1).all()
    assert 0 <= found.accuracy[0] < 0.5 < found.accuracy[1] <= 1
    with pytest.raises(ValueError, match="no picture"):
        intervals(np.array([0, 2]), np.array([0, 2]))


def test_the_same_seed_the_same_ends_whatever_the_order():
    labels, guesses = table(np.random.default_rng(3))
    groups = np.arange(len(labels)) // 2
    order = np.random.default_rng(4).permutation(len(labels))
    one, other = intervals(labels, guesses, groups), intervals(labels[order], guesses[order], groups[order])
    assert one.accuracy == pytest.approx(other.accuracy, abs=0.01)
    assert intervals(labels, guesses, groups).macro_f1 == one.macro_f1


def test_resamples_keep_each_class_and_average_to_what_was_seen():
    labels, guesses = table(np.random.default_rng(5))
    kinds = group_kinds(labels, guesses, None)
    generator = np.random.default_rng(0)
    right, support, guessed = (
        np.concatenate(column) for column in zip(*resampled(kinds, 6, 2000, generator), strict=True)
    )
    assert np.allclose(support, 40)
    assert np.allclose(right.mean(0), np.bincount(labels[labels == guesses], minlength=6), atol=0.5)
    assert np.allclose(guessed.mean(0), np.bincount(guesses, minlength=6), atol=0.6)


def test_each_stratum_keeps_its_number_of_groups():
    weights = draw(np.array([0, 1, 0, 2]), np.array([3, 4, 2, 1]), 50, np.random.default_rng(0))
    assert np.allclose(weights[:, [0, 2]].sum(1), 5)
    assert np.allclose(weights[:, 1], 4)
    assert np.allclose(weights[:, 3], 1)
