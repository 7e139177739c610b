"""A split into training and validation that copies cannot leak through, where curate made none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DISTANCE = 6
"""Pictures whose hashes differ in at most so many of 64 bits stay on one side. Wrong joins cost next to nothing."""

_BLOCK = 512


def groups(contents: Sequence[str], hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Number of each picture's group, int64 (N,): same bytes, or hashes (uint64 (N, 2), mirrored second) nearly equal.

    Compares all pairs, in blocks: memory N x 512 x 9 bytes, about 20 s for 100,000 pictures.
    """
    count = len(contents)
    first: dict[str, int] = {}
    left = [first.setdefault(content, index) for index, content in enumerate(contents)]
    pairs = [np.stack([np.arange(count), np.array(left, np.int64)], 1)] if count else []
    for start in range(0, count, _BLOCK):
        block = hashes[start : start + _BLOCK, :1]
        close = np.bitwise_count(block ^ hashes[start:, 0]) <= DISTANCE
        close |= np.bitwise_count(block ^ hashes[start:, 1]) <= DISTANCE
        pairs.append(np.argwhere(close) + start)
    return _components(count, np.concatenate(pairs) if pairs else np.zeros((0, 2), np.int64))


def _components(count: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(pairs), np.int8)
    graph = coo_matrix((ones, (pairs[:, 0], pairs[:, 1])), (count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def hold_out(
    labels: Sequence[str], contents: Sequence[str], group: NDArray[np.int64], share: float, seed: int
) -> NDArray[np.bool_]:
    """Which pictures are held out, bool (N,): about `share` of each class, whole groups, at least one left to train.

    Depends on contents and seed, not on the order or the names of files.
    """
    classes, index = np.unique(np.asarray(labels, str), return_inverse=True)
    sizes = np.bincount(index, minlength=len(classes))
    target = np.minimum(np.maximum(np.round(sizes * share), 1), sizes - 1).astype(np.int64)
    members: dict[int, list[int]] = {}
    for position, number in enumerate(group.tolist()):
        members.setdefault(number, []).append(position)
    ordered = sorted(members.values(), key=lambda positions: min(contents[p] for p in positions))
    held = np.zeros(len(contents), bool)
    taken = np.zeros(len(classes), np.int64)
    for position in np.random.default_rng(seed).permutation(len(ordered)):
        positions = ordered[position]
        wanted = np.bincount(index[positions], minlength=len(classes))
        if np.all(taken + wanted <= target):
            held[positions] = True
            taken += wanted
    return held
