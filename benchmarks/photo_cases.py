"""Photographs and drawings as they come along: framed, cut out, grey, compressed, scanned, on a sheet of paper.

`CASES` names each case by the kind of picture that it starts from and the edit; `is_photo` says what the result is.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image, ImageOps

Picture = np.ndarray  # uint8 (H, W, 3)
Edit = Callable[[Picture, np.random.Generator], Picture]


def framed(picture: Picture, rng: np.random.Generator) -> Picture:
    """In a plain frame of a tenth of the shorter side."""
    colour = ("white", "black", "#7a5a30")[int(rng.integers(3))]
    return np.asarray(ImageOps.expand(Image.fromarray(picture), int(min(picture.shape[:2]) * 0.1), colour))


def cut_out(picture: Picture, rng: np.random.Generator) -> Picture:
    """The middle, along an uneven outline, on white."""
    height, width = picture.shape[:2]
    inside = np.zeros((height, width), np.uint8)
    cv2.ellipse(inside, (width // 2, height // 2), (int(width * 0.4), int(height * 0.4)), 0, 0, 360, 255, -1)
    uneven = cv2.resize(
        rng.normal(0, 1, (6, 6)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    soft = cv2.GaussianBlur(inside, (0, 0), min(height, width) * 0.06) / 255 + uneven * 0.08
    mask = cv2.GaussianBlur((soft > 0.5).astype(np.float32), (0, 0), 0.8)[..., None]
    return (picture * mask + 255 * (1 - mask)).astype(np.uint8)


def grey(picture: Picture, rng: np.random.Generator) -> Picture:
    """Without colour."""
    return np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def sepia(picture: Picture, rng: np.random.Generator) -> Picture:
    """As an old print."""
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None]
    return np.clip(luma * np.array([1.07, 0.9, 0.7]) + 10, 0, 255).astype(np.uint8)


def strong_jpeg(picture: Picture, rng: np.random.Generator) -> Picture:
    """As JPEG of quality 12 leaves it."""
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "JPEG", quality=12)
    return np.asarray(Image.open(data).convert("RGB"))


def upscaled(picture: Picture, rng: np.random.Generator) -> Picture:
    """Enlarged from a third of its size."""
    height, width = picture.shape[:2]
    few = cv2.resize(picture, (max(16, width // 3), max(16, height // 3)), interpolation=cv2.INTER_AREA)
    return cv2.resize(few, (width, height), interpolation=cv2.INTER_CUBIC)


def _light(size: tuple[int, int], least: float, rng: np.random.Generator) -> np.ndarray:
    patches = rng.uniform(least, 1.0, (3, 3)).astype(np.float32)
    return cv2.resize(patches, size, interpolation=cv2.INTER_CUBIC)[..., None]


def scanned(picture: Picture, rng: np.random.Generator) -> Picture:
    """Under a scanner: uneven light, paper, grain, a little blur."""
    height, width = picture.shape[:2]
    grain = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 0.7)[..., None]
    soft = cv2.GaussianBlur(picture, (0, 0), 0.7).astype(np.float32)
    lit = (soft * 0.88 + 22) * _light((width, height), 0.82, rng) * np.array([1, 0.98, 0.92])
    return np.clip(lit + grain * 6, 0, 255).astype(np.uint8)


def on_paper(picture: Picture, rng: np.random.Generator) -> Picture:
    """On a sheet of paper that lies on a table and was photographed askew."""
    height, width = picture.shape[:2]
    high, wide = int(height * 1.3), int(width * 1.3)
    table = np.full((high, wide, 3), rng.uniform(60, 170, 3), np.float32)
    table += cv2.GaussianBlur(rng.normal(0, 1, (high, wide, 3)).astype(np.float32), (0, 0), 2) * 25
    sheet = np.array([(0.12, 0.1), (0.9, 0.14), (0.88, 0.9), (0.08, 0.88)]) + rng.uniform(-0.04, 0.04, (4, 2))
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    where = cv2.getPerspectiveTransform(corners, (sheet * (wide, high)).astype(np.float32))
    paper = (
        cv2.warpPerspective(picture, where, (wide, high)).astype(np.float32) * 0.85 * np.array([1, 0.97, 0.9])
    )
    mask = cv2.warpPerspective(np.ones((height, width), np.float32), where, (wide, high))[..., None]
    lit = (paper * mask + table * (1 - mask)) * _light((wide, high), 0.65, rng)
    return np.clip(lit + rng.normal(0, 4, lit.shape), 0, 255).astype(np.uint8)


def engraved(picture: Picture, rng: np.random.Generator) -> Picture:
    """As lines that swell with the dark, bent a little along the forms."""
    luma = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1)
    height, width = luma.shape
    large = cv2.resize(luma, (width * 3, height * 3), interpolation=cv2.INTER_CUBIC)
    down, across = np.mgrid[: height * 3, : width * 3]
    turn = rng.uniform(0, np.pi)
    along = across * np.cos(turn) + down * np.sin(turn) + cv2.GaussianBlur(large, (0, 0), 9) * 0.08
    wave = (np.sin(along * 2 * np.pi / 9.6) + 1) / 2
    lines = cv2.GaussianBlur(np.where(wave > 1 - large / 255, 255.0, 20.0).astype(np.float32), (0, 0), 1.2)
    small = cv2.resize(lines, (width, height), interpolation=cv2.INTER_AREA)
    return np.repeat(np.clip(small, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


CASES: tuple[tuple[str, Edit, bool], ...] = (
    *(("photo", edit, True) for edit in (framed, cut_out, grey, sepia, strong_jpeg, upscaled)),
    *(("cartoon", edit, False) for edit in (grey, strong_jpeg, scanned)),
    ("sketch", on_paper, False),
    ("photo", engraved, False),
)
"""Kind of picture to start from, what is done to it, whether a photograph comes out."""
