"""Tables of sampled bits: which hashes agree on them, in any orientation, and are near. See `curate.duplicates.search`.

Hashes are kept as *words*, uint64 (2 n, 4): the n hashes, then the same transposed. A word holds the 64 bits of one
parity of the frequencies, (row, column) = (even, even), (even, odd), (odd, even), (odd, odd) from 0 to 3, so that a
flip of the picture inverts two whole words: left to right 1 and 3, top to bottom 2 and 3, both 1 and 2. A turn is
flips of the transposed.

A table takes b of the 256 bits at random. Two of them serve as pivots; the others, each added to the pivots that flip
with it, do not change under flips. So one key of b - 2 bits serves four orientations.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.duplicates.candidates import orientations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ids = NDArray[np.int32]

BITS = 256

SPLIT_LOSS = 0.05
"""Of what a table finds, the share that may be lost where an overfull bucket is split."""

FULL = 128
"""Hashes of a bucket that are compared with all others of it, before the rest is split by further bits."""

BLOCK = 1 << 15
_SEED = 31


@dataclass(frozen=True)
class Join:
    """What every table needs: the `folder` that `store` filled, `bits` of a table, `radius`, and which `stream` of
    random tables is meant."""

    folder: str
    bits: int
    radius: int
    stream: int = 0


@functools.cache
def layout() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The hash's bit at each place of the words, int64 (256,), and the place whose bit comes there by transposition."""
    places, flips = orientations()
    order = np.argsort(flips[1] + 2 * flips[2].astype(np.int64), kind="stable")
    where = np.empty(BITS, np.int64)
    where[order] = np.arange(BITS)
    return order, where[places[4][order]]


def words_of(hashes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Words uint64 (2 n, 4) of hashes uint8 (n, 32)."""
    order, transposed = layout()
    bits = np.unpackbits(hashes, axis=1)[:, order]
    both = np.packbits(np.concatenate([bits, bits[:, transposed]]), axis=1)
    return np.ascontiguousarray(both).view(np.uint64)


def store(hashes: NDArray[np.uint8], folder: Path) -> None:
    """Write words.npy, columns.npy uint8 (32, n) (the same bits, byte by byte) and an empty crowd.npy bool (n,)."""
    n = len(hashes)
    words = np.lib.format.open_memmap(folder / "words.npy", "w+", np.uint64, (2 * n, 4))
    columns = np.lib.format.open_memmap(folder / "columns.npy", "w+", np.uint8, (32, n))
    for start in range(0, n, BLOCK):
        both = words_of(hashes[start : start + BLOCK])
        stop = min(n, start + BLOCK)
        words[start:stop], words[n + start : n + stop] = np.split(both, 2)
        columns[:, start:stop] = both[: stop - start].view(np.uint8).T
    np.save(folder / "crowd.npy", np.zeros(n, bool))


def load(folder: str, name: str) -> NDArray[Any]:
    """An array that `store` wrote, mapped."""
    return np.asarray(np.load(Path(folder) / f"{name}.npy", mmap_mode="r"))


def differing(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Differing bits of each word of rows of words (m, 4): uint8 (4, m), up to 64."""
    return np.ascontiguousarray(np.bitwise_count(first ^ second).T)


def flip_distances(counts: NDArray[Any]) -> NDArray[Any]:
    """Differing bits of whole hashes from `differing`'s (4, ...): where the second's picture is as it is, flipped left
    to right, top to bottom, both (the order of `candidates.orientations`). In uint8 a distance of 256 becomes 0."""
    same, column, row, both = counts
    across, other = same + 128 - both, column - row
    return np.stack(
        [same + column + row + both, across - other, across + other, same + both + 128 - column - row]
    )


def all_near(words: NDArray[np.uint64], radius: int) -> NDArray[np.int64]:
    """Near pairs of all hashes with all: sorted codes `first * n + second`. A few pairs that differ in each bit pass."""
    n = len(words) // 2
    plain, turned = np.ascontiguousarray(words[:n].T), np.ascontiguousarray(words[n:].T)
    step = max(1, (1 << 19) // max(1, n))
    found = []
    for start in range(0, n, step):
        rows = plain[:, start : start + step, None]
        for others in (plain, turned):
            near = flip_distances(np.bitwise_count(rows ^ others[:, None, start:])).min(axis=0) <= radius
            first, second = np.nonzero(near)
            found.append(((first + start) * n + second + start)[first < second])
    return distinct(found)


def distinct(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The different values of the parts, sorted; quicker than numpy.unique, which hashes integers, by 20 at a million."""
    codes = np.sort(np.concatenate(parts)) if len(parts) else np.zeros(0, np.int64)
    new = np.ones(len(codes), bool)
    np.not_equal(codes[1:], codes[:-1], out=new[1:])
    return codes[new]


def agreement(bits: int, distance: int, of: int = BITS) -> float:
    """Probability that `bits` places drawn from `of` miss all `distance` differing ones: hypergeometric."""
    if bits + distance > of:
        return 0.0
    gamma = math.lgamma
    return math.exp(
        gamma(of - bits + 1) - gamma(of - bits - distance + 1) - gamma(of + 1) + gamma(of - distance + 1)
    )


@dataclass(frozen=True)
class Draw:
    """Random places of the words; the first is a pivot where its word flips, so is the next that flips otherwise.

    `pivots` up to two places, `places` the others, which make the key's bits from the lowest on.
    """

    pivots: tuple[int, ...]
    places: tuple[int, ...]

    @classmethod
    def of(cls, places: Sequence[int], pivots: Sequence[int] = ()) -> Draw:
        """A draw of `places`; where fewer than two `pivots` are given, more are chosen among the places."""
        chosen = list(pivots)
        for place in places:
            if len(chosen) < 2 and place // 64 not in {0, *(pivot // 64 for pivot in chosen)}:
                chosen.append(place)
        return cls(tuple(chosen), tuple(place for place in places if place not in chosen))

    def added(self, place: int) -> list[bool]:
        """Which pivots are added to the bit at `place`, so that it does not change under flips."""
        words = [pivot // 64 for pivot in self.pivots]
        word = place // 64
        if word == 0 or word in words:
            return [word == one for one in words]
        return [True] * len(words)  # 3 = 1 ^ 2: the third word that flips, flips with both others


def keys(columns: NDArray[np.uint8], draw: Draw, transposed: bool) -> NDArray[np.uint32]:
    """The key of each hash, from columns uint8 (32, n); up to 32 places."""
    n = columns.shape[1]
    source = layout()[1] if transposed else np.arange(BITS)
    out = np.zeros((n, 4), np.uint8)
    for start in range(0, n, BLOCK):
        block = columns[:, start : start + BLOCK]
        pivots = [-_moved(block, source[place], 0) for place in draw.pivots]
        for byte in range(0, len(draw.places), 8):
            part = draw.places[byte : byte + 8]
            key = np.zeros(block.shape[1], np.uint8)
            for to, place in enumerate(part):
                key |= _moved(block, source[place], to)
            for which, pivot in enumerate(pivots):
                key ^= pivot & np.uint8(sum(draw.added(place)[which] << to for to, place in enumerate(part)))
            out[start : start + BLOCK, byte // 8] = key
    return out.view("<u4")[:, 0].astype(np.uint32, copy=False)


def _moved(block: NDArray[np.uint8], place: int, to: int) -> NDArray[np.uint8]:
    """The bit at `place` of each hash, moved to bit `to` of a byte."""
    shift = 7 - place % 8 - to
    column = block[place // 8]
    moved: NDArray[np.uint8] = column >> np.uint8(shift) if shift >= 0 else column << np.uint8(-shift)
    return moved & np.uint8(1 << to)


@dataclass
class _Finds:
    """Compares pairs of rows of `words` and keeps the near ones, as codes `first * n + second`, first < second."""

    words: NDArray[np.uint64]
    radius: int
    codes: list[NDArray[np.int64]] = field(default_factory=list)
    waiting: int = 0

    def check(self, first: Ids, second: Ids) -> None:
        n = len(self.words) // 2
        for start in range(0, len(first), BLOCK):
            a, b = first[start : start + BLOCK], second[start : start + BLOCK]
            # take is five times as quick as indexing
            one, other = self.words.take(a, axis=0), self.words.take(b, axis=0)
            near = flip_distances(differing(one, other)).min(axis=0) <= self.radius
            a, b = a[near].astype(np.int64) % n, b[near].astype(np.int64) % n
            code = np.minimum(a, b) * n + np.maximum(a, b)
            self.codes.append(code[a != b])
            self.waiting += len(self.codes[-1])
            if self.waiting > 1 << 21:
                self.result()

    def result(self) -> NDArray[np.int64]:
        self.codes, self.waiting = [distinct(self.codes)], 0
        return self.codes[0]


def join_tables(join: Join, tables: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Near pairs that the given tables find, sorted codes `first * n + second`; and the hashes, sorted, in buckets
    that stayed overfull when split, of which not all were compared with all.

    Hashes of the crowd (crowd.npy) are compared with all others, not with each other.
    """
    columns, words, crowd = (load(join.folder, name) for name in ("columns", "words", "crowd"))
    n = columns.shape[1]
    finds = _Finds(words, join.radius)
    twice = np.concatenate([crowd, crowd])
    free, crowded = np.flatnonzero(~twice).astype(np.int32), np.flatnonzero(twice).astype(np.int32)
    slots = np.zeros(1 << join.bits, np.int32)
    unsplit = np.zeros(n, bool)
    for table in tables:
        rng = np.random.default_rng([_SEED, join.stream, table])
        order = rng.permutation(BITS).tolist()
        draw = Draw.of(order[: join.bits])
        key = np.concatenate([keys(columns, draw, False), keys(columns, draw, True)])
        rest = _rounds(_Bucketed(free, key[free], crowded, key[crowded]), slots, finds)
        if len(rest.ids):
            left = _split(join, draw, order[join.bits :], rest, finds)
            unsplit[free[np.isin(key[free], key[left])] % n] = True
    return finds.result(), np.flatnonzero(unsplit)


@dataclass(frozen=True)
class _Bucketed:
    """Rows of the words and their keys: those that meet each other and the crowd, and the crowd."""

    ids: Ids
    keys: NDArray[np.uint32]
    crowd: Ids
    crowd_keys: NDArray[np.uint32]


def _rounds(given: _Bucketed, slots: NDArray[np.int32], finds: _Finds) -> _Bucketed:
    """Compare all of each bucket; what is left after FULL rounds, in overfull buckets, is returned.

    In a round each bucket's last row is compared with the others of the bucket and leaves. `slots` (as many as keys;
    entries below len(ids)) holds the last row of each; quicker than sorting the keys, by half at 4 million.
    """
    at = np.arange(len(given.ids), dtype=np.int32)
    key, crowd, crowd_keys = given.keys, given.crowd, given.crowd_keys
    last = np.full(len(crowd), -1, np.int32)
    for _ in range(FULL):
        if not len(at):
            break
        slots[key] = at
        head = slots[key]
        if len(crowd):
            met = slots[crowd_keys]
            new = (met != last) & (given.keys[met] == crowd_keys)
            crowd, crowd_keys, last = crowd[new], crowd_keys[new], met[new]
            finds.check(crowd, given.ids[last])
        behind = np.flatnonzero(head != at)
        at, key = at[behind], key[behind]
        finds.check(given.ids[at], given.ids[head[behind]])
    return _Bucketed(given.ids[at], key, crowd, crowd_keys)


def _split(join: Join, draw: Draw, further: list[int], rest: _Bucketed, finds: _Finds) -> Ids:
    """Compare the rows of overfull buckets that agree on some of the `further` places too, in so many ways that
    SPLIT_LOSS is lost; returns the rows that are in an overfull bucket still, some way."""
    ids = np.concatenate([rest.ids, rest.crowd])
    _, bucket = np.unique(np.concatenate([rest.keys, rest.crowd_keys]), return_inverse=True)
    largest = int(np.bincount(bucket[: len(rest.ids)]).max())
    extra = min(16, 3 + math.ceil(math.log2(1 + largest / FULL)))
    found = agreement(extra, join.radius, of=len(further))
    ways = math.ceil(math.log(SPLIT_LOSS) / math.log1p(-found))
    rng = np.random.default_rng([_SEED, join.stream, *draw.places])
    columns = np.ascontiguousarray(finds.words[ids].view(np.uint8).reshape(-1, 32).T)
    left = []
    for _ in range(ways):
        wider = Draw.of(rng.permutation(further)[:extra].tolist(), draw.pivots)
        key = bucket << extra | keys(columns, wider, False)
        names, key = np.unique(key, return_inverse=True)
        key, own = key.astype(np.uint32), len(rest.ids)
        given = _Bucketed(rest.ids, key[:own], rest.crowd, key[own:])
        left.append(_rounds(given, np.zeros(len(names), np.int32), finds).ids)
    return np.unique(np.concatenate(left))
