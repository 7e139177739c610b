"""From probabilities to verdicts, actions and reasons: what the user reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from curate.photos.contamination import Contamination
from curate.tables import PHOTOS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ACTIONS = {"photo": "remove", "unsure": "review", "drawing": "keep"}

PAINTED_CONFIDENCE = 0.95
"""What it takes to remove a picture from a folder of nothing but paintings and photographs."""

DOUBT = 0.5
"""Probability below which a picture is a drawing."""

UNSEEN_SCORE = 0.5
"""Score of a picture that could not be looked at."""


def decide(
    files: pd.DataFrame,
    contents: Iterable[str],
    probability: NDArray[np.float64],
    share: Contamination,
    min_confidence: float,
) -> pd.DataFrame:
    """The table `photos`: a row for each readable file.

    `contents` (N,) names the pictures that `probability` (N,) is about. A picture is a photo where its probability is at
    least what `needed` says, a drawing where it is below one half, unsure between. In a folder that can be explained
    without photographs nothing is called a photo. A readable file whose content has no probability is unsure.
    """
    frame = files.loc[files["status"] == "ok", ["path", "content", "label"]].copy()
    score = frame["content"].map(pd.Series(probability, index=list(contents)))
    seen = score.notna()
    frame["photo_verdict"] = np.where(
        seen, verdicts(score.to_numpy(np.float64), share, min_confidence), "unsure"
    )
    frame["photo_score"] = score.fillna(UNSEEN_SCORE).astype("float32")
    frame["action"] = frame["photo_verdict"].map(_ACTIONS)
    frame["reason"] = [
        _reason(verdict, score, looked_at, share)
        for verdict, score, looked_at in zip(frame["photo_verdict"], frame["photo_score"], seen, strict=True)
    ]
    return frame[list(PHOTOS.columns)].sort_values("path").reset_index(drop=True)


def verdicts(
    probability: NDArray[np.floating[Any]], share: Contamination, min_confidence: float
) -> NDArray[np.str_]:
    """Verdict photo, unsure or drawing of each probability (N,)."""
    found = np.where(probability >= needed(share, min_confidence), "photo", "unsure")
    if not share.present:
        found[:] = "unsure"
    return np.where(probability < DOUBT, "drawing", found)


def needed(share: Contamination, min_confidence: float) -> float:
    """The probability that removes a picture: `min_confidence`, and more the more of the drawings look painted.

    The head's probabilities are least to be trusted between photographs and paintings.
    """
    others = share.drawing + share.painting
    painted = share.painting / others if others > 0 else 0.0
    return min_confidence + max(PAINTED_CONFIDENCE - min_confidence, 0.0) * painted


def _reason(verdict: str, score: float, looked_at: bool, share: Contamination) -> str:
    if not looked_at:
        return "could not be read again when it was to be looked at"
    chance = f"{100 * score:.1f} %"
    if verdict == "photo":
        return f"a photograph with probability {chance}"
    if verdict == "drawing":
        return f"a drawing: photograph with probability {chance} only"
    if not share.present:
        return f"may be a photograph ({chance}), but the folder as a whole shows no sign of any"
    return f"may be a photograph: probability {chance}"
