"""Brightness, contrast, sharpness and their like: functions of an array.

`measure` takes a picture of any size, uint8 (H, W, 3) in RGB as `curate.images.to_rgb` gives it, and brings it to its
*measuring size* by area averaging: shorter side down to `SHORT_SIDE` pixels (longer side to at most `LONG_SIDE`), never
up. So a measure says the same of a large copy and a small one, and costs the same. The functions below it work on what
it prepared once: `planes`, uint8 (3, H, W), contiguous (one colour after the other: several times faster than pixel
after pixel); `luma`, uint8 (H, W); `histogram`, the counts of luma, float64 (256,). All arithmetic is on integers or
free of BLAS, so a value does not depend on the number of threads.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHORT_SIDE = 96
"""Shorter side of a picture at its measuring size, pixels."""

LONG_SIDE = 384
"""Longest side of a picture at its measuring size, pixels: for banners and scrolls."""

FLAT = 2
"""Neighbours that differ by no more than this of 255 in every channel are equal."""

INK = 16
"""A pixel that differs by more than this of 255 in some channel is of another colour."""

NAMES = ("brightness", "contrast", "sharpness", "colorfulness", "saturation", "entropy", "flatness", "ink")
"""What `measure` gives, in the order of the table `files`."""


def measuring_size(width: int, height: int) -> tuple[int, int]:
    """The size in pixels, (width, height), at which a picture of that size is measured."""
    scale = min(1.0, SHORT_SIDE / min(width, height), LONG_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def measure(image: NDArray[np.uint8] | Image.Image) -> dict[str, float]:
    """All measures of a picture, by name (see `NAMES`; units in `curate.tables.FILES`).

    `image` is uint8 (H, W, 3) or a Pillow picture of mode RGB, of any size.
    """
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    size = measuring_size(*image.size)
    if size != image.size:
        image = image.resize(size, Image.Resampling.BOX, reducing_gap=1.0)
    grey = image.convert("L")  # luma of ITU-R BT.601, in integers
    planes = np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))
    luma = np.asarray(grey)
    histogram = np.asarray(grey.histogram(), dtype=np.float64)
    return {
        "brightness": brightness(histogram),
        "contrast": contrast(histogram),
        "sharpness": sharpness(luma),
        "colorfulness": colorfulness(planes),
        "saturation": saturation(planes),
        "entropy": entropy(histogram),
        "flatness": flatness(planes),
        "ink": ink(planes),
    }


def brightness(histogram: NDArray[np.float64]) -> float:
    """Mean luma, 0 (black) .. 1 (white)."""
    return float(histogram @ _LEVELS / histogram.sum())


def contrast(histogram: NDArray[np.float64]) -> float:
    """Standard deviation of luma, 0..0.5 (luma in 0..1)."""
    away = _LEVELS - brightness(histogram)
    return math.sqrt(float(histogram @ (away * away) / histogram.sum()))


def entropy(histogram: NDArray[np.float64]) -> float:
    """Shannon entropy of the luma histogram folded to 64 bins, bits, 0..6."""
    share = histogram.reshape(64, 4).sum(axis=1) / histogram.sum()
    share = share[share > 0]
    return abs(float(share @ np.log2(share)))


def sharpness(luma: NDArray[np.uint8]) -> float:
    """Variance of the 4-neighbour Laplacian of luma, luma in 0..1, inner pixels only; 0 below 3 x 3.

    Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy (ICPR 2000).
    """
    if min(luma.shape) < 3:
        return 0.0
    wide = luma.astype(np.int16)
    laplacian = wide[:-2, 1:-1] + wide[2:, 1:-1]
    laplacian += wide[1:-1, :-2]
    laplacian += wide[1:-1, 2:]
    laplacian -= wide[1:-1, 1:-1] << 2
    return _moments(laplacian)[1] / 255**2


def colorfulness(planes: NDArray[np.uint8]) -> float:
    """Hasler & Suesstrunk's M3 on 8-bit RGB: 0 grey, about 15 slightly, 59 quite, 109 extremely colourful.

    Measuring colourfulness in natural images (SPIE 5007, 2003), section 7.
    """
    red, green, blue = planes.astype(np.int16)
    rg_mean, rg_variance = _moments(red - green)
    yb_mean, yb_variance = _moments(red + green - (blue << 1))  # twice the paper's yb, to stay in integers
    return math.sqrt(rg_variance + yb_variance / 4) + 0.3 * math.sqrt(rg_mean**2 + yb_mean**2 / 4)


def saturation(planes: NDArray[np.uint8]) -> float:
    """Mean of (max - min) / max over the channels, 0 (grey) .. 1; black counts as 0."""
    red, green, blue = planes
    high = np.maximum(np.maximum(red, green), blue)
    low = np.minimum(np.minimum(red, green), blue)
    share = np.divide(high - low, np.maximum(high, 1), dtype=np.float32)
    return float(share.mean())


def flatness(planes: NDArray[np.uint8]) -> float:
    """Share of pixels that equal their right and their lower neighbour within `FLAT` in every channel, 0..1.

    Drawings are made of flat areas; photographs carry noise. Of the pixels that have both neighbours; 1 where none has.
    """
    _, height, width = planes.shape
    if min(height, width) < 2:
        return 1.0
    # On rows laid end to end; a row's last pixel then meets the next row's first one, and is left out below.
    rows = planes.reshape(3, -1)
    here = rows[:, :-width]
    alike = _near(here, rows[:, 1 : 1 - width]) & _near(here, rows[:, width:])
    alike = (alike[0] & alike[1] & alike[2]).reshape(height - 1, width)[:, :-1]
    return float(np.count_nonzero(alike) / alike.size)


def ink(planes: NDArray[np.uint8]) -> float:
    """Share of pixels that differ from the most common colour by over `INK` in some channel, 0..1.

    The most common colour is the mean of (up to about 1,000 pixels spread over) the fullest cell of 16 x 16 x 16; the
    darkest of equals.
    """
    pixels = planes.reshape(3, -1)
    cells = (pixels >> 4).astype(np.int16)
    cell = cells[0] << 8 | cells[1] << 4 | cells[2]
    fullest = np.flatnonzero(cell == np.bincount(cell).argmax())
    ground = pixels[:, fullest[:: len(fullest) // 1000 + 1]].mean(axis=1)
    other = np.zeros(len(cell), dtype=np.bool_)
    for plane, value in zip(pixels, np.rint(ground).astype(int).tolist(), strict=True):
        low, high = max(0, value - INK), min(255, value + INK)
        other |= plane - np.uint8(low) > high - low  # wraps below `low`
    return float(np.count_nonzero(other) / other.size)


def _near(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether values are equal within `FLAT`; the difference is taken so that uint8 does not wrap."""
    near: NDArray[np.bool_] = np.maximum(a, b) - np.minimum(a, b) <= FLAT
    return near


_LEVELS = np.arange(256) / 255


def _moments(values: NDArray[np.int16]) -> tuple[float, float]:
    """Mean and variance of integers; the sums are exact."""
    flat = values.ravel().astype(np.float64)
    mean = float(flat.sum()) / flat.size
    return mean, max(0.0, float(np.einsum("i,i->", flat, flat)) / flat.size - mean * mean)
