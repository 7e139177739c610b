"""From probabilities to verdicts, actions and reasons: what the user reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from curate.photos.contamination import Contamination, posteriors
from curate.tables import PHOTOS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ACTIONS = {"photo": "remove", "unsure": "review", "drawing": "keep"}

UNSEEN_SCORE = 0.5
"""Score of a picture that could not be looked at."""


def decide(
    files: pd.DataFrame,
    contents: pd.Series,
    evidence: NDArray[np.float32],
    share: Contamination,
    min_confidence: float,
) -> pd.DataFrame:
    """The table `photos`: a row for each readable file.

    `contents` (N,) names the pictures that `evidence` (N, 3) is about. A picture is a photo where its probability is at
    least `min_confidence`, a drawing where it is below one half, unsure between. In a folder that can be explained
    without photographs nothing is called a photo. A readable file whose content has no evidence is unsure.
    """
    frame = files.loc[files["status"] == "ok", ["path", "content", "label"]].copy()
    probability = pd.Series(posteriors(evidence, share), index=contents)
    score = frame["content"].map(probability)
    seen = score.notna()
    verdict = np.where(score >= min_confidence, "photo", np.where(score >= 0.5, "unsure", "drawing"))
    if not share.present:
        verdict = np.where(verdict == "photo", "unsure", verdict)
    frame["photo_verdict"] = np.where(seen, verdict, "unsure")
    frame["photo_score"] = score.fillna(UNSEEN_SCORE).astype("float32")
    frame["action"] = frame["photo_verdict"].map(_ACTIONS)
    frame["reason"] = [
        _reason(row.photo_verdict, row.photo_score, looked_at, share)
        for row, looked_at in zip(frame.itertuples(), seen, strict=True)
    ]
    return frame[list(PHOTOS.columns)].sort_values("path").reset_index(drop=True)


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
