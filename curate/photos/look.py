"""The embeddings table: each content looked at once, whatever happens to its name or to the rest of the folder."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from curate.encoders import BuiltinEncoder, Preparation, load_encoder
from curate.engine import Progress, keep_freed_memory, map_chunks, silent
from curate.images import Unreadable, read_rgb
from curate.photos.head import load_head
from curate.tables import EMBEDDINGS, path_from_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHUNK = 64
"""Pictures that a worker prepares at a time: 64 of 160 x 160 are 5 MB."""


def update_embeddings(
    files: pd.DataFrame,
    known: pd.DataFrame,
    encoder: str,
    root: str,
    *,
    workers: int | None = None,
    progress: Progress = silent,
) -> pd.DataFrame:
    """The embeddings of every readable content of `files`; those that `known` holds are taken from there.

    `known` must come from the same encoder and version. A content whose file can no longer be read has no row. Memory
    grows with the number of contents by the length of their vectors (about 1.3 kB each for `builtin`).
    """
    wanted = files.loc[files["status"] == "ok", ["content", "path"]].sort_values(["content", "path"])
    wanted = wanted.drop_duplicates("content")
    known = known[known["content"].isin(wanted["content"])]
    new = wanted[~wanted["content"].isin(known["content"])]
    if new.empty:
        return known
    fresh = _look(new, encoder, root, workers, progress)
    return pd.concat([known, fresh] if len(known) else [fresh], ignore_index=True).sort_values("content")


def _look(
    new: pd.DataFrame, encoder_name: str, root: str, workers: int | None, progress: Progress
) -> pd.DataFrame:
    keep_freed_memory()
    head, builtin = load_head(), BuiltinEncoder()
    encoder = builtin if encoder_name == builtin.name else load_encoder(encoder_name)
    preparations = [builtin.preparation] if encoder is builtin else [builtin.preparation, encoder.preparation]
    paths = [os.path.join(root, path_from_text(path)) for path in new["path"]]  # noqa: PTH118  may hold any bytes
    read = functools.partial(_prepare, preparations=preparations)
    columns: dict[str, list[NDArray[np.float32] | str]] = {"content": [], "vector": [], "cues": []}
    contents = new["content"].to_numpy()
    start = 0
    for chunk in map_chunks(read, paths, workers=workers, chunk=_CHUNK, progress=progress):
        seen = {index: pictures for index, pictures in enumerate(chunk) if pictures is not None}
        vectors, moments = builtin.look([pictures[0] for pictures in seen.values()])
        if encoder is not builtin:
            vectors = encoder.embed([pictures[1] for pictures in seen.values()])
        columns["content"] += [contents[start + index] for index in seen]
        columns["vector"] += list(vectors)
        columns["cues"] += list(head.cues(moments))
        start += len(chunk)
    return pd.DataFrame(columns, columns=list(EMBEDDINGS.columns))


def _prepare(
    paths: Sequence[str], preparations: Sequence[Preparation]
) -> list[list[NDArray[np.uint8]] | None]:
    """Read and prepare each file for each network; None where it cannot be read any more."""
    at_least = max(preparation.size for preparation in preparations)
    found: list[list[NDArray[np.uint8]] | None] = []
    for path in paths:
        try:
            image = read_rgb(path, at_least=at_least)
        except Unreadable:
            found.append(None)
        else:
            found.append([preparation(image) for preparation in preparations])
    return found
