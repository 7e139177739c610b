"""Learning inside a folder: what its sure pictures teach about its doubtful ones.

The head was trained on other pictures. Where it is sure of enough photographs and enough drawings of this folder, a
logistic regression on their embeddings learns how the two differ here, and speaks on all of the folder's pictures
(self-training). Nothing is asked of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SURE = 0.9
"""Probability from which a picture teaches."""

ENOUGH = 5
"""Sure pictures of each kind that it takes to teach."""

WEIGHT = 0.8
"""The folder's share in the log-odds; the head keeps the rest."""

_FOLDS = 3
"""Parts of the folder; each part is judged by what the other two teach, so that no picture confirms itself."""

_MOST = 5_000
"""Pictures that teach a part; of more, evenly chosen ones."""

_EASE = 200.0
"""Inverse strength of the ridge, for standardised embeddings divided by the root of their length."""


def adapt(
    vectors: NDArray[np.float32], probability: NDArray[np.float64], most: int = _MOST
) -> NDArray[np.float64]:
    """Probabilities float64 (N,) of a photograph after learning from the sure ones among `probability` (N,).

    `vectors` float32 (N, D) are the pictures' embeddings. Comes back unchanged where the sure ones are too few.
    """
    sure = np.maximum(probability, 1 - probability) >= SURE
    photo = probability > 0.5
    part = np.arange(len(probability)) % _FOLDS
    safe = np.clip(probability, 1e-6, 1 - 1e-6)
    odds = np.log(safe / (1 - safe))
    learned = odds.copy()
    for fold in range(_FOLDS):
        teachers = np.flatnonzero(sure & (part != fold))
        teachers = teachers[np.linspace(0, len(teachers) - 1, min(len(teachers), most)).astype(int)]
        if min(photo[teachers].sum(), (~photo[teachers]).sum()) < ENOUGH:
            return probability
        learned[part == fold] = _taught(vectors[teachers], photo[teachers], vectors[part == fold])
    found: NDArray[np.float64] = 1 / (1 + np.exp(-((1 - WEIGHT) * odds + WEIGHT * learned)))
    return found


def _taught(
    teachers: NDArray[np.float32], photo: NDArray[np.bool_], pupils: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Log-odds (P,) of a photograph for the vectors `pupils` (P, D) after learning from `teachers` (T, D)."""
    from sklearn.linear_model import LogisticRegression

    mean = teachers.mean(axis=0)
    scale = (teachers.std(axis=0) + 1e-6) * np.sqrt(teachers.shape[1])
    model = LogisticRegression(C=_EASE, max_iter=1000).fit((teachers - mean) / scale, photo)
    odds: NDArray[np.float64] = model.decision_function((pupils - mean) / scale)
    return odds
