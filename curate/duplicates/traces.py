"""What two files of one picture differ in, measured in their pixels: the traces that edits leave.

`sheet` measures one file, `differ` a pair: what each shows that the other does not, their scales and how much detail
the pixels carry along each axis, what noise, halos, overlays, tones and colours the one has and the other has not.
Nothing is judged here; `curate.duplicates.provenance` does that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from curate.duplicates import alignment, compression, surface
from curate.duplicates.fingerprints import THUMB
from curate.duplicates.registration import RELIABLE, Plate, Registration, register, render, turned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_COMPARED_SIDE = 176
_SAME_SCALE = 0.03
_LEAST_OUTSIDE = 0.02
_OTHER_TONE = 14.0
_ELSEWHERE = 0.25
_CORNERS = np.array([[0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Sheet:
    """One file's own measures. `detail` across and down: the frequency, 0..1, below which nine tenths of the
    gradient's energy lie; `steep` mean slope of its steepest twentieth, grey levels a pixel; `earlier` how clearly it was an earlier JPEG, 0..1, and of which quality; `symmetry` how much
    more alike its left and right halves are than its upper and lower ones."""

    plate: Plate
    detail: tuple[float, float]
    steep: tuple[float, float]
    earlier: tuple[float, int]
    symmetry: float


class Outside(NamedTuple):
    """What one file shows and the other does not: its share of the area, the share of it that is off its usual tone,
    the share of its inner edge where the tone breaks off, and whether its margins are alike on opposite sides."""

    share: float
    varied: float
    edge: float
    even: bool


@dataclass(frozen=True)
class Differences:
    """Of b against a. Logarithms are natural, of b's value over a's; tones are luma 0..255.

    `scale`, `detail`, `steep` logarithms along a's axes; `rotation` degrees; `noise` of a and b in flat places and
    `noise_apart` of their difference; `edges` logarithm of the strongest edges' slope; `halos` share of edges where
    each leaves the other's range; `overlay` share of the difference in the largest place that differs, `outline`
    logarithm of the slopes along that place's outline; `tone` mean shift; `unexplained` share of the variance of a, of b
    that the other's tones do not explain, `crushed` of the other's variance lost at the ends of a's scale, of b's; `chroma` of a and b; `hue` correlation of their colours; `clipped` share of
    each with a channel at its end; `gain` ratio of contrast; `residuals` mean differences: as they are, colours
    fitted, tones fitted. `steps` how clearly each lies on the other JPEG's steps.
    """

    registration: Registration
    orientation: int
    rotation: float
    scale: tuple[float, float]
    detail: tuple[float, float]
    steep: tuple[float, float]
    outside: tuple[Outside, Outside]
    steps: tuple[float, float] = (0.0, 0.0)
    noise: tuple[float, float] = (0.0, 0.0)
    noise_apart: float = 0.0
    edges: float = 0.0
    halos: tuple[float, float] = (0.0, 0.0)
    overlay: float = 0.0
    outline: float = 0.0
    tone: float = 0.0
    unexplained: tuple[float, float] = (0.0, 0.0)
    crushed: tuple[float, float] = (0.0, 0.0)
    chroma: tuple[float, float] = (0.0, 0.0)
    hue: float = 1.0
    clipped: tuple[float, float] = (0.0, 0.0)
    gain: float = 1.0
    residuals: tuple[float, float, float] = (40.0, 40.0, 40.0)

    @property
    def same_scale(self) -> bool:
        """Whether a pixel of the one is a pixel of the other, within 3 %."""
        return max(abs(self.scale[0]), abs(self.scale[1])) < _SAME_SCALE

    @property
    def reliable(self) -> bool:
        """Whether the pictures agree under the map, so that the other measures mean something."""
        return self.registration.score >= RELIABLE


def sheet(plate: Plate) -> Sheet:
    """The measures of one file."""
    left, top, right, bottom = _inside(plate)
    inner = plate.native[top:bottom, left:right]
    found = compression.coefficients(plate.native, *plate.grid)
    own = None if plate.table is None else compression.steps(plate.table)
    earlier = compression.earlier_quality(found, own)
    place = compression.blocking_grid(plate.native)
    if place != plate.grid and not earlier[1]:
        elsewhere = compression.earlier_quality(compression.coefficients(plate.native, *place), None)
        earlier = elsewhere if elsewhere[0] > _ELSEWHERE else earlier
    thumb = plate.picture.thumb.astype(np.float32)
    thumb = thumb - thumb.mean()
    symmetry = float(((thumb * thumb[:, ::-1]).mean() - (thumb * thumb[::-1]).mean()) / (thumb.var() + 1))
    return Sheet(
        plate, (_detail(inner, 1), _detail(inner, 0)), (_steep(inner, 1), _steep(inner, 0)), earlier, symmetry
    )


def _inside(plate: Plate) -> tuple[int, int, int, int]:
    """The picture inside its borders, in pixels of `native`."""
    height, width = plate.native.shape
    left, top, right, bottom = plate.picture.boxes[1].astype(np.float64)
    x, y = plate.origin
    box = [left * plate.width - x, top * plate.height - y, right * plate.width - x, bottom * plate.height - y]
    low = [max(0, int(np.ceil(box[k] + (2 if box[k] > 0.5 else -0.01)))) for k in (0, 1)]
    high = [
        min(size, int(np.floor(box[k + 2] - (2 if box[k + 2] < size - 0.5 else -0.01))))
        for k, size in enumerate((width, height))
    ]
    if high[0] - low[0] < 16 or high[1] - low[1] < 16:
        return 0, 0, width, height
    return low[0], low[1], high[0], high[1]


def _detail(grey: Floats, axis: int) -> float:
    from scipy.fft import dct

    count = grey.shape[axis]
    energy = (dct(grey, axis=axis, norm="ortho") ** 2).sum(axis=1 - axis) * (np.arange(count) / count) ** 2
    below = np.cumsum(energy)
    if below[-1] <= 1e-3 * grey.size:
        return 0.0
    return float((np.searchsorted(below, 0.9 * below[-1]) + 1) / count)


def _steep(grey: Floats, axis: int) -> float:
    slope = np.minimum(np.abs(np.diff(grey, axis=axis)), 255).astype(np.uint8).ravel()
    counts = np.bincount(slope, minlength=256)[::-1]
    above = np.minimum(np.cumsum(counts), len(slope) / 20)
    return float((np.diff(above, prepend=0) * np.arange(255, -1, -1)).sum() / (len(slope) / 20))


def differ(a: Sheet, b: Sheet) -> Differences:
    """Bring two files into register and measure what they differ in."""
    found = register(a.plate, b.plate)
    linear, orientation = found.pixels[:2, :2], found.orientation
    across, down = b.detail[::-1] if orientation & 4 else b.detail
    steep = b.steep[::-1] if orientation & 4 else b.steep
    frame = Differences(
        registration=found,
        orientation=orientation,
        rotation=alignment.rotation(found.pixels[:2]),
        scale=(float(np.log(np.hypot(*linear[:, 0]))), float(np.log(np.hypot(*linear[:, 1])))),
        detail=(surface.log_ratio(across, a.detail[0], 0.02), surface.log_ratio(down, a.detail[1], 0.02)),
        steep=(surface.log_ratio(steep[0], a.steep[0], 1.0), surface.log_ratio(steep[1], a.steep[1], 1.0)),
        outside=(_outside(a.plate, found.transform), _outside(b.plate, found.reversed().transform)),
    )
    if not frame.reliable:
        return frame
    return _compare(a.plate, b.plate, frame)


def _outside(plate: Plate, to_other: NDArray[Any]) -> Outside:
    import cv2

    corners = to_other[:2] @ _CORNERS
    if np.abs(corners - 0.5).max() < 0.505:
        return Outside(0.0, 0.0, 0.0, even=True)
    line = (np.arange(THUMB) + 0.5) / THUMB
    x, y = np.meshgrid(line, line)
    places = to_other[:2] @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    out = ((places < 0) | (places > 1)).any(axis=0).reshape(THUMB, THUMB)
    share = float(out.mean())
    if share < _LEAST_OUTSIDE or share > 0.98:
        return Outside(share, 0.0, 0.0, even=True)
    thumb = plate.picture.thumb.astype(np.float32)
    square = np.ones((3, 3), np.uint8)
    mask = out.astype(np.uint8)
    far = cv2.erode(mask, square, borderValue=1) > 0
    far = far if far.sum() >= 10 else out
    tone = np.median(thumb[far])
    touching = cv2.dilate(mask, square)
    along = (cv2.dilate(touching, square) > 0) & (touching == 0)
    off = np.abs(thumb - tone) > _OTHER_TONE
    other = np.linalg.inv(to_other)[:2] @ _CORNERS
    uneven = np.abs(other.min(axis=1) + other.max(axis=1) - 1) * (plate.width, plate.height)
    return Outside(
        share,
        float(off[far].mean()),
        float(off[along].mean()) if along.any() else 0.0,
        even=bool(uneven.max() <= 1.01),
    )


def _steps(a: Plate, b: Plate, found: Registration) -> float:
    """How clearly b lies on the steps of the JPEG a, on a's grid, where a shift by whole pixels joins them."""
    if a.table is None or not found.exact:
        return 0.0
    linear = np.rint(np.linalg.inv(found.pixels)[:2, :2])
    back = next(o for o in range(8) if np.abs(alignment.turns()[o][:2, :2] - linear).max() < 0.5)
    seen = np.ascontiguousarray(turned(b.native, back))
    # The corner of `seen` in pixels of a: the corner of b.native that the turn brings there.
    height, width = b.native.shape
    x, y = b.origin
    corners = np.array([[x, x + width], [y, y + height], [1.0, 1.0]])
    corner = (np.linalg.inv(found.pixels) @ corners)[:2].min(axis=1)
    low = np.rint(corner).astype(int)
    offset = [int((grid - at) % 8) for at, grid in zip(low, a.grid, strict=True)]
    seen_on_grid = compression.coefficients(seen, *offset)
    same_grid = b.table is not None and back == 0 and tuple(offset) == b.grid
    own = compression.steps(b.table) if same_grid and b.table is not None else None
    return compression.on_steps(seen_on_grid, compression.steps(a.table), own)


def _compare(a: Plate, b: Plate, frame: Differences) -> Differences:
    import dataclasses

    import cv2

    first, second, mask = render(a, b, frame.registration, _COMPARED_SIDE)
    if not mask.all():
        mask = cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=1) > 0
    if mask.sum() < 100:
        return frame
    grey_a, grey_b = first @ _LUMA, second @ _LUMA
    tones_a, tones_b = (np.clip(surface.blur(grey, 0.8)[mask], 0, 255) for grey in (grey_a, grey_b))
    variance_a, variance_b = float(tones_a.var()) + 1, float(tones_b.var()) + 1
    within_b, to_b, occupied = surface.curve(tones_a, tones_b)
    within_a, to_a, _ = surface.curve(tones_b, tones_a)
    levels = (np.arange(surface.LEVELS) + 0.5) * 256 / surface.LEVELS
    fit_b, fit_a = to_b[surface.level_of(grey_a)], to_a[surface.level_of(grey_b)]
    residual, fitted = surface.residual_of(first, second, mask, surface.colours(first, second, mask)[3])
    slope_a, slope_b = surface.slope(grey_a), surface.slope(grey_b)
    overlay, outline, area = surface.overlay(residual, mask, slope_a, slope_b)
    clear = mask & ~area
    clear = clear if clear.sum() >= 50 else mask
    noise = surface.noise(grey_a, grey_b, fit_b, slope_a, clear)
    colours = surface.colours(first, second, clear)
    return dataclasses.replace(
        frame,
        steps=(_steps(b, a, frame.registration.reversed()), _steps(a, b, frame.registration)),
        noise=noise[:2],
        noise_apart=noise[2],
        edges=surface.edges(slope_a, slope_b, fit_a, fit_b, clear),
        halos=(surface.halos(grey_a, fit_a, slope_b, clear), surface.halos(grey_b, fit_b, slope_a, clear)),
        overlay=overlay,
        outline=outline,
        tone=float(np.abs(to_b - levels)[occupied].mean()) if occupied.any() else 0.0,
        unexplained=(within_a / variance_a, within_b / variance_b),
        crushed=(surface.crushed(tones_a, tones_b, to_b), surface.crushed(tones_b, tones_a, to_a)),
        chroma=colours[0],
        hue=colours[1],
        clipped=colours[2],
        gain=float(np.sqrt(variance_b / variance_a)),
        residuals=(
            float((np.abs(first - second) @ surface.MEAN)[mask].mean()),
            fitted,
            float(np.abs(grey_b - fit_b)[mask].mean() + np.sqrt(within_b)) / 2,
        ),
    )
