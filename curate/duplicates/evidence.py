"""The second look: two pictures brought into alignment and compared, picture against picture.

The alignment comes from local features under an affine model, or from the hashes that matched. What decides is whether
the two grey copies agree place by place once aligned, and whether the alignment is what an edit of the whole picture
does: leave its frame where it was (perhaps flipped or turned), cut a part out, or put a border around it. Two drawings
that merely hold the same shape rarely stand in their frames alike. File size, picture size, aspect ratio, names,
labels and the rank among the candidates play no part.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from curate.duplicates.alignment import (
    ORIENTATIONS,
    UNIT,
    Picture,
    align_by_features,
    align_by_hash,
    containment,
    corners,
    frame_distance,
    orientation,
    rotation,
)
from curate.duplicates.fingerprints import THUMB

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAME_FRAME = 0.04
_TURNED_FRAME = 0.03
_FAR_HASH, _FAR_AGREEMENT = 60, 0.93
_PART_INLIERS, _PART_TURNED_INLIERS = 8, 30
_PART_INSIDE, _PART_ANGLE = 0.88, 14.0
_PART_HANDICAP = 0.05
_PART_TONE, _PART_TONE_INLIERS = 5.0, 70
_SURE, _PLAUSIBLE, _PLAUSIBLE_PART = 0.87, 0.72, 0.9
_HOPELESS = 0.5
_MOST_OF_IT, _CUT, _LEFT_OUT = 0.7, 0.08, 0.1
_NEAR_HASH, _MANY_INLIERS = 44, 30
_RICH, _MANY_POINTS = 0.5, 100
_NOISE = 4.0
_STRUCTURE = 25.0  # grey levels squared


class Question(NamedTuple):
    """A candidate pair: which pictures (numbers), and the hash that matched (257 bits: none did)."""

    a: int
    b: int
    distance: int
    orientation: int
    kinds: tuple[int, int]


class Finding(NamedTuple):
    """What the second look found: numbers of the pictures, score 0..1, evidence in words.

    `doubt`: the alignment is plausible, but the score leaves doubt that a closer look at the pictures themselves may
    clear up (`curate.duplicates.closer`). `transform`: the map (2, 3) from the unit coordinates of `a` to those of
    `b`, row by row; empty where there is none.
    """

    a: int
    b: int
    score: float
    evidence: str
    doubt: bool = False
    transform: tuple[float, ...] = ()


class Agreement(NamedTuple):
    """How far two aligned grey copies agree: see `agreement`."""

    inside: float
    overlap: float
    shift: float
    structure: float


def judge(work: Sequence[tuple[dict[int, Picture], list[Question]]], threshold: float) -> list[Finding]:
    """The questions whose score reaches `threshold`. Each item brings the pictures that its questions name."""
    import cv2

    cv2.setNumThreads(1)
    findings = []
    for pictures, questions in work:
        for question in questions:
            finding = examine(pictures[question.a], pictures[question.b], question)
            if finding.score >= threshold:
                findings.append(finding)
    return findings


def compare(a: Picture, b: Picture, question: Question) -> tuple[float, str]:
    """Score 0..1 and evidence in words that `a` and `b` are one picture: the best over the possible alignments."""
    finding = examine(a, b, question)
    return finding.score, finding.evidence


def examine(a: Picture, b: Picture, question: Question) -> Finding:
    """What the best of the possible alignments of `a` and `b` says.

    Where none reaches a sure score, the alignment handed on for a closer look is that of the highest agreement, even
    if it is none that an edit of the whole picture makes.
    """
    best = closest = Finding(question.a, question.b, 0.0, "")
    nearest, fewest = -1.0, min(len(a.points), len(b.points))
    for transform, distance, inliers in _alignments(a, b, question):
        found = agreement(a, b, transform)
        close = 0 <= distance <= _NEAR_HASH or inliers >= _MANY_INLIERS
        if found.inside < _HOPELESS and not close:
            continue
        turned = orientation(transform) != 0
        framed = frame_distance(a, b, transform) <= (_TURNED_FRAME if turned else _SAME_FRAME)
        if not framed and lone_object(a, b, transform):
            continue
        score = _score(transform, found, framed=framed, distance=distance, inliers=inliers)
        how = f"{inliers} local features match" if inliers else f"{distance} of 256 bits of the hash differ"
        words = _words(how, transform, score) if score > 0 else ""
        rich = fewest >= _MANY_POINTS if fewest else found.structure >= _RICH
        plausible = _PLAUSIBLE if framed else _PLAUSIBLE_PART
        doubt = found.inside >= plausible or close
        doubt = not rich if score >= _SURE else doubt and (framed or not turned or rich)
        this = Finding(question.a, question.b, score, words, doubt, tuple(transform.ravel().tolist()))
        best = this if score > best.score else best
        if doubt and found.inside > nearest:
            nearest, closest = found.inside, this
        if score > 0.97:
            break
    if best.score >= _SURE:
        return best
    return best._replace(doubt=closest.doubt, transform=closest.transform)


def _alignments(a: Picture, b: Picture, question: Question) -> Iterator[tuple[NDArray[np.float64], int, int]]:
    """The possible alignments: the map, the hash's distance (-1: not by hash), the matching local features."""
    if question.distance <= 256:
        yield align_by_hash(a, b, question.orientation, question.kinds), question.distance, 0
        if question.orientation and any(question.kinds):  # what is inside a border is often symmetric
            yield align_by_hash(a, b, 0, question.kinds), question.distance, 0
    for mirror in (False, True):
        found, inliers = align_by_features(a, b, mirror)
        if found is not None:
            yield found, -1, inliers


def _words(how: str, transform: NDArray[np.float64], score: float) -> str:
    turned = ORIENTATIONS[orientation(transform)]
    return f"{how}; aligned{f' ({turned})' if turned else ''} the pictures agree by {score:.2f}"


def _score(
    transform: NDArray[np.float64], found: Agreement, *, framed: bool, distance: int, inliers: int
) -> float:
    """How far the aligned pictures agree, 0..1; 0 where the alignment is none that an edit makes.

    Where the frames coincide, agreement inside the borders decides. Where one picture would be a part of the other,
    local features must carry the alignment, it must lie inside the other and hardly be rotated, the whole overlap
    must agree, and unless very many features match it must be as bright: a cropped or framed copy keeps its tones,
    the same symbol drawn once more on another ground does not.
    """
    if framed:
        return 0.0 if distance > _FAR_HASH and found.inside < _FAR_AGREEMENT else max(0.0, found.inside)
    turned = orientation(transform) != 0
    if (
        inliers < (_PART_TURNED_INLIERS if turned else _PART_INLIERS)
        or containment(transform) < _PART_INSIDE
        or rotation(transform) > _PART_ANGLE
        or (found.shift > _PART_TONE and inliers < _PART_TONE_INLIERS)
    ):
        return 0.0
    return max(0.0, min(found.inside, found.overlap) - _PART_HANDICAP)


# The alignment's plausibility ------------------------------------------------------------------------------------------


def lone_object(a: Picture, b: Picture, transform: NDArray[np.float64]) -> bool:
    """Whether the one picture shows, on plain ground, one object of several that the other shows: no crop of it.

    Where one picture is clearly a part of the other, a crop cuts through what is drawn, or leaves nothing but ground
    behind; an object that also stands in a scene does neither: no edge reaches the frame, and there are others outside.
    """
    import cv2

    if abs(np.linalg.det(transform[:, :2])) > 1:
        a, b = b, a
        transform = cv2.invertAffineTransform(transform).astype(np.float64)
    if abs(np.linalg.det(transform[:, :2])) >= _MOST_OF_IT:
        return False
    along = np.ones((THUMB, THUMB), bool)
    along[4:-4, 4:-4] = along[0] = along[-1] = along[:, 0] = along[:, -1] = False
    if _edges(a)[along].mean() >= _CUT:
        return False
    frame = np.round((transform @ corners(UNIT))[:, [0, 1, 3, 2]].T * THUMB).astype(np.int32)
    outside = np.ones((THUMB, THUMB), np.uint8)
    cv2.fillConvexPoly(outside, frame, 0)
    outside = cv2.erode(outside, np.ones((7, 7), np.uint8)).astype(np.uint8)
    edges = _edges(b)
    return bool(edges[outside > 0].sum() > _LEFT_OUT * max(int(edges.sum()), 1))


def _edges(picture: Picture) -> NDArray[np.bool_]:
    """Where the grey copy changes by over 5 grey levels a pixel, bool (THUMB, THUMB)."""
    import cv2

    grey = blur(picture.thumb.astype(np.float32), 0.8)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, *d, scale=0.125) for d in ((1, 0), (0, 1)))
    edges: NDArray[np.bool_] = np.hypot(across, down) > 5
    return edges


# Agreement ----------------------------------------------------------------------------------------------------------


def agreement(a: Picture, b: Picture, transform: NDArray[np.float64]) -> Agreement:
    """How far the aligned grey copies agree.

    Local correlation -1..1 inside both pictures' borders, the same over the whole overlap, there the difference of
    the mean grey levels, 0..255, and the share of the frame that holds structure, 0..1.

    Both are compared in the frame of the picture that shows less, so that it is never the finer one that is enlarged.
    """
    import cv2

    if abs(np.linalg.det(transform[:, :2])) < 1:
        a, b = b, a
        transform = cv2.invertAffineTransform(transform).astype(np.float64)
    scale = np.sqrt(abs(np.linalg.det(transform[:, :2])))
    pixels = transform.copy()  # of unit coordinates: pixel i has its centre at (i + 0.5) / THUMB
    pixels[:, 2] = THUMB * transform[:, 2] + 0.5 * (transform[:, 0] + transform[:, 1]) - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (THUMB, THUMB)
    ours = blur(a.thumb.astype(np.float32), 1.2)
    reduced = blur(b.thumb.astype(np.float32), 1.2 * max(1.0, scale))
    theirs = cv2.warpAffine(reduced, pixels, size, flags=flags, borderMode=cv2.BORDER_REPLICATE).astype(
        np.float32
    )
    inside = (cv2.warpAffine(_mask(b.boxes[1]), pixels, size, flags=flags) > 0.99) & (_mask(a.boxes[1]) > 0)
    overlap = cv2.warpAffine(np.ones(size, np.float32), pixels, size, flags=flags) > 0.99
    overlap[[0, -1]] = overlap[:, [0, -1]] = False
    # A border around the one picture must not bleed into the overlap through the blur.
    eroded = cv2.erode(overlap.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    shift = abs(float((ours - theirs)[eroded].mean())) if eroded.any() else 255.0
    varied = inside & (blur((ours - blur(ours, 3.5)) ** 2, 3.5) > _STRUCTURE)
    within = local_correlation(ours, theirs, inside)
    # The overlap can only lower a score further: where there is nothing to lower, its cost is saved.
    over = local_correlation(ours, theirs, eroded) if within >= _HOPELESS else within
    return Agreement(within, over, shift, float(varied.mean()))


def _mask(box: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 inside the box (unit coordinates) and 0 outside, float32 (THUMB, THUMB)."""
    mask = np.zeros((THUMB, THUMB), np.float32)
    left, top, right, bottom = np.round(box * THUMB).astype(int)
    mask[top:bottom, left:right] = 1
    return mask


def blur(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """The picture under a Gaussian of `sigma` pixels, float32."""
    import cv2

    return cv2.GaussianBlur(image, (0, 0), sigma).astype(np.float32, copy=False)


def local_correlation(a: NDArray[np.float32], b: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """Mean over the places under `mask` of the correlation in a Gaussian window (sigma 3.5 pixels), -1..1.

    Places count by the structure that they hold, in either picture alike. Brightness and contrast cancel out place by
    place; `_NOISE` (grey levels squared) keeps flat places from correlating by chance. 0 where under 2 % is masked.
    """
    m = mask.astype(np.float32)
    if m.mean() < 0.02:
        return 0.0

    correlation, structure, _, _ = correlations(a, b, m, functools.partial(blur, sigma=3.5), _NOISE)
    return float((correlation * structure).sum())


def correlations(
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    m: NDArray[np.float32],
    window: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    noise: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Correlation of two pictures place by place, its weights by structure (sum 1), and the variance in either.

    All float32 of one shape; `m` is 1 where it counts and 0 elsewhere, `window` takes local means, `noise` is a variance
    that is added to both.
    """
    weight = window(m) + 1e-6
    mean_a, mean_b = window(a * m) / weight, window(b * m) / weight
    var_a = np.maximum(window(a * a * m) / weight - mean_a * mean_a, 0)
    var_b = np.maximum(window(b * b * m) / weight - mean_b * mean_b, 0)
    both = window(a * b * m) / weight - mean_a * mean_b
    correlation = both / np.sqrt((var_a + noise) * (var_b + noise))
    weights = sum(v * m / max(float((v * m).sum()), 1e-6) for v in (var_a, var_b)) / np.float32(2)
    return correlation, weights, var_a, var_b
