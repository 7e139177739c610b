"""Training, validation and test parts: stratified, seeded, copies of a picture always on one side.

Which part a picture gets depends on its content and the seed, not on its name, its place or the order of the rows:
a renamed file stays where it was.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pandas as pd

from curate.errors import UserError
from curate.ledger import Journal
from curate.pipeline import Context
from curate.stages.plan import describe_unreadable, plan_files
from curate.tables import SPLITS
from curate.verdicts import labels_said, read_verdicts, relabelled

VERSION = 1

PARTS = ("test", "val", "train")
"""In the order in which they are filled: the test part does not depend on how large the validation part is."""

_ENOUGH = 3
"""A class of this many groups has pictures in each part."""


@dataclass(frozen=True)
class SplitSettings:
    """Shares of each class's pictures for validation and test, 0..1; the rest is for training."""

    val: float = 0.1
    test: float = 0.1
    seed: int = 0


@dataclass(eq=False)
class _Group:
    """Pictures that stay on one side: the smallest content among them, and the numbers of pictures by label."""

    content: str = ""
    labels: Counter[str] = field(default_factory=Counter)

    @property
    def size(self) -> int:
        return self.labels.total()

    @property
    def label(self) -> str:
        """The most common label, the first by name among equals."""
        return min(self.labels, key=lambda label: (-self.labels[label], label))


def run(context: Context, settings: SplitSettings) -> dict[str, pd.DataFrame]:
    """The stage: files, pairs, leaks, duplicates, photos, verdicts -> splits."""
    files, pairs, leaks, duplicates, photos = (
        context.read(name) for name in ("files", "pairs", "leaks", "duplicates", "photos")
    )
    said = labels_said(read_verdicts(context.workspace))
    joined = Journal.read(context.workspace).joined
    return {"splits": split_files(files, duplicates, photos, settings, pairs, leaks, said, joined)}


def split_files(
    files: pd.DataFrame,
    duplicates: pd.DataFrame,
    photos: pd.DataFrame,
    settings: SplitSettings,
    pairs: pd.DataFrame | None = None,
    leaks: pd.DataFrame | None = None,
    said: Mapping[str, str] = MappingProxyType({}),
    joined: Sequence[Sequence[str]] = (),
) -> pd.DataFrame:
    """One row a file of `files`, with the columns of `curate.tables.SPLITS`, sorted by path.

    Labels are the class folders, but for contents that people gave another class (`said`, see
    `curate.verdicts.labels_said`).

    What stays on one side: a group of `duplicates`, equal bytes, and, where `pairs` is given, whatever a chain of pairs
    connects. Two crops of one picture need not be found alike, and be kept both; through the whole picture, which may be
    removed, they still belong together. `joined`: contents that did so through pictures that are in quarantine by now.

    Out are unreadable files, what the plan removes, and groups under several labels that wait for review. Each class
    is divided for itself: the parts' numbers of pictures are the largest remainders of its shares; a class of three
    groups or more has at least one picture in each part that is asked for. Raises UserError for impossible shares.
    """
    _check(settings)
    outs = _outs(files, plan_files(files, duplicates, photos, leaks, said), duplicates)
    files = relabelled(files, said)
    rows: list[dict[Hashable, Any]] = (
        files[["path", "content", "label"]].sort_values("path", kind="stable").to_dict("records")
    )
    roots = _join(rows, duplicates, pairs, joined)
    groups: dict[int, _Group] = {}
    for index, row in enumerate(rows):
        if row["path"] not in outs:
            group = groups.setdefault(roots[index], _Group(row["content"]))
            group.content = min(group.content, row["content"])
            group.labels[row["label"]] += 1
    by_label: dict[str, list[_Group]] = {}
    for group in groups.values():
        by_label.setdefault(group.label, []).append(group)
    part = {
        group.content: name
        for members in by_label.values()
        for group, name in _divide(members, settings).items()
    }
    numbers = {root: number for number, root in enumerate(dict.fromkeys(roots))}
    return pd.DataFrame(
        {
            "path": [row["path"] for row in rows],
            "content": [row["content"] for row in rows],
            "label": [row["label"] for row in rows],
            "split": [
                "out" if row["path"] in outs else part[groups[roots[index]].content]
                for index, row in enumerate(rows)
            ],
            "group": pd.Series([numbers[root] for root in roots], dtype="int32"),
            "reason": [outs.get(row["path"], "") for row in rows],
        },
        columns=list(SPLITS.columns),
    )


def _check(settings: SplitSettings) -> None:
    """Raise UserError unless both shares are at least 0 and leave something for training."""
    good = "Give shares of 0 or more that sum to less than 1, for example --val 0.1 --test 0.1."
    for name, share in (("val", settings.val), ("test", settings.test)):
        if not 0 <= share < 1:
            raise UserError(f"{name} = {share:g} is no share of a class.", good)
    if settings.val + settings.test >= 1:
        raise UserError(
            f"val = {settings.val:g} and test = {settings.test:g} leave nothing for training.", good
        )


def _join(
    rows: list[dict[Hashable, Any]],
    duplicates: pd.DataFrame,
    pairs: pd.DataFrame | None,
    joined: Sequence[Sequence[str]],
) -> list[int]:
    """For each row the first row of its group: see `split_files` for what stays together."""
    parent = list(range(len(rows)))

    def find(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    listed: dict[str, list[int]] = {}
    for path, group in zip(duplicates["path"], duplicates["group"], strict=True):
        listed.setdefault(path, []).append(int(group))

    def unite(one: int, other: int) -> None:
        low, high = sorted((find(one), find(other)))
        parent[high] = low

    first: dict[Hashable, int] = {}
    for index, row in enumerate(rows):
        keys: list[Hashable] = [("group", group) for group in listed.get(row["path"], ())]
        if row["content"]:
            keys.append(("content", row["content"]))
        for key in keys:
            unite(first.setdefault(key, index), index)
    chains = [] if pairs is None else list(zip(pairs["content_a"], pairs["content_b"], strict=True))
    for contents in (*chains, *joined):
        ends = [first[("content", content)] for content in contents if ("content", content) in first]
        for other in ends[1:]:
            unite(ends[0], other)
    return [find(index) for index in range(len(rows))]


def _outs(files: pd.DataFrame, plan: pd.DataFrame, duplicates: pd.DataFrame) -> dict[str, str]:
    """The files that take no part, with the reason."""
    unreadable = files[files["status"] != "ok"]
    reasons = {
        path: describe_unreadable(reason)
        for path, reason in zip(unreadable["path"], unreadable["reason"], strict=True)
    }
    removed = plan[plan["action"] == "remove"]
    reasons |= dict(zip(removed["path"], removed["reason"], strict=True))
    open_groups = duplicates[duplicates["conflict"] & (duplicates["action"] == "review")]["group"]
    for _, group in duplicates[duplicates["group"].isin(open_groups)].groupby("group"):
        labels = ", ".join(sorted(set(group["label"])))
        for path in group["path"]:
            reasons.setdefault(path, f"waits for review: the same picture stands under {labels}")
    return reasons


def _divide(groups: list[_Group], settings: SplitSettings) -> dict[_Group, str]:
    """The part of each group of one class.

    The groups come in the order of a hash of their content and the seed; the test part, then the validation part,
    takes each that still fits. Where what is missing then is met better by a larger group than by none, the closest
    one is added. A part that would stay empty takes the smallest group. What is left is for training, which always
    keeps a group.
    """
    shares = {"test": settings.test, "val": settings.val, "train": 1 - settings.val - settings.test}
    wished = [part for part in PARTS if shares[part] > 0]
    enough = len(groups) >= _ENOUGH
    quotas = _quotas(sum(group.size for group in groups), {part: shares[part] for part in wished}, enough)
    free = sorted(groups, key=lambda group: _order(settings.seed, group.content))
    found: dict[_Group, str] = {}
    for number, part in enumerate(wished[:-1]):
        reserved = len(wished) - 1 - number if enough else 1
        missing = quotas[part]
        taken: list[_Group] = []
        for group in free:
            if group.size <= missing and len(free) - len(taken) > reserved:
                taken.append(group)
                missing -= group.size
        used = set(taken)
        rest = [group for group in free if group not in used]
        if missing and len(rest) > reserved:
            closest = min(rest, key=lambda group: abs(group.size - missing))
            if abs(closest.size - missing) < missing or (enough and not taken):
                taken.append(closest)
        found |= dict.fromkeys(taken, part)
        free = [group for group in free if group not in found]
    return found | dict.fromkeys(free, "train")


def _quotas(count: int, shares: dict[str, float], enough: bool) -> dict[str, int]:
    """Numbers of pictures by part, by largest remainder; at least one each where there is `enough`.

    Largest remainder (Hamilton's method): each part gets the whole number below its share, then the parts with the
    largest fractions one more each, until nothing is left. Ties go to training, then validation.
    """
    exact = {part: round(count * share, 9) for part, share in shares.items()}
    quotas = {part: int(value) for part, value in exact.items()}
    by_remainder = sorted(shares, key=lambda part: (quotas[part] - exact[part], -PARTS.index(part)))
    for part in by_remainder[: count - sum(quotas.values())]:
        quotas[part] += 1
    if enough:
        for part in shares:
            if not quotas[part]:
                quotas[part] += 1
                quotas[max(quotas, key=lambda other: quotas[other])] -= 1
    return quotas


def _order(seed: int, content: str) -> str:
    """A pseudorandom place that depends on nothing but the seed and the content."""
    return hashlib.sha256(f"{seed} {content}".encode()).hexdigest()
