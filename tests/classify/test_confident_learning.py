"""Labels against probabilities: the counts by hand, planted mistakes found and reckoned, and what cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classify.confident_learning import by_class, by_noise_rate, confident_joint, find, margins, thresholds

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 2])
BELIEF = np.array(
    [
        [0.9, 0.1, 0.0],
        [0.8, 0.1, 0.1],
        [0.6, 0.4, 0.0],
        [0.1, 0.9, 0.0],  # labelled 0, surely 1
        [0.0, 0.7, 0.3],
        [0.2, 0.8, 0.0],
        [0.9, 0.0, 0.1],  # labelled 1, surely 0
        [0.1, 0.1, 0.8],
    ]
)


def test_thresholds_and_joint_by_hand():
    assert thresholds(LABELS, BELIEF) == pytest.approx([0.6, 0.5, 0.8])
    # All of label 0 reach a threshold: three their own, one that of class 1; of label 1 two and one; of label 2 one.
    assert confident_joint(LABELS, BELIEF) == pytest.approx(np.array([[3, 1, 0], [1, 2, 0], [0, 0, 1]]))


def test_what_reaches_no_threshold_is_not_counted_and_rows_keep_their_sums():
    belief = np.array([[0.9, 0.1], [0.5, 0.5], [0.3, 0.7], [0.2, 0.8]])
    labels = np.array([0, 0, 1, 1])
    assert thresholds(labels, belief) == pytest.approx([0.7, 0.75])
    assert confident_joint(labels, belief) == pytest.approx(np.array([[2, 0], [0, 2]]))


def test_a_class_without_pictures_takes_none():
    labels = np.array([0, 0, 1, 1])
    belief = np.array([[0.8, 0.1, 0.1], [0.7, 0.1, 0.2], [0.1, 0.6, 0.3], [0.2, 0.7, 0.1]])
    assert thresholds(labels, belief)[2] == 1
    assert confident_joint(labels, belief)[:, 2].tolist() == [0, 0, 0]


def test_both_prunings_name_the_two_that_are_wrong():
    joint = confident_joint(LABELS, BELIEF)
    expected = [False, False, False, True, False, False, True, False]
    assert by_noise_rate(LABELS, BELIEF, joint).tolist() == expected
    assert by_class(LABELS, BELIEF, joint).tolist() == expected
    found = find(LABELS, BELIEF)
    assert found.suspect.tolist() == expected
    assert found.suggested[[3, 6]].tolist() == [1, 0]
    assert found.margin[[3, 6]] == pytest.approx([-0.8, -0.9])


@pytest.mark.parametrize("share", [0.0, 0.05, 0.15])
@pytest.mark.parametrize("ease", [1.7, 2.5])
def test_planted_mistakes_are_reckoned_and_found(share, ease):
    """A weak and a strong classifier of 3,000 pictures in ten classes, right about 55 and 80 times in a hundred."""
    random = np.random.default_rng(3)
    truth = random.integers(0, 10, 3000)
    logits = random.normal(0, 1, (3000, 10))
    logits[np.arange(3000), truth] += ease
    belief = np.exp(logits * ease) / np.exp(logits * ease).sum(1, keepdims=True)
    labels = truth.copy()
    wrong = random.random(3000) < share
    labels[wrong] = (labels[wrong] + random.integers(1, 10, wrong.sum())) % 10
    found = find(labels, belief)
    assert found.share.low <= found.share.value <= found.share.high
    assert found.share.value == pytest.approx(share, abs=0.05 if ease < 2 else 0.025)
    assert ((found.chance > 0) <= (found.margin < 0)).all()
    likely = found.suspect & (found.chance >= 0.3)
    if not share:
        assert likely.sum() < 100
    elif ease > 2:
        assert wrong[likely].mean() > 0.5
        assert likely[wrong].mean() > 0.5
        # What is said to be wrong so many times is so, about.
        assert found.chance[likely].sum() == pytest.approx(wrong[likely].sum(), rel=0.35)
        assert found.found(found.margin[likely].max()) == pytest.approx(
            (found.margin[wrong] <= found.margin[likely].max()).mean(), abs=0.1
        )


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 6), st.integers(1, 30), st.integers(0, 10**6))
def test_margins_and_bounds(classes, pictures, seed):
    random = np.random.default_rng(seed)
    belief = random.dirichlet(np.ones(classes), pictures)
    labels = random.integers(0, classes, pictures)
    gaps = margins(belief)
    best = belief.argmax(1)
    assert (gaps[np.arange(pictures), best] >= 0).all()
    assert ((gaps < 0).sum(1) <= classes - 1).all()
    found = find(labels, belief)
    assert ((found.chance >= 0) & (found.chance <= 1)).all()
    assert not found.suspect[labels == best].any()
    assert (found.suggested != labels).all()
    assert found.joint.sum(1) == pytest.approx(np.bincount(labels, minlength=classes))


@pytest.mark.parametrize("labels", [[], [0, 3], [-1, 0]])
def test_no_labels_and_labels_of_no_class(labels):
    with pytest.raises(ValueError, match="labels"):
        find(np.array(labels, np.int64), np.full((len(labels), 3), 1 / 3))
