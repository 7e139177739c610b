"""Pictures to class probabilities, through the preprocessing that travels with the weights."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classify.data.items import Item, decode
from curate.engine import Progress, default_workers, silent
from curate.images import Unreadable
from curate.paths import path_to_text

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from classify.weights import Classifier, Preprocessing

BATCH = 64
"""Pictures decoded together and in one pass of the network."""

PROBABILITY = "p:"
"""A probability's column is this and the class's name."""


def probability_columns(table: pd.DataFrame) -> list[str]:
    """Names of the columns that hold a class's probability, in their order."""
    return [str(name) for name in table.columns if str(name).startswith(PROBABILITY)]


def default_device() -> str:
    """Where pictures are classified when nobody says otherwise: torch's name of a GPU, or of the processor."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def read_picture(item: Item, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """A file, bytes or array as the network's input: uint8 (size, size, 3), decoded as in training.

    Raises `curate.images.Unreadable`.
    """
    return preprocessing.picture(decode(item, preprocessing)[0])


def predict_paths(
    paths: Sequence[str | Path],
    classifier: Classifier,
    progress: Progress = silent,
    *,
    workers: int | None = None,
) -> pd.DataFrame:
    """Classify the pictures at `paths`: what `predict` gives, behind a column `path` (as text)."""
    table = predict(paths, classifier, progress, workers=workers)
    table.insert(0, "path", [path_to_text(str(path)) for path in paths])
    return table


def predict(
    items: Sequence[Item],
    classifier: Classifier,
    progress: Progress = silent,
    *,
    workers: int | None = None,
) -> pd.DataFrame:
    """Classify pictures: one row each, in their order.

    Columns: `prediction` (the most probable class), `confidence` (its probability, float32),
    `reason` and `detail` (of a file that cannot be read: a code of `curate.images.REASONS` and the sentence; empty
    else), and `p:CLASS` (float32) for each class in the weights' order. An unreadable file has the prediction "" and
    NaN for its numbers. Decoding runs in `workers` threads beside the network; no more than a few batches of pictures
    are in memory.
    """
    import pandas as pd

    belief = np.full((len(items), len(classifier.classes)), np.nan, dtype=np.float32)
    reasons: list[tuple[str, str]] = []
    progress(0, len(items))
    for pictures, faults in _batches(items, classifier.preprocessing, workers or default_workers()):
        start = len(reasons)
        read = [start + i for i, fault in enumerate(faults) if fault is None]
        if read:
            belief[read] = classifier.probabilities(pictures)
        reasons += [("", "") if fault is None else (fault.reason, str(fault)) for fault in faults]
        progress(len(reasons), len(items))
    good = np.array([not reason for reason, _ in reasons], dtype=bool)
    best = np.where(good, np.nan_to_num(belief, nan=-1.0).argmax(axis=1), -1)
    names = np.array([*classifier.classes, ""], dtype=object)
    columns = {
        "prediction": names[best],
        "confidence": belief[np.arange(len(items)), best],
        "reason": [reason for reason, _ in reasons],
        "detail": [detail for _, detail in reasons],
    }
    probabilities = pd.DataFrame(belief, columns=[PROBABILITY + name for name in classifier.classes])
    return pd.concat([pd.DataFrame(columns), probabilities], axis=1)


Batch = tuple["NDArray[np.uint8]", list[Unreadable | None]]


def _batches(items: Sequence[Item], preprocessing: Preprocessing, workers: int) -> Iterator[Batch]:
    """Decode ahead of the network, in order: the pictures of a batch that could be read, and each one's fault."""
    chunks = (items[start : start + BATCH] for start in range(0, len(items), BATCH))
    waiting: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            waiting.extend(
                pool.submit(_decode, chunk, preprocessing) for chunk in islice(chunks, workers + 1)
            )
            while waiting:
                batch = waiting.popleft().result()
                waiting.extend(pool.submit(_decode, chunk, preprocessing) for chunk in islice(chunks, 1))
                yield batch
        finally:
            for future in waiting:
                future.cancel()


def _decode(items: Sequence[Item], preprocessing: Preprocessing) -> Batch:
    size = preprocessing.size
    pictures = [np.zeros((0, size, size, 3), dtype=np.uint8)]
    faults: list[Unreadable | None] = []
    for item in items:
        try:
            pictures.append(read_picture(item, preprocessing)[None])
            faults.append(None)
        except Unreadable as fault:
            faults.append(fault)
    return np.concatenate(pictures), faults
