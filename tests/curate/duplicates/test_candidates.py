"""The two searches, on pictures that are turned, mirrored and cropped."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageOps

from curate.duplicates.candidates import (
    MIRRORED_BINS,
    best_hashes,
    near_hashes,
    orientations,
    shared_features,
)
from curate.duplicates.fingerprints import fingerprint, local_features, perceptual_hash


def turned(image: np.ndarray, o: int) -> np.ndarray:
    """Orientation o as `orientations` defines it."""
    image = image.T if o & 4 else image
    image = image[:, ::-1] if o & 1 else image
    return np.ascontiguousarray(image[::-1] if o & 2 else image)


@pytest.mark.parametrize("o", range(8))
def test_hash_of_a_turned_picture_follows_from_its_bits(o: int, scene: Callable[..., Image.Image]) -> None:
    grey = np.asarray(scene(0).convert("L"))
    places, flips = orientations()
    bits = np.unpackbits(perceptual_hash(grey)).astype(bool)
    wanted = np.unpackbits(perceptual_hash(turned(grey, o))).astype(bool)
    assert (bits[places[o]] ^ flips[o] != wanted).sum() <= 4


def test_near_hashes_finds_what_brute_force_finds() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 256, (60, 2, 32), dtype=np.uint8)
    places, flips = orientations()
    bits = np.unpackbits(hashes[3, 0]).astype(bool)
    hashes[40, 1] = np.packbits(bits[places[5]] ^ flips[5])
    found = best_hashes(hashes, radius=60)
    assert found[:, :2].tolist() == [[3, 40]]
    assert found[0, 2] == 0
    assert len(list(near_hashes(hashes[:1]))) == 0


def test_mirrored_descriptors_are_those_of_the_mirrored_picture(scene: Callable[..., Image.Image]) -> None:
    grey = np.asarray(scene(1).convert("L"))
    points, ours = local_features(grey)
    mirrored_points, theirs = local_features(np.ascontiguousarray(grey[:, ::-1]))
    ours = ours[:, MIRRORED_BINS].astype(float)
    nearest = ((ours[:, None] - theirs[None].astype(float)) ** 2).sum(2).argmin(1)
    places = np.abs(1 - points[:, 0] - mirrored_points[nearest, 0]) + np.abs(
        points[:, 1] - mirrored_points[nearest, 1]
    )
    assert (places < 0.03).mean() > 0.8


def test_shared_features_finds_a_crop_and_a_mirrored_crop(scene: Callable[..., Image.Image]) -> None:
    pictures = [scene(seed) for seed in range(8)]
    pictures.append(pictures[2].crop((30, 30, 170, 170)))
    pictures.append(ImageOps.mirror(pictures[5].crop((20, 40, 160, 180))))
    prints = [fingerprint(picture).descriptors for picture in pictures]
    owner = np.repeat(np.arange(len(prints)), [len(p) for p in prints])
    pairs = {tuple(pair) for pair in shared_features(np.concatenate(prints), owner, len(prints)).tolist()}
    assert {(2, 8), (5, 9)} <= pairs
    assert all(a < b for a, b in pairs)


def test_nothing_to_search() -> None:
    assert shared_features(np.zeros((0, 128), np.uint8), np.zeros(0, np.int64), 0).shape == (0, 2)
    assert best_hashes(np.zeros((0, 2, 32), np.uint8)).shape == (0, 6)
