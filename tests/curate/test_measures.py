"""Measures of pictures whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from curate import measures
from curate.measures import measure, measuring_size
from curate.tables import FILES


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.new("RGB", size, colour)


def checkerboard(size: int = 64) -> Image.Image:
    cells = np.indices((size, size)).sum(axis=0) % 2 * 255
    return Image.fromarray(np.repeat(cells[..., None], 3, axis=2).astype(np.uint8))


def noise(size: int = 64, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8))


def line_art(size: int) -> Image.Image:
    """A black ring on white, drawn fine and brought to its size."""
    image = plain((255, 255, 255), (1024, 1024))
    ImageDraw.Draw(image).ellipse((200, 200, 820, 820), outline=(0, 0, 0), width=40)
    return image.resize((size, size), Image.Resampling.BOX)


def test_names_are_columns_of_the_table() -> None:
    found = measure(noise())
    assert tuple(found) == measures.NAMES
    assert set(measures.NAMES) <= set(FILES.columns)
    assert all(isinstance(value, float) for value in found.values())


def test_white() -> None:
    found = measure(plain((255, 255, 255)))
    assert found["brightness"] == pytest.approx(1)
    assert found["flatness"] == 1
    for name in ("contrast", "sharpness", "colorfulness", "saturation", "entropy", "ink"):
        assert found[name] == pytest.approx(0, abs=1e-6), name


def test_black() -> None:
    found = measure(plain((0, 0, 0)))
    assert found["brightness"] == 0
    assert found["saturation"] == 0


def test_luma_weights_of_the_colours() -> None:
    for colour, luma in (((255, 0, 0), 0.299), ((0, 255, 0), 0.587), ((0, 0, 255), 0.114)):
        assert measure(plain(colour))["brightness"] == pytest.approx(luma, abs=0.003)


def test_checkerboard() -> None:
    found = measure(checkerboard())
    assert found["brightness"] == pytest.approx(0.5)
    assert found["contrast"] == pytest.approx(0.5)
    assert found["entropy"] == pytest.approx(1)
    assert found["flatness"] == 0
    assert found["ink"] == pytest.approx(0.5)
    assert found["sharpness"] == pytest.approx(16)  # the Laplacian is 4 and -4 in turn
    assert found["colorfulness"] == pytest.approx(0)


def test_entropy_of_noise_is_near_its_bound() -> None:
    even = np.tile(np.arange(256, dtype=np.uint8), (64, 1))[..., None].repeat(3, axis=2)
    assert measures.entropy(np.full(256, 7.0)) == pytest.approx(6)
    assert measure(Image.fromarray(even))["entropy"] == pytest.approx(6, abs=0.01)


def test_colorfulness_is_the_papers() -> None:
    pixels = np.asarray(noise()).astype(np.float64)
    rg = pixels[..., 0] - pixels[..., 1]
    yb = (pixels[..., 0] + pixels[..., 1]) / 2 - pixels[..., 2]
    expected = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    assert measure(noise())["colorfulness"] == pytest.approx(expected, rel=1e-9)


def test_saturation() -> None:
    assert measure(plain((200, 0, 0)))["saturation"] == pytest.approx(1)
    assert measure(plain((200, 100, 100)))["saturation"] == pytest.approx(0.5)
    pixels = np.asarray(noise()).astype(np.float64)
    expected = ((pixels.max(axis=2) - pixels.min(axis=2)) / np.maximum(pixels.max(axis=2), 1)).mean()
    assert measure(noise())["saturation"] == pytest.approx(expected, rel=1e-5)


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    luma = np.asarray(noise().convert("L")).astype(np.float64) / 255
    inner = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * luma[1:-1, 1:-1]
    assert measure(noise())["sharpness"] == pytest.approx(inner.var(), rel=1e-9)


def test_a_blurred_picture_is_less_sharp() -> None:
    small = noise(96)
    blurred = small.resize((24, 24), Image.Resampling.BOX).resize((96, 96), Image.Resampling.BICUBIC)
    assert measure(blurred)["sharpness"] < measure(small)["sharpness"] / 20


def slow_flatness(image: Image.Image) -> float:
    pixels = np.asarray(image).astype(int)
    right = np.abs(pixels[:-1, :-1] - pixels[:-1, 1:]).max(axis=2) <= measures.FLAT
    lower = np.abs(pixels[:-1, :-1] - pixels[1:, :-1]).max(axis=2) <= measures.FLAT
    return float((right & lower).mean())


def slow_ink(image: Image.Image, ground: tuple[int, int, int]) -> float:
    away = np.abs(np.asarray(image).astype(int) - ground).max(axis=2)
    return float((away > measures.INK).mean())


@pytest.mark.parametrize("size", [(64, 64), (40, 90), (90, 2), (2, 3)])
def test_flatness_is_what_it_says(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    pixels = rng.choice(
        np.array([0, 1, 2, 3, 4, 253, 255], np.uint8),
        (size[1], size[0], 3),
        p=[0.4, 0.2, 0.2, 0.1, 0.05, 0.03, 0.02],
    )
    image = Image.fromarray(pixels)
    assert measure(image)["flatness"] == pytest.approx(slow_flatness(image))
    assert measure(image)["flatness"] > 0 or size == (2, 3)


@pytest.mark.parametrize("ground", [(255, 255, 255), (0, 0, 0), (120, 90, 247), (8, 250, 130)])
def test_ink_is_what_it_says(ground: tuple[int, int, int]) -> None:
    pixels = np.full((64, 64, 3), ground, np.uint8)
    for row, step in enumerate((-20, -17, -16, -15, 15, 16, 17, 20)):
        pixels[row * 2, :40] = np.clip(np.asarray(ground) + step, 0, 255)
    image = Image.fromarray(pixels)
    assert measure(image)["ink"] == pytest.approx(slow_ink(image, ground))


def test_ink_of_a_drawing_is_its_area() -> None:
    image = plain((255, 255, 255), (96, 96))
    image.paste((200, 30, 30), (10, 10, 34, 58))
    assert measure(image)["ink"] == pytest.approx(24 * 48 / 96**2)


def test_measures_say_the_same_of_a_large_copy() -> None:
    small, large = measure(line_art(192)), measure(line_art(960))
    for name, within in {
        "brightness": 0.01,
        "contrast": 0.02,
        "flatness": 0.05,
        "ink": 0.03,
        "entropy": 0.5,
    }.items():
        assert small[name] == pytest.approx(large[name], abs=within), name
    assert small["sharpness"] == pytest.approx(large["sharpness"], rel=0.4)


def test_noise_is_not_flat_and_line_art_is() -> None:
    assert measure(noise(96))["flatness"] < 0.01
    assert measure(line_art(300))["flatness"] > 0.8


def test_an_array_measures_as_its_picture() -> None:
    assert measure(np.asarray(noise(200))) == measure(noise(200))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (2, 2), (3000, 1), (1, 3000), (700, 3)])
def test_thin_and_tiny_pictures(size: tuple[int, int]) -> None:
    found = measure(plain((10, 200, 30), size))
    assert np.isfinite(list(found.values())).all()
    assert (found["flatness"], found["ink"], found["sharpness"]) == (1, 0, 0)


def test_measuring_size() -> None:
    short, long = measures.SHORT_SIDE, measures.LONG_SIDE
    assert measuring_size(40, 30) == (40, 30)
    assert measuring_size(short * 4, short * 8) == (short, short * 2)
    assert measuring_size(long * 10, 10) == (long, 1)
    assert measuring_size(1, 100_000) == (1, long)


def test_the_number_of_threads_changes_nothing() -> None:
    from threadpoolctl import threadpool_limits

    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(measure(noise(96)))
    assert found[0] == found[1]
