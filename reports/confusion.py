"""The confusion matrix as a picture, for 2 to 500 classes."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INK, _QUIET = "#1f2430", "#6b7280"
_DPI = 150
_LONGEST = 24
"""Characters of a class name that are shown."""

_COUNTS_UP_TO = 40
"""Classes up to which counts fit into the cells."""

_GAMMA = 0.55
"""Power of a row's share in the colour scale, so that a few per cent can be seen."""

_FONTS = ("DejaVu Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Hiragino Sans", "Microsoft YaHei", "Malgun Gothic", "Noto Sans Arabic", "Noto Sans Devanagari", "Noto Sans Thai")  # fmt: skip


def confusion_matrix_png(matrix: NDArray[np.integer[Any]], classes: Sequence[str]) -> bytes:
    """Draw a confusion matrix and return the bytes of a PNG.

    `matrix` is integer (C, C): pictures of the class of the row that were taken for the class of the column, both in
    the order of `classes`. Colours show the share of the row: blue on the diagonal (right), orange beside it (wrong);
    a row without pictures is grey. Counts stand in the cells of up to 40 classes; where names do not fit, every
    second, third, ... is written. Raises ValueError where the shapes do not agree.
    """
    matrix = np.asarray(matrix)
    count = len(classes)
    if count == 0 or matrix.shape != (count, count):
        raise ValueError(f"matrix: shape {matrix.shape}, not ({count}, {count}) for {count} classes")
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [_shown(name) for name in classes]
    side = _side(count)
    font = min(10.0, max(5.5, side / count * 72 * 0.62))
    margin = 0.5 + max(map(len, names)) * font * 0.62 / 72
    width, height = margin + side + 1.35, margin + side + 1.0
    with rc_context({"font.family": _installed_fonts(), "text.color": _INK}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph")
        figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
        axes = figure.add_axes((margin / width, margin / height, side / width, side / height))
        axes.imshow(_colours(matrix), interpolation="nearest", aspect="equal")
        _write_axes(axes, names, font, every=math.ceil(font * 1.25 / 72 / (side / count)))
        if count <= _COUNTS_UP_TO:
            _write_counts(axes, matrix, min(font, 9.5))
        _write_heading(figure, axes, matrix, margin, width, height, side)
        _draw_scale(figure, (margin + side + 0.3) / width, margin / height, height, min(side, 2.6))
        stream = io.BytesIO()
        FigureCanvasAgg(figure).print_png(stream)  # type: ignore[no-untyped-call]
    return stream.getvalue()


def _side(count: int) -> float:
    """The matrix's side in inches: roomy cells for few classes, at least six pixels a cell for many."""
    cell = 0.9 if count <= 4 else 0.42 if count <= 20 else 0.32 if count <= _COUNTS_UP_TO else 0.135
    return max(2.7, min(count * cell, 16.0), count * 6 / _DPI)


def _colours(matrix: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Cells as RGB in 0..1, shape (C, C, 3)."""
    totals = matrix.sum(axis=1, keepdims=True)
    share = matrix / np.maximum(totals, 1)
    colours = _tint(share, right=False)
    diagonal = np.arange(len(matrix))
    colours[diagonal, diagonal] = _tint(share[diagonal, diagonal], right=True)
    colours[totals[:, 0] == 0] = 0.94
    return colours


def _tint(share: NDArray[np.float64], *, right: bool) -> NDArray[np.float64]:
    """Shares 0..1 as RGB: white at 0, then blue where right and orange where wrong."""
    from matplotlib import colormaps

    level = np.power(share, _GAMMA)
    colours = np.asarray(colormaps["Blues" if right else "Oranges"](0.12 + 0.76 * level))[..., :3]
    return np.where(share[..., None] > 0, colours, 1.0)


def _write_axes(axes: Any, names: list[str], font: float, every: int) -> None:
    ticks = list(range(0, len(names), every))
    shown = [names[i] for i in ticks]
    axes.set_xticks(ticks, shown, rotation=90, fontsize=font, parse_math=False)
    axes.set_yticks(ticks, shown, fontsize=font, parse_math=False)
    axes.tick_params(length=0 if every == 1 else 2, pad=3, colors=_INK)
    axes.set_xlabel("predicted class", fontsize=10, color=_QUIET, labelpad=8)
    axes.set_ylabel("true class", fontsize=10, color=_QUIET, labelpad=8)
    for spine in axes.spines.values():
        spine.set_color("#c9ced6")
    if len(names) <= 150:
        edges = np.arange(len(names) + 1) - 0.5
        axes.set_xticks(edges, minor=True)
        axes.set_yticks(edges, minor=True)
        axes.grid(which="minor", color="#e6e9ee", linewidth=0.5)
        axes.tick_params(which="minor", length=0)


def _write_counts(axes: Any, matrix: NDArray[np.integer[Any]], font: float) -> None:
    totals = np.maximum(matrix.sum(axis=1), 1)
    for row, column in np.argwhere(matrix > 0):
        value = int(matrix[row, column])
        dark = (value / totals[row]) ** _GAMMA > 0.68
        text = str(value)
        size = font * min(1.0, 3.4 / len(text))
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color="white" if dark else _INK)


def _write_heading(
    figure: Any,
    axes: Any,
    matrix: NDArray[np.integer[Any]],
    margin: float,
    width: float,
    height: float,
    side: float,
) -> None:
    total, right = int(matrix.sum()), int(np.trace(matrix))
    top = (margin + side) / height
    figure.text(
        margin / width, top + 0.42 / height, "Confusion matrix", fontsize=13, fontweight="bold", va="bottom"
    )
    share = f", {right / total:.1%}" if total else ""
    figure.text(
        margin / width, top + 0.16 / height, f"{right:,} of {total:,} pictures right{share}",
        fontsize=9.5, color=_QUIET, va="bottom",
    )  # fmt: skip


def _draw_scale(figure: Any, left: float, bottom: float, height: float, tall: float) -> None:
    """Two thin bars: which colour stands for which share of the true class."""
    ramp = np.linspace(0.002, 1, 128)[::-1, None]
    width_inches = figure.get_figwidth()
    for i, right in enumerate((True, False)):
        axes = figure.add_axes((left + i * 0.17 / width_inches, bottom, 0.15 / width_inches, tall / height))
        axes.imshow(_tint(ramp, right=right), aspect="auto", extent=(0, 1, 0, 1))
        axes.set_xticks([0.5], ["right" if right else "wrong"], rotation=90, fontsize=8)
        axes.tick_params(length=0, colors=_QUIET, pad=3)
        axes.yaxis.tick_right()
        axes.set_yticks(
            *(([], []) if right else ([0.01, 0.25, 0.5, 0.75, 1], ["1 %", "25 %", "50 %", "75 %", "100 %"]))
        )
        axes.tick_params(axis="y", labelsize=8)
        for spine in axes.spines.values():
            spine.set_color("#c9ced6")
    figure.text(
        left,
        bottom + (tall + 0.1) / height,
        "share of the\ntrue class",
        fontsize=8,
        color=_QUIET,
        va="bottom",
    )


def _shown(name: str) -> str:
    """A class name as a label: printable, and not longer than fits."""
    clean = "".join(c if c.isprintable() else "\ufffd" for c in name)
    return clean if len(clean) <= _LONGEST else clean[: _LONGEST - 1] + "…"


def _installed_fonts() -> list[str]:
    """Fonts to look a character up in, in turn: class names come in any script."""
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return [name for name in _FONTS if name in installed]
