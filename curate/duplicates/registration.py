"""Two files of one picture, decoded again and brought into register to the pixel.

The second look (`evidence`) finds that two pictures are one; which of them was made from the other shows only in
their pixels. `plate` reads a file; `register` finds the map from one to the other: whole pictures or the pictures
inside their borders in one of the eight orientations, or what local features say. Where both have one scale the map
is refined to whole pixels.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from curate.duplicates import alignment, evidence
from curate.duplicates.alignment import Picture
from curate.duplicates.fingerprints import THUMB
from curate.images import open_image, orientation, read_bytes, to_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

WORK_SIDE = 384
"""Longer side at most of the copy that is compared, pixels."""

NATIVE_SIDE = 512
"""What is measured at the file's own scale is measured in the middle, this many pixels a side at most."""

RELIABLE = 0.35
"""Least agreement (`evidence.local_correlation`) of a map that is used."""

_SAMPLES = 24
_CERTAIN, _SURE, _PLACED = 0.99, 0.97, 0.9
_MOST_ROTATED = 15.0
_UNIT = np.array([0.0, 0.0, 1.0, 1.0])
_ONE_SCALE, _UPRIGHT = 0.02, 0.7
_REACH = 3
_TEMPLATE = 160


@dataclass(frozen=True)
class Plate:
    """A file's pixels for comparing. `soft` float32 (THUMB, THUMB), blurred; `rgb` uint8 (h, w, 3), at most WORK_SIDE a side; `grey` float32 (h, w), its luma;
    `native` float32, luma of the middle at the file's own scale, its place a multiple of 8 from the corner of the
    picture as stored; `width`, `height` pixels of the whole; `table` float32 (8, 8), the JPEG's luma steps in the
    frame of the picture as shown, or None; `grid` x, y of the first 8 x 8 block of the JPEG's own grid in `native`.
    """

    picture: Picture
    soft: NDArray[np.float32]
    rgb: NDArray[np.uint8]
    grey: NDArray[np.float32]
    native: NDArray[np.float32]
    width: int
    height: int
    format: str
    turned: bool
    table: NDArray[np.float32] | None
    grid: tuple[int, int]
    origin: tuple[int, int]


def plate(path: str, picture: Picture) -> Plate:
    """Read a file for comparing. Raises `curate.images.Unreadable`."""
    import cv2

    image = open_image(read_bytes(path))
    turn = orientation(image)
    form = image.format or ""
    tables = getattr(image, "quantization", None) if form in ("JPEG", "MPO") else None
    rgb = np.asarray(to_rgb(image))
    height, width = rgb.shape[:2]
    table = None
    if tables:
        table = np.array(tables[min(tables)], np.float32).reshape(8, 8)
        table = table.T if turn >= 5 else table
    x, y = ((size - NATIVE_SIDE) // 2 // 8 * 8 if size > NATIVE_SIDE else 0 for size in (width, height))
    native = cv2.cvtColor(
        np.ascontiguousarray(rgb[y : y + NATIVE_SIDE, x : x + NATIVE_SIDE]), cv2.COLOR_RGB2GRAY
    ).astype(np.float32)
    scale = WORK_SIDE / max(width, height)
    if scale < 1:
        size = (max(8, round(width * scale)), max(8, round(height * scale)))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grid = (width % 8 if turn in (2, 3, 6, 7) else 0, height % 8 if turn in (3, 4, 7, 8) else 0)
    soft = cv2.GaussianBlur(picture.thumb.astype(np.float32), (0, 0), 1.5).astype(np.float32, copy=False)
    return Plate(picture, soft, rgb, grey, native, width, height, form, turn != 1, table, grid, (x, y))


class Registration(NamedTuple):
    """`transform` float64 (3, 3), unit coordinates of a to those of b; `score` how far the pictures agree under it;
    `pixels` float64 (3, 3), the same in pixels of the files; `exact`: an orientation and a shift by whole pixels."""

    transform: Floats
    score: float
    pixels: Floats
    exact: bool

    @property
    def orientation(self) -> int:
        """The nearest of the eight orientations (see `turned`)."""
        return alignment.orientation(self.pixels[:2])

    def reversed(self) -> Registration:
        """The map from b to a."""
        back, pixels = (np.linalg.inv(matrix).astype(np.float64) for matrix in (self.transform, self.pixels))
        return Registration(back, self.score, pixels, self.exact)


def register(a: Plate, b: Plate) -> Registration:
    """The map from `a` to `b`; where none agrees, the score is 0."""
    transform, score = _by_frames(a, b)
    candidates = _by_features(a.picture, b.picture) if score < _SURE else []
    candidates += _by_placing(a, b) if score < _PLACED else []
    for candidate in candidates:
        agreed = _agreement(a.picture, b.picture, candidate)
        if agreed > score + max(0.02, (1 - score) / 2):
            transform, score = candidate, agreed
    refined = _to_whole_pixels(a, b, transform)
    exact = refined is not None
    transform = transform if refined is None else refined
    pixels = _size(b) @ transform @ np.linalg.inv(_size(a))
    return Registration(transform, score, pixels, exact)


def _size(plate: Plate) -> Floats:
    return np.diag([float(plate.width), float(plate.height), 1.0])


def _boxes(picture: Picture) -> list[Floats]:
    """The whole picture, and the picture inside its borders where it has any."""
    boxes = [_UNIT]
    for box in picture.boxes.astype(np.float64):
        if all(np.abs(box - other).max() > 0.012 for other in boxes):
            boxes.append(box)
    return boxes


def _by_frames(a: Plate, b: Plate) -> tuple[Floats, float]:
    """The best of the maps that take a frame onto a frame; the first, whole upright pictures, wins near ties."""
    first, second = _boxes(a.picture), _boxes(b.picture)
    turns = np.stack(alignment.turns())
    maps = np.concatenate(
        [alignment.from_unit(box) @ turns for box in second]
        + [turns @ np.linalg.inv(alignment.from_unit(box)) for box in first[1:]]
    )
    scores = _point_correlation(a.soft, b.soft, maps)
    best = int(np.argmax(scores + np.r_[0.01, np.full(7, 0.005), np.zeros(len(maps) - 8)]))
    if scores[best] > _CERTAIN or scores[best] < RELIABLE:
        return maps[best], float(scores[best]) if scores[best] > RELIABLE else 0.0
    return maps[best], _agreement(a.picture, b.picture, maps[best])


def _by_features(a: Picture, b: Picture) -> list[Floats]:
    """The maps that local features follow, mirrored or not, where they are hardly rotated."""
    maps = []
    for mirror in (False, True):
        found, _ = alignment.align_by_features(a, b, mirror)
        if found is not None and alignment.rotation(found) < _MOST_ROTATED:
            maps.append(np.vstack([found, [0.0, 0.0, 1.0]]))
    return maps


def _by_placing(a: Plate, b: Plate) -> list[Floats]:
    """The map that lays the smaller picture, at its own scale, where it fits best on the larger: for drawings on a
    plain ground, whose borders cannot be told from it."""
    import cv2

    if max(a.width, a.height, b.width, b.height) > WORK_SIDE or (a.width, a.height) == (b.width, b.height):
        return []
    if a.width * a.height > b.width * b.height:
        return [np.linalg.inv(found).astype(np.float64) for found in _by_placing(b, a)]
    window = cv2.resize(b.grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    best: tuple[float, Floats] | None = None
    for o, turn in enumerate(alignment.turns()):
        part = cv2.resize(
            np.ascontiguousarray(turned(a.grey, o)), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA
        )
        if part.shape[0] > window.shape[0] or part.shape[1] > window.shape[1]:
            continue
        scores = cv2.matchTemplate(window, part, cv2.TM_CCOEFF_NORMED)
        row, column = np.unravel_index(int(np.argmax(scores)), scores.shape)
        width, height = (a.height, a.width) if o & 4 else (a.width, a.height)
        box = np.array([2 * column, 2 * row, 2 * column + width, 2 * row + height], np.float64)
        box /= (b.width, b.height, b.width, b.height)
        if best is None or scores[row, column] > best[0] + 0.01:
            best = (float(scores[row, column]), alignment.from_unit(box) @ turn)
    return [] if best is None else [best[1]]


@functools.cache
def _points() -> Floats:
    """24 x 24 points of the unit square: x, y, 1; float64 (3, 576)."""
    line = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    x, y = (axis.ravel() for axis in np.meshgrid(line, line))
    return np.stack([x, y, np.ones_like(x)])


def _point_correlation(a: NDArray[np.float32], b: NDArray[np.float32], maps: Floats) -> Floats:
    """Correlation of two grey copies at 24 x 24 points of `a`, under each of the maps (n, 3, 3); float64 (n,)."""
    x, y, _ = _points()
    places = maps[:, :2, :] @ _points()
    inside = ((places > 0) & (places < 1)).all(axis=1)
    at = np.clip((places * THUMB).astype(np.int64), 0, THUMB - 1)
    ours = a[(y * THUMB).astype(np.int64), (x * THUMB).astype(np.int64)].astype(np.float64)[None] * inside
    theirs = b[at[:, 1], at[:, 0]].astype(np.float64) * inside
    count = np.maximum(inside.sum(axis=1), 1)
    ours = (ours - ours.sum(axis=1, keepdims=True) / count[:, None]) * inside
    theirs = (theirs - theirs.sum(axis=1, keepdims=True) / count[:, None]) * inside
    scores: Floats = (ours * theirs).sum(1) / np.sqrt((ours**2).sum(1) * (theirs**2).sum(1) + 1e-3)
    scores[count < 0.05 * len(x)] = 0.0
    return scores


def _agreement(a: Picture, b: Picture, transform: Floats) -> float:
    """Local correlation of the grey copies over the whole overlap."""
    import cv2

    pixels = transform[:2].copy()
    pixels[:, 2] = THUMB * transform[:2, 2] + 0.5 * (transform[:2, 0] + transform[:2, 1]) - 0.5
    flags, size = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, (THUMB, THUMB)
    ours, theirs = (evidence.blur(t.astype(np.float32), 1.0) for t in (a.thumb, b.thumb))
    moved = cv2.warpAffine(theirs, pixels, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    overlap = cv2.warpAffine(np.ones(size, np.float32), pixels, size, flags=flags) > 0.99
    return max(0.0, evidence.local_correlation(ours, moved.astype(np.float32), overlap))


def turned(array: NDArray[np.float32], turn: int) -> NDArray[np.float32]:
    """`array` (h, w) in one of the eight orientations: 1 mirrored, 2 upside down, then 4 transposed."""
    array = array[:, ::-1] if turn & 1 else array
    array = array[::-1] if turn & 2 else array
    return array.T if turn & 4 else array


def _to_whole_pixels(a: Plate, b: Plate, transform: Floats) -> Floats | None:
    """The map as an orientation and a shift by whole pixels; None where the scales differ or it is rotated."""
    import cv2

    pixels = _size(b) @ transform @ np.linalg.inv(_size(a))
    scales = np.linalg.svd(pixels[:2, :2], compute_uv=False)
    if alignment.rotation(pixels[:2]) > _UPRIGHT or np.abs(scales - 1).max() > _ONE_SCALE:
        return None
    o = alignment.orientation(pixels[:2])
    turn = alignment.turns()[o]
    width, height = (a.height, a.width) if o & 4 else (a.width, a.height)
    if (width, height) == (b.width, b.height) and np.abs(transform - turn).max() < 0.01:
        return turn
    to_turned = np.diag([float(width), float(height), 1.0]) @ turn @ np.linalg.inv(_size(a))
    middle = np.array([width / 2, height / 2, 1.0])
    shift = (pixels @ np.linalg.inv(to_turned) @ middle - middle)[:2]
    if max(a.width, a.height, b.width, b.height) <= WORK_SIDE:
        found = _best_shift(np.ascontiguousarray(turned(a.grey, o)), b.grey, shift, cv2)
        if found is None:
            return None
        shift = found
    else:
        shift = np.rint(shift)
    moved = np.array([[1.0, 0.0, shift[0]], [0.0, 1.0, shift[1]], [0.0, 0.0, 1.0]])
    exact: Floats = np.linalg.inv(_size(b)) @ moved @ to_turned @ _size(a)
    return exact


def _best_shift(a: NDArray[np.float32], b: NDArray[np.float32], shift: Floats, cv2: object) -> Floats | None:
    """The shift by whole pixels, near `shift`, at which `a` lies best on `b`; None where they hardly overlap."""
    span = []
    for axis in (1, 0):
        move = shift[1 - axis]
        low = int(np.ceil(max(0.0, -move))) + _REACH
        high = int(np.floor(min(a.shape[axis], b.shape[axis] - move))) - _REACH
        if high - low < 24:
            return None
        spare = max(0, high - low - _TEMPLATE) // 2
        span.append((low + spare, high - spare))
    (left, right), (top, bottom) = span
    x, y = left + round(shift[0]) - _REACH, top + round(shift[1]) - _REACH
    x, y = max(0, x), max(0, y)
    window = b[y : y + bottom - top + 2 * _REACH, x : x + right - left + 2 * _REACH]
    if window.shape[0] < bottom - top or window.shape[1] < right - left:
        return None
    scores = cv2.matchTemplate(window, a[top:bottom, left:right], cv2.TM_CCOEFF_NORMED)  # type: ignore[attr-defined]
    row, column = np.unravel_index(int(np.argmax(scores)), scores.shape)
    return np.array([x + float(column) - left, y + float(row) - top])


def render(
    a: Plate, b: Plate, found: Registration, side: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Both pictures in the frame of the one that shows less, at the coarser one's scale: float32 (h, w, 3), and where
    both are."""
    within_a = abs(np.linalg.det(found.transform[:2, :2])) <= 1.0001
    base = a if within_a else b
    shape = np.array([base.width, base.height], np.float64)
    seen = found if within_a else found.reversed()
    size = shape * np.minimum(1, np.hypot(*seen.pixels[:2, :2]))
    size = size * min(1.0, side / size.max(), base.rgb.shape[1] / base.width)
    width, height = max(16, round(size[0])), max(16, round(size[1]))
    maps = (np.eye(3), seen.transform) if within_a else (seen.transform, np.eye(3))
    (first, inside_a), (second, inside_b) = (
        _through(plate, to, width, height) for plate, to in zip((a, b), maps, strict=True)
    )
    return first, second, inside_a & inside_b


def _through(
    plate: Plate, transform: Floats, width: int, height: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A picture seen in a frame: `transform` takes the frame's unit coordinates to the picture's."""
    import cv2

    rows, columns = plate.rgb.shape[:2]
    source = plate.rgb.astype(np.float32)
    if (rows, columns) == (height, width) and np.abs(transform - np.eye(3)).max() < 1e-9:
        return source, np.ones((height, width), np.bool_)
    pixels = np.diag([columns, rows, 1.0]) @ transform @ np.diag([1 / width, 1 / height, 1.0])
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    pixels = np.linalg.inv(half) @ pixels @ half
    reduced = np.abs(pixels[:2, :2]).max(axis=1)
    if reduced.max() > 1.01:
        sigma = np.maximum(0.5 * np.sqrt(np.maximum(reduced**2 - 1, 0)), 0.01)
        source = cv2.GaussianBlur(source, (0, 0), sigmaX=sigma[0], sigmaY=sigma[1]).astype(
            np.float32, copy=False
        )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(source, pixels[:2], (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.ones((rows, columns), np.float32), pixels[:2], (width, height), flags=flags)
    return seen.astype(np.float32, copy=False), inside > 0.99
