"""Two classifiers on the same test pictures: their paired difference, and whether it is more than noise.

Intervals are percentiles of a paired bootstrap (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter
13): pictures are drawn anew with both answers, within each class and by whole groups of copies. The test of a pair of
right and wrong answers is McNemar's (Psychometrika 12, 1947), exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from classify.evaluation.intervals import LEVEL, group_weights
from classify.prediction import PROBABILITY
from curate.errors import Refused, UserError
from curate.words import counted, listed

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

RESAMPLES = 2000
"""Resamples that the intervals are taken from."""

_COUNTS = 5
"""Counts a class: its pictures, and of either classifier those right and those taken for the class."""

FLIPS = {
    (True, False): "right to wrong",
    (False, True): "wrong to right",
    (False, False): "wrong to another wrong",
}
"""What a picture is called whose predictions differ, by (A is right, B is right)."""


@dataclass(frozen=True)
class Pairs:
    """Two predictions tables of the same pictures, in the order of their paths.

    `table` has the columns `path`, `label`, `group` (int64), `a`, `b` (predicted classes), `confidence_a` and
    `confidence_b`. `classes` are those with test pictures, sorted; `only_a` and `only_b` those that only the one or the
    other classifier knows. `grouped`: whether the groups are from a table; else each picture is its own.
    """

    table: pd.DataFrame
    classes: list[str]
    only_a: list[str]
    only_b: list[str]
    grouped: bool

    def codes(self, column: str) -> NDArray[np.int64]:
        """A column of class names as places in `classes`: int64 (N,); len(classes) for one without test pictures."""
        place = {name: i for i, name in enumerate(self.classes)}
        return np.array([place.get(name, len(place)) for name in self.table[column]], dtype=np.int64)


def pair(a: pd.DataFrame, b: pd.DataFrame) -> Pairs:
    """Join two predictions tables (see `classify.evaluation.Evaluation`) by path; the order of rows does not matter.

    A column `group` of either (int64) says which pictures are copies of one another; where both have it, that of `a`
    counts. Raises Refused where the pictures or their labels are not the same, and UserError where a table has no rows
    or names a picture twice.
    """
    tables = {"A": a, "B": b}
    for name, table in tables.items():
        if table.empty:
            raise UserError(f"{name} has no predictions.", "Evaluate on a folder with pictures.")
        if table["path"].duplicated().any():
            twice = table["path"][table["path"].duplicated()].iloc[0]
            raise UserError(
                f"{name} names a picture twice: {twice}.",
                "Evaluate on a list in which each picture stands once.",
            )
    first, second = (table.sort_values("path", ignore_index=True) for table in tables.values())
    _same_pictures(first, second)
    known = [{str(c).removeprefix(PROBABILITY) for c in t if str(c).startswith(PROBABILITY)} for t in (a, b)]
    groups = next((table["group"] for table in (first, second) if "group" in table), None)
    joined = first[["path", "label"]].assign(
        group=np.arange(len(first)) if groups is None else groups.to_numpy(np.int64),
        a=first["prediction"],
        b=second["prediction"],
        confidence_a=first["confidence"],
        confidence_b=second["confidence"],
    )
    return Pairs(
        joined,
        sorted(set(joined["label"])),
        sorted(known[0] - known[1]),
        sorted(known[1] - known[0]),
        groups is not None,
    )


def _same_pictures(a: pd.DataFrame, b: pd.DataFrame) -> None:
    """Raise Refused unless both tables, sorted by path, have the same paths and labels."""
    remedy = "Evaluate both weights on the same folder, then compare again."
    for name, own, other in (("A", a, b), ("B", b, a)):
        alone = own["path"][~own["path"].isin(other["path"])].tolist()
        if alone:
            verb = "is" if len(alone) == 1 else "are"
            raise Refused(
                f"The test pictures are not the same: {counted(len(alone), 'picture', 'pictures')} of {len(own):,} {verb} "
                f"only in {name}: {listed(alone)}.",
                remedy,
            )
    rows = zip(a["path"], a["label"], b["label"], strict=True)
    shown = [f"{path} ({x}, {y})" for path, x, y in rows if x != y]
    if shown:
        raise Refused(
            f"The labels are not the same: {counted(len(shown), 'picture has', 'pictures have')} another class in B than "
            f"in A: {listed(shown)}.",
            remedy,
        )


def compare_predictions(pairs: Pairs, n: int = RESAMPLES, seed: int = 0) -> dict[str, Any]:
    """All figures of a comparison as plain data, for JSON; docs/compare.md says what each means.

    Differences are B's figure less A's. F1 is that of `classify evaluate`: over the classes with test pictures, 0 where
    a denominator is.
    """
    labels = pairs.codes("label")
    a, b = pairs.codes("a"), pairs.codes("b")
    _, groups = np.unique(pairs.table["group"].to_numpy(), return_inverse=True)
    k = len(pairs.classes)
    counts = _counts(labels, a, b, groups, k)
    whole = _figures(np.asarray(counts.sum(axis=0), dtype=np.float64).reshape(1, -1))
    drawn = [_figures(weights @ counts) for weights in group_weights(labels, groups, n, seed)]
    spread = {name: np.concatenate([part[name] for part in drawn]) for name in whole}
    overall = {
        name: _difference(whole[f"{name}_a"], whole[f"{name}_b"], spread[f"{name}_a"], spread[f"{name}_b"])[0]
        for name in ("accuracy", "macro_f1")
    }
    return {
        "pictures": len(labels),
        "groups": int(groups.max()) + 1,
        "grouped": pairs.grouped,
        "level": LEVEL,
        "resamples": n,
        "seed": seed,
        **overall,
        "mcnemar": mcnemar(a == labels, b == labels, groups),
        "per_class": _per_class(pairs.classes, (labels, a, b, groups), whole, spread),
        "flips": {name: int((flip_kinds(pairs) == name).sum()) for name in FLIPS.values()},
        "classes_only_in_a": pairs.only_a,
        "classes_only_in_b": pairs.only_b,
    }


def _counts(
    labels: NDArray[np.int64], a: NDArray[np.int64], b: NDArray[np.int64], groups: NDArray[np.int64], k: int
) -> Any:
    """What each group adds to the counts that F1 is made of: a sparse matrix float64 (G, 5 K)."""
    from scipy.sparse import csr_array

    parts = [
        (labels, np.ones(len(labels), dtype=bool)),
        (labels, a == labels),
        (a, a < k),
        (labels, b == labels),
        (b, b < k),
    ]
    rows = np.concatenate([groups[chosen] for _, chosen in parts])
    columns = np.concatenate([i * k + codes[chosen] for i, (codes, chosen) in enumerate(parts)])
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(int(groups.max()) + 1, _COUNTS * k))


def _figures(counts: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Counts (R, 5 K) to accuracy and macro-F1, each (R, 1), and recall and F1 by class, each (R, K), of A and B."""
    support, *rest = np.split(counts, _COUNTS, axis=1)
    met = support > 0
    found = {}
    for name, right, taken in (("a", rest[0], rest[1]), ("b", rest[2], rest[3])):
        f1 = 2 * right / np.maximum(support + taken, 1)
        found[f"accuracy_{name}"] = right.sum(1, keepdims=True) / support.sum(1, keepdims=True)
        found[f"macro_f1_{name}"] = (f1 * met).sum(1, keepdims=True) / met.sum(1, keepdims=True)
        found[f"recall_{name}"] = right / np.maximum(support, 1)
        found[f"f1_{name}"] = f1
    return found


def _difference(
    a: NDArray[np.float64], b: NDArray[np.float64], drawn_a: NDArray[np.float64], drawn_b: NDArray[np.float64]
) -> list[dict[str, float]]:
    """Figures (1, K) and their resamples (R, K) as differences with their intervals, one for each column."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn_b - drawn_a, [tail, 1 - tail], axis=0)
    return [
        {"a": float(x), "b": float(y), "difference": float(y - x), "low": float(u), "high": float(v)}
        for x, y, u, v in zip(a[0], b[0], low, high, strict=True)
    ]


def mcnemar(
    right_a: NDArray[np.bool_], right_b: NDArray[np.bool_], groups: NDArray[np.int64]
) -> dict[str, Any]:
    """McNemar's exact test of two columns of right and wrong answers, bool (N,); a group of copies is one observation.

    `a_only` and `b_only` count the pictures that one alone has right, `groups_for_a` and `groups_for_b` the groups of
    which it has more right than the other; `p` is the two-sided binomial probability of groups so uneven if neither
    classifier were better. Where each picture is its own group that is McNemar's test; with copies it is the sign test of
    the groups.
    """
    from scipy.stats import binomtest

    net = np.bincount(groups, right_b.astype(float) - right_a.astype(float))
    for_a, for_b = int((net < 0).sum()), int((net > 0).sum())
    return {
        "a_only": int((right_a & ~right_b).sum()),
        "b_only": int((right_b & ~right_a).sum()),
        "groups_for_a": for_a,
        "groups_for_b": for_b,
        "p": float(binomtest(for_b, for_a + for_b).pvalue) if for_a + for_b else 1.0,
    }


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """P-values adjusted for their number, float64 (M,): Holm, Scandinavian Journal of Statistics 6 (1979).

    With those below .05 taken, the probability of one false among them is below .05, however the tests depend on one
    another.
    """
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    adjusted = np.empty_like(steps)
    adjusted[order] = steps
    return adjusted


def _per_class(
    classes: list[str],
    codes: tuple[NDArray[np.int64], ...],
    whole: dict[str, NDArray[np.float64]],
    spread: dict[str, NDArray[np.float64]],
) -> dict[str, dict[str, Any]]:
    """Recall and F1 of each class, and McNemar's test of the question whether a picture is of the class."""
    labels, a, b, groups = codes
    recall, f1 = (
        _difference(whole[f"{x}_a"], whole[f"{x}_b"], spread[f"{x}_a"], spread[f"{x}_b"])
        for x in ("recall", "f1")
    )
    tests = [
        mcnemar((a == i) == (labels == i), (b == i) == (labels == i), groups) for i in range(len(classes))
    ]
    adjusted = holm(np.array([test["p"] for test in tests]))
    return {
        name: {
            "pictures": int((labels == i).sum()),
            "groups": len(np.unique(groups[labels == i])),
            "recall": recall[i],
            "f1": f1[i],
            "groups_for_a": tests[i]["groups_for_a"],
            "groups_for_b": tests[i]["groups_for_b"],
            "p": tests[i]["p"],
            "p_holm": float(adjusted[i]),
        }
        for i, name in enumerate(classes)
    }


def flip_kinds(pairs: Pairs) -> NDArray[np.object_]:
    """What became of each picture from A to B, one of `FLIPS` or "" where both predict the same: objects (N,)."""
    table = pairs.table
    right = zip(table["a"] == table["label"], table["b"] == table["label"], strict=True)
    same = (table["a"] == table["b"]).to_numpy()
    kinds = [FLIPS.get((bool(x), bool(y)), "") for x, y in right]
    return np.where(same, "", np.array(kinds, dtype=object))


def flips(pairs: Pairs) -> pd.DataFrame:
    """The pictures that the two predict differently: `change` and the columns of `Pairs.table` but `group`.

    In the order of `FLIPS`; within a kind those first of which B is surest.
    """
    kinds = flip_kinds(pairs)
    table = pairs.table.drop(columns="group").assign(change=kinds)[kinds != ""]
    table["place"] = table["change"].map(list(FLIPS.values()).index)
    table = table.sort_values(
        ["place", "confidence_b", "path"], ascending=[True, False, True], ignore_index=True
    )
    changed: pd.DataFrame = table[["path", "label", "change", "a", "b", "confidence_a", "confidence_b"]]
    return changed
