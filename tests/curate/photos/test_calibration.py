"""The head's log-odds on the folder's scale."""

from __future__ import annotations

import numpy as np

from curate.photos.calibration import log_odds, recalibrate
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
