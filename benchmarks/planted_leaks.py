"""Are copies of training pictures in a test set found, when all that is left of the training set is its fingerprints?

usage: planted_leaks.py TRAIN TEST WEIGHTS [--copies 500] [--seed 0] [--workers N]

WEIGHTS is of a run on the folder TRAIN, with its fingerprints.parquet beside it. Edited copies are made of pictures of
TRAIN that the run has seen, of each kind of edit equally many (see edits.py), and put among the pictures of TEST, which
should hold no copies of its own: those of its pictures that are flagged are listed, to be looked at.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from edits import KINDS, copy_of
from hardware import hardware

from classify import fingerprints, weights
from classify.data.cache import read_pictures
from classify.data.dataset import Seen
from classify.data.items import Item
from classify.data.prints import resolved
from classify.evaluation.leaks import Leaks, find_leaks
from classify.labelled import LabelledPictures
from classify.weights import Classifier
from curate.images import open_image, read_bytes, to_rgb


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--copies", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    classifier = weights.load(options.weights)
    known = fingerprints.beside(options.weights, classifier)
    if known.missing:
        raise SystemExit(known.missing)
    print(hardware())
    size = (options.weights.parent / fingerprints.NAME).stat().st_size
    print(
        f"{len(known.seen)} training pictures, {size / len(known.seen):.0f} bytes of fingerprints a picture"
    )
    print_cost([str(options.train / one.path) for one in known.seen], classifier)
    sources, kinds, copies = planted(known.seen, options.train, options.copies, options.seed)
    test = LabelledPictures.open(options.test, classifier.classes)
    items: list[Item] = [*test.items, *copies]
    paths = [*test.paths, *(f"{kind} of {one.path}" for kind, one in zip(kinds, sources, strict=True))]
    labels = [*test.folders, *(one.label for one in sources)]
    begun, cpu = time.perf_counter(), time.process_time()
    found = find_leaks(items, paths, labels, options.weights, classifier, workers=options.workers)
    print(
        f"{len(items)} pictures checked in {time.perf_counter() - begun:.0f} s "
        f"({time.process_time() - cpu:.0f} s of this process)"
    )
    print_found(found, len(test.items), sources, kinds)


def planted(
    seen: Sequence[Seen], train: Path, count: int, seed: int
) -> tuple[list[Seen], list[str], list[bytes]]:
    """Copies of `count` random pictures: what each was made from, the kind of edit, its bytes."""
    rng = np.random.default_rng(seed)
    sources = [seen[row] for row in rng.choice(len(seen), count, replace=count > len(seen))]
    kinds = [KINDS[number % len(KINDS)] for number in range(count)]
    copies = [
        copy_of(to_rgb(open_image(read_bytes(train / one.path))), kind, rng)
        for one, kind in zip(sources, kinds, strict=True)
    ]
    return sources, kinds, copies


def print_cost(items: Sequence[Item], classifier: Classifier) -> None:
    """What fingerprints add to the reading of the training pictures, CPU seconds of one process."""
    seconds = {}
    for mode in ("none", resolved("auto", len(items))):
        begun = time.process_time()
        read_pictures(items, classifier.preprocessing, workers=1, prints=mode)
        seconds[mode] = time.process_time() - begun
    print(
        "CPU seconds to read them: "
        + ", ".join(f"fingerprints {mode} {s:.1f}" for mode, s in seconds.items())
    )


def print_found(found: Leaks, clean: int, sources: Sequence[Seen], kinds: Sequence[str]) -> None:
    """Recall, overall and by kind, and what was flagged among the clean pictures, which stand first."""
    by_row = {leak.row - clean: leak for leak in found.leaks}
    hits = [number in by_row for number in range(len(sources))]
    right = sum(by_row[n].training_path == sources[n].path for n in range(len(sources)) if hits[n])
    print(
        f"recall {np.mean(hits):.4f} of {len(hits)} planted copies; {right} name the picture they came from"
    )
    of, missed = Counter(kinds), Counter(kind for kind, hit in zip(kinds, hits, strict=True) if not hit)
    for kind in sorted(of):
        print(f"  {kind:16s} {of[kind] - missed[kind]:3d} of {of[kind]}")
    flagged = [leak for leak in found.leaks if leak.row < clean]
    print(f"flagged among {clean} clean test pictures: {len(flagged)} ({len(flagged) / clean:.4f})")
    for leak in flagged:
        print(f"  {leak.path} {leak.training_path} {leak.kind} {leak.score:.3f}")


if __name__ == "__main__":
    main()
