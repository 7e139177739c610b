"""From probabilities to verdicts, actions and reasons: what the user reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from curate.photos.contamination import Contamination
from curate.tables import PHOTOS

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAINTED_CONFIDENCE = 0.95
"""What it takes to remove a picture from a folder of nothing but paintings and photographs."""

DOUBT = 0.5
"""Probability below which a picture is not what is looked for."""

UNSEEN_SCORE = 0.5
"""Score of a picture that could not be looked at."""

TOO_MANY = "more would go than --max-removed allows"
"""How the reason of a picture ends that goes nowhere because of `Guard.max_removed`."""

WORDS = {"photo": "a photograph", "drawing": "a drawing"}


@dataclasses.dataclass(frozen=True)
class Guard:
    """When a picture may go: from `min_confidence` on, and no more than `max_removed` of the pictures, shares 0..1."""

    min_confidence: float = 0.8
    max_removed: float = 1.0


def decide(
    files: pd.DataFrame,
    contents: Iterable[str],
    probability: NDArray[np.float64],
    share: Contamination,
    guard: Guard,
    said: pd.Series | None = None,
) -> pd.DataFrame:
    """The table `photos`: a row for each readable file, without clusters.

    `contents` (N,) names the pictures that `probability` (N,), of a photograph, is about; `said` tells by content which
    pictures a person called photographs (True) or drawings. What is wanted (`share.wanted`) and sure enough is removed,
    what is as likely not is kept, and what lies between is left to a person; so is everything where the folder can be
    explained without any, and where more than the guard allows would go. A readable file whose content has no
    probability is unsure.
    """
    frame = files.loc[files["status"] == "ok", ["path", "content", "label"]].copy()
    known = frame["content"].map(pd.Series(probability, index=list(contents), dtype=float))
    seen = known.notna().to_numpy()
    word = frame["content"].map(said) if said is not None and len(said) else pd.Series(pd.NA, frame.index)
    told = word.notna().to_numpy()
    found = np.where(seen, verdicts(known.to_numpy(np.float64), share, guard.min_confidence), "unsure")
    wanted, other = sides(share.wanted)
    too_many = bool((found == wanted).mean() > guard.max_removed) if len(found) else False
    if too_many:
        found = np.where(found == wanted, "unsure", found)
    spoken = word[told].astype(bool).to_numpy()
    found[told] = np.where(spoken, "photo", "drawing")
    score = known.fillna(UNSEEN_SCORE).to_numpy(np.float64, copy=True)
    score[told] = spoken
    frame["photo_verdict"] = found
    frame["photo_score"] = score.astype("float32")
    frame["action"] = frame["photo_verdict"].map({wanted: "remove", "unsure": "review", other: "keep"})
    frame["reason"] = [
        "a person said so"
        if by_hand
        else _reason(str(verdict), float(value), bool(looked_at), share, too_many)
        for verdict, value, looked_at, by_hand in zip(found, score, seen, told, strict=True)
    ]
    frame["cluster"] = ""
    return frame[list(PHOTOS.columns)].sort_values("path").reset_index(drop=True)


def sides(wanted: str) -> tuple[str, str]:
    """The verdict that is looked for, and the other one."""
    return ("photo", "drawing") if wanted == "photos" else ("drawing", "photo")


def verdicts(
    probability: NDArray[np.floating[Any]], share: Contamination, min_confidence: float
) -> NDArray[np.str_]:
    """Verdict photo, unsure or drawing of each probability (N,) of a photograph."""
    wanted, other = sides(share.wanted)
    chance = probability if wanted == "photo" else 1 - probability
    found = np.where(chance >= needed(share, min_confidence), wanted, "unsure")
    if not share.present:
        found[:] = "unsure"
    return np.where(chance < DOUBT, other, found)


def needed(share: Contamination, min_confidence: float) -> float:
    """The probability that removes a picture: `min_confidence`, and more the more of the drawings look painted.

    The head's probabilities are least to be trusted between photographs and paintings.
    """
    others = share.drawing + share.painting
    painted = share.painting / others if others > 0 else 0.0
    return min_confidence + max(PAINTED_CONFIDENCE - min_confidence, 0.0) * painted


def _reason(verdict: str, score: float, looked_at: bool, share: Contamination, too_many: bool) -> str:
    if not looked_at:
        return "could not be read again when it was to be looked at"
    wanted, other = sides(share.wanted)
    chance = f"{100 * (score if wanted == 'photo' else 1 - score):.1f} %"
    if verdict == wanted:
        return f"{WORDS[wanted]} with probability {chance}"
    if verdict == other:
        return f"{WORDS[other]}: {WORDS[wanted][2:]} with probability {chance} only"
    if not share.present:
        return f"may be {WORDS[wanted]} ({chance}), but the folder as a whole shows no sign of any"
    if too_many:
        return f"may be {WORDS[wanted]} ({chance}), but {TOO_MANY}"
    return f"may be {WORDS[wanted]}: probability {chance}"
