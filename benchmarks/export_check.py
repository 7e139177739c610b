#!/usr/bin/env python3
"""Whether an exported classifier answers as PyTorch does, on pictures of all sizes and modes.

usage: export_check.py FOLDER WEIGHTS [--pictures N] [--turn DEGREES] [--seed N]

Pictures of FOLDER, at random, are brought to random sizes (sides of 8 to 1,200 pixels, any aspect ratio) and to random
modes, encoded, and decoded again as `classify predict` does it. onnxruntime is given the decoded picture, PyTorch the one
that Pillow fitted. --turn exports with views turned so far, whatever the weights' own settings.
"""

from __future__ import annotations

import argparse
import io
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from hardware import hardware
from PIL import Image

from classify import weights
from classify.exporting.check import compare
from classify.exporting.graph import graph
from curate.images import Unreadable, read_rgb
from curate.walk import walk


def alpha(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """A random slope of transparency."""
    slope = np.linspace(*random.uniform(-100, 355, 2), image.width).clip(0, 255).astype(np.uint8)
    return Image.fromarray(np.tile(slope, (image.height, 1)))


def rgba(image: Image.Image, random: np.random.Generator) -> Image.Image:
    image = image.convert("RGBA")
    image.putalpha(alpha(image, random))
    return image


def palette(image: Image.Image, random: np.random.Generator) -> Image.Image:
    image = image.quantize(64)
    image.info["transparency"] = int(random.integers(64))
    return image


def deep(image: Image.Image, random: np.random.Generator) -> Image.Image:
    grey = np.asarray(image.convert("L"), dtype=np.uint16) * 257
    return Image.fromarray(grey ^ random.integers(0, 256, grey.shape, dtype=np.uint16))


MODES: dict[str, tuple[str, Callable[[Image.Image, np.random.Generator], Image.Image]]] = {
    "RGB": ("PNG", lambda image, random: image),
    "JPEG": ("JPEG", lambda image, random: image),
    "L": ("PNG", lambda image, random: image.convert("L")),
    "LA": ("PNG", lambda image, random: rgba(image, random).convert("LA")),
    "P, transparent": ("PNG", palette),
    "RGBA": ("PNG", rgba),
    "CMYK": ("JPEG", lambda image, random: image.convert("CMYK")),
    "16 bit": ("PNG", deep),
    "1": ("PNG", lambda image, random: image.convert("1")),
}


def pictures(folder: Path, count: int, random: np.random.Generator) -> tuple[list[bytes], Counter[str]]:
    """So many encoded pictures, and how many of each mode."""
    files = [folder / path for path, _, _ in walk(folder).files]
    found: list[bytes] = []
    modes: Counter[str] = Counter()
    while len(found) < count:
        try:
            image = Image.fromarray(read_rgb(files[random.integers(len(files))]))
        except Unreadable:
            continue
        sides = np.rint(np.exp(random.uniform(np.log(8), np.log(1200), 2))).astype(int).tolist()
        mode = list(MODES)[len(found) % len(MODES)]
        form, convert = MODES[mode]
        stream = io.BytesIO()
        convert(image.resize((sides[0], sides[1])), random).save(stream, form)
        found.append(stream.getvalue())
        modes[mode] += 1
    return found, modes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--pictures", type=int, default=1_000)
    parser.add_argument("--turn", type=float)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    classifier = weights.load(given.weights)
    if given.turn is not None:
        classifier.settings.setdefault("evaluation", {})["turn"] = given.turn
    began = time.perf_counter()
    model = graph(classifier, {}).SerializeToString()
    exporting = time.perf_counter() - began
    items, modes = pictures(given.folder, given.pictures, np.random.default_rng(given.seed))
    found = compare(model, classifier, items)
    print(f"{hardware()}; torch {torch.__version__}, onnxruntime {onnxruntime.__version__}")
    print(f"{given.weights}, views {classifier.settings.get('evaluation', {})}, {classifier.preprocessing}")
    print(f"exported in {exporting:.0f} s, {len(model) / 1e6:.1f} MB; {dict(modes)}")
    print(found)
    print("passed" if found.passed else f"FAILED: {found}")


if __name__ == "__main__":
    main()
