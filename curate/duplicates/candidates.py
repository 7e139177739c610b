"""Which pictures are worth a second look: near in the hash, or sharing local features.

Two independent searches over the fingerprints; what either finds is handed on, with what it knows of the alignment.
No candidate is a duplicate yet: see `curate.duplicates.evidence`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.duplicates.fingerprints import HASH_SIDE
from curate.engine import default_workers

if TYPE_CHECKING:
    from numpy.typing import NDArray

HASH_RADIUS = 84
"""Hashes that differ in no more of their 256 bits, in the best of eight orientations, are candidates."""

SEARCHED = 64
"""Local features of a picture, the strongest, that take part in the search; all take part in the second look."""

FEATURE_NEIGHBOURS = 6
"""Nearest descriptors that each local feature votes for."""

FEATURE_CANDIDATES = 10
"""Pictures with the most votes that a picture is compared with."""

_BLOCK = 1024
_LISTS_FROM = 60_000


@functools.cache
def orientations() -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """How the hash's bits change when its picture is turned: places int64 (8, 256) and flips bool (8, 256).

    Orientation o: transposed where o & 4, then mirrored left to right where o & 1, then top to bottom where o & 2.
    `bits[places[o]] ^ flips[o]` is the hash of the turned picture. A mirror changes the sign of the odd frequencies
    along its axis; a transposition swaps the axes.
    """
    grid = np.arange(HASH_SIDE * HASH_SIDE).reshape(HASH_SIDE, HASH_SIDE)
    odd = np.arange(1, HASH_SIDE + 1) % 2 == 1
    places, flips = [], []
    for o in range(8):
        places.append((grid.T if o & 4 else grid).ravel())
        flip = np.zeros((HASH_SIDE, HASH_SIDE), bool)
        if o & 1:
            flip ^= odd[None, :]
        if o & 2:
            flip ^= odd[:, None]
        flips.append(flip.ravel())
    return np.array(places), np.array(flips)


def near_hashes(hashes: NDArray[np.uint8], radius: int = HASH_RADIUS) -> Iterator[NDArray[np.int32]]:
    """Pairs of rows of `hashes`, uint8 (n, k, 32), within `radius` bits in some orientation.

    Yields int32 (m, 6) blocks: first, second (first < second), distance, orientation of the second, which of the
    k hashes of the first, which of the second. A pair may come several times. Memory: one block of 1024 x 1024.
    """
    n, kinds, _ = hashes.shape
    signs = np.unpackbits(hashes, axis=2).astype(np.float32) * 2 - 1
    places, flips = orientations()
    bits = signs.shape[2]
    least = bits - 2 * radius
    for start in range(0, n, _BLOCK):
        right = signs[start : start + _BLOCK]
        for kind in range(kinds):
            for o in range(8):
                turned = right[:, kind][:, places[o]] * np.where(flips[o], -1.0, 1.0).astype(np.float32)
                for left in range(0, start + 1, _BLOCK):
                    for other in range(kinds):
                        dot = signs[left : left + _BLOCK, other] @ turned.T
                        i, j = np.nonzero(dot >= least)
                        distance = (bits - dot[i, j]) / 2
                        first, second = i + left, j + start
                        good = first < second
                        same = np.full(len(first), 0)
                        block = np.stack(
                            [first, second, distance, same + o, same + other, same + kind], axis=1
                        )
                        if good.any():
                            yield block[good].astype(np.int32)


def best_hashes(hashes: NDArray[np.uint8], radius: int = HASH_RADIUS) -> NDArray[np.int32]:
    """The best match of each pair that `near_hashes` finds, int32 (m, 6), sorted by pair."""
    blocks = list(near_hashes(hashes, radius))
    if not blocks:
        return np.zeros((0, 6), np.int32)
    found = np.concatenate(blocks)
    found = found[np.lexsort(found.T[[3, 5, 4, 2, 1, 0]])]
    first = np.ones(len(found), bool)
    first[1:] = (found[1:, :2] != found[:-1, :2]).any(axis=1)
    return found[first]


MIRRORED_BINS = np.arange(128).reshape(4, 4, 8)[::-1][:, :, -np.arange(8) % 8].ravel()
"""Where the bins of a SIFT descriptor go when its picture is mirrored: rows of cells swap, angles turn round.

The layout is (row, column, angle) in the frame of the feature's own direction.
"""


def shared_features(
    descriptors: NDArray[np.uint8], owner: NDArray[np.int64], count: int, workers: int | None = None
) -> NDArray[np.int32]:
    """Pairs of pictures whose local features find each other: int32 (m, 2), first < second, sorted.

    `descriptors` uint8 (n, 128), `owner` int64 (n,) the picture of each, 0..count-1. Each feature, as it is and
    mirrored, votes for the pictures of its nearest features; a vote weighs more the nearer it is against the
    farthest neighbour found. The FEATURE_CANDIDATES pictures with the most votes are taken.
    """
    if len(descriptors) < 2:
        return np.zeros((0, 2), np.int32)
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(workers or default_workers())
    try:
        vectors = descriptors.astype(np.float32)
        index = _index(vectors)
        found = []
        for mirror in (False, True):
            queries = vectors[:, MIRRORED_BINS] if mirror else vectors
            distances, neighbours = index.search(np.ascontiguousarray(queries), FEATURE_NEIGHBOURS + 1)
            found.append(_votes(distances, neighbours, owner, count))
    finally:
        faiss.omp_set_num_threads(before)  # torch in this process shares the number
    return _strongest(np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found]), count)


def _index(vectors: NDArray[np.float32]) -> Any:
    """Exact search where that is quick, else over inverted lists whose centres are drawn from the data, seeded."""
    import faiss

    size = vectors.shape[1]
    if len(vectors) < _LISTS_FROM:
        flat = faiss.IndexFlatL2(size)
        flat.add(vectors)
        return flat
    lists = int(4 * np.sqrt(len(vectors)))
    quantizer: Any = faiss.IndexFlatL2(size)
    centres = np.random.default_rng(0).choice(len(vectors), lists, replace=False)
    quantizer.add(vectors[np.sort(centres)])
    index: Any = faiss.IndexIVFScalarQuantizer(quantizer, size, lists, faiss.ScalarQuantizer.QT_8bit_direct)
    index.is_trained = True
    index.add(vectors)
    index.nprobe = 4
    quantizer.this.disown()
    index.own_fields = True
    return index


def _votes(
    distances: NDArray[np.float32], neighbours: NDArray[np.int64], owner: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Keys `asking picture * count + found picture` and the weight of each vote, features of one picture folded."""
    farthest = np.maximum(distances[:, -1:], 1e-6)
    weight = 1 - distances / farthest
    asking = np.repeat(owner[:, None], neighbours.shape[1], axis=1)
    found = owner[neighbours]
    good = (found != asking) & (neighbours >= 0) & (weight > 0)
    key = asking[good] * count + found[good]
    unique, place = np.unique(key, return_inverse=True)
    total = np.bincount(place, weights=weight[good], minlength=len(unique)).astype(np.float64)
    return unique, total


def _strongest(keys: NDArray[np.int64], votes: NDArray[np.float64], count: int) -> NDArray[np.int32]:
    """For each asking picture the pairs with the most votes."""
    asking, found = keys // count, keys % count
    order = np.lexsort((found, -votes, asking))
    asking, found, votes = asking[order], found[order], votes[order]
    starts = np.searchsorted(asking, asking, side="left")
    rank = np.arange(len(asking)) - starts
    good = rank < FEATURE_CANDIDATES
    pairs = np.stack([np.minimum(asking, found), np.maximum(asking, found)], axis=1)[good]
    return np.unique(pairs, axis=0).astype(np.int32)
