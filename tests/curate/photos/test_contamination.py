"""The share of photographs: found where there are some, none where there are none."""

from __future__ import annotations

import numpy as np
import pytest

from curate.photos.contamination import estimate, likelihoods, posteriors, revised


def evidence(
    photos: int, drawings: int, paintings: int = 0, spread: float = 1.0, seed: int = 0
) -> np.ndarray:
    """Log-likelihoods as a fair head gives them: the right kind leads by 7, with noise."""
    rng = np.random.default_rng(seed)
    kinds = np.repeat([0, 1, 2], [photos, drawings, paintings])
    return (7 * np.eye(3)[kinds] + rng.normal(0, spread, (len(kinds), 3))).astype(np.float32)


@pytest.mark.parametrize(("photos", "drawings"), [(8, 392), (40, 360), (120, 280), (240, 160), (400, 0)])
def test_the_share_is_found_and_lies_in_its_interval(photos, drawings):
    share = photos / (photos + drawings)
    found = estimate(evidence(photos, drawings))
    assert found.present
    assert found.photo == pytest.approx(share, abs=0.04)
    assert found.low - 0.02 <= share <= found.high + 0.02
    assert found.low <= found.photo <= found.high
    assert found.photo + found.drawing + found.painting == pytest.approx(1)


@pytest.mark.parametrize("seed", range(10))
def test_a_folder_of_drawings_has_none(seed):
    found = estimate(evidence(0, 300, 100, seed=seed))
    assert not found.present
    assert found.low == 0
    assert "nothing is removed" in found.sentence()


def test_one_drawing_that_looks_like_a_photograph_is_not_enough():
    odd = evidence(0, 300)
    odd[7] = (30, 0, 0)
    assert not estimate(odd).present


def test_a_painted_folder_needs_more_proof_than_a_drawn_one():
    """The head errs on paintings more often, so the same few sure pictures prove less there."""
    drawn, painted = estimate(evidence(6, 294)), estimate(evidence(6, 0, 294))
    assert drawn.present
    assert not painted.present
    assert "painted" in painted.sentence()


def test_the_estimate_does_not_hang_on_the_order_of_pictures():
    given = evidence(50, 200)
    turned = estimate(given[::-1].copy())
    assert estimate(given).photo == pytest.approx(turned.photo)
    assert estimate(given).high == pytest.approx(turned.high)


def test_no_pictures_and_one_picture():
    assert not estimate(np.zeros((0, 3), np.float32)).present
    assert not estimate(np.array([[0, 6, 0]], np.float32)).present


def test_huge_evidence_stays_finite():
    given = np.array([[900, -900, 0], [-900, 900, 0], [-900, 0, 900]], np.float32)
    assert np.isfinite(likelihoods(given)).all()
    assert np.isfinite(posteriors(given, estimate(given))).all()


def test_probabilities_rise_with_evidence_even_where_no_photograph_is_proven():
    clean = estimate(evidence(0, 300))
    ramp = np.stack([np.linspace(-5, 5, 11), np.zeros(11), np.zeros(11)], axis=1).astype(np.float32)
    found = posteriors(ramp, clean)
    assert (np.diff(found) > 0).all()


def test_the_same_picture_is_likelier_a_photograph_among_photographs():
    doubtful = np.array([[1, 0, 0]], np.float32)
    few, many = estimate(evidence(10, 390)), estimate(evidence(240, 160))
    assert posteriors(doubtful, few)[0] < 0.3 < 0.7 < posteriors(doubtful, many)[0]


def test_the_revised_estimate_is_the_mean_and_lies_in_its_interval():
    first = estimate(evidence(40, 300, 60))
    later = revised(first, np.repeat([0.9, 0.0], [200, 200]))
    assert later.photo == pytest.approx(0.45)
    assert later.low <= later.photo <= later.high
    assert later.photo + later.drawing + later.painting == pytest.approx(1)
    assert later.present


def test_the_test_for_none_errs_as_seldom_as_it_says_and_finds_few():
    """Of folders without any, at most about 1 in 100 is said to hold some; four of 300 are found, mostly."""

    def said(photos: int, seed: int) -> bool:
        rng = np.random.default_rng(seed)
        score = rng.normal(np.where(np.arange(300) < photos, 2.0, -2.0), 1)  # log-odds: 4 times the score
        return estimate(
            np.stack([2 * score, -2 * score, np.full(300, -30.0)], axis=1).astype(np.float32)
        ).present

    assert sum(said(0, seed) for seed in range(60)) <= 2
    assert sum(said(4, seed) for seed in range(60)) >= 30
