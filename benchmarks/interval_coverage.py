#!/usr/bin/env python3
"""How often the 95 % intervals of an evaluation hold the truth, in simulated test folders whose truth is known.

usage: interval_coverage.py [--simulations N]

A population is drawn for each case: for each class how often it is taken for which. Test folders are drawn from it, their
intervals made, and looked whether accuracy, macro-F1 and the classes' F1 and recall of the population lie inside. In
`copies`, every second picture comes with one to five copies, which are classified alike; `copies ignored` shows what
intervals would claim that count them as pictures of their own.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from hardware import hardware
from numpy.typing import NDArray

from classify.evaluation.intervals import f1, intervals

CASES = {
    "20 classes of 50, .60 right": (np.full(20, 50), 0.6),
    "20 classes of 50, .90 right": (np.full(20, 50), 0.9),
    "20 classes of 50, .98 right": (np.full(20, 50), 0.98),
    "20 classes of 10, .60 right": (np.full(20, 10), 0.6),
    "5 classes of 30, .80 right": (np.full(5, 30), 0.8),
    "2 classes of 100, .90 right": (np.full(2, 100), 0.9),
    "100 classes of 5, .70 right": (np.full(100, 5), 0.7),
    "20 classes of 3 to 200, .70 right": (np.round(np.geomspace(3, 200, 20)).astype(int), 0.7),
    "10 classes of 300, .95 right": (np.full(10, 300), 0.95),
}


def population(sizes: NDArray[np.int64], right: float, generator: np.random.Generator) -> NDArray[np.float64]:
    """Probability of each prediction (column) for each class (row)."""
    count = len(sizes)
    wrong = generator.dirichlet(np.full(count, 0.3), count)
    np.fill_diagonal(wrong, 0)
    wrong /= wrong.sum(1, keepdims=True)
    hits = np.clip(right + generator.normal(0, 0.3 * (1 - right), count), 0.05, 0.999)
    table: NDArray[np.float64] = wrong * (1 - hits)[:, None]
    table[np.arange(count), np.arange(count)] = hits
    return table


def cover(
    sizes: NDArray[np.int64], right: float, simulations: int, seed: int, copies: str
) -> NDArray[np.float64]:
    """Share of the simulations in which the truth lies inside: accuracy, macro-F1, a class's F1, a class's recall."""
    generator = np.random.default_rng(seed)
    table = population(sizes, right, generator)
    mass = table * sizes[:, None]
    hits, count = np.diag(table), len(sizes)
    truths = f1(np.diag(mass), mass.sum(1), mass.sum(0))
    accuracy, macro = np.diag(mass).sum() / mass.sum(), truths.mean()
    labels = np.repeat(np.arange(count), sizes)
    inside = np.zeros(4)
    for number in range(simulations):
        edges = table.cumsum(1)[labels]
        guesses = np.minimum((generator.random(len(labels))[:, None] > edges).sum(1), count - 1)
        own, groups = labels, np.arange(len(labels))
        if copies:
            times = np.where(groups % 2 == 1, generator.integers(2, 7, len(groups)), 1)
            own, guesses, groups = (np.repeat(column, times) for column in (labels, guesses, groups))
        found = intervals(own, guesses, None if copies == "ignored" else groups, resamples=400, seed=number)
        low, high = found.f1.T
        worst, best = found.recall.T
        inside += [
            found.accuracy[0] <= accuracy <= found.accuracy[1],
            found.macro_f1[0] <= macro <= found.macro_f1[1],
            ((low <= truths) & (truths <= high)).mean(),
            ((worst <= hits) & (hits <= best)).mean(),
        ]
    return inside / simulations


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulations", type=int, default=1000)
    given = parser.parse_args()
    error = (0.95 * 0.05 / given.simulations) ** 0.5
    print(f"{hardware()}; n = {given.simulations} simulations, standard error {error:.3f}, nominal .95\n")
    print("| case | accuracy | macro-F1 | F1 of a class | recall of a class | s |\n|---|---|---|---|---|---|")
    cases = [(name, *case, "") for name, case in CASES.items()]
    name = "20 classes of 50, .60 right"
    cases += [
        (f"{name}, copies{word}", *CASES[name], how) for word, how in (("", "known"), (" ignored", "ignored"))
    ]
    for number, (name, sizes, right, copies) in enumerate(cases):
        begun = time.perf_counter()
        shares = cover(sizes, right, given.simulations, number, copies)
        figures = " | ".join(f"{share:.3f}" for share in shares)
        print(f"| {name} | {figures} | {time.perf_counter() - begun:.0f} |", flush=True)


if __name__ == "__main__":
    main()
