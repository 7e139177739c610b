"""Fingerprints of synthetic pictures whose answer is known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from curate.duplicates.fingerprints import (
    THUMB,
    content_boxes,
    fingerprint,
    fingerprint_files,
    information,
    perceptual_hash,
    real_side,
)


def grey(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L"))


def distance(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.unpackbits(a ^ b).sum())


def test_hash_stays_when_resized_and_differs_between_pictures(scene: Callable[..., Image.Image]) -> None:
    image = scene(0)
    small = image.resize((80, 80), Image.Resampling.LANCZOS)
    assert distance(perceptual_hash(grey(image)), perceptual_hash(grey(small))) <= 12
    assert 80 < distance(perceptual_hash(grey(image)), perceptual_hash(grey(scene(1)))) < 176


def test_border_is_trimmed_layer_by_layer() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (100, 100, 3), dtype=np.uint8))
    framed = ImageOps.expand(ImageOps.expand(image, 20, "white"), 30, "black")
    outer, inner, empty = content_boxes(grey(framed))
    assert not empty
    assert outer == (30, 30, 170, 170)
    assert inner == (50, 50, 150, 150)


@pytest.mark.parametrize("border", [0, 15])
def test_blank_page_is_empty_with_and_without_a_frame(border: int) -> None:
    page = ImageOps.expand(Image.new("RGB", (100, 80), "white"), border, "black")
    found = fingerprint(page)
    assert found.quality == 0
    assert np.array_equal(found.boxes, [[0, 0, 1, 1]] * 2)
    assert content_boxes(grey(page))[2]


def test_information_grows_with_what_there_is_to_see(scene: Callable[..., Image.Image]) -> None:
    word = Image.new("L", (192, 192), "white")
    ImageDraw.Draw(word).text((90, 90), "hi", fill="black")
    assert information(np.full((192, 192), 200, np.uint8)) == 0
    assert 0 < information(grey(word)) < 0.1 < information(grey(scene(3))) <= 1


@pytest.mark.parametrize("factor", [1.5, 2])
def test_an_enlarged_copy_has_hardly_more_detail_than_its_source(
    factor: float, scene: Callable[..., Image.Image]
) -> None:
    image = scene(3).convert("L")
    large = image.resize((int(160 * factor),) * 2, Image.Resampling.BICUBIC)
    source = real_side(np.asarray(image, np.float32))
    assert source > 100
    assert 0.8 * source < real_side(np.asarray(large, np.float32)) < 1.25 * source


def test_a_flat_picture_has_no_detail() -> None:
    assert real_side(np.full((50, 60), 128, np.float32)) == 0


def test_pixels_tell_pictures_and_shapes_apart(scene: Callable[..., Image.Image]) -> None:
    image = scene(4)
    assert fingerprint(image).pixels == fingerprint(image.copy()).pixels
    changed = image.copy()
    changed.putpixel((3, 3), (1, 2, 3))
    assert fingerprint(changed).pixels != fingerprint(image).pixels
    flat = [fingerprint(Image.new("RGB", size)).pixels for size in ((20, 30), (30, 20))]
    assert flat[0] != flat[1]


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 2), (1500, 40)])
def test_odd_shapes_have_fingerprints(size: tuple[int, int], scene: Callable[..., Image.Image]) -> None:
    found = fingerprint(scene(5).resize(size))
    assert found.thumb.shape == (THUMB, THUMB)
    assert found.hashes.shape == (2, 32)
    assert len(found.points) == len(found.descriptors)


def test_a_file_that_changed_or_went_away_gives_no_row(
    tmp_path: Path, scene: Callable[..., Image.Image]
) -> None:
    for name in ("same", "changed"):
        scene(6).save(tmp_path / f"{name}.png")
    content = hashlib.sha256((tmp_path / "same.png").read_bytes()).hexdigest()
    scene(7).save(tmp_path / "changed.png")
    rows = fingerprint_files(
        [(content, str(tmp_path / f"{name}.png")) for name in ("same", "changed", "gone")]
    )
    assert [row["content"] for row in rows] == [content]
    assert rows[0]["pixels"] == fingerprint(scene(6)).pixels
