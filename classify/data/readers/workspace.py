"""A curate workspace: the split and the balance that `curate` made."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from classify.data.items import Item, Source, check_classes
from curate.errors import UserError
from curate.parts import first_part
from curate.paths import path_from_text
from curate.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


def test_part(workspace: Workspace) -> Source:
    """The pictures that the workspace's split holds back for testing. Raises UserError where there are none."""
    held = _held_back(workspace)
    if not len(held):
        raise UserError(
            f"{workspace.path}: its split has no test part, so there is nothing to judge on.",
            f"Split it anew with `curate split {workspace.root} --test 0.1`, or give a folder of test pictures.",
        )
    return Source(
        workspace.root, "workspace", list(held["path"]), list(held["label"]), _places(workspace, held["path"])
    )


def held_back(workspace: Workspace) -> int:
    """The number of pictures that the workspace's split holds back for testing; 0 where there is no split."""
    return len(_held_back(workspace)) if workspace.has("splits") else 0


def _held_back(workspace: Workspace) -> pd.DataFrame:
    frame = workspace.read("splits")
    return frame[(frame["split"] == "test") & (frame["label"] != "")].sort_values("path")


def from_workspace(workspace: Workspace) -> Source:
    """The pictures of the workspace's training and validation parts, with their balance. Raises UserError."""
    frame = workspace.read("splits")
    outdated = _outdated(workspace, "balance", "splits")
    if workspace.has("balance") and not outdated:
        balance = workspace.read("balance")[["path", "weight", "copies"]]
        frame = frame.merge(balance, on="path", how="left")
    counts = frame["split"].value_counts()
    used = frame[frame["split"].isin(("train", "val")) & (frame["label"] != "")].sort_values("path")
    train = used[used["split"] == "train"]
    if "copies" in used:
        left_out = (used["split"] == "train") & (used["copies"].fillna(1) == 0)
        train = used[(used["split"] == "train") & ~left_out]
        used = used[~left_out]
    if not len(train):
        raise UserError(
            f"{workspace.path}: there are no pictures in the training part.",
            f"Look at `curate status {workspace.root}`; --set data.raw=true trains on the folder as it is.",
        )
    folders = sorted(train["label"].unique())
    if part := first_part(folders):
        inner = workspace.root / part
        raise UserError(
            f"{workspace.root}: its folders are parts ({', '.join(folders)}), not classes.",
            f"Curate the training part and train on that: `curate run {inner}`.",
        )
    check_classes(str(workspace.root), list(train["label"]))
    notes = [
        f"Using the curated set of {workspace.path}: {len(train)} pictures for training, {counts.get('val', 0)} for "
        f"validation, {counts.get('test', 0)} held back for testing, {counts.get('out', 0)} left out "
        "(to be removed, or waiting for a person)."
    ]
    if outdated:
        notes.append(
            "The balance was made for another split, so it is left aside, and the classes' sizes in the training part weigh "
            f"instead: `curate balance {workspace.root}` makes it anew."
        )
    if _outdated(workspace, "splits", "verdicts"):
        notes.append(
            f"People said something of these pictures since the split was made: `curate run {workspace.root}` takes it in."
        )
    weights, copies = _balance(used)
    paths = list(used["path"])
    return Source(
        workspace.root,
        "workspace",
        paths,
        list(used["label"]),
        _places(workspace, paths),
        list(used["split"]),
        weights,
        copies,
        notes,
        test=workspace.path if held_back(workspace) else None,
    )


def _outdated(workspace: Workspace, table: str, rests_on: str) -> bool:
    """Whether a table was made from another state of the table that it rests on."""
    origin = workspace.origin(table)
    return origin is not None and origin.inputs.get(rests_on) not in (None, workspace.digest(rests_on))


def _places(workspace: Workspace, paths: Iterable[str]) -> list[Item]:
    return [os.path.join(workspace.root, path_from_text(path)) for path in paths]  # noqa: PTH118  bytes-safe


def _balance(used: pd.DataFrame) -> tuple[NDArray[np.float32] | None, NDArray[np.int32] | None]:
    if "copies" not in used:
        return None, None
    weights = used["weight"].fillna(1).to_numpy(np.float32)
    return weights, used["copies"].fillna(1).to_numpy(np.int32)
