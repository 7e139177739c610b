"""Checks of folders and classes: their names, their sizes, and what the plan and the split leave of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

import pandas as pd

from curate.parts import first_part
from curate.stages.checks.facts import Facts, Problem
from curate.words import counted, quoted


def check_classes(facts: Facts) -> Iterator[Problem]:
    """No class folder, one only, or some in which nothing can be read."""
    counts = facts.class_counts
    filled = counts[counts > 0]
    if len(filled) <= 1:
        what = (
            f"There is one class only, '{filled.index[0]}'" if len(filled) else "There are no class folders"
        )
        sentence = (
            f"{what}: everything here works but the balance, and a classifier needs two classes or more."
        )
        yield Problem("one_class", "medium", len(facts.files), len(filled), sentence)
    empty = list(counts[counts == 0].index)
    if empty:
        sentence = f"{counted(len(empty), 'class')} without a single readable picture: {quoted(empty)}."
        examples = facts.files.loc[facts.files["label"].isin(empty), "path"].tolist()
        yield Problem("empty_classes", "high", len(examples), len(empty), sentence, examples)


def check_balance(facts: Facts) -> Iterator[Problem]:
    """Classes of very different size, and classes too small to learn from or to judge by."""
    counts = facts.class_counts[facts.class_counts > 0]
    if len(counts) < 2:
        return
    ratio = float(counts.iloc[-1] / counts.iloc[0])
    if ratio >= facts.ratio:
        sentence = (
            f"The largest class, '{counts.index[-1]}' ({counts.iloc[-1]:,}), has {ratio:.1f} times the pictures of the "
            f"smallest, '{counts.index[0]}' ({counts.iloc[0]:,})."
        )
        if facts.plan is not None:
            left = facts.plan[(facts.plan["action"] != "remove") & (facts.plan["label"] != "")][
                "label"
            ].value_counts()
            sentence += (
                f" After what the plan removes it is {left.max() / left.min():.1f} times."
                if len(left)
                else ""
            )
        yield Problem(
            "imbalance", "high" if ratio >= 3 * facts.ratio else "medium", int(counts.sum()), ratio, sentence
        )
    tiny = counts[counts < facts.few]
    if len(tiny):
        sentence = (
            f"{counted(len(tiny), 'class')} with fewer than {facts.few} pictures, the smallest with "
            f"{counts.iloc[0]}: {quoted(list(tiny.index))}. More pictures are the only cure."
        )
        examples = facts.readable.loc[facts.readable["label"].isin(tiny.index), "path"].tolist()
        yield Problem("tiny_classes", "medium", len(examples), len(tiny), sentence, examples)


def check_folders(facts: Facts) -> Iterator[Problem]:
    """Top folders that are parts rather than classes, folders within classes, files outside of any class."""
    labels = sorted(label for label in facts.files["label"].unique() if label)
    deep = facts.files[facts.files["path"].str.count("/") > 1]
    if part := first_part(labels):
        sentence = (
            f"The top folders look like parts, not classes: {quoted(labels)}. "
            f"Give the folder of one part, such as DIR/{part}, or bring the classes to the top."
        )
        yield Problem("split_folders", "high", len(facts.files), len(labels), sentence)
    elif len(deep):
        folders = sorted({path.rsplit("/", 1)[0] for path in deep["path"]})
        sentence = (
            f"{counted(len(deep), 'file')} in {counted(len(folders), 'folder')} below class folders: {quoted(folders)}. "
            f"They count for the top folder's class."
        )
        yield Problem("nested_folders", "low", len(deep), len(folders), sentence, deep["path"].tolist())
    loose = facts.files.loc[facts.files["label"] == "", "path"].tolist()
    if loose and labels:
        sentence = f"{counted(len(loose), 'file')} beside the class folders, without a class."
        yield Problem("loose_files", "medium", len(loose), len(loose), sentence, loose)


def check_labels(facts: Facts) -> Iterator[Problem]:
    """Class names that differ by case, spaces, hyphens or underscores only."""
    alike: dict[str, list[str]] = {}
    for label in sorted(label for label in facts.files["label"].unique() if label):
        alike.setdefault(re.sub(r"[\s_-]+", "", label).casefold(), []).append(label)
    groups = [labels for labels in alike.values() if len(labels) > 1]
    if groups:
        shown = "; ".join(quoted(labels) for labels in groups[:3]) + ("; ..." if len(groups) > 3 else "")
        sentence = f"{counted(len(groups), 'class')} under several names that differ by case or spacing only: {shown}."
        concerned = facts.files.loc[facts.files["label"].isin(list(chain(*groups))), "path"].tolist()
        yield Problem("similar_labels", "high", len(concerned), len(groups), sentence)


def check_splits(facts: Facts) -> Iterator[Problem]:
    """Classes that a part has nothing of: nothing can be said of them there."""
    if facts.splits is None:
        return
    used = facts.splits[(facts.splits["split"] != "out") & (facts.splits["label"] != "")]
    table = pd.crosstab(used["label"], used["split"])
    thin = sorted(table.index[(table == 0).any(axis=1)])
    if thin:
        sentence = f"{counted(len(thin), 'class')} missing from a part of the split: {quoted(thin)}. There nothing can be said of them."
        yield Problem("thin_splits", "medium", int(used["label"].isin(thin).sum()), len(thin), sentence)


def check_emptied(facts: Facts) -> Iterator[Problem]:
    """Classes of which the plan leaves nothing."""
    if facts.plan is None or facts.plan.empty:
        return
    named = facts.plan[facts.plan["label"] != ""]
    kept = set(named.loc[named["action"] != "remove", "label"])
    gone = named[~named["label"].isin(kept)]
    labels = sorted(gone["label"].unique())
    if labels:
        sentence = f"The plan leaves nothing of {counted(len(labels), 'class')}: {quoted(labels)}."
        yield Problem(
            "emptied_classes", "high", len(gone), len(gone) / len(named), sentence, gone["path"].tolist()
        )
