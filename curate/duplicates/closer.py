"""A closer look at doubtful pairs: both pictures are decoded again and compared in colour, finely, once registered.

The second look (`evidence`) sees 96 x 96 grey copies. It cannot tell a picture under a watermark from another picture,
nor two drawings that differ by a mouth or by a colour from copies. An edit keeps what a redrawing does not: every edge
stays in its place to a fraction of a pixel, and the colours change by one rule for the whole picture.

Three kinds of evidence decide, in this order: whether everything agrees (then the frame and the tones need not), how
the colours changed, and whether disagreement is what lies over a picture (most of a rich picture agrees, or a line of
text explains it) or a difference of the pictures.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from curate.duplicates.alignment import containment, rotation
from curate.duplicates.colours import judge_colours
from curate.duplicates.evidence import Finding, correlations
from curate.duplicates.refine import colour_terms, refine, robust_fit, warp
from curate.images import Unreadable, open_image, read_bytes, to_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 192
"""Both pictures are compared at SIDE x SIDE pixels."""

_KEPT = 64  # decoded pictures, 0.4 MB each
_LONG, _ACROSS, _FLAT = 0.45, 0.9, 2.4
_WINDOW = 9
_STRUCTURE = (6 / 255) ** 2
_NOISE = (2.5 / 255) ** 2
_EDGE = 0.02
_LEAST_STRUCTURE = 0.03
_RICH = 0.6
_PATCH, _GREY = 0.15, 0.02
_FARTHEST, _CONTAINED, _TILT = 0.1, 0.85, 15.0
_BLURS = ((0.0, 0.0), *((s, 0.0) for s in (0.7, 1.4, 2.2, 3.2)), *((0.0, s) for s in (0.7, 1.4, 2.2, 3.2)))


class Doubt(NamedTuple):
    """A pair to look at: what the second look found, and of each picture the content, a file and its inner box."""

    finding: Finding
    contents: tuple[str, str]
    files: tuple[str, str]
    boxes: tuple[tuple[float, ...], tuple[float, ...]]


class Evidence(NamedTuple):
    """What a registered pair shows. Shares are of the places that hold structure in either picture.

    `agreement` local correlation, weighted by structure; `agreeing` share of places correlated above 0.7; `worst`
    the correlation that 5 % of the places do not reach; `edges` share of the edges of one picture that the other has
    too, the lower and the higher of the two ways; `structure` share of the frame; `differing` share of the common
    area whose colours differ by more than 8 %; `patch` the largest difference of the mean colours of a
    small window; `colours` whether they changed by one rule: 1 yes, 0 perhaps, -1 no; `text` whether they
    differ by a line of text over the one; `blur` by how
    many pixels (sigma) the sharper one was blurred; `placed` whether the map is one that cuts out, frames or turns.
    """

    agreement: float
    agreeing: float
    worst: float
    edges: tuple[float, float]
    structure: float
    differing: float
    patch: float
    colours: int
    text: bool
    blur: float
    placed: bool


def doubts(
    findings: Sequence[Finding],
    contents: Sequence[str],
    places: Mapping[str, str],
    boxes: Sequence[NDArray[np.float32]],
) -> list[Doubt]:
    """What `look` is to look at among `findings`, sorted by the pictures' numbers.

    `contents` and `boxes` (float32 (2, 4), see `fingerprints.Fingerprint`) are those of the pictures by number, `places`
    has a file of each content.
    """
    found = []
    for finding in sorted(f for f in findings if f.doubt):
        pair = finding.a, finding.b
        names = contents[finding.a], contents[finding.b]
        inner = [tuple(float(v) for v in np.asarray(boxes[i]).reshape(2, 4)[1]) for i in pair]
        found.append(Doubt(finding, names, (places[names[0]], places[names[1]]), (inner[0], inner[1])))
    return found


def look(work: Sequence[Doubt]) -> list[Finding]:
    """The findings of `work`, in order, each with the score and words that a closer look leaves it.

    A picture that changed since or cannot be read any more leaves the finding as it is.
    """
    import cv2

    cv2.setNumThreads(1)
    read = functools.lru_cache(maxsize=_KEPT)(_read)
    findings = []
    for doubt in work:
        a, b = (read(content, file) for content, file in zip(doubt.contents, doubt.files, strict=True))
        if a is None or b is None:
            findings.append(doubt.finding._replace(doubt=False))
        else:
            findings.append(settle(doubt.finding, a, b, doubt.boxes))
    return findings


def settle(
    finding: Finding,
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    boxes: tuple[tuple[float, ...], tuple[float, ...]],
) -> Finding:
    """`finding` with the score and words that a closer look at its pictures, from `prepare`, leaves it.

    `boxes` are left, top, right, bottom of what lies inside all borders of either, unit coordinates.
    """
    evidence = gather(a, b, np.array(finding.transform).reshape(2, 3), *boxes)
    score, words = weigh(finding.score, evidence)
    if words:
        said = f"{finding.evidence}; " if finding.evidence else ""
        finding = finding._replace(score=score, evidence=f"{said}a closer look: {words}")
    return finding._replace(doubt=False)


def _read(content: str, file: str) -> NDArray[np.float32] | None:
    """The file as `prepare` makes it; None where it is not the content any more or cannot be read."""
    try:
        data = read_bytes(file)
        if hashlib.sha256(data).hexdigest() != content:
            return None
        return prepare(np.asarray(to_rgb(open_image(data, at_least=SIDE))))
    except Unreadable:
        return None


def prepare(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A picture, uint8 (H, W, 3), as it is compared: float32 (SIDE, SIDE, 3), 0..1."""
    import cv2

    shrink = rgb.shape[0] * rgb.shape[1] > SIDE * SIDE
    small = cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
    return small.astype(np.float32) / np.float32(255)


# The decision -------------------------------------------------------------------------------------------------------


def weigh(first: float, evidence: Evidence | None) -> tuple[float, str]:
    """Score 0..1 and words, from the second look's score and what the closer one shows; no words where that is nothing.

    From 0.87 on, the score says that it is one picture. A pair is moved over that line by strong evidence alone.
    """
    if evidence is None or evidence.structure < _LEAST_STRUCTURE:
        return first, ""
    e = evidence
    aligned = e.edges[0] > 0.97 and e.agreeing > 0.98 and e.worst > 0.8
    clean = e.agreement > 0.98 or (e.agreement > 0.93 and e.structure > 0.09 and e.differing < 0.02)
    if first > 0.5 and e.agreement > 0.75 and e.edges[0] > 0.99 and e.agreeing > 0.995 and e.differing < 0.01:
        clean = True  # pale pictures: what is left of their contrast is hardly more than the noise
    if aligned and clean and e.placed and e.colours > 0 and e.patch < _PATCH:
        sure = max(0.0, (e.agreement - 0.92) / 0.08)
        return max(first, 0.87 + 0.13 * sure), "every edge lies in its place"
    if e.text and e.placed and e.colours > 0 and e.differing > 0.01:
        return max(first, 0.9), "they differ by a line of text over the picture"
    if e.placed and e.structure >= _RICH and e.agreeing > 0.6 and e.edges[1] > 0.85:
        return max(first, 0.87 + 0.1 * (e.agreeing - 0.6) / 0.4), f"{e.agreeing:.0%} of a rich picture agrees"
    if e.structure >= _RICH:
        return first, ""
    if e.colours < 0 and e.edges[0] > 0.95 and e.agreeing > 0.95 and e.blur < 1:
        return min(first, 0.8), "regions have other colours"
    missing = 1 - e.edges[1]  # an overlay adds lines to one picture; a redrawing has others in both
    both_ways = missing > float(np.interp(first, (0.92, 0.96), (0.4, 0.85))) * (1 - e.edges[0])
    if e.worst < 0.3 and e.blur < 3 and missing > 0.04 and both_ways:
        return min(first, max(0.0, 0.84 - missing)), "lines of either picture are missing in the other"
    return first, ""


# Evidence -----------------------------------------------------------------------------------------------------------


def gather(
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    transform: NDArray[np.float64],
    box_a: tuple[float, ...] = (0, 0, 1, 1),
    box_b: tuple[float, ...] = (0, 0, 1, 1),
) -> Evidence | None:
    """What two prepared pictures show under the map `transform` (2, 3) from unit coordinates of `a` to those of `b`.

    Compared is what lies inside both boxes (left, top, right, bottom), in the frame of the picture that shows less;
    None where that is under 2 % of the frame.
    """
    import cv2

    if abs(np.linalg.det(transform[:, :2])) < 1:
        a, b, box_a, box_b = b, a, box_b, box_a
        transform = cv2.invertAffineTransform(transform).astype(np.float64)
    scale = float(np.sqrt(abs(np.linalg.det(transform[:, :2]))))
    if scale > 1.25:
        b = _blur(b, 0.45 * scale)
    refined = refine(a, b, transform, box_a)
    mask = _common(refined, box_a, box_b)
    if mask.mean() < 0.02:
        return None
    ours, theirs = _blur(a, 1.0), _blur(warp(b, refined), 1.0)
    sample = mask[::4, ::4]
    from_, to = ours[::4, ::4][sample], theirs[::4, ::4][sample]
    (rule, residual), (back, other) = (robust_fit(colour_terms(x), y) for x, y in ((from_, to), (to, from_)))
    if float(residual.mean()) <= float(other.mean()):
        ours = (colour_terms(ours.reshape(-1, 3)) @ rule).reshape(ours.shape)
    else:
        theirs, residual = (colour_terms(theirs.reshape(-1, 3)) @ back).reshape(theirs.shape), other
    mapped, theirs, blur = _equally_sharp(ours, theirs, mask)
    grey = _grey(mapped), _grey(theirs)
    gradients = [
        np.stack([cv2.Sobel(g, cv2.CV_32F, *d, scale=0.125) for d in ((1, 0), (0, 1))]) for g in grey
    ]
    strengths = [np.hypot(*g) for g in gradients]
    dot = (gradients[0] * gradients[1]).sum(axis=0)
    kept = sorted(_kept(strength, dot, mask) for strength in strengths)
    correlation, weight, structure = _correlations(*grey, mask)
    there = correlation[structure] if structure.any() else np.zeros(1, np.float32)
    difference = np.sqrt(((mapped - theirs) ** 2).mean(axis=2))
    flat = ((strengths[0] < 0.03) & (strengths[1] < 0.03))[::4, ::4][sample]
    flat = flat if flat.sum() >= 50 else residual < 0.1
    return Evidence(
        agreement=float((correlation * weight).sum()),
        agreeing=float((there > 0.7).mean()),
        worst=float(np.quantile(there, 0.05)),
        edges=(kept[0], kept[1]),
        structure=float(structure.mean()),
        differing=float((difference[mask] > 0.08).mean()),
        patch=float((_window_mean(difference * mask) * mask).max()),
        colours=_judge_both_ways(from_[flat], to[flat]),
        text=_is_line_of_text(
            mask & (difference > 0.05), mask, (correlation > 0.7) | ~structure, strengths, dot
        ),
        blur=blur,
        placed=(
            containment(refined) > _CONTAINED
            and rotation(refined) < _TILT
            and float(np.abs(refined - transform).max()) < _FARTHEST
        ),
    )


def _window_mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    import cv2

    mean = cv2.boxFilter(values, -1, (_WINDOW, _WINDOW), borderType=cv2.BORDER_REFLECT)
    return mean.astype(np.float32, copy=False)


def _judge_both_ways(a: NDArray[np.float32], b: NDArray[np.float32]) -> int:
    """`judge_colours` from the one to the other and back: which of them is the copy is not known.

    Where the rule holds in one direction alone, several colours became one. That is an edit where nothing but grey is
    left; else it may be a region that was filled with the colour of another.
    """
    there, back = judge_colours(a, b), judge_colours(b, a)
    if max(there, back) < 1 or min(there, back) >= 0:
        return max(there, back)
    copy = b if there > 0 else a
    return int(float(np.abs(copy - copy.mean(axis=1, keepdims=True)).mean()) < _GREY)


def _grey(image: NDArray[np.float32]) -> NDArray[np.float32]:
    import cv2

    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32, copy=False)


def _blur(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    import cv2

    return cv2.GaussianBlur(image, (0, 0), sigma).astype(np.float32, copy=False)


def _common(
    transform: NDArray[np.float64], box_a: tuple[float, ...], box_b: tuple[float, ...]
) -> NDArray[np.bool_]:
    """Where both pictures lie, inside their boxes, without two pixels along the edge."""
    import cv2

    masks = []
    for box in (box_a, box_b):
        left, top, right, bottom = np.round(np.array(box) * SIDE).astype(int)
        mask = np.zeros((SIDE, SIDE), np.float32)
        mask[top:bottom, left:right] = 1
        masks.append(mask)
    theirs = warp(masks[1], transform, outside=0.0) > 0.99
    both = (theirs & (masks[0] > 0)).astype(np.uint8)
    eroded: NDArray[np.bool_] = (
        cv2.erode(both, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    )
    return eroded


def _equally_sharp(
    a: NDArray[np.float32], b: NDArray[np.float32], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Both pictures, the sharper one blurred until they agree best, and by how much (sigma, pixels)."""

    small = [_grey(np.ascontiguousarray(image[::2, ::2])) for image in (a, b)]
    inside = mask[::2, ::2]
    best, chosen = np.inf, (0.0, 0.0)
    for blurs in _BLURS:
        u, v = (_blur(g, s) if s else g for g, s in zip(small, blurs, strict=True))
        cost = float(np.minimum(np.abs(u - v)[inside], 0.1).mean())
        if cost < 0.97 * best:
            best, chosen = cost, blurs
    first, second = (_blur(image, 2 * s) if s else image for image, s in zip((a, b), chosen, strict=True))
    return first, second, 2 * max(chosen)


def _kept(strength: NDArray[np.float32], dot: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """Share of a picture's edges, by strength, that the other picture has at the same place and in the same direction.

    `dot` is the product of both pictures' gradients. 0 where there are no edges.
    """
    edge = mask & (strength > _EDGE)
    ours = strength[edge]
    ratio = dot[edge] / (ours * ours)
    return float(ours[(ratio > 0.25) & (ratio < 2)].sum() / max(float(ours.sum()), 1e-6))


def _correlations(
    a: NDArray[np.float32], b: NDArray[np.float32], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Local correlation of two grey pictures in a square window, its weights by structure, and where structure is."""
    correlation, weights, var_a, var_b = correlations(a, b, mask.astype(np.float32), _window_mean, _NOISE)
    return correlation, weights, mask & (np.maximum(var_a, var_b) > _STRUCTURE)


def _is_line_of_text(
    differing: NDArray[np.bool_],
    mask: NDArray[np.bool_],
    agrees: NDArray[np.bool_],
    strengths: Sequence[NDArray[np.float32]],
    dot: NDArray[np.float32],
) -> bool:
    """Whether the pictures differ by a line of text, or a strip, that lies over the one and across lines of the other.

    The places that differ, closed, must form one long flat region; outside it everything agrees; inside it, the
    picture with fewer edges has some, and hardly any of them is hidden, unless it is a strip across the whole picture.
    """
    import cv2

    specks = cv2.morphologyEx(differing.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    closed = cv2.morphologyEx(specks, cv2.MORPH_CLOSE, np.ones((5, 19), np.uint8))
    region = mask & (cv2.dilate(closed, np.ones((7, 7), np.uint8)) > 0)
    count, _, found, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8))
    if count < 2:
        return False
    largest = found[1 + int(found[1:, cv2.CC_STAT_AREA].argmax())]
    width, height = int(largest[cv2.CC_STAT_WIDTH]), int(largest[cv2.CC_STAT_HEIGHT])
    long_and_flat = width > _LONG * SIDE and width > _FLAT * height
    if not long_and_flat or largest[cv2.CC_STAT_AREA] < 0.9 * region.sum():
        return False
    outside = mask & ~region
    if not agrees[outside].mean() > 0.97 or min(_kept(s, dot, outside) for s in strengths) < 0.98:
        return False
    if width > _ACROSS * SIDE:
        return all(float(s[outside].sum()) > 0.5 * float(s[mask].sum()) for s in strengths)
    under = min(strengths, key=lambda s: float(s[mask & (s > _EDGE)].sum()))
    crossed = region & (under > _EDGE)
    ratio = dot[crossed] / (under[crossed] ** 2)
    hidden = float(under[crossed][(ratio < 0.25) | (ratio > 2)].sum())
    return int(crossed.sum()) > 200 and hidden < 0.1 * float(under[mask & (under > _EDGE)].sum())
