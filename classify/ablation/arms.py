"""What each step of curation took out of a folder, and the training parts with it and without it.

An arm of `classify.impact` is a workspace of its own over the same folder: the same validation part, another training
part. `classify train ARM.curate` takes it like any other.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classify.data.splitting import hold_out
from curate.errors import UserError
from curate.tables import BALANCE, SPLITS
from curate.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

DUPLICATES, PHOTOGRAPHS, CONFLICTS, BALANCING = STEPS = ("duplicates", "photographs", "conflicts", "balance")
"""The steps of curation whose effect can be told apart."""

CLEANED, AS_IT_CAME, RANDOM = "cleaned", "as it came", "random split"

WITHOUT = {
    DUPLICATES: "with duplicates",
    PHOTOGRAPHS: "with photographs",
    CONFLICTS: "with conflicts",
    BALANCING: "not balanced",
}
"""What the arm is called that leaves a step out."""

SHARE = 0.1
"""Share of each class that the random split takes for its validation part, and for its test part."""


@dataclass(frozen=True)
class Arm:
    """A training part: its name, the steps that it does without, and whether its classes are balanced.

    `rows` have the columns of `curate.tables.SPLITS` and `rate`: how often a picture is drawn, in proportion.
    """

    name: str
    without: tuple[str, ...]
    balanced: bool
    rows: pd.DataFrame

    @property
    def pictures(self) -> int:
        """Number of pictures to learn from."""
        return int((self.rows["split"] == "train").sum())

    def write(self, root: Path, folder: Path) -> Path:
        """Make the arm's workspace in `folder`, where it is not there already; returns its path."""
        return write_workspace(root, folder / f"{self.name.replace(' ', '-')}.curate", self.rows)


def write_workspace(root: Path, path: Path, rows: pd.DataFrame) -> Path:
    """A workspace over the folder `root` that says which pictures are for what, and how often each is drawn."""
    found = Workspace.find(path) if path.exists() else None
    if found is not None and found.root != root:  # the folder has moved
        shutil.rmtree(path)
    workspace = Workspace.open(root, path)
    workspace.write("splits", rows[list(SPLITS.columns)])
    train = rows[rows["split"] == "train"]
    balance = train.assign(weight=train["rate"], copies=(train["rate"] > 0).astype("int32"))
    workspace.write("balance", balance[list(BALANCE.columns)])
    return workspace.path


def read_pictures_of(workspace: Workspace) -> pd.DataFrame:
    """One row a picture that can play a part, with the columns of `curate.tables.SPLITS`, `rate` and `steps`.

    `steps` (tuple of `STEPS`) says what took the picture out: it comes back where all of these are left out. `rate` is
    how often it is drawn: weight times copies of the balance, or where there is none the inverse of its class's size, as
    `classify train` has it; NaN outside the training part. Left away are files that cannot be read, that another folder holds too (`curate dedup --against`), that have no label, or one that the training
    part has not got, and copies of any form of a picture of the validation or test part. Raises UserError where tables
    are missing or do not belong together.
    """
    check_fresh(workspace)
    names = ("splits", "files", "duplicates", "photos", "leaks")
    splits, files, duplicates, photos, leaks = (workspace.read(name) for name in names)
    never = set(files["path"][files["status"] != "ok"]) | set(leaks["path"])
    rows = splits[~splits["path"].isin(never) & (splits["label"] != "")].sort_values("path")
    rows["steps"] = why_out(rows, duplicates, photos)
    train = rows["split"] == "train"
    if not train.any() or not (rows["split"] == "val").any():
        part = "validation" if train.any() else "training"
        raise UserError(
            f"{workspace.path}: its {part} part is empty, so nothing can be compared.",
            f"Split it anew with `curate split {workspace.root} --val 0.1`.",
        )
    rows["rate"] = _rates(workspace, rows)
    held = rows["split"].isin(("val", "test"))
    tied = rows["group"].isin(set(rows["group"][held])) & ~held
    known = rows["label"].isin(set(rows["label"][train]))
    back = (rows["split"] == "out") & (rows["steps"].map(len) > 0)
    return rows[held | ((train | back) & ~tied & known)].reset_index(drop=True)


def check_fresh(workspace: Workspace) -> None:
    """Raise UserError where a table that says what is trained on is missing, or was made from others than today's."""
    for name in ("splits", "balance"):
        origin = workspace.origin(name)
        if origin is None and name == "balance":
            continue
        old = (
            [one for one, digest in origin.inputs.items() if workspace.digest(one) != digest]
            if origin
            else []
        )
        if origin is None or old:
            state = f"is older than {', '.join(old)}" if origin else "is not there yet"
            raise UserError(
                f"{workspace.path}: the table '{name}' {state}, so it cannot be told what each step took out.",
                f"Run `curate run {workspace.root}` first.",
            )


def why_out(rows: pd.DataFrame, duplicates: pd.DataFrame, photos: pd.DataFrame) -> list[tuple[str, ...]]:
    """For each row of a table `splits` the steps that took it out; none for what is in, or out for another reason.

    A photograph is what the photo filter removes. A conflict is a picture of a group under several labels that waits for
    review, was dropped with its whole group, or stands under another label than the kept one. Any other file that
    dedup removes is a duplicate.
    """
    actions = dict(zip(duplicates["path"], duplicates["action"], strict=True))
    labels = dict(zip(duplicates["path"], duplicates["label"], strict=True))
    groups = duplicates.set_index("path")[["keeper", "conflict"]].to_dict("index")
    photographs = set(photos["path"][photos["action"] == "remove"])
    found = []
    for path, split in zip(rows["path"], rows["split"], strict=True):
        steps = []
        if split == "out" and path in groups:
            keeper = groups[path]["keeper"]
            unsettled = actions.get(keeper) in ("review", "remove")
            if groups[path]["conflict"] and (unsettled or labels[path] != labels[keeper]):
                steps.append(CONFLICTS)
            elif actions[path] == "remove":
                steps.append(DUPLICATES)
        if split == "out" and path in photographs:
            steps.append(PHOTOGRAPHS)
        found.append(tuple(sorted(steps, key=STEPS.index)))
    return found


def _rates(workspace: Workspace, rows: pd.DataFrame) -> pd.Series[float]:
    train = rows[rows["split"] == "train"]
    if not workspace.has("balance"):
        return 1 / train["label"].map(train["label"].value_counts())
    balance = workspace.read("balance").set_index("path")
    return train["path"].map(balance["weight"] * balance["copies"])


# The arms -------------------------------------------------------------------------------------------------------


def make_arms(pictures: pd.DataFrame, leaking: Sequence[str] = ()) -> list[Arm]:
    """The cleaned set, that with each step left out that did anything, and the folder as it came.

    `pictures` is what `read_pictures_of` gives; those at the paths `leaking`, which show a test picture, and all of their
    groups are in no arm's training part. What two steps took out comes back in the last arm alone.
    """
    groups = set(pictures["group"][pictures["path"].isin(set(leaking))])
    fit = pictures[~pictures["group"].isin(groups) | pictures["split"].isin(("val", "test"))]
    known = set(fit["label"][fit["split"] == "train"])
    fit = fit[fit["label"].isin(known) | fit["split"].isin(("val", "test"))]
    train = fit["split"] == "train"
    arms = [Arm(CLEANED, (), True, _part(fit, train))]
    for step in STEPS[:-1]:
        back = fit["steps"].map(lambda steps, step=step: steps == (step,))
        if back.any():
            arms.append(Arm(WITHOUT[step], (step,), True, _part(fit, train | back)))
    if len(set(fit["rate"][train].round(6))) > 1:
        arms.append(Arm(WITHOUT[BALANCING], (BALANCING,), False, _part(fit, train).assign(rate=1.0)))
    came = _part(fit, train | (fit["split"] == "out")).assign(rate=1.0)
    return [*arms, Arm(AS_IT_CAME, STEPS, False, came)]


def _part(pictures: pd.DataFrame, chosen: pd.Series[bool]) -> pd.DataFrame:
    """The rows with the chosen ones in the training part; each class is drawn as often as it is without those that came back.

    A picture that came back is drawn as often as the mean one of its class.
    """
    rows = pictures[chosen | pictures["split"].isin(("val", "test"))].copy()
    own, inside = rows["split"] == "train", chosen[rows.index]
    total = rows["rate"][own].groupby(rows["label"][own]).sum()
    mean = rows["rate"][own].groupby(rows["label"][own]).mean()
    rows.loc[inside & ~own, "rate"] = rows["label"].map(mean)
    now = rows["rate"][inside].groupby(rows["label"][inside]).sum()
    rows.loc[inside, "rate"] *= rows["label"].map(total / now)
    rows.loc[inside, "split"] = "train"
    return rows.assign(reason="")


def random_split(arm: Arm, seed: int) -> Arm:
    """The training part of `arm` divided at random, class by class, without a look at copies: what is done where nobody curates."""
    pool = arm.rows[arm.rows["split"] == "train"].reset_index(drop=True)
    labels, alone = pool["label"].tolist(), np.arange(len(pool))
    test = hold_out(labels, pool["path"].tolist(), alone, SHARE, seed)
    rest = np.flatnonzero(~test)
    inner = hold_out(
        [labels[row] for row in rest], pool["path"][rest].tolist(), alone[: len(rest)], SHARE, seed
    )
    split = np.where(test, "test", "train").astype(object)
    split[rest[inner]] = "val"
    return Arm(f"{RANDOM} {seed}", STEPS, False, pool.assign(split=split))


def held_out(pictures: pd.DataFrame, part: str) -> pd.DataFrame:
    """The pictures of the part `val` or `test` alone, as a test part."""
    return pictures[pictures["split"] == part].assign(split="test", reason="")
