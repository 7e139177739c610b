"""How one picture may lie in another: affine maps from local features or matching hashes, and what such a map does.

Every map is float64 (2, 3), from the unit coordinates of the first picture to those of the second.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from curate.duplicates.candidates import MIRRORED_BINS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEAST_INLIERS = 6
_MATCH_RATIO = 0.85
_REPROJECTION = 4.0 / 192
UNIT = np.array([0.0, 0.0, 1.0, 1.0])
ORIENTATIONS = (
    "", "mirrored", "flipped upside down", "turned half round",
    "transposed", "turned a quarter", "turned a quarter", "transposed the other way",
)  # fmt: skip
"""The eight orientations in words; number o as in `candidates.orientations`."""


@dataclass(frozen=True)
class Picture:
    """What the second look reads of a fingerprint, unpacked: see `curate.duplicates.fingerprints.Fingerprint`."""

    thumb: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    points: NDArray[np.float32]
    descriptors: NDArray[np.uint8]


@functools.cache
def turns() -> tuple[NDArray[np.float64], ...]:
    """The eight orientations as maps (3, 3) of the unit square onto itself.

    Number o takes a picture's places to those of another whose hash, turned by o (`candidates.orientations`), is equal.
    """
    mirror = np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]])
    flip = np.array([[1.0, 0, 0], [0, -1, 1], [0, 0, 1]])
    transpose = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]])
    steps = ((1, mirror), (2, flip), (4, transpose))
    maps = []
    for o in range(8):
        turn = np.eye(3)
        for bit, step in steps:
            turn = step @ turn if o & bit else turn
        maps.append(turn)
    return tuple(maps)


def from_unit(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """The map (3, 3) of the unit square onto `box` (left, top, right, bottom)."""
    left, top, right, bottom = box
    return np.array([[right - left, 0, left], [0, bottom - top, top], [0, 0, 1]])


def align_by_hash(a: Picture, b: Picture, orientation: int, kinds: tuple[int, int]) -> NDArray[np.float64]:
    """The map that a match of hashes means: whole pictures or the pictures inside their borders, turned."""
    box_a = a.boxes[1].astype(np.float64) if kinds[0] else UNIT
    box_b = b.boxes[1].astype(np.float64) if kinds[1] else UNIT
    full: NDArray[np.float64] = from_unit(box_b) @ turns()[orientation] @ np.linalg.inv(from_unit(box_a))
    return full[:2]


def match(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.int64]:
    """Indices int64 (m, 2) of descriptors that are each other's nearest and nearer than 0.85 x the second nearest."""
    if len(a) < 3 or len(b) < 3:
        return np.zeros((0, 2), np.int64)
    distance = np.maximum((a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * (a @ b.T), 0)
    rows, best = np.arange(len(a)), distance.argmin(axis=1)
    nearest = distance[rows, best]
    second = np.partition(distance, 1, axis=1)[:, 1]
    good = (nearest < _MATCH_RATIO**2 * second) & (distance.argmin(axis=0)[best] == rows)
    return np.stack([rows[good], best[good]], axis=1)


def align_by_features(a: Picture, b: Picture, mirror: bool) -> tuple[NDArray[np.float64] | None, int]:
    """The map that most matches of local features follow (RANSAC), and how many; None where there is none in reason.

    `mirror` looks for a mirrored copy: the descriptors of `a` are mirrored by moving their bins.
    """
    import cv2

    ours = (a.descriptors[:, MIRRORED_BINS] if mirror else a.descriptors).astype(np.float32)
    pairs = match(ours, b.descriptors.astype(np.float32))
    if len(pairs) < _LEAST_INLIERS:
        return None, 0
    cv2.setRNGSeed(0)
    transform, inliers = cv2.estimateAffine2D(
        a.points[pairs[:, 0], :2].astype(np.float64),
        b.points[pairs[:, 1], :2].astype(np.float64),
        method=cv2.RANSAC,
        ransacReprojThreshold=_REPROJECTION,
        maxIters=500,
        confidence=0.99,
        refineIters=5,
    )
    if transform is None or int(inliers.sum()) < _LEAST_INLIERS:
        return None, 0
    large, small = np.linalg.svd(transform[:, :2], compute_uv=False)
    reversed_ = np.linalg.det(transform[:, :2]) < 0
    if large > 5 or small < 0.2 or large / small > 2.5 or reversed_ != mirror:
        return None, 0
    return transform.astype(np.float64), int(inliers.sum())


def corners(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """The corners of a box (left, top, right, bottom) in homogeneous coordinates, (3, 4)."""
    left, top, right, bottom = box
    return np.array([[left, right, left, right], [top, top, bottom, bottom], [1, 1, 1, 1]])


def orientation(transform: NDArray[np.float64]) -> int:
    """The nearest of the eight orientations."""
    linear = transform[:, :2] / np.sqrt(abs(np.linalg.det(transform[:, :2])))
    return int(np.argmin([np.abs(linear - turn[:2, :2]).max() for turn in turns()]))


def rotation(transform: NDArray[np.float64]) -> float:
    """Degrees, 0..45, between the map's rotation and the nearest quarter turn."""
    u, _, v = np.linalg.svd(transform[:, :2])
    cosine, sine = (u @ v)[0, 0], (u @ v)[1, 0]
    return float(abs((np.degrees(np.arctan2(sine, cosine)) + 45) % 90 - 45))


def frame_distance(a: Picture, b: Picture, transform: NDArray[np.float64]) -> float:
    """How far the map is from taking one frame onto the other, in any orientation: the worst corner, unit coordinates.

    A frame is the whole picture or, on one side, the picture inside its outermost border.
    """
    outer_a, outer_b = a.boxes[0].astype(np.float64), b.boxes[0].astype(np.float64)
    distances = []
    for box_a, box_b in ((UNIT, UNIT), (UNIT, outer_b), (outer_a, UNIT)):
        placed = np.linalg.inv(from_unit(box_b)) @ np.vstack([transform @ corners(box_a), np.ones(4)])
        distances += [np.abs(placed - turn @ corners(UNIT)).max() for turn in turns()]
    return float(min(distances))


def containment(transform: NDArray[np.float64]) -> float:
    """Share of the smaller picture's area that lies inside the other, 0..1."""
    import cv2

    ours = (transform @ corners(UNIT)).T[[0, 1, 3, 2]].astype(np.float32)
    theirs = corners(UNIT)[:2].T[[0, 1, 3, 2]].astype(np.float32)
    common, _ = cv2.intersectConvexConvex(ours, theirs)
    return float(common / max(min(1.0, abs(np.linalg.det(transform[:, :2]))), 1e-9))
