"""What is said of suspected labels: the ranked table, the estimates, sentences for people, and the files."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classify.confident_learning import Findings
from classify.outputs import DrawGroups
from classify.prediction import PROBABILITY
from curate.paths import path_to_text
from curate.words import counted

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from classify.data.cache import Pictures
    from classify.data.items import Source

SCHEMA = 1
"""Version of the layout of `label_errors.json`."""

CUT = 0.3
"""Chance of being wrong from which a suspect is suggested: of those about every second was wrong (docs/label-errors.md)."""

_FEWEST = 50
"""Pictures below which nothing is estimated."""

_WEAK = 0.5
"""Agreement below which the estimate of weak classifiers was found to be far too high (docs/label-errors.md)."""

_DOUBTFUL = 0.65
"""Agreement below which it was up to some percent where no label was wrong (docs/label-errors.md)."""

_DOING = {
    "embeddings": "logistic regression on the built-in encoder's embeddings",
    "training": "a training from scratch for each fold",
}


@dataclass(frozen=True)
class LabelErrors:
    """What `find_label_errors` found.

    `suspects`: one row a suspect, the most probable first: `path`, `label`, `suggested`, `verdict` (empty: for a person to
    fill in), `score` (estimated probability that the label is wrong), `p_label`, `p_suggested` (out of fold); the first
    `cut` of them are suggested. `pictures` are their pictures, uint8 (S, S, 3), for those at most `cut`. `report`: what
    `label_errors.json` holds. `sentences`: the same for people. `out`: where it was written. `folder`: the folder of which
    `curate verdict` takes verdicts; None where the pictures are no class folders.
    """

    suspects: pd.DataFrame
    cut: int
    pictures: list[NDArray[np.uint8]]
    report: dict[str, Any]
    sentences: list[str]
    out: Path
    folder: Path | None


@dataclass(frozen=True)
class Judged:
    """The pictures that take part: `source` without the others, its labels as people said; `rows` int64 (N,) of `pictures`.

    `said` bool (N,): a person has spoken on the label. `fold` int64 (N,). `judged` bool (N,): others of its class are in
    other folds. `curated`: paths are below a folder that `curate` can take verdicts of.
    """

    source: Source
    rows: NDArray[np.int64]
    contents: list[str]
    said: NDArray[np.bool_]
    fold: NDArray[np.int64]
    judged: NDArray[np.bool_]
    classes: list[str]
    labels: NDArray[np.int64]
    curated: bool


def rank(
    taking_part: Judged,
    pictures: Pictures,
    belief: NDArray[np.float64],
    findings: Findings,
    method: str,
    place: Path,
) -> LabelErrors:
    """Rank the suspects, and put what was found into figures and sentences."""
    import pandas as pd

    judged = np.flatnonzero(taking_part.judged)
    open_ = findings.suspect & ~taking_part.said[judged]
    order = np.flatnonzero(open_)
    order = order[np.lexsort((order, findings.margin[order], -findings.chance[order]))]
    rows = judged[order]
    names = np.array(taking_part.classes, dtype=object)
    suspects = pd.DataFrame(
        {
            "path": [taking_part.source.paths[row] for row in rows],
            "label": names[taking_part.labels[rows]],
            "suggested": names[findings.suggested[order]],
            "verdict": "",
            "score": findings.chance[order],
            "p_label": belief[rows, taking_part.labels[rows]],
            "p_suggested": belief[rows, findings.suggested[order]],
        }
    )
    cut = int((suspects["score"] >= CUT).sum())
    report = _report(taking_part, belief, findings, suspects, cut, method)
    return LabelErrors(
        suspects,
        cut,
        [pictures.images[taking_part.rows[row]] for row in rows[:cut]],
        report,
        _sentences(report, suspects[:cut]),
        place,
        taking_part.source.root if taking_part.curated else None,
    )


def _report(
    taking_part: Judged,
    belief: NDArray[np.float64],
    findings: Findings,
    suspects: pd.DataFrame,
    cut: int,
    method: str,
) -> dict[str, Any]:
    """What `label_errors.json` holds."""
    judged = np.flatnonzero(taking_part.judged)
    labels = taking_part.labels[judged]
    pairs = suspects.groupby(["label", "suggested"])["score"].agg(suspects="size", errors="sum").reset_index()
    pairs = pairs.sort_values(["errors", "label", "suggested"], ascending=[False, True, True])
    share = findings.share
    lowest = float((suspects["p_label"] - suspects["p_suggested"])[:cut].max()) if cut else -1.0
    return {
        "schema": SCHEMA,
        "source": path_to_text(str(taking_part.source.root)),
        "method": method,
        "folds": int(taking_part.fold.max()) + 1,
        "pictures": len(judged),
        "not_judged": int((~taking_part.judged).sum()),
        "decided_by_people": int(taking_part.said.sum()),
        "agreement": float((belief[judged].argmax(1) == labels).mean()),
        "estimate": {
            "errors": round(share.value * len(judged)),
            "share": share.value,
            "low": share.low,
            "high": share.high,
        }
        if len(judged) >= _FEWEST
        else None,
        "suspects": len(suspects),
        "suggested": {
            "score": CUT,
            "count": cut,
            "expected_errors": float(suspects["score"][:cut].sum()),
            "recall": findings.found(lowest) if cut else 0.0,
        },
        "pairs": pairs.to_dict("records"),
        "confident_joint": {"classes": taking_part.classes, "counts": findings.joint.round(2).tolist()},
    }


def _sentences(report: Mapping[str, Any], suggested: pd.DataFrame) -> list[str]:
    """What was found, for people."""
    sentences = [
        f"Out of fold, {_DOING[report['method']]} takes {report['agreement']:.0%} of {report['pictures']:,} pictures for "
        "the class that their label says."
    ]
    estimate = report["estimate"]
    if estimate is None:
        sentences.append(
            f"Of fewer than {_FEWEST} pictures it cannot be estimated how many labels are wrong."
        )
    else:
        sentences.append(
            f"An estimated {estimate['errors']:,} of {report['pictures']:,} labels are wrong ({estimate['share']:.1%}; 95 % "
            f"interval {estimate['low']:.1%} to {estimate['high']:.1%}). Pictures that could bear either label count among "
            "them; mistakes between classes that look alike are counted too few."
        )
    if report["agreement"] < _WEAK:
        sentences.append(
            "It agrees with fewer than half of the labels: such an estimate is too high, and what it suspects says little."
        )
    elif report["agreement"] < _DOUBTFUL:
        sentences.append(
            "It agrees with few of the labels: such an estimate can be some percent where none is wrong, so many of the "
            "suspected labels may be right."
        )
    cut = report["suggested"]
    if not cut["count"]:
        return [*sentences, "None found: of no label is it likely enough that it is wrong."]
    pairs = Counter(zip(suggested["label"], suggested["suggested"], strict=True))
    sentences.append(
        f"{counted(cut['count'], 'label is', 'labels are')} suspected; expect about "
        f"{max(1, round(cut['expected_errors'])):,} of them to be wrong indeed. Among them should be about "
        f"{cut['recall']:.0%} of all wrong labels; {report['suspects'] - cut['count']:,} less likely ones follow in the table."
    )
    sentences.append(
        "Most often: "
        + "; ".join(
            f"labelled {label}, looks like {other} ({count})"
            for (label, other), count in sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:3]
        )
        + "."
    )
    return sentences


def as_files(
    result: LabelErrors, taking_part: Judged, belief: NDArray[np.float64], draw: DrawGroups | None
) -> dict[str, bytes]:
    """The files to write: name to bytes, `label_errors.json` last."""
    import pandas as pd

    stream = io.BytesIO()
    everything = pd.DataFrame(
        {
            "path": taking_part.source.paths,
            "content": taking_part.contents,
            "label": taking_part.source.labels,
            "fold": taking_part.fold + 1,
            "judged": taking_part.judged,
        }
    )
    columns = [PROBABILITY + name for name in taking_part.classes]
    beliefs = pd.DataFrame(dict(zip(columns, belief.T.astype(np.float32), strict=True)))
    pd.concat([everything, beliefs], axis=1).to_parquet(stream, index=False, compression="zstd")
    files = {
        "out_of_fold.parquet": stream.getvalue(),
        "label_errors.csv": result.suspects.to_csv(index=False, float_format="%.4f").encode(),
    }
    if draw is not None:
        title = f"Doubtful labels in {taking_part.source.root.name}"
        files["label_errors.html"] = draw(title, result.sentences, _groups(result)).encode()
    files["label_errors.json"] = json.dumps(result.report, indent=1, ensure_ascii=False).encode()
    return files


def _groups(result: LabelErrors) -> list[dict[str, Any]]:
    """The suggested suspects by label, for a page."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row, picture in zip(result.suspects[: result.cut].to_dict("records"), result.pictures, strict=True):
        shown = {
            "picture": picture,
            "tag": row["suggested"],
            "text": f"chance {row['score']:.0%}",
            "path": row["path"],
        }
        found.setdefault(row["label"], []).append(shown)
    return [
        {"title": f"Labelled {label}: {len(pictures):,}", "pictures": pictures, "more": 0}
        for label, pictures in sorted(found.items())
    ]
