"""The stage `compare`: fingerprints of all pictures, and the score of every pair that could be the same picture.

Each pair is judged by itself, so a score does not depend on what else the folder holds: what was judged before is
taken over when files come or go, and the result is the same as from the start.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.engine import Progress, silent
from curate.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from curate.duplicates.alignment import Picture
    from curate.duplicates.evidence import Finding, Question
    from curate.duplicates.search import Matches
    from curate.pipeline import Context

VERSION = 1

SEARCHES = ("full", "fast", "pixel")

LOW_INFORMATION = 0.04
"""Pictures with less information than this (see `fingerprints.information`) are compared by bytes and pixels alone."""

CASES_FROM = 0.8
"""Score from which it is asked which of two pictures was made from the other."""

_QUESTIONS = 128
_ASKED = ["content_a", "content_b", "distance", "orientation", "kind_a", "kind_b"]


@dataclass(frozen=True)
class CompareSettings:
    """Settings of the comparison.

    `search`: `full` looks for edited copies by hashes and local features; `fast` by hashes alone, which finds
    re-encoded, resized, recoloured, flipped, turned and framed copies, but few crops and rotations, and tells the source
    from its copies by size and detail alone; `pixel` compares bytes and decoded pixels only.
    """

    search: str = "full"


def run(context: Context, settings: CompareSettings) -> dict[str, pd.DataFrame]:
    """The tables fingerprints, judged, cases and planted. Raises UserError for a setting that means nothing."""
    if settings.search not in SEARCHES:
        raise UserError(f"search: '{settings.search}' is not known.", f"Give one of {', '.join(SEARCHES)}.")
    files, others = (
        table[table["status"] == "ok"] for table in (context.read("files"), context.read("against"))
    )
    against = context.workspace.origin("against")
    folders = {context.workspace.root: files}
    if against is not None and len(others):
        folders[Path(against.settings["folder"])] = others
    places = _places(folders)
    prints = _fingerprints(context, places, features=settings.search == "full")
    judged = _judged(context, settings, prints, set(files["content"]), places)
    own = set(files["content"])
    return {
        "fingerprints": prints,
        "judged": judged,
        "cases": _cases(
            context, settings, prints, judged, {c: place for c, place in places.items() if c in own}
        ),
        "planted": _planted(context, settings, prints[prints["content"].isin(own)], places),
    }


# Fingerprints ---------------------------------------------------------------------------------------------------


def _fingerprints(context: Context, places: Mapping[str, str], features: bool) -> pd.DataFrame:
    """Fingerprints of every content: those that are stored already, and the rest computed."""
    import pandas as pd

    from curate.duplicates.fingerprints import fingerprint_files
    from curate.engine import map_chunks
    from curate.tables import FINGERPRINTS

    known = FINGERPRINTS.empty()
    origin = context.workspace.origin("fingerprints")
    if origin is not None and origin.version == VERSION:
        known = context.read("fingerprints")
        known = known[known["content"].isin(places)]
        if features:
            known = known[known["descriptors"].notna()]
    missing = sorted(set(places) - set(known["content"]))
    work = [(content, places[content]) for content in missing]
    rows: list[dict[str, Any]] = []
    for found in map_chunks(
        functools.partial(fingerprint_files, features=features),
        work,
        workers=context.workers,
        chunk=32,
        progress=context.progress,
    ):
        rows += found
    if len(rows) < len(work):
        context.say(f"{len(work) - len(rows)} files changed or went away since the scan; they were left out.")
    fresh = pd.DataFrame(rows, columns=list(FINGERPRINTS.columns))
    frames = [frame for frame in (known, fresh) if len(frame)]
    together = pd.concat(frames, ignore_index=True) if frames else FINGERPRINTS.empty()
    return together.sort_values("content", ignore_index=True)


def _places(folders: dict[Path, pd.DataFrame]) -> dict[str, str]:
    """Content -> a file that holds it, as `os` functions take it."""
    from curate.paths import path_from_text

    first: dict[str, str] = {}
    for root, files in folders.items():
        for content, path in files.sort_values("path")[["content", "path"]].itertuples(index=False):
            first.setdefault(content, os.path.join(root, path_from_text(path)))  # noqa: PTH118  may hold any bytes
    return first


# Judging --------------------------------------------------------------------------------------------------------


def _judged(
    context: Context,
    settings: CompareSettings,
    prints: pd.DataFrame,
    own: set[str],
    places: Mapping[str, str],
) -> pd.DataFrame:
    """The table `judged`: the candidate pairs of which at least one picture is of this folder, with their scores.

    Contents with equal pixels are folded: only the first of them is compared.
    """
    import pandas as pd

    from curate.tables import JUDGED

    leads = fold(prints)
    mine = set(leads[prints["content"].isin(own)])
    prints = prints[prints["content"] == leads]
    if settings.search == "pixel":
        return JUDGED.empty()
    low = int((prints["quality"] < LOW_INFORMATION).sum())
    if low:
        context.say(f"{low} blank or nearly blank pictures were compared by bytes and pixels alone.")
    prints = prints[prints["quality"] >= LOW_INFORMATION].reset_index(drop=True)
    if len(prints) < 2:
        return JUDGED.empty()
    pictures = _pictures(prints, features=settings.search == "full")
    hashes = np.frombuffer(b"".join(prints["hash"]), np.uint8).reshape(-1, 2, 32)
    questions, matches = candidates(hashes, pictures, context.workers)
    if len(matches.crowded):
        context.say(matches.note())
    content = prints["content"].tolist()
    ours = prints["content"].isin(mine).to_numpy()
    questions = [q for q in questions if ours[q.a] or ours[q.b]]
    asked = pd.DataFrame(
        [(content[q.a], content[q.b], q.distance, q.orientation, *q.kinds) for q in questions], columns=_ASKED
    )
    known = JUDGED.empty()
    origin = context.workspace.origin("judged")
    if origin is not None and origin.version == VERSION and origin.settings["search"] == settings.search:
        known = asked.merge(context.read("judged"), on=_ASKED, how="inner")
    new = asked.merge(known[_ASKED], on=_ASKED, how="left", indicator=True)["_merge"] == "left_only"
    fresh = _answers(
        [q for q, is_new in zip(questions, new, strict=True) if is_new], pictures, content, places, context
    )
    answered = asked[new.to_numpy()].assign(
        score=fresh["score"].to_numpy(), evidence=fresh["evidence"].to_numpy()
    )
    frames = [frame for frame in (known, answered) if len(frame)]
    together = pd.concat(frames, ignore_index=True) if frames else JUDGED.empty()
    return together[list(JUDGED.columns)].sort_values(_ASKED[:2], ignore_index=True)


def fold(prints: pd.DataFrame) -> pd.Series:
    """For each row of the table `fingerprints` the first content with the same pixels."""
    leads: pd.Series = prints.groupby("pixels")["content"].transform("min")
    return leads


def _pictures(prints: pd.DataFrame, features: bool) -> list[Picture]:
    """The fingerprints unpacked for the second look; without local features where they are not asked for."""
    from curate.duplicates.alignment import Picture
    from curate.duplicates.fingerprints import THUMB

    columns = ("thumb", "boxes", "points", "descriptors")
    return [
        Picture(
            np.frombuffer(thumb, np.uint8).reshape(THUMB, THUMB),
            np.asarray(boxes, np.float32).reshape(2, 4),
            np.frombuffer(points if features else b"", np.float32).reshape(-1, 4),
            np.frombuffer(descriptors if features else b"", np.uint8).reshape(-1, 128),
        )
        for thumb, boxes, points, descriptors in zip(*(prints[name] for name in columns), strict=True)
    ]


def candidates(
    hashes: NDArray[np.uint8], pictures: Sequence[Picture], workers: int | None = None
) -> tuple[list[Question], Matches]:
    """Candidate pairs, sorted: near in the hash, or sharing local features; and what the search of the hashes found.

    `hashes` uint8 (N, 2, 32) and `pictures`, N of them, are those of one fingerprint each.
    """
    from curate.duplicates.candidates import SEARCHED, shared_features
    from curate.duplicates.evidence import Question
    from curate.duplicates.search import near_pairs

    found = near_pairs(hashes, workers=workers)
    asked = {(a, b): Question(a, b, d, o, (j, k)) for a, b, d, o, j, k in found.pairs.tolist()}
    strongest = [p.descriptors[:SEARCHED] for p in pictures]
    if any(len(one) for one in strongest):
        owner = np.repeat(np.arange(len(pictures)), [len(one) for one in strongest])
        shared = shared_features(np.concatenate(strongest), owner, len(pictures), workers)
        for a, b in shared.tolist():
            asked.setdefault((a, b), Question(a, b, 257, 0, (0, 0)))
    return [asked[pair] for pair in sorted(asked)], found


def findings(
    questions: Sequence[Question],
    pictures: Sequence[Picture],
    workers: int | None = None,
    progress: Progress = silent,
) -> dict[tuple[int, int], Finding]:
    """What the second look says to each question, by its pair of pictures; in worker processes."""
    from curate.duplicates.evidence import judge
    from curate.engine import map_chunks

    portions = [questions[i : i + _QUESTIONS] for i in range(0, len(questions), _QUESTIONS)]
    work = [({i: pictures[i] for q in portion for i in (q.a, q.b)}, portion) for portion in portions]
    look = functools.partial(judge, threshold=-1.0)
    return {
        (finding.a, finding.b): finding
        for found in map_chunks(look, work, workers=workers, chunk=1, progress=progress)
        for finding in found
    }


def _cases(
    context: Context,
    settings: CompareSettings,
    prints: pd.DataFrame,
    judged: pd.DataFrame,
    places: Mapping[str, str],
) -> pd.DataFrame:
    """The table `cases`: for pairs that may count as one picture, which was made from the other, as far as pixels tell.

    After a fast search it is empty: the keeper is chosen by what the fingerprints know.
    """
    import pandas as pd

    from curate.duplicates.provenance import find_cases
    from curate.tables import CASES

    if settings.search != "full":
        return CASES.empty()
    ends = ["content_a", "content_b"]
    pairs = judged.loc[judged["score"] >= CASES_FROM, ends].assign(tier="near")
    known = CASES.empty()
    origin = context.workspace.origin("cases")
    if origin is not None and origin.version == VERSION:
        known = pairs[ends].merge(context.read("cases"), on=ends)
    new = pairs.merge(known[ends], on=ends, how="left", indicator=True)
    found = find_cases(
        prints,
        new[new["_merge"] == "left_only"],
        places,
        workers=context.workers,
        progress=context.progress,
    )
    fresh = pd.DataFrame(
        [(*pair, *astuple(case)) for pair, case in found.items()], columns=list(CASES.columns)
    )
    frames = [frame for frame in (known, fresh) if len(frame)]
    together = pd.concat(frames, ignore_index=True) if frames else CASES.empty()
    return together.astype({"from_a": "float32", "from_b": "float32"}).sort_values(ends, ignore_index=True)


def _planted(
    context: Context, settings: CompareSettings, prints: pd.DataFrame, places: Mapping[str, str]
) -> pd.DataFrame:
    """The table `planted`: copies made of a sample of this folder's pictures, and the scores that they get."""
    import pandas as pd

    from curate.duplicates.error import judge_planted, sample
    from curate.engine import map_chunks
    from curate.tables import PLANTED

    if settings.search == "pixel":
        return PLANTED.empty()
    drawn = sample(prints.loc[prints["quality"] >= LOW_INFORMATION, "content"].tolist())
    rows = [
        row
        for found in map_chunks(
            functools.partial(judge_planted, features=settings.search == "full"),
            [(content, places[content]) for content in drawn],
            workers=context.workers,
            chunk=8,
            progress=context.progress,
        )
        for row in found
    ]
    return pd.DataFrame(rows, columns=list(PLANTED.columns)).astype({"score": "float32"})


def _answers(
    questions: Sequence[Question],
    pictures: list[Picture],
    contents: Sequence[str],
    places: Mapping[str, str],
    context: Context,
) -> pd.DataFrame:
    """Score and evidence of each question, in order: of the second look, and of a closer one where that leaves doubt."""
    import pandas as pd

    from curate.duplicates.closer import doubts, look
    from curate.engine import map_chunks

    found = findings(questions, pictures, context.workers, context.progress)
    doubtful = doubts(list(found.values()), contents, places, [picture.boxes for picture in pictures])
    for closer in map_chunks(look, doubtful, workers=context.workers, chunk=128, progress=context.progress):
        found |= {(finding.a, finding.b): finding for finding in closer}
    rows = [(finding.score, finding.evidence) for finding in (found[q.a, q.b] for q in questions)]
    return pd.DataFrame(rows, columns=["score", "evidence"]).astype({"score": "float32"})
