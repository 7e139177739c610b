"""Fixtures for all tests: a small demo set, and synthetic pictures whose kind is known."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image, ImageDraw, ImageFilter

MakePicture = Callable[..., Image.Image]


@pytest.fixture(scope="session")
def demo_made(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A demo set of 180 files in 12 classes, made once for all test processes. To be read only."""
    from curate.demo import make_demo

    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    folder = shared / "demo_made"
    with FileLock(shared / "demo_made.lock"):
        if not folder.is_dir():
            make_demo(folder, pictures=180, seed=1, workers=1)
    return folder


@pytest.fixture(scope="session")
def demo_small(demo_made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This test process's own copy of the small demo set (`train`, `test`, `truth.csv`).

    Tests of the process share it: a workspace beside `train` may be made, its files must not be changed.
    """
    folder = tmp_path_factory.mktemp("demo") / "demo"
    shutil.copytree(demo_made, folder)
    return folder


@pytest.fixture
def demo_copy(demo_made: Path, tmp_path: Path) -> Path:
    """A fresh copy of the small demo set for a test that changes files."""
    folder = tmp_path / "demo"
    shutil.copytree(demo_made, folder)
    return folder


@pytest.fixture(scope="session")
def make_drawing() -> MakePicture:
    """`make_drawing(seed, size=96)`: an RGB drawing: flat shapes with black outlines on a plain ground."""
    return _drawing


@pytest.fixture(scope="session")
def scene() -> MakePicture:
    """`scene(seed, size=192)`: an RGB picture of forty random shapes: much to recognise, nothing like another seed's."""
    return _scene


@pytest.fixture(scope="session")
def make_photo() -> MakePicture:
    """`make_photo(seed, size=96)`: an RGB picture with a photograph's statistics: steep 1/f spectrum, soft light, grain."""
    return _photo


def _scene(seed: int, size: int = 192) -> Image.Image:
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (size, size), tuple(int(v) for v in rng.integers(0, 255, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        x, y = rng.integers(0, size, 2)
        w, h = rng.integers(6, size // 3, 2)
        colour = tuple(int(v) for v in rng.integers(0, 255, 3))
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)((x, y, x + w, y + h), fill=colour)
    return image


def _drawing(seed: int, size: int = 96) -> Image.Image:
    rng = np.random.default_rng([seed, 1])
    scale = 4
    side = size * scale
    image = Image.new("RGB", (side, side), _colour(rng, 200))
    pen = ImageDraw.Draw(image)
    line = max(2, side // 48)
    for _ in range(int(rng.integers(3, 7))):
        x, y = (int(v) for v in rng.integers(0, side * 2 // 3, 2))
        width, height = (int(v) for v in rng.integers(side // 6, side // 2, 2))
        box = (x, y, x + width, y + height)
        shape = int(rng.integers(3))
        if shape == 0:
            pen.ellipse(box, fill=_colour(rng), outline=(0, 0, 0), width=line)
        elif shape == 1:
            pen.rectangle(box, fill=_colour(rng), outline=(0, 0, 0), width=line)
        else:
            corners = [(x, y + height), (x + width // 2, y), (x + width, y + height)]
            pen.polygon(corners, fill=_colour(rng), outline=(0, 0, 0), width=line)
    return image.resize((size, size), Image.Resampling.BOX)


def _colour(rng: np.random.Generator, low: int = 30) -> tuple[int, int, int]:
    red, green, blue = (int(v) for v in rng.integers(low, 256, 3))
    return red, green, blue


def _photo(seed: int, size: int = 96) -> Image.Image:
    rng = np.random.default_rng([seed, 2])
    rows, columns = np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None, :]
    falloff = np.maximum(np.hypot(rows, columns), 1 / size) ** -1.3
    layers = [np.fft.ifft2(np.fft.fft2(rng.normal(size=(size, size))) * falloff).real for _ in range(3)]
    light, warm, cold = ((layer - layer.mean()) / layer.std() for layer in layers)
    red, green, blue = light + 0.25 * warm, light, light + 0.25 * cold
    pixels = np.stack([red, green, blue], axis=2) * rng.uniform(35, 55) + rng.uniform(90, 150, 3)
    pixels += rng.normal(0, 2.5, (size, size, 1))
    image = Image.fromarray(np.clip(np.round(pixels), 0, 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(0.4))
