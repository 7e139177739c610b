"""Pictures that look alike to the encoder and are no copies of one picture: the table `similar`.

Two sketches of one pose, two shots of one scene, a drawing and its redrawing: worth a look before a split or a test set
is trusted. Nothing is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from curate.errors import UserError
from curate.tables import SIMILAR

if TYPE_CHECKING:
    import pandas as pd

    from curate.pipeline import Context

VERSION = 1


@dataclass(frozen=True)
class SimilarSettings:
    """`least` is the cosine (-1..1) from which two pictures count as similar; `most` the number of pairs listed."""

    least: float = 0.9
    most: int = 500


def run(context: Context, settings: SimilarSettings) -> dict[str, pd.DataFrame]:
    """The stage: files, pairs, embeddings -> similar. Raises UserError for settings that mean nothing."""
    if not -1 <= settings.least <= 1 or settings.most < 0:
        raise UserError(
            f"similar: least = {settings.least:g}, most = {settings.most} are out of range.",
            "Give a cosine from -1 to 1 and a number of pairs from 0 on.",
        )
    files, pairs, embeddings = (context.read(name) for name in ("files", "pairs", "embeddings"))
    return {"similar": similar_pairs(files, pairs, embeddings, settings)}


def similar_pairs(
    files: pd.DataFrame, pairs: pd.DataFrame, embeddings: pd.DataFrame, settings: SimilarSettings
) -> pd.DataFrame:
    """The table `similar`: pictures that are each other's nearest in the embedding, the nearest `most` of them.

    `embeddings` has content and vector (unit length); pairs of contents that `pairs` holds already are left out, and
    so is a nearest neighbour that is a known copy: the next one counts.
    """
    import faiss
    import pandas as pd

    first = files[files["status"] == "ok"].sort_values("path").drop_duplicates("content").set_index("content")
    known = embeddings[embeddings["content"].isin(first.index)].sort_values("content", ignore_index=True)
    contents = known["content"].to_numpy()
    if len(contents) < 2:
        return SIMILAR.empty()
    vectors = np.stack(known["vector"].tolist()).astype(np.float32)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    near, others = index.search(vectors, min(len(contents), _NEIGHBOURS))
    copies = set(zip(pairs["content_a"], pairs["content_b"], strict=True))
    nearest: dict[int, tuple[int, float]] = {}
    for one, (scores, row) in enumerate(zip(near, others, strict=True)):
        for score, other in zip(scores.tolist(), row.tolist(), strict=True):
            pair = (contents[min(one, other)], contents[max(one, other)])
            if other != one and pair not in copies:
                nearest[one] = (other, score)
                break
    rows = []
    for one, (other, score) in nearest.items():
        if one < other and nearest.get(other, (-1, 0.0))[0] == one and score >= settings.least:
            a, b = sorted(str(first.at[contents[i], "path"]) for i in (one, other))
            rows.append((a, b, score))
    rows = sorted(rows, key=lambda row: (-row[2], row[0]))[: settings.most]
    label = dict(zip(first["path"], first["label"], strict=True))
    return pd.DataFrame(
        [(a, b, label[a], label[b], "similar", score) for a, b, score in rows], columns=list(SIMILAR.columns)
    )


_NEIGHBOURS = 16
"""Neighbours that are looked at for the first one that is no copy; a picture with more copies has no row."""
