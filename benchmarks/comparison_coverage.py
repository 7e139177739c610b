#!/usr/bin/env python3
"""How often the 95 % interval of `classify compare` holds the true difference, with small classes.

usage: comparison_coverage.py [--sets N]

Two classifiers are right with probability .5 and .6, on the same luck for six of ten pictures; their mistakes fall on any
class. The truth is the difference on 20,000 pictures a class. Beside our resamples stand those that draw as
many pictures of a class as it has.
"""

from __future__ import annotations

import argparse

import numpy as np
from hardware import hardware
from numpy.typing import NDArray

from classify.evaluation.intervals import group_weights

SHAPES = ((10, 5), (20, 10), (10, 30))
RESAMPLES = 600


def answers(classes: int, pictures: int, random: np.random.Generator) -> tuple[NDArray[np.int64], ...]:
    """Labels and both classifiers' predictions, int64 (classes * pictures,)."""
    labels = np.repeat(np.arange(classes), pictures)
    luck, own = random.random((2, len(labels)))
    wrong, other = random.integers(classes, size=(2, len(labels)))
    shared = random.random(len(labels)) < 0.6
    same_mistake = shared & (random.random(len(labels)) < 0.7)
    a = np.where(luck < 0.5, labels, wrong)
    b = np.where(np.where(shared, luck, own) < 0.6, labels, np.where(same_mistake, wrong, other))
    return labels, a, b


def macro_f1(
    labels: NDArray[np.int64], guess: NDArray[np.int64], weights: NDArray[np.float64], classes: int
) -> NDArray[np.float64]:
    """Of each resample, float64 (R,)."""
    total = np.zeros(len(weights))
    for k in range(classes):
        right = weights[:, (labels == k) & (guess == k)].sum(1)
        total += 2 * right / (weights[:, labels == k].sum(1) + weights[:, guess == k].sum(1))
    return total / classes


def plain(classes: int, pictures: int, random: np.random.Generator) -> NDArray[np.float64]:
    """The usual stratified resamples: as many drawn as there are."""
    parts = [random.multinomial(pictures, np.full(pictures, 1 / pictures), RESAMPLES) for _ in range(classes)]
    return np.concatenate(parts, axis=1).astype(float)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=int, default=400)
    given = parser.parse_args()
    print(f"{hardware()}; n = {given.sets} test sets, {RESAMPLES} resamples each\n")
    print("| classes | pictures of each | true difference in macro-F1 | ours | as many as there are |")
    print("|---:|---:|---:|---:|---:|")
    for classes, pictures in SHAPES:
        random = np.random.default_rng(1)
        labels, a, b = answers(classes, 20_000, random)
        once = np.ones((1, len(labels)))
        truth = float((macro_f1(labels, b, once, classes) - macro_f1(labels, a, once, classes))[0])
        held = np.zeros(2)
        for seed in range(given.sets):
            labels, a, b = answers(classes, pictures, random)
            ours = np.concatenate(list(group_weights(labels, np.arange(len(labels)), RESAMPLES, seed)))
            for i, weights in enumerate((ours, plain(classes, pictures, random))):
                difference = macro_f1(labels, b, weights, classes) - macro_f1(labels, a, weights, classes)
                low, high = np.quantile(difference, [0.025, 0.975])
                held[i] += low <= truth <= high
        shares = " | ".join(f"{share:.1%}" for share in held / given.sets)
        print(f"| {classes} | {pictures} | {truth:.3f} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
