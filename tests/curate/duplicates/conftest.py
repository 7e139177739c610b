"""A small folder with each kind of duplicate, and what a command makes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageOps


@pytest.fixture
def folder(tmp_path: Path, scene: Callable[..., Image.Image]) -> Path:
    """Six pictures, an exact copy, equal pixels in another format, a mirrored copy, one under another label, two blanks."""
    root = tmp_path / "set"
    (root / "cat").mkdir(parents=True)
    (root / "dog").mkdir()
    for seed in range(6):
        scene(seed).save(root / "cat" / f"{seed}.png")
    (root / "cat" / "copy.png").write_bytes((root / "cat" / "0.png").read_bytes())
    scene(1).save(root / "cat" / "same_pixels.bmp")
    ImageOps.mirror(scene(2)).save(root / "cat" / "mirror.jpg", quality=70)
    scene(3).resize((90, 90)).save(root / "dog" / "other_label.jpg", quality=80)
    for name in ("blank1", "blank2"):
        Image.new("RGB", (100 + len(name), 100 + ord(name[-1])), "white").save(root / "dog" / f"{name}.png")
    return root
