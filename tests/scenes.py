"""Pictures of many random shapes: much to recognise, and nothing like another seed's."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw


def scene(seed: int, size: int = 192) -> Image.Image:
    """Forty ellipses and rectangles in random colours on a random ground, RGB, `size` x `size` pixels."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (size, size), tuple(int(v) for v in rng.integers(0, 255, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        x, y = rng.integers(0, size, 2)
        w, h = rng.integers(6, size // 3, 2)
        colour = tuple(int(v) for v in rng.integers(0, 255, 3))
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)((x, y, x + w, y + h), fill=colour)
    return image
