"""The embeddings table: each content looked at once, whatever happens to its name or to the rest of the folder."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from curate.encoders import BuiltinEncoder, Encoder, Preparation, load_encoder
from curate.engine import Progress, keep_freed_memory, map_chunks, release_workers, silent
from curate.images import Unreadable, read_rgb
from curate.paths import path_from_text
from curate.photos.head import Head, load_head
from curate.tables import EMBEDDINGS

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
    paths = [os.path.join(root, path_from_text(path)) for path in new["path"]]  # noqa: PTH118  may hold any bytes
    other = None if encoder_name == BuiltinEncoder.name else load_encoder(encoder_name)
    seen: list[Seen | None] = []
    release_workers()
    for chunk in map_chunks(look_builtin, paths, workers=workers, chunk=_CHUNK, progress=progress):
        seen += chunk
    release_workers()
    vectors = [None if one is None else one[0] for one in seen]
    if other is not None:
        vectors = _embed(other, paths, workers, progress)
    rows = [
        (content, vector, one[1])
        for content, vector, one in zip(new["content"], vectors, seen, strict=True)
        if vector is not None and one is not None
    ]
    return pd.DataFrame(rows, columns=list(EMBEDDINGS.columns))


Seen = tuple["NDArray[np.float32]", "NDArray[np.float32]"]
"""The built-in encoder's vector of a picture, and its cues."""


def look_builtin(paths: Sequence[str]) -> list[Seen | None]:
    """Vector float32 (192,) and cues float32 (U,) of each file; None where it cannot be read any more. For `map_chunks`.

    The network runs where the pictures are decoded, on one thread: many processes of one thread keep going where other
    work holds a processor, at which the threads of one operation would wait for each other.
    """
    import torch

    network, head = _network()
    pictures = _prepare(paths, network.preparation)
    there = [index for index, picture in enumerate(pictures) if picture is not None]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        vectors, moments = network.look([picture for picture in pictures if picture is not None])
    finally:
        torch.set_num_threads(threads)
    found: list[Seen | None] = [None] * len(paths)
    for index, vector, cues in zip(there, vectors, head.cues(moments), strict=True):
        found[index] = vector, cues
    return found


@functools.cache
def _network() -> tuple[BuiltinEncoder, Head]:
    return BuiltinEncoder(), load_head()


def _embed(
    encoder: Encoder, paths: Sequence[str], workers: int | None, progress: Progress
) -> list[NDArray[np.float32] | None]:
    """Each file through an encoder that is too large to stand in every worker process: they prepare, this one embeds."""
    keep_freed_memory()
    read = functools.partial(_prepare, preparation=encoder.preparation)
    found: list[NDArray[np.float32] | None] = []
    for chunk in map_chunks(read, paths, workers=workers, chunk=_CHUNK, progress=progress):
        vectors = iter(encoder.embed([picture for picture in chunk if picture is not None]))
        found += [None if picture is None else next(vectors) for picture in chunk]
    return found


def _prepare(paths: Sequence[str], preparation: Preparation) -> list[NDArray[np.uint8] | None]:
    """Read each file and prepare it for a network; None where it cannot be read any more."""
    found: list[NDArray[np.uint8] | None] = []
    for path in paths:
        try:
            found.append(preparation(read_rgb(path, at_least=preparation.size)))
        except Unreadable:
            found.append(None)
    return found
