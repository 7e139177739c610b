"""The graph of `curate.images.fit`: the same bits as Pillow's, whatever the size."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from curate.images import fit

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

BACKGROUND = (255, 250, 3)
WAYS = ("pad", "crop", "stretch")


@functools.cache
def session(size, how):
    from classify.exporting.pictures import fitting

    return onnxruntime.InferenceSession(fitting(size, how, BACKGROUND).SerializeToString())


def pixels(height, width, seed=0, hard=False):
    """Noise, or, where the filter overshoots most, black and white."""
    random = np.random.default_rng(seed)
    if hard:
        return (random.random((height, width, 3)) < 0.5).astype(np.uint8) * 255
    return random.integers(0, 256, (height, width, 3), dtype=np.uint8)


def check(array, size, how):
    expected = np.asarray(fit(Image.fromarray(array), size, how, BACKGROUND))
    found = session(size, how).run(None, {"pictures": array[None]})[0]
    assert found.shape == (1, size, size, 3)
    np.testing.assert_array_equal(found[0], expected)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.integers(1, 300), st.integers(1, 300), st.sampled_from([28, 33]), st.sampled_from(WAYS), st.booleans()
)
def test_it_is_pillows_picture_to_the_bit(height, width, size, how, hard):
    check(pixels(height, width, height * 1000 + width, hard), size, how)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (1, 3000), (3000, 1), (28, 28), (56, 28), (57, 28), (5, 5), (2, 40000), (40000, 2), (900, 301)],
)
def test_extreme_sides(height, width, how):
    check(pixels(height, width), 28, how)


@pytest.mark.parametrize("height", [97, 98, 99, 120])
def test_which_axis_goes_first_follows_the_sizes(height):
    """Pillow takes the rows first where they lose more than twice what the columns do: here above 98."""
    check(pixels(height, 63, hard=True), 28, "stretch")


def test_pictures_of_one_size_together():
    array = np.stack([pixels(50, 70, seed) for seed in range(3)])
    found = session(28, "pad").run(None, {"pictures": array})[0]
    for each, picture in zip(found, array, strict=True):
        np.testing.assert_array_equal(each, fit(Image.fromarray(picture), 28, "pad", BACKGROUND))


def test_another_way_is_refused():
    from classify.exporting.pictures import fitting

    with pytest.raises(ValueError, match="none of pad, crop, stretch"):
        fitting(28, "tile", BACKGROUND)
