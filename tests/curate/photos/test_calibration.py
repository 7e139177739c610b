"""The head's log-odds on the folder's scale."""

from __future__ import annotations

import numpy as np

from curate.photos.calibration import log_odds, recalibrate, settle
from curate.photos.contamination import Contamination, estimate, posteriors


def heaps(photos: int, others: int, high: float, low: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Evidence whose log-odds stand in two heaps around `high` and `low`, and which are photographs."""
    rng = np.random.default_rng(seed)
    truth = np.repeat([True, False], [photos, others])
    odds = np.where(truth, high, low) + rng.normal(0, 1.2, len(truth))
    return np.stack([odds, np.zeros(len(odds)), np.full(len(odds), -9.0)], axis=1).astype(np.float32), truth


def judged(evidence: np.ndarray) -> np.ndarray:
    share = estimate(evidence)
    return recalibrate(evidence, share, posteriors(evidence, share))


def test_photographs_unlike_the_heads_own_are_found_by_the_gap():
    """Even the photographs get log-odds near 2 only, but the drawings lie at -8: the border is between."""
    evidence, truth = heaps(60, 400, 2.5, -8)
    found = judged(evidence)
    assert (found[truth] > 0.8).mean() > 0.98
    assert (found[~truth] < 0.1).all()


def test_drawings_that_the_head_half_believes_are_kept_by_the_gap():
    evidence, truth = heaps(120, 280, 7, -1)
    found = judged(evidence)
    assert (found[truth] > 0.8).mean() > 0.95
    assert (found[~truth] > 0.8).mean() < 0.02


def test_the_order_of_pictures_stays_the_heads():
    evidence, _ = heaps(50, 200, 4, -4)
    share = estimate(evidence)
    odds = log_odds(evidence, share)
    found = recalibrate(evidence, share, posteriors(evidence, share))
    assert (np.diff(found[np.argsort(odds)]) >= -1e-12).all()


def test_a_handful_and_extremes_stay_finite():
    for odds in ([900.0, -900.0, 3.0], [5.0], [-5.0]):
        evidence = np.array([[value, 0, 0] for value in odds], np.float32)
        share = Contamination(0.5, 0, 1, 0.5, 0.0, True)
        found = recalibrate(evidence, share, posteriors(evidence, share))
        assert np.isfinite(found).all()
        assert ((found >= 0) & (found <= 1)).all()


def spread(photos: int, drawings: int, low: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of drawings in a narrow heap and photographs in a wide one that reaches below one half."""
    rng = np.random.default_rng(1)
    truth = np.repeat([True, False], [photos, drawings])
    odds = np.where(truth, rng.normal(2.5, 1.8, len(truth)), rng.normal(low, 0.4, len(truth)))
    return 1 / (1 + np.exp(-odds)), truth


def test_where_the_heaps_stand_apart_the_wide_one_is_taken_whole():
    probability, truth = spread(80, 320, -7)
    share = Contamination(0.18, 0.15, 0.22, 0.82, 0.0, True)
    assert ((probability >= 0.5) != truth).sum() >= 4
    found = settle(probability, share)
    assert ((found >= 0.5) == truth).all()


def test_heaps_that_run_into_each_other_or_tell_another_share_settle_nothing():
    blurred, _ = spread(80, 320, 0.5)
    np.testing.assert_array_equal(settle(blurred, Contamination(0.2, 0.15, 0.25, 0.8, 0.0, True)), blurred)
    clear, _ = spread(80, 320, -7)
    np.testing.assert_array_equal(settle(clear, Contamination(0.02, 0.01, 0.04, 0.98, 0.0, True)), clear)


def test_where_there_are_paintings_the_heaps_are_not_trusted():
    clear, _ = spread(80, 320, -7)
    np.testing.assert_array_equal(settle(clear, Contamination(0.18, 0.15, 0.22, 0.7, 0.12, True)), clear)


def test_settling_nothing_and_one_kind_alone():
    share = Contamination(0.2, 0.15, 0.25, 0.8, 0.0, True)
    assert settle(np.zeros(0), share).shape == (0,)
    low = np.full(50, 0.01)
    np.testing.assert_array_equal(settle(low, share), low)
