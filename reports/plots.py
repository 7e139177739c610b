"""Plots as inline SVG that takes its colours from the page, so that they follow its light and dark.

Classes used: `stay` and `go` (bars of what is kept and of what is removed), `cell` (density), `axis`, `tick`, `mark`.
A plot is 340 units wide, so that on a phone one unit is one pixel.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH, HEIGHT = 340, 168
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 22, 24
_BINS = 36
_CELLS = 24
_STEPS: tuple[tuple[float, ...], ...] = (
    (1,),
    (1, 3),
    (1, 2, 5),
    (1, 1.5, 2, 3, 5, 7),
    tuple(i / 10 for i in range(10, 100)),
)
"""Round numbers within a decade, from few to many."""


def histogram(
    values: NDArray[np.floating],
    stays: NDArray[np.bool_],
    *,
    name: str,
    limits: tuple[float, float] | None = None,
    log: bool = False,
) -> Markup:
    """Stacked histogram: what stays below, what the plan removes above, the median marked.

    Parameters
    ----------
    values : float (N,); what is not finite is left out, and on a logarithmic axis what is not positive.
    stays : bool (N,), whether the plan keeps the picture.
    name : what is counted, for those who cannot see the plot.
    limits : ends of the axis; by default the 0.5 % and 99.5 % quantiles, beyond which pictures count in the last bar.
    """
    known = np.isfinite(values) & ((values > 0) if log else np.ones(len(values), bool))
    values, stays = np.asarray(values, float)[known], stays[known]
    if not len(values):
        return Markup("")
    scale = np.log10 if log else np.asarray
    low, high = limits or tuple(np.quantile(values, [0.005, 0.995]).tolist())
    low, high = float(scale(low)), float(scale(high))
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, _BINS + 1)
    placed = np.clip(scale(values), low, high)
    kept = np.histogram(placed[stays], edges)[0]
    gone = np.histogram(placed[~stays], edges)[0]
    q5, median, q95 = np.quantile(values, [0.05, 0.5, 0.95])
    said = f"{name} of {len(values):,} pictures: median {number(median)}, nine in ten between {number(q5)} and {number(q95)}"
    return _svg(
        said, _bars(kept, gone) + _median(median, float(scale(median)), low, high) + _axis(low, high, log)
    )


def _bars(kept: NDArray[np.integer], gone: NDArray[np.integer]) -> str:
    floor, room = HEIGHT - _BOTTOM, HEIGHT - _BOTTOM - _TOP
    most = max(1, int((kept + gone).max()))
    step = (WIDTH - _LEFT - _RIGHT) / len(kept)
    parts = []
    for i, (stay, go) in enumerate(zip(kept.tolist(), gone.tolist(), strict=True)):
        x, below, above = _LEFT + i * step, room * stay / most, room * go / most
        if stay:
            parts.append(
                f'<rect class="stay" x="{x:.1f}" y="{floor - below:.1f}" width="{step - 1:.1f}" height="{below:.1f}"/>'
            )
        if go:
            parts.append(
                f'<rect class="go" x="{x:.1f}" y="{floor - below - above:.1f}" width="{step - 1:.1f}" height="{above:.1f}"/>'
            )
    return "".join(parts)


def _median(value: float, at: float, low: float, high: float) -> str:
    x = _across(at, low, high)
    anchor = "start" if x < WIDTH * 0.2 else "end" if x > WIDTH * 0.8 else "middle"
    return (
        f'<path class="mark" d="M{x:.1f} {_TOP - 5}V{HEIGHT - _BOTTOM}"/>'
        f'<text class="tick" x="{x:.1f}" y="{_TOP - 9}" text-anchor="{anchor}">median {number(value)}</text>'
    )


def _axis(low: float, high: float, log: bool) -> str:
    floor = HEIGHT - _BOTTOM
    parts = [f'<path class="axis" d="M{_LEFT} {floor + 0.5}H{WIDTH - _RIGHT}"/>']
    for at, text in ticks(low, high, log):
        x = _across(at, low, high)
        anchor = "start" if x < _LEFT + 12 else "end" if x > WIDTH - _RIGHT - 12 else "middle"
        parts.append(f'<path class="axis" d="M{x:.1f} {floor}v4"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{floor + 16}" text-anchor="{anchor}">{text}</text>')
    return "".join(parts)


def _across(at: float, low: float, high: float) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * min(1.0, max(0.0, (at - low) / (high - low)))


def ticks(low: float, high: float, log: bool = False) -> list[tuple[float, str]]:
    """Round places on an axis, with their texts. On a logarithmic one, places and ends are decimal logarithms."""
    if log:
        for steps in _STEPS:
            places = [
                (math.log10(step) + power, number(step * 10.0**power))
                for power in range(math.floor(low) - 1, math.ceil(high) + 1)
                for step in steps
            ]
            inside = [place for place in places if low - 1e-9 <= place[0] <= high + 1e-9]
            if len(inside) >= 3:
                break
        return inside[:: -(-len(inside) // 6)] if inside else []
    span = high - low
    step = 10.0 ** math.floor(math.log10(span / 3))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 5)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return [(i * step, _rounded(i * step, digits)) for i in range(first, last + 1)]


def number(value: float) -> str:
    """A number as short as a person would write it: 0.76, 12, 3,658, 0.0021."""
    if value == 0:
        return "0"
    return _rounded(value, max(0, 1 - math.floor(math.log10(abs(value)))) if abs(value) < 10 else 0)


def _rounded(value: float, digits: int) -> str:
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def sizes(widths: NDArray[np.integer], heights: NDArray[np.integer]) -> Markup:
    """Where widths and heights (int (N,), pixels) lie: a grid on two logarithmic axes, the darker the more pictures."""
    known = (widths > 0) & (heights > 0)
    across, up = np.log10(widths[known].astype(float)), np.log10(heights[known].astype(float))
    if not len(across):
        return Markup("")
    low = float(min(np.quantile(across, 0.002), np.quantile(up, 0.002))) - 0.02
    high = float(max(np.quantile(across, 0.998), np.quantile(up, 0.998))) + 0.02
    edges = np.linspace(low, high, _CELLS + 1)
    counts = np.histogram2d(np.clip(across, low, high), np.clip(up, low, high), (edges, edges))[0]
    side, left, top = 6.0, 96.0, 0.0
    parts = []
    for i, j in np.argwhere(counts > 0).tolist():
        shade = 0.15 + 0.85 * math.sqrt(counts[i, j] / counts.max())
        x, y = left + i * side, top + (_CELLS - 1 - j) * side
        parts.append(
            f'<rect class="cell" x="{x:.1f}" y="{y:.1f}" width="5.5" height="5.5" fill-opacity="{shade:.2f}"/>'
        )
    floor, right = top + _CELLS * side, left + _CELLS * side
    parts.append(f'<path class="axis" d="M{left} {top}V{floor + 0.5}H{right}"/>')
    parts.append(f'<path class="mark" d="M{left} {floor}L{right} {top}"/>')
    for at, text in ticks(low, high, log=True):
        place = (at - low) / (high - low) * _CELLS * side
        if 8 < place < _CELLS * side - 8:
            parts.append(
                f'<text class="tick" x="{left + place:.1f}" y="{floor + 15}" text-anchor="middle">{text}</text>'
            )
            parts.append(
                f'<text class="tick" x="{left - 6}" y="{floor - place + 4:.1f}" text-anchor="end">{text}</text>'
            )
    parts.append(f'<text class="tick" x="{right + 8}" y="{floor + 4}">width, px</text>')
    parts.append(f'<text class="tick" x="{left - 6}" y="{top + 9}" text-anchor="end">height, px</text>')
    middle = f"{number(float(np.median(widths[known])))} by {number(float(np.median(heights[known])))}"
    return _svg(
        f"Width and height of {len(across):,} pictures: half are below {middle} pixels", "".join(parts)
    )


def _svg(said: str, body: str) -> Markup:
    """`said` is what the plot tells those who cannot see it; `body` is SVG made here, of numbers only."""
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said)}"><title>{escape(said)}</title>{body}</svg>'
    )
