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

_CROWD, _LEAST_CROWD = 0.25, 100
"""A group of look-alikes above this share of all pictures, and of more pictures than this, is not believed."""


def groups(
    contents: Sequence[str], hashes: NDArray[np.uint64], hashed: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int64], bool]:
    """Number of each picture's group, int64 (N,): same bytes, or hashes (uint64 (N, 2), mirrored second) nearly equal.

    Also whether hashes had a say. Only hashes where `hashed` (N,) is true count. Where look-alikes would make one group of a quarter of all pictures
    (handwritten digits do), hashes do not tell these pictures apart: then contents alone count. Compares all pairs, in
    blocks: memory N x 512 x 9 bytes, about 20 s for 100,000 pictures.
    """
    count = len(contents)
    first: dict[str, int] = {}
    left = [first.setdefault(content, index) for index, content in enumerate(contents)]
    copies = _components(count, np.stack([np.arange(count), np.array(left, np.int64)], 1))
    rows = np.arange(count) if hashed is None else np.flatnonzero(hashed)
    group = copies
    for start in range(0, len(rows), _BLOCK):
        close = _close(hashes[rows[start : start + _BLOCK]], hashes[rows[start:]])
        pairs = rows[np.argwhere(close) + start]
        # Known groups stand as links to their first member: memory does not grow with the number of pairs.
        group = _components(count, np.concatenate([_links(group), pairs]))
    sizes = np.bincount(group, minlength=1)
    if sizes.max() > max(_CROWD * count, _LEAST_CROWD) and np.bincount(copies).max() < sizes.max() / 2:
        return copies, False
    return group, len(rows) > 0


def copies_of(
    contents: Sequence[str],
    hashes: NDArray[np.uint64],
    hashed: NDArray[np.bool_],
    chosen: NDArray[np.bool_],
    held: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Which of the `chosen` pictures are the same as, or look like, one of the `held`: bool (N,). All arrays are (N,)."""
    inside = {contents[index] for index in np.flatnonzero(held).tolist()}
    found = np.array([content in inside for content in contents], bool)
    found &= chosen
    rows, others = np.flatnonzero(chosen & hashed), np.flatnonzero(held & hashed)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        found[block] |= _close(hashes[block], hashes[others]).any(1)
    return found


def _close(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether pictures look alike, as they are or one of them mirrored: bool (N, M) from hashes (N, 2) and (M, 2)."""
    straight = np.bitwise_count(one[:, :1] ^ other[:, 0]) <= DISTANCE
    mirrored = np.bitwise_count(one[:, :1] ^ other[:, 1]) <= DISTANCE
    return np.asarray(straight | mirrored, bool)


def _links(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs (N, 2) of each picture with the first one of its group."""
    _, first = np.unique(group, return_index=True)
    return np.stack([np.arange(len(group)), first[group]], 1).astype(np.int64)


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
