"""What is measured of each picture once, in worker processes: enough to search and to judge without its pixels.

A fingerprint holds the SHA-256 of the decoded picture, a perceptual hash of the whole picture and of the picture
inside its uniform border, a small grey copy, and local features. It is keyed by the file's content.

All geometry is in *unit coordinates*: x and y run from 0 to 1 over the picture's width and height, so that size and
aspect ratio play no part in any comparison.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.images import Unreadable, open_image, read_bytes, to_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

THUMB = 96
"""Side of the grey copy that pictures are compared on, pixels."""

HASH_SIDE = 16
"""The hash takes HASH_SIDE x HASH_SIDE frequencies: 256 bits."""

POINTS = 128
"""Local features kept of a picture, the strongest first."""

_FEATURE_SIDE = 192
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_BORDER_TOLERANCE = 12.0
_MIN_QUALITY_CONTRAST = 2.0
_LAYERS = 4


@dataclass(frozen=True)
class Fingerprint:
    """One picture's fingerprint.

    `pixels` SHA-256 of the decoded picture; `hashes` uint8 (2, 32): whole, inside the border; `boxes` float32
    (2, 4): left, top, right, bottom of the picture inside its outermost border and inside all, unit coordinates; `quality` information, 0..1;
    `real_side` pixels along the mean side that carry real detail; `thumb` uint8 (THUMB, THUMB); `points` float32
    (n, 4): x, y, size in unit coordinates and pixels, angle in degrees; `descriptors` uint8 (n, 128), RootSIFT x 255; both
    None where they were not asked for.
    """

    pixels: str
    hashes: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    quality: float
    real_side: float
    thumb: NDArray[np.uint8]
    points: NDArray[np.float32] | None
    descriptors: NDArray[np.uint8] | None


def fingerprint(image: Image.Image, features: bool = True) -> Fingerprint:
    """The fingerprint of an RGB picture (see `curate.images.to_rgb`); without local features where told so."""
    import cv2

    rgb = np.asarray(image)
    sha = hashlib.sha256(f"{image.width}x{image.height}:".encode())
    sha.update(rgb.tobytes())
    grey = _grey(rgb)
    medium = _measuring_size(grey)
    outer, inner, empty = content_boxes(medium)
    left, top, right, bottom = inner
    inside = medium[top:bottom, left:right]
    height, width = medium.shape
    points, descriptors = local_features(medium) if features else (None, None)
    return Fingerprint(
        pixels=sha.hexdigest(),
        hashes=np.stack([perceptual_hash(medium), perceptual_hash(inside)]),
        boxes=(np.array([outer, inner]) / (width, height, width, height)).astype(np.float32),
        quality=0.0 if empty else information(inside),
        real_side=real_side(grey),
        thumb=cv2.resize(medium, (THUMB, THUMB), interpolation=cv2.INTER_AREA).astype(np.uint8),
        points=points,
        descriptors=descriptors,
    )


def _measuring_size(grey: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The picture brought to _FEATURE_SIDE pixels on its longer side, at least 8 on the other."""
    import cv2

    scale = _FEATURE_SIDE / max(grey.shape)
    size = (max(8, round(grey.shape[1] * scale)), max(8, round(grey.shape[0] * scale)))
    medium = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return np.clip(np.round(medium), 0, 255).astype(np.uint8)


def _grey(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Luma (ITU-R BT.601), float32 (H, W), 0..255."""
    import cv2

    grey: NDArray[np.float32] = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return grey


Box = tuple[int, int, int, int]


def content_boxes(grey: NDArray[np.uint8]) -> tuple[Box, Box, bool]:
    """What lies inside the outermost uniform border of `grey`, uint8 (H, W), and inside all nested ones.

    Boxes are left, top, right, bottom in pixels. Each side is trimmed while its row or column is of one tone, within
    12/255 but for 2 % of its pixels (or three), that of the outermost; a white mat in a black frame is trimmed in turn. The third
    value tells a picture of which nothing is left (a blank page, framed or not); its boxes are the whole picture, and
    so are those of one of which under a tenth of a side would be left.
    """
    whole = (0, 0, grey.shape[1], grey.shape[0])
    outer = inner = whole
    for layer in range(_LAYERS):
        trimmed = _trim(grey, inner)
        if trimmed is None:
            return whole, whole, True
        if layer == 0:
            outer = trimmed
        if trimmed == inner:
            break
        inner = trimmed
    core = grey[
        inner[1] + 3 : inner[3] - 3, inner[0] + 3 : inner[2] - 3
    ]  # reducing softens the border's edge
    if inner != whole and (core.size == 0 or core.std() < _MIN_QUALITY_CONTRAST):
        return whole, whole, True
    if inner[2] - inner[0] < 0.1 * grey.shape[1] or inner[3] - inner[1] < 0.1 * grey.shape[0]:
        return whole, whole, False
    return outer, inner, False


def _trim(grey: NDArray[np.uint8], box: Box) -> Box | None:
    """The box without one uniform border; None where nothing is left."""
    sides = list(box)
    for side in range(4):
        inner = grey[sides[1] : sides[3], sides[0] : sides[2]]
        lines = inner.T if side in (0, 2) else inner
        cut = _uniform_lines(lines[::-1] if side >= 2 else lines)
        if cut >= len(lines) - 3:
            return None
        sides[side] += cut if side < 2 else -cut
    return sides[0], sides[1], sides[2], sides[3]


def _uniform_lines(lines: NDArray[np.uint8]) -> int:
    """How many of the first lines are of one tone, that of the first."""
    ordered = np.sort(lines[0])
    tone = (
        float(ordered[(len(ordered) - 1) // 2]) + float(ordered[len(ordered) // 2])
    ) / 2  # the median, quickly
    for some in (lines[:4], lines):  # most pictures have no border: the first lines tell
        off = np.abs(some.astype(np.float32) - tone) > _BORDER_TOLERANCE
        bad = off.sum(axis=1) > max(3, 0.02 * lines.shape[1])
        if bad.any():
            return int(np.argmax(bad))
    return len(lines)


@functools.cache
def _dct_matrix(side: int) -> NDArray[np.float32]:
    """Rows 1..HASH_SIDE of the orthonormal DCT-II of length `side`."""
    k, n = np.arange(1, HASH_SIDE + 1)[:, None], np.arange(side)[None, :]
    basis: NDArray[np.float32] = (np.sqrt(2 / side) * np.cos(np.pi * k * (2 * n + 1) / (2 * side))).astype(
        np.float32
    )
    return basis


def perceptual_hash(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Signs of the 16 x 16 lowest DCT frequencies without the constant ones; uint8 (32,), 256 bits.

    As in PDQ (Facebook, 2019) but with zero for the median, so that flips and quarter turns of the picture are
    exact permutations and sign changes of the bits (see `curate.duplicates.candidates.orientations`).
    """
    import cv2

    small = cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
    basis = _dct_matrix(64)
    return np.packbits((basis @ small @ basis.T) > 0)


def information(grey: NDArray[np.uint8]) -> float:
    """How much there is to recognise in a picture, 0 (blank page) .. 1.

    The share of a 32 x 32 copy's cells whose gradient is above 6/255, doubled and cut at 1; 0 where the contrast
    (standard deviation) is under 2/255. A page with one word on it has about 0.05.
    """
    import cv2

    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    if small.std() < _MIN_QUALITY_CONTRAST:
        return 0.0
    gy, gx = np.gradient(small)
    return float(min(1.0, 2 * (np.hypot(gx, gy) > 6).mean()))


@functools.lru_cache(maxsize=64)
def _frequencies(side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The squared frequencies (side,) of a DCT, 0..1, and which of them lie below each of 128 bounds, (128, side)."""
    frequency = np.arange(side, dtype=np.float32) / np.float32(side)
    bounds = np.arange(1, 129, dtype=np.float32)[:, None] / np.float32(128)
    return frequency**2, (frequency < bounds).astype(np.float32)


def real_side(grey: NDArray[np.float32]) -> float:
    """Pixels along the mean side that carry detail: an enlarged copy has hardly more than its source.

    The side times the frequency (1 is the finest that the pixels can hold) below which nine tenths of the gradient's
    energy lie, in the DCT of the middle of the picture, up to 512 x 512 pixels of it. 0 for a flat picture.
    """
    from scipy.fft import dctn

    height, width = grey.shape
    top, left = max(0, (height - 512) // 2), max(0, (width - 512) // 2)
    middle = grey[top : top + 512, left : left + 512]
    (down, under), (across, left_of) = (_frequencies(side) for side in middle.shape)
    energy = np.square(dctn(middle, norm="ortho")) * (down[:, None] + across)
    below = np.einsum("kx,kx->k", under @ energy, left_of)
    if below[-1] <= 1e-3 * middle.size:
        return 0.0
    return float(np.sqrt(height * width) * (np.searchsorted(below, 0.9 * below[-1]) + 1) / 128)


@functools.cache
def _sift() -> Any:
    import cv2

    cv2.setNumThreads(1)
    return cv2.SIFT_create(nfeatures=POINTS, contrastThreshold=0.03)  # type: ignore[attr-defined,unused-ignore]


def local_features(grey: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The strongest local features of `grey`, uint8 (H, W): points float32 (n, 4) and descriptors uint8 (n, 128).

    SIFT (Lowe, 2004) with Hellinger normalisation (RootSIFT: Arandjelovic & Zisserman, CVPR 2012, section 2).
    """
    found, raw = _sift().detectAndCompute(grey, None)
    if raw is None or not len(found):
        return np.zeros((0, 4), np.float32), np.zeros((0, 128), np.uint8)
    height, width = grey.shape
    points = np.array([(p.pt[0] / width, p.pt[1] / height, p.size, p.angle) for p in found], np.float32)
    strength = np.array([p.response for p in found])
    order = np.lexsort((points[:, 3], points[:, 1], points[:, 0], -strength))[:POINTS]
    raw = raw[order]
    root = np.sqrt(raw / np.maximum(raw.sum(axis=1, keepdims=True), 1e-6))
    return points[order], np.round(root * 255).astype(np.uint8)


def fingerprint_files(work: Sequence[tuple[str, str]], features: bool = True) -> list[dict[str, Any]]:
    """Rows of the table `fingerprints` for (content, file) pairs; a file that changed or went away gives none."""
    rows = []
    for content, file in work:
        try:
            data = read_bytes(file)
            if hashlib.sha256(data).hexdigest() != content:
                continue
            found = fingerprint(to_rgb(open_image(data)), features)
        except Unreadable:
            continue
        rows.append(
            {
                "content": content,
                "pixels": found.pixels,
                "hash": found.hashes.tobytes(),
                "boxes": found.boxes.ravel(),
                "quality": found.quality,
                "real_side": found.real_side,
                "thumb": found.thumb.tobytes(),
                "points": None if found.points is None else found.points.tobytes(),
                "descriptors": None if found.descriptors is None else found.descriptors.tobytes(),
            }
        )
    return rows
