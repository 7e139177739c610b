"""What a folder's sure pictures teach."""

from __future__ import annotations

import numpy as np

from curate.photos.adaptation import ENOUGH, adapt


def folder(photos: int, drawings: int, doubtful: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings in two clouds; sure pictures of both, and doubtful photographs at 0.5: vectors, probability, truth."""
    rng = np.random.default_rng(0)
    truth = np.repeat([True, False, True], [photos, drawings, doubtful])
    vectors = rng.normal(0, 1, (len(truth), 16)) + 3 * truth[:, None]
    probability = np.repeat([0.99, 0.01, 0.5], [photos, drawings, doubtful])
    return vectors.astype(np.float32), probability, truth


def test_doubtful_pictures_are_settled_by_the_sure_ones():
    vectors, probability, truth = folder(30, 70, 10)
    found = adapt(vectors, probability)
    assert (found[truth] > 0.9).all()
    assert (found[~truth] < 0.1).all()


def test_a_sure_mistake_of_the_head_is_mended_by_the_rest():
    vectors, probability, truth = folder(60, 140, 0)
    probability[~truth & (np.arange(200) == 199)] = 0.95
    assert adapt(vectors, probability)[199] < 0.5


def test_too_few_sure_pictures_teach_nothing():
    vectors, probability, _ = folder(ENOUGH - 1, 70, 10)
    np.testing.assert_array_equal(adapt(vectors, probability), probability)
    np.testing.assert_array_equal(adapt(vectors[:0], probability[:0]), probability[:0])


def test_many_pictures_teach_as_a_sample_of_them_does():
    vectors, probability, truth = folder(300, 700, 50)
    found = adapt(vectors, probability, most=200)
    assert (found[truth] > 0.9).all()
    assert (found[~truth] < 0.1).all()


def test_twice_the_same():
    vectors, probability, _ = folder(30, 70, 10)
    np.testing.assert_array_equal(adapt(vectors, probability), adapt(vectors, probability))
