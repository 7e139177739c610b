"""The numbers and the sentences, on hand-written tables whose answer is known."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from curate.pipeline import Context
from curate.stages.eda import EdaSettings, effective_classes, imbalance, problems, run, summarize, summary
from curate.stages.outliers import outliers
from curate.tables import PROBLEMS
from curate.workspace import Workspace


def files_table(counts: dict[str, int], **columns: object) -> pd.DataFrame:
    """Readable pictures by label, all alike; `columns` replace a column's value or values."""
    paths = [
        (f"{label}/{i:04}.png" if label else f"{i:04}.png")
        for label, count in counts.items()
        for i in range(count)
    ]
    labels = [label for label, count in counts.items() for _ in range(count)]
    frame = pd.DataFrame(
        {
            "path": paths,
            "content": [f"{i:064x}" for i in range(len(paths))],
            "size": 1000,
            "mtime_ns": 0,
            "label": labels,
            "status": "ok",
            "reason": "",
            "detail": "",
            "width": 128,
            "height": 128,
            "mode": "RGB",
            "format": "PNG",
            "frames": 1,
            "orientation": 1,
            "transparency": 0.0,
            "brightness": 0.8,
            "contrast": 0.2,
            "sharpness": 0.02,
            "colorfulness": 40.0,
            "saturation": 0.3,
            "entropy": 3.0,
            "flatness": 0.6,
            "ink": 0.3,
        }
    )
    return frame.assign(**columns)


def broken(files: pd.DataFrame, rows: list[int], reason: str = "truncated") -> pd.DataFrame:
    files = files.copy()
    files.loc[rows, ["status", "reason"]] = ["unreadable", reason]
    return files


def duplicates_table(rows: list[tuple[str, int, str, str, bool, str]]) -> pd.DataFrame:
    """Rows of path, group, tier, keeper, conflict, action."""
    return pd.DataFrame(
        [
            {
                "path": path,
                "content": path,
                "label": path.split("/")[0],
                "group": group,
                "tier": tier,
                "score": 0.9,
                "keeper": keeper,
                "conflict": conflict,
                "action": action,
                "reason": "",
            }
            for path, group, tier, keeper, conflict, action in rows
        ]
    )


def named(found: pd.DataFrame) -> dict[str, dict[str, object]]:
    return {row["problem"]: row for row in found.to_dict("records")}


# Summary --------------------------------------------------------------------------------------------------------


def test_effective_classes_and_imbalance() -> None:
    assert effective_classes([5, 5, 5, 5]) == pytest.approx(4)
    assert effective_classes([9, 1]) == pytest.approx(math.exp(-(0.9 * math.log(0.9) + 0.1 * math.log(0.1))))
    assert effective_classes([]) == 0
    assert imbalance([40, 5, 0]) == 8
    assert imbalance([]) == 0


def test_summary_counts_by_class_before_and_after_the_plan() -> None:
    files = broken(files_table({"cat": 6, "dog": 3}), [0])
    plan = pd.DataFrame(
        {
            "path": files["path"],
            "label": files["label"],
            "size": files["size"],
            "action": ["remove", "remove", "review", "keep", "keep", "keep", "keep", "keep", "keep"],
            "stage": ["scan", "dedup", "dedup", "", "", "", "", "", ""],
        }
    )
    found = summary(files, plan=plan)
    assert found["classes"] == [
        {"label": "cat", "files": 6, "readable": 5, "planned": 4},
        {"label": "dog", "files": 3, "readable": 3, "planned": 3},
    ]
    assert found["unreadable"] == {"truncated": 1}
    assert found["imbalance"]["planned"] == pytest.approx(4 / 3)
    assert found["plan"] == {
        "keep": 6,
        "remove": 2,
        "review": 1,
        "removed_by_stage": {"dedup": 1, "scan": 1},
        "removed_bytes": 2000,
    }
    json.dumps(found)


def test_summary_of_duplicates_counts_groups_by_their_loosest_tier() -> None:
    files = files_table({"cat": 6})
    duplicates = duplicates_table(
        [
            ("cat/0000.png", 0, "exact", "cat/0000.png", False, "keep"),
            ("cat/0001.png", 0, "exact", "cat/0000.png", False, "remove"),
            ("cat/0002.png", 0, "near", "cat/0000.png", False, "remove"),
            ("cat/0003.png", 1, "exact", "cat/0003.png", True, "review"),
            ("cat/0004.png", 1, "exact", "cat/0003.png", True, "review"),
        ]
    )
    found = summary(files, duplicates)["duplicates"]
    assert found["groups_by_tier"] == {"exact": 1, "pixel": 0, "verdict": 0, "near": 1}
    assert found["copies_by_tier"] == {"exact": 2, "pixel": 0, "verdict": 0, "near": 1}
    assert (found["groups"], found["removed"], found["conflict_groups"], found["conflict_files"]) == (
        2,
        2,
        1,
        2,
    )


def test_summary_of_an_empty_folder_is_json() -> None:
    found = summary(files_table({}))
    assert found["files"] == 0
    assert found["classes"] == []
    json.dumps(found)


# Problems -------------------------------------------------------------------------------------------------------


def test_a_clean_folder_has_no_problems() -> None:
    assert problems(files_table({"cat": 40, "dog": 40})).empty


def test_every_problem_has_a_sentence_with_its_number_and_few_examples() -> None:
    files = broken(files_table({"cat": 100, "dog": 8}), list(range(30)))
    found = problems(files)
    assert list(found.columns) == list(PROBLEMS.columns)
    row = named(found)["unreadable"]
    assert row["count"] == 30
    assert row["sentence"].startswith("30 files cannot be read (the file ends before the picture does: 30)")
    assert row["command"] == "curate apply DIR"
    assert len(row["examples"].split("\n")) == 12
    assert list(found["severity"]) == sorted(found["severity"], key=["high", "medium", "low"].index)


def test_imbalance_and_tiny_classes() -> None:
    found = named(problems(files_table({"cat": 80, "dog": 8, "cow": 30})))
    assert found["imbalance"]["value"] == 10
    assert "10.0 times" in found["imbalance"]["sentence"]
    assert found["imbalance"]["severity"] == "high"
    assert found["imbalance"]["command"] == "curate balance DIR"
    assert found["tiny_classes"]["sentence"].startswith(
        "1 class with fewer than 20 pictures, the smallest with 8: 'dog'"
    )
    assert "imbalance" not in named(problems(files_table({"cat": 80, "dog": 40})))


@pytest.mark.parametrize(
    ("counts", "words"),
    [({"": 5}, "no class folders"), ({"cat": 30}, "one class only, 'cat'")],
)
def test_fewer_than_two_classes(counts: dict[str, int], words: str) -> None:
    assert words in named(problems(files_table(counts)))["one_class"]["sentence"]


def test_an_empty_folder_and_a_class_without_readable_pictures() -> None:
    assert list(problems(files_table({}))["problem"]) == ["empty_folder"]
    files = broken(files_table({"cat": 30, "dog": 30, "cow": 2}), [60, 61])
    assert "'cow'" in named(problems(files))["empty_classes"]["sentence"]


def test_top_folders_that_are_parts_and_not_classes() -> None:
    files = files_table({"train": 30, "val": 30, "Test_set": 30})
    files["path"] = files["path"].str.replace("/", "/cat/")
    found = named(problems(files))
    assert found["split_folders"]["severity"] == "high"
    assert "such as DIR/train," in found["split_folders"]["sentence"]
    assert "nested_folders" not in found
    assert "split_folders" not in named(problems(files_table({"train": 30, "bus": 30})))


def test_folders_below_classes_and_files_beside_them() -> None:
    files = files_table({"cat": 30, "dog": 30, "": 2})
    files.loc[3, "path"] = "cat/old/3.png"
    found = named(problems(files))
    assert found["nested_folders"]["examples"] == "cat/old/3.png"
    assert found["loose_files"]["count"] == 2


def test_class_names_that_differ_by_case_or_spacing() -> None:
    found = named(problems(files_table({"polar bear": 30, "Polar_Bear": 30, "bear": 30})))
    assert found["similar_labels"]["count"] == 60
    assert "'Polar_Bear', 'polar bear'" in found["similar_labels"]["sentence"]


def test_duplicates_conflicts_apart() -> None:
    files = files_table({"cat": 40, "dog": 40})
    duplicates = duplicates_table(
        [
            ("cat/0000.png", 0, "exact", "cat/0000.png", False, "keep"),
            ("cat/0001.png", 0, "exact", "cat/0000.png", False, "remove"),
            ("cat/0002.png", 0, "near", "cat/0000.png", False, "remove"),
            ("cat/0003.png", 1, "pixel", "cat/0003.png", True, "review"),
            ("dog/0000.png", 1, "pixel", "cat/0003.png", True, "review"),
        ]
    )
    found = named(problems(files, duplicates))
    assert found["exact_duplicates"]["examples"] == "cat/0001.png"
    assert found["near_duplicates"]["examples"] == "cat/0002.png"
    assert found["label_conflicts"]["examples"] == "cat/0003.png\ndog/0000.png"
    assert found["label_conflicts"]["value"] == 1
    assert "another reason" not in found["label_conflicts"]["sentence"]
    plan = pd.DataFrame(
        {
            "path": duplicates["path"],
            "label": "cat",
            "action": ["keep", "remove", "remove", "remove", "review"],
        }
    )
    sentence = named(problems(files, duplicates, plan=plan))["label_conflicts"]["sentence"]
    assert sentence.endswith("1 file of them goes for another reason all the same.")


def test_conflicts_that_a_rule_decided_do_not_wait() -> None:
    files = files_table({"cat": 40, "dog": 40})
    rows = [
        ("cat/0000.png", 0, "exact", "cat/0000.png", True, "keep"),
        ("cat/0001.png", 0, "exact", "cat/0000.png", True, "remove"),
        ("dog/0001.png", 0, "exact", "cat/0000.png", True, "remove"),
    ]
    found = named(problems(files, duplicates_table(rows)))
    assert "label_conflicts" not in found
    assert found["settled_conflicts"]["command"] == "curate apply DIR"
    assert found["settled_conflicts"]["sentence"].endswith("(--conflicts) 2 files go.")
    rows += [(f"{name}/0003.png", 1, "exact", "cat/0003.png", True, "review") for name in ("cat", "dog")]
    found = named(problems(files, duplicates_table(rows)))
    assert found["label_conflicts"]["count"] == 2
    assert found["settled_conflicts"]["count"] == 3


def test_equal_bytes_are_known_before_dedup_has_run() -> None:
    files = files_table({"cat": 40, "dog": 40})
    files.loc[1, "content"] = files.loc[0, "content"]
    assert named(problems(files))["exact_duplicates"]["examples"] == "cat/0001.png"


def test_photographs_and_unsure_ones() -> None:
    files = files_table({"cat": 40, "dog": 40})
    scores = [0.95, 0.99, 0.6] + [0.1] * 77
    photos = pd.DataFrame(
        {
            "path": files["path"],
            "photo_score": scores,
            "photo_verdict": ["photo", "photo", "unsure"] + ["drawing"] * 77,
            "action": ["remove", "remove", "review"] + ["keep"] * 77,
        }
    )
    found = named(problems(files, photos=photos))
    assert found["photographs"]["examples"] == "cat/0001.png\ncat/0000.png"
    assert found["photographs"]["sentence"].startswith("2 pictures (2.5%)")
    assert found["unsure_photographs"]["count"] == 1


def test_encodings_that_go_with_the_class() -> None:
    files = files_table({"cat": 40, "dog": 40})
    mixed = files.assign(format=["PNG", "JPEG"] * 40)
    apart = files.assign(format=["PNG"] * 40 + ["JPEG"] * 40)
    assert named(problems(mixed))["mixed_formats"]["severity"] == "low"
    assert named(problems(apart))["mixed_formats"]["severity"] == "medium"
    clear = files.assign(transparency=[0.0] * 79 + [0.4], frames=[3] + [1] * 79)
    assert named(problems(clear))["transparency"]["examples"] == "dog/0039.png"
    assert named(problems(clear))["animated"]["count"] == 1


def test_sizes_that_go_with_the_class_and_pictures_far_too_small() -> None:
    files = files_table({"cat": 40, "dog": 40})
    files.loc[files["label"] == "dog", ["width", "height"]] = 400
    assert named(problems(files))["class_sizes"]["value"] == pytest.approx(3.125)
    files.loc[5, ["width", "height"]] = [16, 300]
    assert named(problems(files))["tiny_pictures"]["examples"] == "cat/0005.png"
    icons = files_table({"cat": 40, "dog": 40}, width=28, height=28)
    assert "tiny_pictures" not in named(problems(icons))


def test_a_class_missing_from_a_part_of_the_split() -> None:
    files = files_table({"cat": 30, "dog": 30})
    splits = pd.DataFrame({"label": files["label"], "split": (["train", "test"] * 15) + ["train"] * 30})
    assert "'dog'" in named(problems(files, splits=splits))["thin_splits"]["sentence"]


def test_a_line_feed_within_a_path_does_not_split_it() -> None:
    files = broken(files_table({"cat": 30, "dog": 30}), [0])
    files.loc[0, "path"] = "cat/a\nb.png"
    assert named(problems(files))["unreadable"]["examples"] == "cat/a\\x0ab.png"


def test_the_order_of_the_rows_does_not_matter() -> None:
    files = broken(files_table({"cat": 80, "dog": 8}), [3, 40])
    shuffled = files.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(problems(files), problems(shuffled))


# Outliers -------------------------------------------------------------------------------------------------------


def line_art(count: int = 200) -> pd.DataFrame:
    """Bright pages of little ink, as sketches are: what checks made for photographs take for faults."""
    rng = np.random.default_rng(0)
    return files_table(
        {"cat": count // 2, "dog": count - count // 2},
        brightness=rng.uniform(0.93, 0.99, count),
        contrast=rng.uniform(0.08, 0.2, count),
        sharpness=rng.uniform(0.02, 0.06, count),
        entropy=rng.uniform(0.4, 1.2, count),
        flatness=rng.uniform(0.85, 0.97, count),
        ink=rng.uniform(0.02, 0.1, count),
        colorfulness=0.0,
    )


def test_line_art_is_no_outlier_among_line_art() -> None:
    assert outliers(line_art()).empty
    assert problems(line_art()).empty


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("dark", {"brightness": 0.1}),
        ("blurry", {"sharpness": 0.00005}),
        ("aspect", {"width": 1600, "height": 100}),
    ],
)
def test_what_stands_apart_is_found(kind: str, change: dict[str, float]) -> None:
    files = line_art()
    for column, value in change.items():
        files[column] = files[column].astype(float)
        files.loc[7, column] = value
    found = outliers(files)
    assert list(zip(found["kind"], found["path"], strict=True)) == [(kind, "cat/0007.png")]


def test_a_bright_page_among_dark_ones_is_an_outlier() -> None:
    files = line_art().assign(brightness=lambda f: 1 - f["brightness"])
    files.loc[7, "brightness"] = 0.9
    assert list(outliers(files)["kind"]) == ["bright"]


def test_a_kind_of_picture_is_no_outlier() -> None:
    files = line_art()
    files.loc[:19, "brightness"] = 0.1
    assert outliers(files).empty


def test_blank_pages_are_a_problem_of_their_own() -> None:
    files = line_art()
    files.loc[7, ["ink", "sharpness", "contrast"]] = 0.0
    assert outliers(files).empty
    assert named(problems(files))["blank"]["examples"] == "cat/0007.png"


def test_few_pictures_have_no_outliers() -> None:
    files = line_art(10)
    files.loc[7, "brightness"] = 0.0
    assert outliers(files).empty


# The stage ------------------------------------------------------------------------------------------------------


def test_the_stage_uses_the_tables_that_are_there(tmp_path: Path) -> None:
    root = tmp_path / "my pictures"
    root.mkdir()
    workspace = Workspace.open(root)
    workspace.write("files", files_table({"cat": 90, "dog": 30}))
    found = named(run(Context(workspace), EdaSettings())["problems"])
    assert found["imbalance"]["command"] == "curate balance DIR"
    assert "After what the plan removes" not in found["imbalance"]["sentence"]
    assert "plan" not in summarize(workspace)
    workspace.write("problems", run(Context(workspace), EdaSettings())["problems"])
    assert list(workspace.read("problems")["problem"]) == ["imbalance"]


def test_a_class_of_which_the_plan_leaves_nothing() -> None:
    files = files_table({"cat": 30, "dog": 30})
    plan = files[["path", "label"]].assign(action=["remove"] * 30 + ["keep"] * 29 + ["remove"])
    plan = plan.assign(size=1, stage="filter-photos", reason="")
    found = named(problems(files, plan=plan))
    assert found["emptied_classes"]["severity"] == "high"
    assert found["emptied_classes"]["count"] == 30
    assert "nothing of 1 class: 'cat'" in found["emptied_classes"]["sentence"]
    assert "emptied_classes" not in named(problems(files, plan=plan[30:]))
