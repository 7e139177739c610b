"""The stage `dedup`: which pairs count as one picture, the groups and their keepers, and what another folder holds too."""

from __future__ import annotations

import functools
import os
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from curate.duplicates.compare import fold
from curate.duplicates.error import precision, recall, threshold_for
from curate.duplicates.groups import TIERS, Links, assemble, link, numbered
from curate.duplicates.keeper import within
from curate.errors import UserError
from curate.paths import path_to_text
from curate.verdicts import labels_said, read_verdicts, relabelled

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from curate.duplicates.provenance import Case
    from curate.pipeline import Context

VERSION = 1

CONFLICTS = ("review", "majority", "drop-all")
SCOPES = ("all", "within-class", "across-class")


@dataclass(frozen=True)
class DedupSettings:
    """Settings of `curate dedup`.

    `threshold` (0..1) is the score from which a pair counts as one picture; higher is stricter. Where `precision` (0..1)
    is given, the threshold is the least one at which that share of the pairs is estimated to be right. `conflicts` says what
    becomes of a group under more than one label: `review`, `majority` or `drop-all` (see `groups.assemble`). `scope`:
    `all`, `within-class` (copies under one label only) or `across-class` (groups under several labels only). `prefer`
    and `protect` name folders below the root: files of the first are kept before others, of the second none is removed.
    """

    threshold: float = 0.87
    precision: float = 0.0
    conflicts: str = "review"
    scope: str = "all"
    prefer: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()


def run(context: Context, settings: DedupSettings) -> dict[str, pd.DataFrame]:
    """The tables pairs, error, leaks and duplicates. Raises UserError for a setting that means nothing."""
    _check(settings)
    files, others = (
        table[table["status"] == "ok"] for table in (context.read("files"), context.read("against"))
    )
    known = files["path"].tolist()
    settings = replace(
        settings,
        prefer=tuple(_below(context.workspace.root, folder, known, "prefer") for folder in settings.prefer),
        protect=tuple(
            _below(context.workspace.root, folder, known, "protect") for folder in settings.protect
        ),
    )
    prints = context.read("fingerprints")
    verdicts = read_verdicts(context.workspace)
    files = relabelled(files, labels_said(verdicts))
    judged = context.read("judged")
    scores = judged["score"].to_numpy()
    threshold = threshold_for(scores, settings.precision) if settings.precision else settings.threshold
    if settings.precision:
        context.say(f"Pairs count as copies from a score of {threshold:.3f} on.")
    pairs = find_pairs(prints, judged, verdicts, threshold)
    seen = files.merge(prints[["content", "real_side"]], on="content")
    seen["side"] = np.sqrt(seen["width"].astype(float) * seen["height"].astype(float))
    own = pairs[pairs["content_a"].isin(seen["content"]) & pairs["content_b"].isin(seen["content"])]
    return {
        "pairs": pairs,
        "error": estimate(scores, context.read("planted")["score"].to_numpy(), threshold),
        "leaks": find_leaks(seen, others, pairs),
        "duplicates": _in_scope(seen, own, _cases(context.read("cases")), settings),
    }


def _check(settings: DedupSettings) -> None:
    for name, value, known in (
        ("conflicts", settings.conflicts, CONFLICTS),
        ("scope", settings.scope, SCOPES),
    ):
        if value not in known:
            raise UserError(f"{name}: '{value}' is not known.", f"Give one of {', '.join(known)}.")
    if not 0 < settings.threshold <= 1:
        raise UserError(
            f"threshold: {settings.threshold} is out of range.", "Give a score above 0 and up to 1."
        )
    if not 0 <= settings.precision < 1:
        raise UserError(
            f"precision: {settings.precision} is out of range.", "Give a share below 1, for example 0.999."
        )


def _below(root: Path, folder: str, known: Sequence[str], option: str) -> str:
    """A folder as people name it (absolute, or below the root) as a path below the root.

    Raises UserError where it holds none of the pictures: a misspelt folder would protect nothing.
    """
    place = path_to_text(os.path.relpath(root / folder, root)).replace(os.sep, "/")
    if not any(within(path, place) for path in known):
        raise UserError(
            f"--{option} {folder}: holds none of the pictures of {root}.", f"Give a folder below {root}."
        )
    return place


def estimate(scores: NDArray[np.float32], planted: NDArray[np.float32], threshold: float) -> pd.DataFrame:
    """The table `error`: how many of the near pairs are right, and how many copies are found, as far as can be told."""
    import pandas as pd

    from curate.tables import ERROR

    shares = {"precision": precision(scores, threshold), "recall": recall(planted, threshold)}
    rows = [
        (name, share.value, share.low, share.high, share.of) for name, share in shares.items() if share.of
    ]
    return pd.DataFrame(rows, columns=list(ERROR.columns))


def find_pairs(
    prints: pd.DataFrame, judged: pd.DataFrame, verdicts: pd.DataFrame, threshold: float
) -> pd.DataFrame:
    """The table `pairs`: equal pixels, judged pairs whose score reaches the threshold, and what people said.

    Contents with equal pixels are folded: each is tied to the first of them, and that one alone to other pictures. A
    person's word is on the pictures, whichever file showed them, and counts for more than any score, in both directions;
    equal pixels are one picture whatever is said.
    """
    import pandas as pd

    from curate.tables import PAIRS

    leads = fold(prints)
    folded = prints["content"] != leads
    rows: dict[tuple[str, str], tuple[str, float, str]] = dict.fromkeys(
        zip(leads[folded], prints["content"][folded], strict=True),
        ("pixel", 1.0, "every decoded pixel is equal"),
    )
    near = judged[judged["score"] >= np.float32(threshold)]
    for a, b, score, evidence in near[["content_a", "content_b", "score", "evidence"]].itertuples(
        index=False
    ):
        rows[a, b] = ("near", score, evidence)
    lead = dict(zip(prints["content"], leads, strict=True))
    in_order = verdicts.sort_values("said", kind="stable")  # the last word on two pictures counts
    for content, other, verdict in in_order[["content", "other", "verdict"]].itertuples(index=False):
        ends = sorted({lead[c] for c in (content, other) if c in lead})
        if len(ends) < 2:
            continue
        a, b = ends
        if verdict == "different":
            rows.pop((a, b), None)
        elif verdict == "same":
            rows[a, b] = ("verdict", 1.0, "a person said that both are the same picture")
    pairs = pd.DataFrame([(*pair, *found) for pair, found in rows.items()], columns=list(PAIRS.columns))
    return pairs.sort_values(["content_a", "content_b"], ignore_index=True)


def _cases(table: pd.DataFrame) -> dict[tuple[str, str], Case]:
    """The table `cases` as `assemble` takes it."""
    from curate.duplicates.provenance import Case

    return {(row[0], row[1]): Case(*row[2:]) for row in table.itertuples(index=False, name=None)}


def _in_scope(
    seen: pd.DataFrame, pairs: pd.DataFrame, cases: dict[tuple[str, str], Case], settings: DedupSettings
) -> pd.DataFrame:
    """The table `duplicates` of the files that the scope asks for, with conflicts as the settings want them."""
    import pandas as pd

    conflicts = "review" if settings.conflicts == "drop-all" else settings.conflicts
    group = functools.partial(
        assemble,
        pairs=pairs,
        conflicts=conflicts,
        cases=cases,
        prefer=settings.prefer,
        protect=settings.protect,
    )
    if settings.scope == "within-class":
        parts = [group(part) for _, part in seen.groupby("label", sort=True)]
        parts = [part for part in parts if len(part)]
        return numbered(pd.concat(parts, ignore_index=True)) if parts else group(seen[:0])
    groups = group(seen)
    if settings.scope == "across-class":
        groups = numbered(groups[groups["conflict"]])
    if settings.conflicts == "drop-all":
        groups = _drop_conflicts(groups, settings.protect)
    return groups


def _drop_conflicts(groups: pd.DataFrame, protect: Sequence[str]) -> pd.DataFrame:
    """Groups under several labels with every file removed: nobody knows which label is right, and none is kept.

    Protected files stay.
    """
    groups = groups.copy()
    for _, rows in groups[groups["conflict"]].groupby("group"):
        labels = ", ".join(sorted(set(rows["label"])))
        gone = [
            index for index, path in rows["path"].items() if not any(within(path, one) for one in protect)
        ]
        groups.loc[gone, "action"] = "remove"
        groups.loc[gone, "reason"] = f"the same picture stands under {labels}: all of its copies are dropped"
    return groups


def find_leaks(files: pd.DataFrame, others: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """The table `leaks`: files of this folder whose picture the other folder holds too, each with its surest partner.

    `files` and `others` have path, content and label. What is alike to the other folder only through a copy in this
    one is not listed: nothing chains.
    """
    import pandas as pd

    from curate.tables import LEAKS

    first = others.sort_values("path").drop_duplicates("content").set_index("content")
    there = dict(zip(first.index, zip(first["path"], first["label"], strict=True), strict=True))
    links = link(pairs) if there else {}
    rows = []
    for path, content, label in (
        files[["path", "content", "label"]].sort_values("path").itertuples(index=False)
    ):
        found = [
            (TIERS.index(tier), -score, other) for other, (tier, score) in _partners(content, links, there)
        ]
        if found:
            rank, score, other = min(found)
            partner, its_label = there[other]
            rows.append(
                {
                    "path": path,
                    "content": content,
                    "label": label,
                    "other": partner,
                    "other_label": its_label,
                    "tier": TIERS[rank],
                    "score": -score,
                    "action": "remove",
                    "reason": f"the other folder holds the same picture as {partner} ({TIERS[rank]}, score {-score:.2f})",
                }
            )
    return pd.DataFrame(rows, columns=list(LEAKS.columns)).astype({"score": "float32"})


def _partners(content: str, links: Links, there: Container[str]) -> Iterator[tuple[str, tuple[str, float]]]:
    """The other folder's contents that are alike to `content`, each with tier and score."""
    if content in there:
        yield content, ("exact", 1.0)
    yield from ((other, how) for other, how in links.get(content, {}).items() if other in there)
