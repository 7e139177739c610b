"""How long does the search for near hashes take, how much memory, and what does it miss, as the pictures grow in number?

    python benchmarks/search_scale.py                      1e5, 3e5 and 1e6 synthetic fingerprints
    python benchmarks/search_scale.py 1e6 1e7 3e7          these numbers
    python benchmarks/search_scale.py 1e5 --workers 1

Each picture has two random hashes of 256 bits, the same one twice for 3 in 10. Every tenth picture is a copy of
another one, turned or flipped at random and with 0 to `radius` bits changed, as many copies at each distance; one in
200 (up to 5,000) is of a crowd of pictures with next to no information: one hash with 3 in 100 of its bits changed.
`recall` is over the copies; up to 1e5 pictures (--all-with-all 0 leaves it out) also over all pairs within the radius
that comparing all with all finds, those between two pictures of the crowd apart, which are listed with the nearest
only (`crowded` says how many pictures).

Groups are then made of the pairs found, those of the crowd left out, as if the second look had passed them all; no
picture is decoded. Each number runs in a process of its own. CPU seconds are those of parent and workers. Memory is
the largest sum of their resident sets, looked at twice a second, pages that they share counted for each, the hashes
themselves included. The exponent e: the CPU time of the search grows as n to the power of e from the number before.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys

import numpy as np
import pandas as pd
from hardware import hardware
from numpy.typing import NDArray
from scan import Meter

from curate.duplicates.bands import all_near, words_of
from curate.duplicates.candidates import orientations
from curate.duplicates.groups import assemble
from curate.duplicates.listing import fold
from curate.duplicates.search import Matches, join, radius_for
from curate.engine import default_workers

BLOCK = 1 << 14


def noise(rng: np.random.Generator, distances: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Bits to change, bool (m, 256): as many as `distances` says, at random places."""
    ranks = np.argsort(np.argsort(rng.random((len(distances), 256)), axis=1), axis=1)
    changed: NDArray[np.bool_] = ranks < distances[:, None]
    return changed


def fingerprints(n: int, radius: int) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Hashes uint8 (n, 2, 32), planted pairs int64 (m, 2), rows of the crowd."""
    rng = np.random.default_rng(n)
    hashes = rng.integers(0, 256, (n, 2, 32), dtype=np.uint8)
    same = np.flatnonzero(rng.random(n) < 0.3)
    hashes[same, 1] = hashes[same, 0]
    rows = rng.permutation(n)
    copies, hot = n // 10, min(n // 200, 5000)
    crowd, pairs = rows[:hot], rows[hot : hot + 2 * copies].reshape(2, copies).T
    places, flips = orientations()
    for start in range(0, copies, BLOCK):
        source, copy = pairs[start : start + BLOCK].T
        bits = np.unpackbits(hashes[source, 0], axis=1)
        bits ^= noise(rng, rng.integers(0, radius + 1, len(source)))
        turn = rng.integers(0, 8, len(source))
        hashes[copy, rng.integers(0, 2, len(source))] = np.packbits(
            np.take_along_axis(bits, places[turn], axis=1) ^ flips[turn], axis=1
        )
    centre = rng.integers(0, 2, 256, dtype=np.uint8)
    hashes[crowd] = np.packbits(centre ^ (rng.random((hot, 1, 256)) < 0.03), axis=2)
    return hashes, np.sort(pairs, axis=1), np.sort(crowd)


def recall(found: NDArray[np.int64], wanted: NDArray[np.int64]) -> float:
    return float(np.isin(wanted, found).mean()) if len(wanted) else 1.0


def compared_all(hashes: NDArray[np.uint8], radius: int) -> NDArray[np.int64]:
    """Codes first * n + second of all pairs of rows within the radius; of a hash that several have, one row's."""
    items, item_of = fold(hashes)
    codes = all_near(words_of(items), radius)
    owner = np.empty(len(items), np.int64)
    owner[item_of] = np.arange(len(hashes))[:, None]
    first, second = owner[codes // len(items)], owner[codes % len(items)]
    good = first != second
    return np.unique((np.minimum(first, second) * len(hashes) + np.maximum(first, second))[good])


def files_of(n: int) -> pd.DataFrame:
    """As many readable files, each of its own content, as `assemble` takes them."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "path": [f"class{i % 20:02d}/{i:08d}.jpg" for i in range(n)],
            "content": [f"{i:08d}" for i in range(n)],
            "label": [f"class{i % 20:02d}" for i in range(n)],
            "size": rng.integers(5_000, 500_000, n),
            "mtime_ns": rng.integers(0, 10**18, n),
            "format": "JPEG",
            "side": rng.uniform(100, 1000, n),
            "real_side": rng.uniform(50, 500, n),
        }
    )


def measure(n: int, workers: int, all_with_all: int) -> dict[str, float]:
    """What the search and the grouping of `n` pictures took and found."""
    hashes, planted, crowd = fingerprints(n, radius_for(n))
    with Meter() as meter:
        found = join(hashes, workers=workers)
    codes = found.pairs[:, 0].astype(np.int64) * n + found.pairs[:, 1]
    result = {"n": n, "seconds": meter.seconds, "cpu_s": meter.cpu, "peak": meter.peak}
    result |= {"radius": found.radius, "pairs": len(codes), "crowded": len(found.crowded)}
    result["recall"] = recall(codes, planted[:, 0] * n + planted[:, 1])
    if n <= all_with_all:
        all_codes = compared_all(hashes, found.radius)
        in_crowd = np.isin(all_codes // n, crowd) & np.isin(all_codes % n, crowd)
        result["recall_of_all"] = recall(codes, all_codes[~in_crowd])
    apart = outside(found, crowd)
    del hashes, found, codes
    files = files_of(n)
    name = files["content"].to_numpy()
    pairs = pd.DataFrame({"content_a": name[apart[:, 0]], "content_b": name[apart[:, 1]]})
    pairs = pairs.assign(tier="near", score=0.95, evidence="planted")
    with Meter() as meter:
        groups = assemble(files, pairs)
    result |= {"grouping_s": meter.seconds, "grouping_cpu_s": meter.cpu, "grouping_peak": meter.peak}
    return result | {"groups": int(groups["group"].nunique())}


def outside(found: Matches, crowd: NDArray[np.int64]) -> NDArray[np.int64]:
    """The pairs found that are not of two pictures of the crowd."""
    pairs: NDArray[np.int64] = found.pairs[:, :2].astype(np.int64)
    return pairs[~(np.isin(pairs[:, 0], crowd) & np.isin(pairs[:, 1], crowd))]


def show(result: dict[str, float], before: dict[str, float] | None) -> None:
    exponent = ""
    if before:
        exponent = f"{math.log(result['cpu_s'] / before['cpu_s']) / math.log(result['n'] / before['n']):.2f}"
    print(
        f"{result['n']:>12,} {result['radius']:>6} {result['seconds']:>9.1f} {result['cpu_s']:>8.1f} {exponent:>9}"
        f" {result['peak'] / 1e6:>9,.0f} {result['pairs']:>10,} {result['crowded']:>8,} {result['recall']:>9.5f}"
        f" {result.get('recall_of_all', math.nan):>9.5f} {result['grouping_s']:>9.1f} {result['grouping_cpu_s']:>8.1f}"
        f" {result['grouping_peak'] / 1e6:>9,.0f} {result['groups']:>9,}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("numbers", nargs="*", type=lambda text: int(float(text)), help="how many pictures")
    parser.add_argument("--workers", type=int, default=default_workers())
    parser.add_argument("--all-with-all", type=int, default=100_000, help="compare with that up to so many")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.numbers[0], given.workers, given.all_with_all)))
        return
    print(f"{hardware()}; {given.workers} workers")
    print(
        f"{'n':>12} {'radius':>6} {'seconds':>9} {'CPU s':>8} {'exponent':>9} {'peak MB':>9} {'pairs':>10}"
        f" {'crowded':>8} {'recall':>9} {'of all':>9} {'groups s':>9} {'CPU s':>8} {'peak MB':>9} {'groups':>9}"
    )
    before = None
    for n in given.numbers or [100_000, 300_000, 1_000_000]:
        again = [sys.executable, __file__, str(n), "--one", "--workers", str(given.workers)]
        again += ["--all-with-all", str(given.all_with_all)]
        result = json.loads(subprocess.run(again, check=True, stdout=subprocess.PIPE, text=True).stdout)
        show(result, before)
        before = result


if __name__ == "__main__":
    main()
