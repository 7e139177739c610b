"""Pictures that stand apart from the rest of their own folder: darker, brighter, fainter, blurrier, longer.

What is usual differs from folder to folder: a page of line art is bright and holds little, and that is no fault. So
each picture is judged against the median of its folder in units of the folder's own spread (the median absolute
deviation of that side, times 1.4826, which is the standard deviation of a normal distribution; Rousseeuw & Croux,
1993). A floor on the spread keeps small differences in a uniform folder from counting; and where more than
`MOST` of the folder lies beyond the limit, they are a kind of picture rather than outliers, and none is named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

LIMIT = 3.0
"""Robust standard deviations from the median at which a picture is an outlier."""
MOST = 0.02
"""Largest share of the folder that may be outliers of one kind."""
FEWEST = 20
"""Readable pictures below which nothing can be said."""
BLANK = 0.005
"""Share of pixels that are not background (`ink`) below which a page counts as blank, whatever the folder."""


@dataclass(frozen=True)
class Kind:
    """One way to stand apart: the value judged, the side (-1 below, +1 above, 0 both), the least spread assumed."""

    value: Callable[[pd.DataFrame], NDArray[np.float64]]
    side: int
    floor: float


def _column(files: pd.DataFrame, name: str) -> NDArray[np.float64]:
    return files[name].to_numpy(np.float64)


def _softness(files: pd.DataFrame) -> NDArray[np.float64]:
    """log10 of the Laplacian's variance over the luma's: how much fine detail the edges hold, whatever the contrast."""
    return np.log10((_column(files, "sharpness") + 1e-9) / (_column(files, "contrast") ** 2 + 1e-6))


def _aspect(files: pd.DataFrame) -> NDArray[np.float64]:
    """Width over height in octaves: 0 square, 1 twice as wide as high, -1 the reverse."""
    return np.log2(_column(files, "width") / _column(files, "height"))


KINDS = {
    "dark": Kind(lambda files: _column(files, "brightness"), -1, 0.08),
    "bright": Kind(lambda files: _column(files, "brightness"), +1, 0.08),
    "faint": Kind(lambda files: _column(files, "contrast"), -1, 0.02),
    "blurry": Kind(_softness, -1, 0.3),
    "aspect": Kind(_aspect, 0, 0.5),
}
"""Every kind by name."""


def blank(files: pd.DataFrame) -> pd.Series[bool]:
    """Which rows of a `files` table are pages with nothing, or next to nothing, on them."""
    return (files["status"] == "ok") & (files["ink"] < BLANK)


def outliers(files: pd.DataFrame) -> pd.DataFrame:
    """The pictures that stand apart, of each kind the farthest first.

    Returns a frame of `kind` (a key of `KINDS`), `path`, `value` (in the kind's own unit), `median` (the folder's) and
    `distance` (robust standard deviations, positive). Blank pages are left out: they are a problem of their own.
    """
    judged = files[(files["status"] == "ok") & ~blank(files)].sort_values("path")
    found = [_of_kind(name, kind, judged) for name, kind in KINDS.items()] if len(judged) >= FEWEST else []
    columns = ["kind", "path", "value", "median", "distance"]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)


def _of_kind(name: str, kind: Kind, files: pd.DataFrame) -> pd.DataFrame:
    values = kind.value(files)
    median = float(np.nanmedian(values))
    distance = np.zeros(len(values))
    for side in (-1, +1):
        if kind.side in (side, 0):
            distance = np.maximum(
                distance, side * (values - median) / _spread(values, median, side, kind.floor)
            )
    beyond = distance > LIMIT
    if beyond.mean() > MOST:
        beyond[:] = False
    frame = pd.DataFrame(
        {
            "kind": name,
            "path": files["path"].to_numpy()[beyond],
            "value": values[beyond],
            "median": median,
            "distance": distance[beyond],
        }
    )
    return frame.sort_values(["distance", "path"], ascending=[False, True])


def _spread(values: NDArray[np.float64], median: float, side: int, floor: float) -> float:
    """Robust standard deviation of one side of the median: skewed measures have two different ones."""
    beyond = side * (values - median)
    return max(floor, 1.4826 * float(np.nanmedian(beyond[beyond >= 0])))
