#!/usr/bin/env python3
"""Seconds from a predictions table to all its scores: report, intervals and calibration.

usage: evaluation_speed.py [--pictures N] [--classes N] [--rounds N]

The table is made up, with six of ten predictions right, written as `classify evaluate` writes it, and read back each time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from hardware import hardware

from classify.evaluation import classification_report, measure, uncertainty


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--classes", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    generator = np.random.default_rng(0)
    names = [f"class {number}" for number in range(given.classes)]
    labels = np.arange(given.pictures) % given.classes
    belief = generator.random((given.pictures, given.classes), np.float32)
    hit = generator.random(given.pictures) < 0.6
    guesses = np.where(hit, labels, generator.integers(0, given.classes, given.pictures))
    belief[np.arange(given.pictures), guesses] += 1
    belief /= belief.sum(axis=1, keepdims=True)
    made = pd.DataFrame(belief, columns=[f"p:{name}" for name in names])
    made.insert(0, "label", [names[number] for number in labels])
    made.insert(1, "prediction", [names[number] for number in belief.argmax(axis=1)])
    seconds = []
    with tempfile.TemporaryDirectory() as place:
        file = Path(place, "predictions.parquet")
        made.to_parquet(file)
        for _ in range(given.rounds):
            begun = time.perf_counter()
            table = pd.read_parquet(file)
            measure(table, names)
            uncertainty(table, names, 1.3)
            classification_report(table["label"].tolist(), table["prediction"].tolist())
            seconds.append(time.perf_counter() - begun)
    print(
        f"{hardware()}; {given.pictures:,} pictures of {given.classes} classes, n = {given.rounds}: "
        f"mean {np.mean(seconds):.2f} s, standard deviation {np.std(seconds, ddof=1):.2f} s"
    )


if __name__ == "__main__":
    main()
