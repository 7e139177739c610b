"""From pictures to the different hashes they have, and back from near hashes to rows of pictures."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from curate.duplicates.bands import BLOCK, differing, distinct, flip_distances

if TYPE_CHECKING:
    from numpy.typing import NDArray


def fold(hashes: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The different hashes among `hashes` uint8 (n, k, 32), uint8 (N, 32), in an order that does not depend on that
    of the rows, and which of them each is: int32 (n, k)."""
    n, kinds, _ = hashes.shape
    flat = np.ascontiguousarray(hashes).reshape(n * kinds, 32)
    words = flat.view("<u8")
    mixed = np.zeros(len(flat), np.uint64)
    for word in range(4):
        mixed = (mixed ^ words[:, word]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    order = np.argsort(mixed, kind="stable")
    new = np.ones(len(flat), bool)
    new[1:] = mixed[order[1:]] != mixed[order[:-1]]
    for start in range(1, len(flat), BLOCK):
        here, before = (
            order[start : start + BLOCK],
            order[start - 1 : start - 1 + BLOCK][: len(order) - start],
        )
        new[start : start + BLOCK] |= (words[here] != words[before]).any(axis=1)
    item_of = np.empty(len(flat), np.int32)
    item_of[order] = np.cumsum(new, dtype=np.int32) - 1
    return flat[order[new]], item_of.reshape(n, kinds)


class Members:
    """The rows that have each hash, of `item_of` int32 (n, k); lists of more than `most` are cut."""

    def __init__(self, item_of: NDArray[np.int32], count: int, most: int) -> None:
        self.most = most
        self.n, kinds = item_of.shape
        codes = distinct([item_of[:, kind] * np.int64(self.n) + np.arange(self.n) for kind in range(kinds)])
        self.row = codes % self.n
        self.starts = np.searchsorted(codes, np.arange(count + 1) * self.n)
        self.sizes = np.diff(self.starts)

    def of(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows that have one of the hashes."""
        sizes = self.sizes[items]
        return distinct([self.row[_spread(self.starts[items], sizes)]])

    def pairs(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Pairs of rows, codes `first * n + second`, sorted, that share a hash or whose hashes' pair is among `codes`.

        Of a hash of more than `most` rows each is listed with the first half as many and with the next half as
        many; for pairs of hashes the first `most` rows of each are.
        """
        found: list[NDArray[np.int64]] = []
        waiting = 0
        for first, second in itertools.chain(self._shared(), self._crossed(codes)):
            good = first != second
            found.append((np.minimum(first, second) * self.n + np.maximum(first, second))[good])
            waiting += len(found[-1])
            if waiting > 1 << 22:
                found, waiting = [distinct(found)], 0
        return distinct(found)

    def _shared(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        ends = np.repeat(self.starts[1:], self.sizes)
        begins = np.repeat(self.starts[:-1], self.sizes)
        at = np.arange(len(self.row))
        several = at[ends - begins > 1]
        large = several[(ends - begins)[several] > self.most]
        for step in range(1, self.most + 1):
            reach = several if step <= self.most // 2 else several[(ends - begins)[several] <= self.most]
            reach = reach[reach + step < ends[reach]]
            if not len(reach):
                break
            yield self.row[reach], self.row[reach + step]
        for step in range(self.most // 2):
            yield self.row[large], self.row[begins[large] + step]

    def _crossed(self, codes: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        count = len(self.sizes)
        for start in range(0, len(codes), BLOCK):
            first, second = np.divmod(codes[start : start + BLOCK], count)
            across = np.minimum(self.sizes[second], self.most)
            rows = _spread(self.starts[first], np.minimum(self.sizes[first], self.most))
            pair = np.repeat(np.arange(len(first)), np.minimum(self.sizes[first], self.most))
            yield (
                np.repeat(self.row[rows], across[pair]),
                self.row[_spread(self.starts[second][pair], across[pair])],
            )

    def listed_short(self, codes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Rows, bool (n,), that `pairs` does not list with all they belong to."""
        count = len(self.sizes)
        large = self.sizes > self.most
        first, second = np.divmod(codes, count)
        short = large.copy()
        short[first[large[second]]] = True
        short[second[large[first]]] = True
        rows = np.zeros(self.n, bool)
        rows[self.of(np.flatnonzero(short))] = True
        return rows


def _spread(starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """start, start + 1, ... of each, one after the other: int64 (sum of sizes,)."""
    before = np.cumsum(sizes) - sizes
    return np.repeat(starts - before, sizes) + np.arange(int(sizes.sum()))


def best_of_rows(
    pairs: NDArray[np.int64], item_of: NDArray[np.int32], words: NDArray[np.uint64], radius: int
) -> NDArray[np.int32]:
    """For each pair of rows the nearest of their hashes and orientations, as `candidates.best_hashes` has it;
    pairs that are not within `radius` are left out."""
    n, kinds = item_of.shape
    rows = np.empty((len(pairs), 6), np.int32)
    for start in range(0, len(pairs), BLOCK):
        first, second = np.divmod(pairs[start : start + BLOCK], n)
        best = np.full(len(first), np.iinfo(np.int32).max, np.int32)
        for mine in range(kinds):
            for other in range(kinds):
                for turned in (0, 1):
                    there = item_of[second, other].astype(np.int64) + turned * (len(words) // 2)
                    own = words.take(item_of[first, mine], axis=0)
                    counts = differing(own, words.take(there, axis=0))
                    distance = flip_distances(counts.astype(np.int32))
                    for o in range(4):
                        code = ((distance[o] * kinds + mine) * kinds + other) * 8 + 4 * turned + o
                        best = np.minimum(best, code)
        block = (
            first,
            second,
            best // 8 // kinds**2,
            best % 8,
            best // 8 // kinds % kinds,
            best // 8 % kinds,
        )
        rows[start : start + BLOCK] = np.stack(block, axis=1)
    return rows[rows[:, 2] <= radius]
