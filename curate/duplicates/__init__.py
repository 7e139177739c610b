"""Duplicates: exact copies, equal pixels and edited copies of one picture; which to keep, and why.

`run` is the stage. Fingerprints (`fingerprints`) lead to candidates (`candidates`), these to a second look
(`evidence`), what passes it to groups (`groups`) with a keeper (`keeper`). `all_pairs` lists every two files of a
group.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.duplicates.groups import all_pairs, assemble
from curate.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from curate.duplicates.evidence import Picture, Question
    from curate.pipeline import Context

__all__ = ["VERSION", "DedupSettings", "all_pairs", "find_pairs", "run"]

VERSION = 1

CONFLICTS = ("review", "majority")

LOW_INFORMATION = 0.04
"""Pictures with less information than this (see `fingerprints.information`) are compared by bytes and pixels alone."""

_QUESTIONS = 128


@dataclass(frozen=True)
class DedupSettings:
    """Settings of `curate dedup`.

    `near` looks for edited copies too, not only for equal bytes and pixels. `threshold` (0..1) is the score from
    which a pair counts as one picture; higher is stricter. `conflicts` says what becomes of a group under more than
    one label: `review` or `majority` (see `groups.assemble`).
    """

    near: bool = True
    threshold: float = 0.87
    conflicts: str = "review"


def run(context: Context, settings: DedupSettings) -> dict[str, pd.DataFrame]:
    """The tables fingerprints, pairs and duplicates. Raises UserError for a setting that means nothing."""
    if settings.conflicts not in CONFLICTS:
        raise UserError(
            f"conflicts: '{settings.conflicts}' is not known.", f"Give one of {', '.join(CONFLICTS)}."
        )
    if not 0 < settings.threshold <= 1:
        raise UserError(
            f"threshold: {settings.threshold} is out of range.", "Give a score above 0 and up to 1."
        )
    files = context.read("files")
    files = files[files["status"] == "ok"]
    prints = _fingerprints(context, files)
    pairs = find_pairs(prints, settings, context)
    seen = files.merge(prints[["content", "real_side"]], on="content")
    seen["side"] = np.sqrt(seen["width"].astype(float) * seen["height"].astype(float))
    return {"fingerprints": prints, "pairs": pairs, "duplicates": assemble(seen, pairs, settings.conflicts)}


def _fingerprints(context: Context, files: pd.DataFrame) -> pd.DataFrame:
    """Fingerprints of every content: those that are stored already, and the rest computed."""
    import pandas as pd

    from curate.duplicates.fingerprints import fingerprint_files
    from curate.engine import map_chunks
    from curate.tables import FINGERPRINTS, path_from_text

    first = files.sort_values("path").drop_duplicates("content").set_index("content")["path"]
    known = FINGERPRINTS.empty()
    origin = context.workspace.origin("fingerprints")
    if origin is not None and origin.version == VERSION:
        known = context.read("fingerprints")
        known = known[known["content"].isin(first.index)]
    missing = sorted(set(first.index) - set(known["content"]))
    root = context.workspace.root
    work = [(content, os.path.join(root, path_from_text(first[content]))) for content in missing]  # noqa: PTH118
    rows: list[dict[str, Any]] = []
    for found in map_chunks(
        fingerprint_files, work, workers=context.workers, chunk=32, progress=context.progress
    ):
        rows += found
    if len(rows) < len(work):
        context.say(f"{len(work) - len(rows)} files changed or went away since the scan; they were left out.")
    fresh = pd.DataFrame(rows, columns=list(FINGERPRINTS.columns))
    frames = [frame for frame in (known, fresh) if len(frame)]
    together = pd.concat(frames, ignore_index=True) if frames else FINGERPRINTS.empty()
    return together.sort_values("content", ignore_index=True)


def find_pairs(prints: pd.DataFrame, settings: DedupSettings, context: Context | None = None) -> pd.DataFrame:
    """The table `pairs` from the table `fingerprints`.

    Contents with equal pixels are folded first: each is tied to the first of them, and only that one is compared
    further.
    """
    import pandas as pd

    prints = prints.sort_values("content", ignore_index=True)
    lead = prints.groupby("pixels")["content"].transform("min")
    folded = prints["content"] != lead
    rows = [
        (a, b, "pixel", 1.0, "every decoded pixel is equal")
        for a, b in zip(lead[folded], prints["content"][folded], strict=True)
    ]
    if settings.near:
        rows += _near_pairs(prints[~folded], settings, context)
    pairs = pd.DataFrame(rows, columns=["content_a", "content_b", "tier", "score", "evidence"])
    return pairs.sort_values(["content_a", "content_b"], ignore_index=True)


def _near_pairs(
    prints: pd.DataFrame, settings: DedupSettings, context: Context | None
) -> list[tuple[str, str, str, float, str]]:
    """Rows of tier near between pictures that hold enough to be recognised."""
    from curate.duplicates.evidence import judge
    from curate.engine import map_chunks, silent

    low = int((prints["quality"] < LOW_INFORMATION).sum())
    if low and context is not None:
        context.say(f"{low} blank or nearly blank pictures were compared by bytes and pixels alone.")
    prints = prints[prints["quality"] >= LOW_INFORMATION].reset_index(drop=True)
    if len(prints) < 2:
        return []
    workers = context.workers if context else 1
    work = _questions(prints, workers)
    progress = context.progress if context else silent
    content = prints["content"]
    return [
        (content[f.a], content[f.b], "near", f.score, f.evidence)
        for found in map_chunks(
            functools.partial(judge, threshold=settings.threshold),
            work,
            workers=workers,
            chunk=1,
            progress=progress,
        )
        for f in found
    ]


def _questions(prints: pd.DataFrame, workers: int | None) -> list[tuple[dict[int, Picture], list[Question]]]:
    """Candidate pairs in portions, each with the pictures that it needs."""
    from curate.duplicates.candidates import SEARCHED, best_hashes, shared_features
    from curate.duplicates.evidence import Picture, Question
    from curate.duplicates.fingerprints import THUMB

    pictures = [
        Picture(
            np.frombuffer(thumb, np.uint8).reshape(THUMB, THUMB),
            np.asarray(boxes, np.float32).reshape(2, 4),
            np.frombuffer(points, np.float32).reshape(-1, 4),
            np.frombuffer(descriptors, np.uint8).reshape(-1, 128),
        )
        for thumb, boxes, points, descriptors in zip(
            *(prints[name] for name in ("thumb", "boxes", "points", "descriptors")), strict=True
        )
    ]
    hashes = np.frombuffer(b"".join(prints["hash"]), np.uint8).reshape(-1, 2, 32)
    asked = {(a, b): Question(a, b, d, o, (j, k)) for a, b, d, o, j, k in best_hashes(hashes).tolist()}
    strongest = [p.descriptors[:SEARCHED] for p in pictures]
    owner = np.repeat(np.arange(len(pictures)), [len(found) for found in strongest])
    shared = shared_features(np.concatenate(strongest), owner, len(pictures), workers)
    for a, b in shared.tolist():
        asked.setdefault((a, b), Question(a, b, 257, 0, (0, 0)))
    questions = [asked[pair] for pair in sorted(asked)]
    portions = [questions[i : i + _QUESTIONS] for i in range(0, len(questions), _QUESTIONS)]
    return [({i: pictures[i] for q in portion for i in (q.a, q.b)}, portion) for portion in portions]
