"""The map: embeddings laid out in the plane, near ones near, by UMAP (McInnes, Healy & Melville, 2018)."""

from __future__ import annotations

import contextlib
import itertools
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.sections import shown_text

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

MAP_POINTS = 6_000
"""Pictures on the map, at most; of more, a sample drawn with the seed."""

_NEIGHBOURS = 15
_FIT_AT_MOST = 20_000
"""Vectors on which the layout is fitted; with more, a sample is, and the rest are placed into it."""


def project(vectors: NDArray[np.float32], seed: int = 0) -> NDArray[np.float32]:
    """Vectors, float32 (N, D), laid out in the plane: float32 (N, 2), in no unit, centred on 0.

    Directions count, lengths do not. The same vectors in the same order with the same seed give the same layout.
    Fewer than 15 distinct vectors are laid out by their principal components. Raises ValueError where `vectors` is
    not of two dimensions.
    """
    if vectors.ndim != 2:
        raise ValueError(f"project: vectors of shape {vectors.shape}, expected (N, D)")
    vectors = np.nan_to_num(np.asarray(vectors, dtype=np.float32))
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    # Equal vectors (copies of a picture) would use up each other's neighbours and make islands of their own.
    distinct, back = np.unique(unit, axis=0, return_inverse=True)
    placed = _umap(distinct, seed) if len(distinct) >= _NEIGHBOURS else _principal(distinct)
    placed = placed[back.reshape(-1)]
    return (placed - placed.mean(axis=0)).astype(np.float32) if len(placed) else placed


def _principal(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """First two principal components, float32 (N, 2), signs fixed; zeros where there are fewer."""
    placed = np.zeros((len(vectors), 2), dtype=np.float32)
    if len(vectors) > 1 and vectors.shape[1] > 0:
        left, scale, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
        parts = (left * scale)[:, :2]
        flip = np.sign(parts[np.abs(parts).argmax(axis=0), np.arange(parts.shape[1])])
        placed[:, : parts.shape[1]] = parts * np.where(flip == 0, 1, flip)
    return placed


def _umap(vectors: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # that one thread is used (for the sake of the seed), that k fits few points
        from umap import UMAP

        _keep_compiled()
        model = UMAP(
            n_neighbors=min(_NEIGHBOURS, len(vectors) - 1),
            min_dist=0.25,
            init="pca",
            n_epochs=200,
            random_state=seed,
            n_jobs=1,
        )
        if len(vectors) <= _FIT_AT_MOST:
            return np.asarray(model.fit_transform(vectors), dtype=np.float32)
        chosen = np.sort(np.random.default_rng(seed).choice(len(vectors), _FIT_AT_MOST, replace=False))
        placed = np.empty((len(vectors), 2), dtype=np.float32)
        placed[chosen] = model.fit_transform(vectors[chosen])
        rest = np.setdiff1d(np.arange(len(vectors)), chosen)
        placed[rest] = model.transform(vectors[rest])
        return placed


def _keep_compiled() -> None:
    """Have numba keep what it compiles for umap on disk: compiling takes 20 seconds, which every report would pay anew.

    Only umap's own functions, which numba tells by their file's size and time; those that umap leaves uncached are
    the slow ones. Where no place can be written to, they are compiled each time as before.
    """
    from numba.core.dispatcher import Dispatcher
    from umap import layouts, umap_

    with contextlib.suppress(RuntimeError):
        for module in (umap_, layouts):
            for function in vars(module).values():
                if isinstance(function, Dispatcher) and function.stats.cache_path is None:
                    function.enable_caching()


@dataclass(frozen=True)
class Chart:
    """What the map shows.

    `paths` of the points; `x`, `y` where they lie, 0..10,000; `colourings`: by name, the values' names and for each
    point the number of its value; `total`: pictures that could be shown.
    """

    paths: list[str]
    x: list[int]
    y: list[int]
    colourings: dict[str, tuple[list[str], list[int]]]
    total: int

    def content(self) -> dict[str, Any]:
        """The points for the page's script."""
        return {
            "paths": [shown_text(path) for path in self.paths],
            "x": self.x,
            "y": self.y,
            "colourings": {
                name: {"names": [shown_text(value) for value in names], "values": values}
                for name, (names, values) in self.colourings.items()
            },
        }


def draw_map(
    files: pd.DataFrame,
    embeddings: pd.DataFrame,
    photos: pd.DataFrame | None = None,
    splits: pd.DataFrame | None = None,
    plan: pd.DataFrame | None = None,
    *,
    share: pd.DataFrame | None = None,
    seed: int = 0,
) -> Chart | None:
    """The map of the readable files that have an embedding; None where there are fewer than three.

    The frames are tables of `curate.tables`; those that are there give a colouring each, besides that by class.
    """
    shown = files[(files["status"] == "ok") & files["content"].isin(embeddings["content"])]
    shown = shown.sort_values("path").reset_index(drop=True)
    total = len(shown)
    if total < 3:
        return None
    if total > MAP_POINTS:
        chosen = np.random.default_rng(seed).choice(total, MAP_POINTS, replace=False)
        shown = shown.iloc[np.sort(chosen)].reset_index(drop=True)
    vectors = embeddings.set_index("content")["vector"].loc[shown["content"]]
    placed = project(np.stack([np.asarray(vector, np.float32) for vector in vectors]), seed)
    placed = _principal(placed)  # the longer way across: pages are wide
    low, high = np.quantile(placed, 0.002, axis=0), np.quantile(placed, 0.998, axis=0)
    scale = max(float((high - low).max()), 1e-6)
    grid = np.clip(5000 + (placed - (low + high) / 2) / scale * 9600, 0, 10_000).round().astype(int)
    colourings = _colourings(shown, photos, splits, plan, share)
    return Chart(shown["path"].tolist(), grid[:, 0].tolist(), grid[:, 1].tolist(), colourings, total)


_ORDER = (
    "drawing", "stays", "train", "photo", "removed as a copy", "val", "unsure", "removed by the photo filter", "test",
)  # fmt: skip
"""Values that come first in a legend; others follow by name."""


def _colourings(
    shown: pd.DataFrame,
    photos: pd.DataFrame | None,
    splits: pd.DataFrame | None,
    plan: pd.DataFrame | None,
    share: pd.DataFrame | None,
) -> dict[str, tuple[list[str], list[int]]]:
    columns = {"Class": shown["label"]}
    if photos is not None:
        columns["Photo filter"] = shown["path"].map(photos.set_index("path")["photo_verdict"])
    if photos is not None and share is not None and len(share):
        columns["Photo score"] = _score_steps(
            shown["path"].map(photos.set_index("path")["photo_score"]), share
        )
    if splits is not None:
        columns["Split"] = shown["path"].map(splits.set_index("path")["split"])
    if plan is not None:
        stages = {"dedup": "removed as a copy", "filter-photos": "removed by the photo filter"}
        by_path = plan.set_index("path")
        words = by_path["stage"].map(stages).fillna("removed").where(by_path["action"] == "remove", "stays")
        columns["Plan"] = shown["path"].map(words.where(by_path["action"] != "review", "waits for a person"))
    found = {}
    for name, column in columns.items():
        values = column.fillna("").astype(str)
        names = sorted(
            values.unique(),
            key=lambda value: (_ORDER.index(value) if value in _ORDER else len(_ORDER), value),
        )
        found[name] = (names, values.map({value: i for i, value in enumerate(names)}).tolist())
    return found


def _score_steps(score: pd.Series, share: pd.DataFrame) -> pd.Series:
    """Scores in steps that part at one half and at the threshold of the photo filter, as words."""
    import pandas as pd

    row = share.iloc[0]
    threshold = float(row["threshold"])
    edges = [0.0, 0.1, 0.5, threshold] if row["wanted"] == "photos" else [0.0, 1 - threshold, 0.5, 0.9]
    edges = [*sorted(set(edges)), 1.0]
    names = [f"{low:.2f} to {high:.2f}" for low, high in itertools.pairwise(edges)]
    if row["present"]:
        names[-1 if row["wanted"] == "photos" else 0] += ": found"
    return pd.cut(score, [*edges[:-1], float("inf")], right=False, labels=names).astype(object)
