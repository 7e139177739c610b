#!/usr/bin/env python3
"""How many pictures a second `curate filter-photos` looks at, reading them included, and its memory.

usage: photo_rate.py FOLDER [--repeat N] [--workers N]

Each run has a workspace of its own, in which `curate scan` ran just before, so that the files are only checked for changes.
The first run warms the system's cache and is not counted. Memory: see program_cost.py.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import pandas as pd
from hardware import hardware
from program_cost import run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--workers", type=int)
    given = parser.parse_args()
    curate = str(Path(sys.executable).with_name("curate"))
    more = ["--workers", str(given.workers)] if given.workers else []
    rates, costs, peaks = [], [], []
    pictures = 0
    for number in range(given.repeat + 1):
        with tempfile.TemporaryDirectory() as place:
            at = ["--workspace", str(Path(place, "w")), "--quiet", *more]
            scan = run([curate, "scan", str(given.folder.resolve()), *at], Path(place), 3600)
            both = run([curate, "filter-photos", str(given.folder.resolve()), *at], Path(place), 3600)
            pictures = len(pd.read_parquet(Path(place, "w", "embeddings.parquet")))
            if number:
                rates.append(pictures / both.wall_seconds)
                costs.append(1000 * both.cpu_seconds / pictures)
                peaks.append(both.peak_mb)
            print(f"scan {scan.wall_seconds:.1f} s, filter-photos {both.wall_seconds:.1f} s", flush=True)
    spread = [statistics.stdev(values) if len(values) > 1 else 0.0 for values in (rates, costs)]
    print(f"{hardware()}; n = {given.repeat}, {pictures:,} different pictures, start of the program included")
    print(f"{statistics.mean(rates):.0f} pictures a second (sd {spread[0]:.0f})")
    print(f"{statistics.mean(costs):.1f} ms of CPU each (sd {spread[1]:.1f}), peak {max(peaks):.0f} MB")


if __name__ == "__main__":
    main()
