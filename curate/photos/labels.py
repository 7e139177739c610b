"""What people said about single pictures, and handfuls of examples: few labels, used at once.

A label teaches twice: the picture itself is settled, and what is like it is seen in its light (`learn`).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from curate.errors import UserError
from curate.images import Unreadable, open_image, read_bytes, to_rgb
from curate.walk import walk

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from curate.encoders import Encoder

EXAMPLE_FOLDERS = {
    "photos": True,
    "photo": True,
    "photographs": True,
    "drawings": False,
    "drawing": False,
    "illustrations": False,
}
"""Names of the folders in which examples lie, and whether they hold photographs."""

_EASE = 100.0
"""Inverse strength of the ridge, for standardised embeddings divided by the root of their length."""


@dataclasses.dataclass(frozen=True)
class Taught:
    """Labelled pictures: `vectors` float32 (T, D), their embeddings, and `photo` bool (T,)."""

    vectors: NDArray[np.float32]
    photo: NDArray[np.bool_]

    def __len__(self) -> int:
        """How many pictures."""
        return len(self.photo)


def said(verdicts: pd.DataFrame) -> pd.Series:
    """Content -> whether a person called it a photograph, from the table `verdicts`."""
    single = verdicts[verdicts["verdict"].isin(("photo", "drawing")) & (verdicts["other"] == "")]
    return (single.set_index("content")["verdict"] == "photo").astype(bool)


def read_examples(folder: str, encoder: Encoder) -> Taught:
    """The examples in `folder`: pictures in `photos` and in `drawings`, looked at through `encoder`.

    Raises UserError where there is no such folder, where it lacks one of the two kinds, or a picture cannot be read.
    """
    root = Path(folder)
    remedy = f"Make {root / 'photos'} and {root / 'drawings'} with a handful of pictures each."
    if not root.is_dir():
        raise UserError(f"{folder}: there is no such folder of examples.", remedy)
    pictures, photo = [], []
    for name, is_photo in EXAMPLE_FOLDERS.items():
        if not (root / name).is_dir():
            continue
        for path, *_ in walk(str(root / name)).files:
            try:
                pictures.append(np.asarray(to_rgb(open_image(read_bytes(root / name / path)))))
            except Unreadable as error:
                raise UserError(
                    f"{root / name / path}: cannot be read as an example ({error}).",
                    "Take it out of the examples.",
                ) from error
            photo.append(is_photo)
    if not any(photo) or all(photo):
        missing = "photographs" if not any(photo) else "drawings"
        raise UserError(f"{folder}: holds no examples of {missing}.", remedy)
    return Taught(encoder.embed(pictures), np.array(photo))


def learn(vectors: NDArray[np.float32], taught: Taught) -> NDArray[np.float64]:
    """What labels add to the log-odds float64 (N,) of a photograph, for embeddings `vectors` float32 (N, D).

    A ridge logistic regression on the labelled embeddings, both kinds weighed alike; zeros unless both kinds are there.
    """
    if not taught.photo.any() or taught.photo.all() or not len(vectors):
        return np.zeros(len(vectors))
    from sklearn.linear_model import LogisticRegression

    everything = np.concatenate([vectors, taught.vectors])
    mean = everything.mean(axis=0)
    scale = (everything.std(axis=0) + 1e-6) * np.sqrt(everything.shape[1])
    model = LogisticRegression(C=_EASE, max_iter=1000, class_weight="balanced")
    model.fit((taught.vectors - mean) / scale, taught.photo)
    odds: NDArray[np.float64] = model.decision_function((vectors - mean) / scale).astype(np.float64)
    return odds
