"""Clusters of the embedding, named by texture."""

from __future__ import annotations

import numpy as np
import pytest

from curate.photos.clusters import find_clusters, textures


def heaps(*sizes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings in heaps that lie apart, and the number of each picture's heap."""
    rng = np.random.default_rng(seed)
    middles = rng.normal(0, 6, (len(sizes), 24))
    number = np.repeat(np.arange(len(sizes)), sizes)
    return (middles[number] + rng.normal(0, 1, (len(number), 24))).astype(np.float32), number


@pytest.mark.parametrize("seed", range(5))
def test_heaps_are_found_and_named_by_their_texture(seed):
    vectors, number = heaps(150, 60, 40, seed=seed)
    texture = np.array([-0.6, 0.5, -0.1])[number] + np.random.default_rng(seed).normal(0, 0.1, len(number))
    found = find_clusters(vectors, texture)
    np.testing.assert_array_equal(found.probability() > 0.5, number == 1)
    names = np.array(found.names())
    assert set(names[number == 1]) == {name for name in set(names) if name.endswith("photographs")}


@pytest.mark.parametrize("texture", [-0.6, 0.55])
def test_one_kind_is_one_kind_whatever_its_texture(texture):
    """Where everything looks photographic there is nothing to compare with: paintings do, too."""
    vectors, number = heaps(150, 100)
    found = find_clusters(vectors, np.full(len(number), texture))
    assert not found.photographic.any()
    assert (found.probability() == 0).all()


@pytest.mark.parametrize("count", [0, 1, 19])
def test_a_few_pictures_are_one_cluster(count):
    vectors, _ = heaps(count)
    found = find_clusters(vectors, np.zeros(count))
    assert found.member.shape == (count, 1)
    assert len(found.names()) == count


def test_equal_pictures_are_one_heap():
    found = find_clusters(np.ones((60, 24), np.float32), np.zeros(60))
    assert not found.photographic.any()
    assert np.isfinite(found.member).all()


def test_texture_is_many_greys_and_few_equal_neighbours():
    assert textures(np.array([8.0]), np.array([0.0]))[0] == 1
    assert textures(np.array([0.0]), np.array([1.0]))[0] == -1


def test_people_name_a_cluster_by_one_of_its_pictures():
    vectors, number = heaps(150, 60, 40)
    texture = np.array([-0.6, 0.1, -0.1])[number]  # smooth photographs: texture alone calls them drawings
    label = np.zeros(len(number), int)
    label[np.flatnonzero(number == 1)[3]] = 1
    assert (find_clusters(vectors, texture).probability() == 0).all()
    np.testing.assert_array_equal(find_clusters(vectors, texture, label).probability() > 0.5, number == 1)
    label[np.flatnonzero(number == 1)[4:6]] = -1
    assert (find_clusters(vectors, texture, label).probability() == 0).all()
