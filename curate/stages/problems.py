"""What is wrong with a folder, each problem a sentence with its number and the command that deals with it.

A check is a function of `Facts` that yields the problems it sees: a name, a severity, the files concerned, the number,
a sentence. To add one, write it and put it into `CHECKS`; `COMMANDS` says which command deals with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

import pandas as pd

from curate.images import REASONS
from curate.stages.outliers import blank, outliers
from curate.tables import PROBLEMS

EXAMPLES = 12
"""Paths given as examples of a problem, at most."""

COMMANDS = {
    "imbalance": "curate balance DIR",
    "unreadable": "curate apply DIR",
    "exact_duplicates": "curate apply DIR",
    "near_duplicates": "curate apply DIR",
    "label_conflicts": "curate dedup DIR --conflicts majority",
    "photographs": "curate apply DIR",
    "odd_aspect_ratios": "curate apply DIR --copy OUT --size 224 --fit pad",
    "transparency": "curate apply DIR --copy OUT --size 224",
    "mixed_formats": "curate apply DIR --copy OUT --size 224",
    "class_sizes": "curate apply DIR --copy OUT --size 224 --fit pad",
}
"""The command that deals with each problem; with the others only a person can deal. `DIR` is the folder."""

_SEVERITIES = ("high", "medium", "low")
_SPLIT_NAMES = re.compile(
    r"(train(ing)?|val(id(ation)?)?|dev|test(ing)?|eval)([-_ ]?(set|data|images|\d+))?", re.IGNORECASE
)


@dataclass(frozen=True)
class Problem:
    """One row of the table `problems`, before its command; `examples` in the order in which they should be seen."""

    problem: str
    severity: str
    count: int
    value: float
    sentence: str
    examples: Sequence[str] = ()


@dataclass(frozen=True)
class Facts:
    """What the checks look at: the tables (None where a stage has not run) and from where a number is a problem."""

    files: pd.DataFrame
    duplicates: pd.DataFrame | None
    photos: pd.DataFrame | None
    plan: pd.DataFrame | None
    splits: pd.DataFrame | None
    ratio: float
    few: int
    small: int
    readable: pd.DataFrame = field(init=False)

    def __post_init__(self) -> None:
        """Order once, so that the order of the rows given does not matter."""
        files = self.files.sort_values("path", kind="stable")
        object.__setattr__(self, "files", files)
        object.__setattr__(self, "readable", files[files["status"] == "ok"])

    @cached_property
    def class_counts(self) -> pd.Series[int]:
        """Readable files by label, smallest first; labels whose files are all unreadable count 0."""
        labels = sorted(label for label in self.files["label"].unique() if label)
        counts = self.readable["label"].value_counts().reindex(labels, fill_value=0)
        return counts.sort_values(kind="stable")


def problems(
    files: pd.DataFrame,
    duplicates: pd.DataFrame | None = None,
    photos: pd.DataFrame | None = None,
    plan: pd.DataFrame | None = None,
    splits: pd.DataFrame | None = None,
    balance: pd.DataFrame | None = None,
    *,
    ratio: float = 3.0,
    few: int = 20,
    small: int = 32,
) -> pd.DataFrame:
    """The problems of a folder: a frame with the columns of `curate.tables.PROBLEMS`, the gravest first.

    The tables are those of `curate.tables`; without one, the checks that need it are left out. The
    commands say DIR for the folder. `ratio`, `few` and `small` are the fields of `curate.stages.eda.EdaSettings`.
    """
    facts = Facts(files, duplicates, photos, plan, splits, ratio, few, small)
    if files.empty:
        found = [Problem("empty_folder", "high", 0, 0, "There is no picture in this folder.")]
    else:
        found = [problem for check in CHECKS for problem in check(facts)]
    found.sort(key=lambda problem: (_SEVERITIES.index(problem.severity), -problem.count, problem.problem))
    rows = [
        {
            "problem": problem.problem,
            "severity": problem.severity,
            "count": problem.count,
            "value": problem.value,
            "sentence": problem.sentence,
            "command": COMMANDS.get(problem.problem, ""),
            # A line feed within a path is written as `path_from_text` takes it back.
            "examples": "\n".join(path.replace("\n", "\\x0a") for path in problem.examples[:EXAMPLES]),
        }
        for problem in found
    ]
    frame = pd.DataFrame(rows, columns=list(PROBLEMS.columns))
    return frame.astype({"count": "int64", "value": "float32"})


def _count(number: int, noun: str) -> str:
    """`1 picture`, `1,234 pictures`, `2 classes`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}{'es' if noun.endswith('s') else 's'}"


def _names(names: Sequence[str], most: int = 5) -> str:
    """Names in quotes, `and 7 more` after the first few."""
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


# Folders and classes --------------------------------------------------------------------------------------------


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
        sentence = f"{_count(len(empty), 'class')} without a single readable picture: {_names(empty)}."
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
            f"{_count(len(tiny), 'class')} with fewer than {facts.few} pictures, the smallest with "
            f"{counts.iloc[0]}: {_names(list(tiny.index))}. More pictures are the only cure."
        )
        examples = facts.readable.loc[facts.readable["label"].isin(tiny.index), "path"].tolist()
        yield Problem("tiny_classes", "medium", len(examples), len(tiny), sentence, examples)


def check_folders(facts: Facts) -> Iterator[Problem]:
    """Top folders that are parts rather than classes, folders within classes, files outside of any class."""
    labels = sorted(label for label in facts.files["label"].unique() if label)
    deep = facts.files[facts.files["path"].str.count("/") > 1]
    split_like = [label for label in labels if _SPLIT_NAMES.fullmatch(label)]
    if split_like and len(split_like) == len(labels):
        sentence = (
            f"The top folders look like parts, not classes: {_names(split_like)}. "
            f"Give the folder of one part, such as DIR/{split_like[0]}, or bring the classes to the top."
        )
        yield Problem("split_folders", "high", len(facts.files), len(split_like), sentence)
    elif len(deep):
        folders = sorted({path.rsplit("/", 1)[0] for path in deep["path"]})
        sentence = (
            f"{_count(len(deep), 'file')} in {_count(len(folders), 'folder')} below class folders: {_names(folders)}. "
            f"They count for the top folder's class."
        )
        yield Problem("nested_folders", "low", len(deep), len(folders), sentence, deep["path"].tolist())
    loose = facts.files.loc[facts.files["label"] == "", "path"].tolist()
    if loose and labels:
        sentence = f"{_count(len(loose), 'file')} beside the class folders, without a class."
        yield Problem("loose_files", "medium", len(loose), len(loose), sentence, loose)


def check_labels(facts: Facts) -> Iterator[Problem]:
    """Class names that differ by case, spaces, hyphens or underscores only."""
    alike: dict[str, list[str]] = {}
    for label in sorted(label for label in facts.files["label"].unique() if label):
        alike.setdefault(re.sub(r"[\s_-]+", "", label).casefold(), []).append(label)
    groups = [labels for labels in alike.values() if len(labels) > 1]
    if groups:
        shown = "; ".join(_names(labels) for labels in groups[:3]) + ("; ..." if len(groups) > 3 else "")
        sentence = f"{_count(len(groups), 'class')} under several names that differ by case or spacing only: {shown}."
        concerned = facts.files.loc[facts.files["label"].isin(list(chain(*groups))), "path"].tolist()
        yield Problem("similar_labels", "high", len(concerned), len(groups), sentence)


# Files ----------------------------------------------------------------------------------------------------------


def check_unreadable(facts: Facts) -> Iterator[Problem]:
    """Files that are no pictures, with the reasons."""
    bad = facts.files[facts.files["status"] != "ok"]
    if len(bad):
        counts = bad["reason"].value_counts()
        reasons = "; ".join(
            f"{REASONS.get(str(reason), reason)}: {count}" for reason, count in counts.items()
        )
        sentence = f"{_count(len(bad), 'file')} cannot be read ({reasons})."
        severity = "high" if len(bad) > 0.01 * len(facts.files) else "medium"
        yield Problem("unreadable", severity, len(bad), len(bad), sentence, bad["path"].tolist())


def check_duplicates(facts: Facts) -> Iterator[Problem]:
    """Copies: to the byte or pixel, and edited ones; and copies that stand under several labels."""
    if facts.duplicates is None:
        yield from _same_bytes(facts)
        return
    found = facts.duplicates.sort_values(["group", "path"])
    copies = found[(found["path"] != found["keeper"]) & ~found["conflict"]]
    exact, near = copies[copies["tier"] != "near"], copies[copies["tier"] == "near"]
    if len(exact):
        share = len(exact) / len(facts.files)
        verb = "shows" if len(exact) == 1 else "show"
        sentence = f"{_count(len(exact), 'file')} ({share:.1%}) {verb} the same picture as another, to the byte or pixel."
        yield Problem("exact_duplicates", _grave(share), len(exact), share, sentence, exact["path"].tolist())
    if len(near):
        share = len(near) / len(facts.files)
        what = "is an edited copy" if len(near) == 1 else "are edited copies"
        sentence = f"{_count(len(near), 'file')} ({share:.1%}) {what} of another: resized, cropped, recoloured or saved anew."
        yield Problem("near_duplicates", _grave(share), len(near), share, sentence, near["path"].tolist())
    conflicts = found[found["conflict"]]
    if len(conflicts):
        groups = int(conflicts["group"].nunique())
        verb = "stands" if groups == 1 else "stand"
        sentence = (
            f"{_count(groups, 'picture')} ({len(conflicts):,} files) {verb} under more than one label: at most one of the "
            "labels can be right. They wait for a person, who names the right one (`curate verdict`) or takes the wrong files "
            "away; none is removed by itself."
        )
        if facts.plan is not None:
            actions = facts.plan.set_index("path")["action"].reindex(conflicts["path"])
            if going := int((actions == "remove").sum()):
                sentence += f" {_count(going, 'file')} of them {'goes' if going == 1 else 'go'} for another reason all the same."
        yield Problem("label_conflicts", "high", len(conflicts), groups, sentence, conflicts["path"].tolist())


def _same_bytes(facts: Facts) -> Iterator[Problem]:
    """Before `dedup` has run: equal contents are known from the scan alone."""
    later = facts.readable[facts.readable.duplicated("content")]
    if len(later):
        share = len(later) / len(facts.files)
        verb = "has" if len(later) == 1 else "have"
        sentence = f"{_count(len(later), 'file')} ({share:.1%}) {verb} the same bytes as another."
        yield Problem("exact_duplicates", _grave(share), len(later), share, sentence, later["path"].tolist())


def _grave(share: float) -> str:
    return "high" if share >= 0.05 else "medium" if share >= 0.01 else "low"


def check_photos(facts: Facts) -> Iterator[Problem]:
    """Photographs among the drawings, and pictures of which the filter is not sure."""
    if facts.photos is None or facts.photos.empty:
        return
    ranked = facts.photos.sort_values(["photo_score", "path"], ascending=[False, True])
    going = ranked[ranked["action"] == "remove"]
    drawn = (going["photo_verdict"] == "drawing").any()  # drawings among photographs were looked for
    noun = "drawing" if drawn else "photograph"
    for action, name in (("remove", "photographs"), ("review", "unsure_photographs")):
        some = ranked[ranked["action"] == action]
        share = len(some) / len(ranked)
        if action == "remove":
            what = f"is a {noun}" if len(some) == 1 else f"are {noun}s"
            sentence = f"{_count(len(some), 'picture')} ({share:.1%}) {what}, as far as can be told."
        else:
            sentence = f"Of {_count(len(some), 'picture')} ({share:.1%}) it cannot be told whether they are {noun}s; they are kept."
        if len(some):
            severity = _grave(share) if action == "remove" else "low"
            yield Problem(name, severity, len(some), share, sentence, some["path"].tolist())


def check_animated(facts: Facts) -> Iterator[Problem]:
    """Files of several frames, of which the first alone is used."""
    moving = facts.readable.loc[facts.readable["frames"] > 1, "path"].tolist()
    if moving:
        sentence = (
            f"{_count(len(moving), 'file')} {_are(len(moving))} animated; the first frame alone is used."
        )
        yield Problem("animated", "low", len(moving), len(moving), sentence, moving)


def check_encodings(facts: Facts) -> Iterator[Problem]:
    """Formats and transparency that differ between classes: a classifier learns them in place of the drawings."""
    files = facts.readable
    counts = files["format"].value_counts()
    by_class = (
        pd.crosstab(files["label"], files["format"], normalize="index") if len(files) else pd.DataFrame()
    )
    if len(counts) > 1:
        shares = ", ".join(f"{name} {count / len(files):.0%}" for name, count in counts.items())
        sentence = f"{_count(len(counts), 'format')}: {shares}."
        large = facts.class_counts.index[facts.class_counts >= facts.few]
        spread = (
            float((by_class.loc[large].max() - by_class.loc[large].min()).max()) if len(large) > 1 else 0.0
        )
        if spread > 0.5:
            sentence += f" They go with the class (up to {spread:.0%} apart), so a classifier can read the class off them."
        yield Problem(
            "mixed_formats",
            "medium" if spread > 0.5 else "low",
            len(files) - int(counts.iloc[0]),
            len(counts),
            sentence,
        )
    clear = files.loc[files["transparency"] > 0].sort_values(
        ["transparency", "path"], ascending=[False, True]
    )
    if len(clear):
        sentence = (
            f"{_count(len(clear), 'picture')} ({len(clear) / len(files):.1%}) with transparent parts, shown on white; "
            f"white drawings vanish there."
        )
        yield Problem(
            "transparency", "low", len(clear), len(clear) / len(files), sentence, clear["path"].tolist()
        )


# Pictures -------------------------------------------------------------------------------------------------------


def check_blank(facts: Facts) -> Iterator[Problem]:
    """Pages with nothing on them."""
    empty = facts.readable[blank(facts.readable)].sort_values(["ink", "path"])["path"].tolist()
    if empty:
        sentence = f"{_count(len(empty), 'picture')} {_are(len(empty))} blank, or nearly."
        yield Problem("blank", "medium", len(empty), len(empty), sentence, empty)


_APART = {
    "dark": ("dark", "far darker than the rest of this folder"),
    "bright": ("bright", "far brighter than the rest of this folder"),
    "faint": ("faint", "of far less contrast than the rest of this folder"),
    "blurry": ("blurry", "far softer than the rest of this folder, probably blurred or enlarged"),
    "aspect": ("odd_aspect_ratios", "far longer or narrower than the rest of this folder"),
}


def check_outliers(facts: Facts) -> Iterator[Problem]:
    """Pictures that stand apart from their own folder (see `curate.stages.outliers`)."""
    for kind, found in outliers(facts.files).groupby("kind", sort=True):
        name, words = _APART[str(kind)]
        sentence = f"{_count(len(found), 'picture')} {_are(len(found))} {words}."
        yield Problem(name, "low", len(found), len(found), sentence, found["path"].tolist())


def check_sizes(facts: Facts) -> Iterator[Problem]:
    """Pictures far smaller than their folder's, and classes whose pictures are of very different size."""
    files = facts.readable
    if files.empty:
        return
    side = files[["width", "height"]].min(axis=1)
    small = files[(side < facts.small) & (side < side.median() / 2)]
    if len(small):
        sentence = f"{_count(len(small), 'picture')} {_are(len(small))} under {facts.small} pixels on the shorter side; half of all have {side.median():.0f} or more."
        ordered = small.assign(side=side[small.index]).sort_values(["side", "path"])["path"].tolist()
        yield Problem("tiny_pictures", "low", len(small), len(small), sentence, ordered)
    large = facts.class_counts.index[facts.class_counts >= facts.few]
    medians = side.groupby(files["label"]).median().reindex(large).sort_values(kind="stable")
    if len(medians) > 1 and medians.iloc[-1] >= 2 * medians.iloc[0]:
        ratio = float(medians.iloc[-1] / medians.iloc[0])
        sentence = (
            f"Pictures of '{medians.index[-1]}' are {ratio:.1f} times as large as those of '{medians.index[0]}' "
            f"({medians.iloc[-1]:.0f} and {medians.iloc[0]:.0f} pixels, medians of the shorter side): a classifier can "
            f"read the class off the sharpness."
        )
        yield Problem("class_sizes", "medium", len(files), ratio, sentence)


def check_splits(facts: Facts) -> Iterator[Problem]:
    """Classes that a part has nothing of: nothing can be said of them there."""
    if facts.splits is None:
        return
    used = facts.splits[(facts.splits["split"] != "out") & (facts.splits["label"] != "")]
    table = pd.crosstab(used["label"], used["split"])
    thin = sorted(table.index[(table == 0).any(axis=1)])
    if thin:
        sentence = f"{_count(len(thin), 'class')} missing from a part of the split: {_names(thin)}. There nothing can be said of them."
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
        sentence = f"The plan leaves nothing of {_count(len(labels), 'class')}: {_names(labels)}."
        yield Problem(
            "emptied_classes", "high", len(gone), len(gone) / len(named), sentence, gone["path"].tolist()
        )


CHECKS: tuple[Callable[[Facts], Iterator[Problem]], ...] = (
    check_classes,
    check_balance,
    check_folders,
    check_labels,
    check_unreadable,
    check_duplicates,
    check_photos,
    check_animated,
    check_encodings,
    check_blank,
    check_outliers,
    check_sizes,
    check_splits,
    check_emptied,
)
"""Every check, in no order that matters."""
