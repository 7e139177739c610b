#!/usr/bin/env python3
"""Do the maps of `classify explain` show what was learnt, and what the answer hangs on?

usage: saliency_checks.py FOLDER WEIGHTS [--pictures N] [--seed N]

FOLDER holds class folders, or a data set's own files, that the weights never saw. A random choice of its pictures is taken,
each explained for its predicted class. What is measured, and when a check is passed: `classify.saliency_checks`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from hardware import hardware
from numpy.typing import NDArray

from classify import weights
from classify.labelled import LabelledPictures
from classify.prediction import default_device, read_picture
from classify.saliency import find_layer
from classify.saliency_checks import FRACTIONS, NETWORKS, Figure, sanity
from curate.images import Unreadable


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    classifier = weights.load(given.weights, default_device())
    items = LabelledPictures.open(given.folder, classifier.classes).items
    images: list[NDArray[np.uint8]] = []
    for index in np.random.default_rng(given.seed).permutation(len(items)).tolist():
        if len(images) == given.pictures:
            break
        try:
            images.append(read_picture(items[index], classifier.preprocessing))
        except Unreadable:
            continue
    layer, size = find_layer(classifier), classifier.preprocessing.size
    found = sanity(classifier, np.stack(images), seed=given.seed)
    print(
        f"{hardware()}; {classifier.metadata['model']['name']} at {size} px, map of {layer.side} x {layer.side} places; "
        f"n = {found.pictures} pictures, {NETWORKS} random networks\n"
    )
    print("| rank correlation of a picture's map with | mean (sd) | 95 % interval |\n|---|---:|---:|")
    print(f"| that of its mirror image, mirrored back | {shown(found.same)} |")
    print(f"| that of another picture | {shown(found.other)} |")
    print(f"| that by random weights | {shown(found.random)} |")
    print(f"| random weights less the middle of the two above | {shown(found.closer)} |")
    print(f"\nHangs on what was learnt: {'yes' if found.learnt else 'no'}.\n")
    print(f"Probability of the predicted class: {found.whole.mean:.3f} (sd {found.whole.spread:.3f}).\n")
    print("| deleted | by the map | the map of another picture | random pixels |\n|---:|---:|---:|---:|")
    for row in zip(FRACTIONS, found.kept_by_map, found.kept_by_other, found.kept_by_pixels, strict=True):
        print("| {:.0%} | {:.3f} | {:.3f} | {:.3f} |".format(*row))
    print("\n| the map takes more than | mean (sd) | 95 % interval |\n|---|---:|---:|")
    print(f"| the map of another picture | {shown(found.over_other)} |")
    print(f"| random pixels | {shown(found.over_pixels)} |")
    print(f"\nThe answer hangs on what is marked: {'yes' if found.needed else 'no'}.")


def shown(figure: Figure) -> str:
    """Two cells of a table."""
    return f"{figure.mean:+.3f} ({figure.spread:.3f}) | {figure.low:+.3f} to {figure.high:+.3f}"


if __name__ == "__main__":
    main()
