"""Near hashes among many: a join on sampled bits, in time that grows little faster than the number of pictures.

`near_pairs` finds the pairs that `candidates.best_hashes` finds, within a radius that tightens as the number of
pictures grows (`radius_for`), each with a probability of at least 0.999, without comparing all with all.

Bit-sampling locality-sensitive hashing (Indyk and Motwani, STOC 1998): a table takes b of the 256 bits at random; two
hashes that differ in d bits agree on them with probability C(256 - b, d) / C(256, d). All hashes with one key are
compared; so many tables are taken that all of them miss a pair at the radius in fewer than 1 case in 1,000. How the
eight orientations are dealt with: `curate.duplicates.bands`.
"""

from __future__ import annotations

import functools
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from curate.duplicates.bands import (
    BITS,
    FULL,
    Join,
    agreement,
    all_near,
    differing,
    distinct,
    flip_distances,
    join_tables,
    load,
    store,
    words_of,
)
from curate.duplicates.candidates import HASH_RADIUS
from curate.duplicates.listing import Members, best_of_rows, fold
from curate.engine import Progress, map_chunks, silent

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALL_WITH_ALL = 10_000
"""Up to so many pictures all hashes are compared with all, within HASH_RADIUS."""

LEAST_RADIUS = 31
"""The radius never falls below that: up to it two PDQ hashes, made alike, are called a match by their makers.

Facebook, ThreatExchange, pdq/README.md: "Distance Threshold to consider two hashes to be similar/matching: <=31".
"""

CHANCE_MATCHES = 100
"""Pairs of different pictures that are expected within the radius, among all pictures."""

EFFECTIVE_BITS = 100
"""Independent bits that the hash is taken to have at most.

By the spread of the distances between different pictures it has 216, but here the lower tail decides: in a collection
of 3,384 pictures as many pairs of different ones lie within 72 bits as with 105 independent bits, within 64 as with 90.
"""

PARTNERS = 64
"""Pictures that a crowded picture is listed with at least; all others are listed with all within the radius."""

_MISSED = 0.0005  # with what bands.SPLIT_LOSS adds, under 0.001
_CROWD = 1 << 15
_CROWD_PART = 1 << 13
_SCOUTS = 16
_PORTION = 8
_CHECK_COST = 1.5  # of comparing two hashes, in keys made and looked up: measured at a million pictures


@dataclass(frozen=True)
class Matches:
    """`pairs` int32 (m, 6) as of `candidates.best_hashes`, within `radius` bits, sorted.

    `crowded` int64, sorted: rows whose hash so many others share, or nearly share, that they were not compared or not
    listed with all of those; empty where nothing was left out.
    """

    pairs: NDArray[np.int32]
    radius: int
    crowded: NDArray[np.int64]

    def note(self) -> str:
        """What was left out, for the user."""
        return (
            f"{len(self.crowded)} pictures have hashes that very many others have too, or nearly; each was compared "
            f"with {PARTNERS} or more of those, not with all."
        )


def radius_for(n: int, effective: float = EFFECTIVE_BITS, kinds: int = 2) -> int:
    """The distance within which pairs among `n` pictures with `kinds` hashes each are looked for, in bits of 256.

    The model: two hashes of different pictures, in one orientation, differ in Binomial(effective, 1/2) x 256 /
    effective bits. The radius is the largest at which 8 (kinds n)^2 / 2 comparisons bring at most CHANCE_MATCHES
    pairs, not above HASH_RADIUS and not below LEAST_RADIUS.
    """
    m = max(1, round(effective))
    allowed = CHANCE_MATCHES / max(1.0, 4.0 * (kinds * n) ** 2)
    within, below = 0, 0
    while within <= m and (below := below + math.comb(m, within)) / 2**m <= allowed:
        within += 1
    return min(HASH_RADIUS, max(LEAST_RADIUS, math.ceil(within * BITS / m) - 1))


def effective_bits(distances: NDArray[np.int64]) -> float:
    """Independent bits whose binomial has the lower tail of `distances`, int64 (257,), pairs at each distance.

    From the distance that 1 in 10,000 pairs does not exceed (3.719 standard deviations below the mean), pairs within
    LEAST_RADIUS left out: most of those are copies. EFFECTIVE_BITS where there are fewer than a million pairs.
    """
    pairs = distances.copy()
    pairs[: LEAST_RADIUS + 1] = 0
    total = int(pairs.sum())
    if total < 1_000_000:
        return EFFECTIVE_BITS
    tail = int(np.searchsorted(np.cumsum(pairs), total / 10_000))
    deviation = max(1.0, (BITS / 2 - tail) / 3.719)
    return float((BITS / 2 / deviation) ** 2)


def plan(count: int, radius: int, distances: NDArray[np.int64]) -> tuple[int, int]:
    """Bits of a table, and how many tables, that cost least for `count` different hashes.

    A table costs a key for each hash and its transposed, and a comparison for each pair that meets by chance, of
    which `distances` (as for `effective_bits`) tells how many there will be.
    """
    others = np.arange(BITS + 1) > radius
    share = distances * others / max(1, int((distances * others).sum()))
    best = (math.inf, 0, 0)
    for bits in range(8, 33):
        meet = sum(float(share[d]) * agreement(bits, d) for d in range(radius + 1, BITS + 1))
        tables = math.ceil(math.log(_MISSED) / math.log1p(-agreement(bits, radius)))
        best = min(best, (tables * (1 + _CHECK_COST * 4 * count * meet), bits, tables))
    return best[1], best[2]


def near_pairs(
    hashes: NDArray[np.uint8], *, workers: int | None = None, progress: Progress = silent
) -> Matches:
    """Near pairs among `hashes`, uint8 (n, k, 32): all compared with all within HASH_RADIUS up to ALL_WITH_ALL rows,
    joined within `radius_for` the effective bits of a sample from there on."""
    if len(hashes) > ALL_WITH_ALL:
        return join(hashes, workers=workers, progress=progress)
    items, item_of = fold(hashes)
    words = words_of(items)
    members = Members(item_of, len(items), len(hashes))
    pairs = members.pairs(all_near(words, HASH_RADIUS))
    return Matches(best_of_rows(pairs, item_of, words, HASH_RADIUS), HASH_RADIUS, np.zeros(0, np.int64))


def join(
    hashes: NDArray[np.uint8],
    *,
    radius: int | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> Matches:
    """As `near_pairs`, by the join on sampled bits whatever the number of rows.

    The result depends neither on `workers` nor on the order of the rows, but for which partners crowded rows are
    listed with. Memory, with N <= k n different hashes: files of 96 N bytes in a temporary folder, mapped by all
    processes; in each process 8 N bytes of keys, up to 32 N of slots and lists of places, and blocks of a fixed size; in
    the parent besides about 50 bytes for each pair found.
    """
    n, kinds, _ = hashes.shape
    items, item_of = fold(hashes)
    count = len(items)
    with tempfile.TemporaryDirectory(prefix="curate-search-", ignore_cleanup_errors=True) as folder:
        store(items, Path(folder))
        del items
        distances = _sample_distances(load(folder, "words"))
        if radius is None:
            radius = radius_for(n, min(EFFECTIVE_BITS, effective_bits(distances)), kinds)
        bits, tables = plan(count, radius, distances)
        setting = Join(folder, bits, radius)
        codes, left = _meet_crowd(setting)
        found, waiting = [codes], 0
        for more, unsplit in map_chunks(
            functools.partial(join_tables, setting),
            range(tables),
            workers=workers,
            chunk=_PORTION,
            progress=progress,
        ):
            found.append(more)
            left[unsplit] = True
            waiting += len(more)
            if waiting > max(1 << 20, len(found[0])):
                found, waiting = [distinct(found)], 0
        codes = distinct(found)
        del found
        members = Members(item_of, count, PARTNERS)
        rows = best_of_rows(members.pairs(codes), item_of, load(folder, "words"), radius)
    crowded = members.listed_short(codes)
    crowded[members.of(np.flatnonzero(left))] = True
    return Matches(rows, radius, np.flatnonzero(crowded))


def _sample_distances(words: NDArray[np.uint64], size: int = 2048) -> NDArray[np.int64]:
    """How many pairs of a sample of the hashes, in each of eight orientations, lie at each distance: int64 (257,)."""
    n = len(words) // 2
    chosen = np.sort(np.random.default_rng(0).permutation(n)[:size])
    plain, turned = words[chosen], words[chosen + n]
    counts = np.zeros(BITS + 1, np.int64)
    for at in range(1, len(chosen)):
        for other in (plain, turned):
            counts += _histogram(differing(plain[at], other[:at]))
    return counts


def _histogram(counts: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.bincount(flip_distances(counts.astype(np.int16)).ravel(), minlength=BITS + 1)


def _meet_crowd(setting: Join) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Find the hashes that crowd in buckets which no further bits split, or that are near to FULL others in one table;
    store them (crowd.npy) and compare them with each other. Returns codes of near pairs and, bool (N,), the hashes not
    compared or listed with all of the crowd."""
    words = load(setting.folder, "words")
    n = len(words) // 2
    crowd = np.zeros(n, bool)
    found = []
    for scout in range(_SCOUTS):
        codes, unsplit = join_tables(replace(setting, stream=1), [scout])
        found.append(codes)
        new = np.bincount(codes // n, minlength=n) + np.bincount(codes % n, minlength=n) >= FULL
        new[unsplit] = True
        if not (new & ~crowd).any():
            break
        crowd |= new
        np.save(Path(setting.folder) / "crowd.npy", crowd)
    codes = distinct(found)
    found = [codes[~(crowd[codes // n] & crowd[codes % n])]]
    left = np.zeros(n, bool)
    members = np.flatnonzero(crowd)
    if len(members) > _CROWD:
        members = members[np.argsort(words[members, 0], kind="stable")]
        left[members] = True
    size = _CROWD if len(members) <= _CROWD else _CROWD_PART
    for start in range(0, len(members), size):
        part = np.sort(members[start : start + size])
        for rows, partners, more in _crowd_blocks(words, part, setting.radius):
            left[rows[more]] = True
            first, second = np.minimum(rows[:, None], partners), np.maximum(rows[:, None], partners)
            found.append((first * n + second)[partners >= 0])
    return distinct(found), left


def _crowd_blocks(
    words: NDArray[np.uint64], part: NDArray[np.int64], radius: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]]:
    """Compare all of `part` with all: blocks of rows, their partners int64 (rows, up to PARTNERS) or -1, and whether
    there are more. The partners are the nearest and, where those are not all, the first of the part."""
    n, size = len(words) // 2, len(part)
    plain, turned = np.ascontiguousarray(words[part].T), np.ascontiguousarray(words[part + n].T)
    step = max(1, (1 << 20) // size)
    place = np.arange(size, dtype=np.int32)
    for start in range(0, size, step):
        rows = part[start : start + step]
        own = plain[:, start : start + step, None]
        both = (np.bitwise_count(own ^ other[:, None]).astype(np.int16) for other in (plain, turned))
        near = np.minimum(*(flip_distances(counts).min(axis=0) for counts in both))
        near[np.arange(len(rows)), place[start : start + step]] = BITS + 1
        within = near <= radius
        more = within.sum(axis=1) > PARTNERS
        ranked = near.astype(np.int32) << 16 | place
        first = within & (np.cumsum(within, axis=1, dtype=np.int32) <= PARTNERS // 2) & more[:, None]
        ranked[first] = place[None].repeat(len(rows), axis=0)[first]
        if size > PARTNERS:
            ranked = np.partition(ranked, PARTNERS - 1, axis=1)[:, :PARTNERS]
        yield rows, np.where(ranked >> 16 <= radius, part[ranked & 0xFFFF], -1), more
