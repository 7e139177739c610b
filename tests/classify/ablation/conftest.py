"""A folder of small pictures with a hand-written workspace in which each step of curation took something out."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from curate.tables import TABLES
from curate.workspace import Workspace

DEFAULTS = {"string": "", "bool": False, "int32": 0, "int64": 0, "float32": 0.0}


def filled(name, rows):
    """A frame of the table `name` from rows that leave out what does not matter."""
    columns = TABLES[name].columns
    blank = {key: DEFAULTS.get(column.type) for key, column in columns.items()}
    return pd.DataFrame([blank | row for row in rows], columns=list(columns))


def file(path, split, group, **more):
    """A file, as the tables know it: `photo` and `leak` are flags, `keeper` and `conflict` those of its duplicate group."""
    content = more.pop("content", hashlib.sha256(path.encode()).hexdigest())
    return {
        "path": path,
        "split": split,
        "group": group,
        "content": content,
        "label": path.partition("/")[0],
    } | more


def write_tables(root, files, weights=None, folder=None):
    """The workspace of `root` with the tables that follow from the files; `weights` by label, or no balance."""
    workspace = Workspace.open(root, folder)
    common = ("path", "content", "label")
    base = [{key: one[key] for key in common} for one in files]
    workspace.write(
        "files",
        filled(
            "files", [row | {"status": one.get("status", "ok")} for row, one in zip(base, files, strict=True)]
        ),
    )
    chosen = [
        row | {key: one[key] for key in ("keeper", "action", "conflict", "group") if key in one}
        for row, one in zip(base, files, strict=True)
        if "keeper" in one
    ]
    workspace.write("duplicates", filled("duplicates", chosen))
    photos = [
        row | {"action": "remove" if one.get("photo") else "keep"}
        for row, one in zip(base, files, strict=True)
    ]
    workspace.write("photos", filled("photos", photos))
    workspace.write(
        "leaks", filled("leaks", [row for row, one in zip(base, files, strict=True) if one.get("leak")])
    )
    splits = [
        row | {"split": one["split"], "group": one["group"]} for row, one in zip(base, files, strict=True)
    ]
    names = ("files", "duplicates", "photos", "leaks")
    workspace.write(
        "splits", filled("splits", splits), inputs={name: workspace.digest(name) for name in names}
    )
    if weights:
        rows = [
            {"path": row["path"], "label": row["label"], "weight": weights[row["label"]], "copies": 1}
            for row in splits
            if row["split"] == "train"
        ]
        workspace.write("balance", filled("balance", rows), inputs={"splits": workspace.digest("splits")})
    return workspace


@pytest.fixture(scope="session")
def messy_files():
    """Two classes of ten pictures in training, three for validation and for testing, and one of each that is out."""
    files = []
    for label in ("dark", "light"):
        number = iter(range(100)) if label == "dark" else iter(range(100, 200))
        count = 10 if label == "dark" else 5
        files += [file(f"{label}/train{i}.png", "train", next(number)) for i in range(count)]
        files += [file(f"{label}/val{i}.png", "val", next(number)) for i in range(3)]
        files += [file(f"{label}/test{i}.png", "test", next(number)) for i in range(3)]
        first = next(one["group"] for one in files if one["label"] == label and one["split"] == "val")
        train = next(one["group"] for one in files if one["label"] == label and one["split"] == "train")
        keeper = f"{label}/train0.png"
        copy = {"keeper": keeper, "action": "remove", "conflict": False}
        files += [
            file(f"{label}/copy.png", "out", train, **copy),
            file(f"{label}/photo.png", "out", next(number), photo=True),
            file(f"{label}/photo_copy.png", "out", train, photo=True, **copy),
            file(f"{label}/copy_of_val.png", "out", first, **copy | {"keeper": f"{label}/val0.png"}),
            file(f"{label}/broken.png", "out", next(number), status="unreadable"),
            file(f"{label}/in_the_other_folder.png", "out", next(number), leak=True),
            file(
                f"{label}/conflict.png",
                "out",
                500,
                keeper="dark/conflict.png",
                action="review",
                conflict=True,
            ),
        ]
    return files


@pytest.fixture(scope="session")
def messy(messy_files, tmp_path_factory):
    """The workspace with these files, its pictures made; and a folder `test` of four other pictures a class beside it."""
    root = tmp_path_factory.mktemp("messy") / "pictures"
    random = np.random.default_rng(0)

    def draw(path, label):
        path.parent.mkdir(parents=True, exist_ok=True)
        low = 0 if label == "dark" else 128
        Image.fromarray(random.integers(low, low + 128, (16, 16, 3), np.uint8)).save(path)

    for one in messy_files:
        draw(root / one["path"], one["label"])
    for label in ("dark", "light"):
        for i in range(4):
            draw(root.with_name("test") / label / f"{i}.png", label)
    return write_tables(root, messy_files, {"dark": 0.75, "light": 1.5})
