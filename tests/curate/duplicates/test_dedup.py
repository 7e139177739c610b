"""The stage that draws the line and makes the groups, on small folders of synthetic pictures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

import curate
from curate import images
from curate.duplicates.dedup import find_leaks, find_pairs
from curate.duplicates.groups import all_pairs
from curate.errors import UserError
from curate.pipeline import session
from curate.tables import JUDGED, PAIRS, VERDICTS
from curate.workspace import Workspace


def dedup(folder: Path, **settings: Any) -> pd.DataFrame:
    return curate.dedup(folder, workers=1, **settings)


def actions(duplicates: pd.DataFrame) -> dict[str, str]:
    return dict(zip(duplicates["path"], duplicates["action"], strict=True))


def test_tiers_and_conflicts(folder: Path) -> None:
    duplicates = dedup(folder)
    pairs = Workspace(folder).read("pairs")
    listed = all_pairs(duplicates, pairs).set_index(["a", "b"])
    assert dict(listed["tier"]) == {
        ("cat/0.png", "cat/copy.png"): "exact",
        ("cat/1.png", "cat/same_pixels.bmp"): "pixel",
        ("cat/2.png", "cat/mirror.jpg"): "near",
        ("cat/3.png", "dog/other_label.jpg"): "near",
    }
    assert listed.index[listed["conflict"]].tolist() == [("cat/3.png", "dog/other_label.jpg")]
    found = actions(duplicates)
    assert {found.pop("cat/1.png"), found.pop("cat/same_pixels.bmp")} == {"keep", "remove"}
    assert found == {
        "cat/0.png": "keep",
        "cat/copy.png": "remove",
        "cat/2.png": "keep",
        "cat/mirror.jpg": "remove",
        "cat/3.png": "review",
        "dog/other_label.jpg": "review",
    }
    assert list(pairs.columns) == list(PAIRS.columns)


def test_scopes(folder: Path) -> None:
    (folder / "dog" / "0.png").write_bytes((folder / "cat" / "0.png").read_bytes())
    within = dedup(folder, scope="within-class")
    assert set(within["path"]) == {
        *("cat/0.png", "cat/copy.png", "cat/1.png", "cat/same_pixels.bmp", "cat/2.png", "cat/mirror.jpg")
    }
    assert not within["conflict"].any()
    assert sorted(within["group"].unique()) == [0, 1, 2]
    across = dedup(folder, scope="across-class")
    assert set(across["path"]) == {
        *("cat/0.png", "cat/copy.png", "dog/0.png", "cat/3.png", "dog/other_label.jpg")
    }
    assert across["conflict"].all()


def test_dropped_conflicts_go_as_a_whole_and_can_be_taken_back(folder: Path) -> None:
    with session(folder) as workspace:
        from curate.pipeline import STAGES, bring_up_to_date

        chosen = {"dedup": STAGES["dedup"].default_settings().__class__(conflicts="drop-all")}
        bring_up_to_date(workspace, ["plan"], chosen, workers=1)
        plan = workspace.read("plan").set_index("path")
    assert plan.loc["cat/3.png", "action"] == plan.loc["dog/other_label.jpg", "action"] == "remove"
    assert "cat, dog" in plan.loc["cat/3.png", "reason"]
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    curate.apply(folder)
    assert not (folder / "cat" / "3.png").exists()
    curate.undo(folder)
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before


def test_leaks_are_found_and_the_other_folder_is_left_alone(
    folder: Path, tmp_path: Path, scene: Callable[..., Image.Image]
) -> None:
    test = tmp_path / "test"
    (test / "cat").mkdir(parents=True)
    scene(5).resize((150, 150)).save(test / "cat" / "seen.jpg", quality=80)
    (test / "cat" / "exact.png").write_bytes((folder / "cat" / "4.png").read_bytes())
    scene(60).save(test / "cat" / "new.png")
    leaks = dedup(folder, against=test).set_index("path")
    assert dict(leaks["other"]) == {"cat/4.png": "cat/exact.png", "cat/5.png": "cat/seen.jpg"}
    assert dict(leaks["tier"]) == {"cat/4.png": "exact", "cat/5.png": "near"}
    plan = curate.run(folder, workers=1).set_index("path")
    assert tuple(plan.loc["cat/5.png", ["action", "stage"]]) == ("remove", "against")
    assert "cat/seen.jpg" in plan.loc["cat/5.png", "reason"]
    assert plan.loc["cat/2.png", "action"] == "keep"
    splits = Workspace(folder).read("splits").set_index("path")["split"]
    assert splits["cat/4.png"] == splits["cat/5.png"] == "out"
    assert sorted(p.name for p in test.rglob("*.*")) == ["exact.png", "new.png", "seen.jpg"]
    assert not (tmp_path / "test.curate").exists()
    (test / "cat" / "exact.png").unlink()
    assert set(dedup(folder, against=test)["path"]) == {"cat/5.png"}, "the other folder is looked at anew"


def test_a_file_of_the_other_folder_that_could_not_be_read_once_is_read_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = tmp_path / "test"
    (test / "cat").mkdir(parents=True)
    shutil.copy(folder / "cat" / "4.png", test / "cat" / "seen.png")
    read_file = images.read_file

    def closed(path: str) -> Any:
        if path.endswith("seen.png"):
            raise images.Unreadable("permission", "Permission denied")
        return read_file(path)

    monkeypatch.setattr(images, "read_file", closed)
    assert dedup(folder, against=test).empty
    monkeypatch.undo()
    assert set(dedup(folder, against=test)["path"]) == {"cat/4.png"}


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("absent", "no such folder"),
        ("set", "is the other"),
        ("set/cat", "lies inside"),
        ("empty", "no pictures"),
    ],
)
def test_another_folder_that_cannot_be_compared_is_refused(
    folder: Path, tmp_path: Path, place: str, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=message) as error:
        dedup(folder, against=tmp_path / place)
    assert error.value.remedy


def test_preferred_and_protected_folders(folder: Path) -> None:
    (folder / "best").mkdir()
    scene_copy = Image.open(folder / "cat" / "4.png").resize((60, 60))
    scene_copy.save(folder / "best" / "small.jpg", quality=80)
    plain = actions(dedup(folder, scope="across-class"))
    assert plain["best/small.jpg"] == "review"
    kept = dedup(folder, prefer=["best"]).set_index("path")
    assert kept.loc["best/small.jpg", "keeper"] == "best/small.jpg"
    protected = actions(dedup(folder, protect=[str(folder / "cat")]))
    assert protected["cat/copy.png"] == protected["cat/mirror.jpg"] == "keep"


def test_a_picture_that_turns_into_another_step_by_step_is_not_collapsed(
    tmp_path: Path, scene: Callable[..., Image.Image]
) -> None:
    root = tmp_path / "morph"
    root.mkdir()
    first, last = scene(1), scene(2)
    for step in range(21):
        Image.blend(first, last, step / 20).save(root / f"{step:02}.png")
    found = dedup(root)
    pairs = Workspace(root).read("pairs")
    assert len(pairs) >= 20, "neighbours are alike"
    together = found.groupby("group")["path"].agg(set)
    assert not any({"00.png", "20.png"} <= paths for paths in together)
    content = Workspace(root).read("files").set_index("path")["content"]
    linked = {frozenset(pair) for pair in zip(pairs.content_a, pairs.content_b, strict=True)}
    for path, keeper in zip(found["path"], found["keeper"], strict=True):
        assert path == keeper or frozenset((content[path], content[keeper])) in linked


@pytest.mark.parametrize("option", ["prefer", "protect"])
def test_a_folder_without_pictures_is_no_wish(folder: Path, option: str) -> None:
    with pytest.raises(UserError, match=f"--{option} cats: holds none of the pictures") as error:
        dedup(folder, **{option: ["cats"]})
    assert str(folder) in error.value.remedy


def judged(*pairs: tuple[str, str, float]) -> pd.DataFrame:
    rows = [(a, b, 257, 0, 0, 0, score, "so") for a, b, score in pairs]
    return pd.DataFrame(rows, columns=list(JUDGED.columns))


def prints(**pixels: str) -> pd.DataFrame:
    return pd.DataFrame({"content": list(pixels), "pixels": list(pixels.values())})


def verdicts(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame([(*row, "", "", "") for row in rows], columns=list(VERDICTS.columns))


def test_a_persons_word_outdoes_every_score_and_is_on_the_picture_not_on_the_file() -> None:
    known = prints(a="1", b="2", c="3", d="3")  # d has the pixels of c
    found = find_pairs(known, judged(("a", "b", 0.99), ("a", "c", 0.2)), verdicts(), 0.87)
    assert list(zip(found.content_a, found.content_b, found.tier, strict=True)) == [
        ("a", "b", "near"),
        ("c", "d", "pixel"),
    ]
    said = verdicts(
        ("a", "b", "different"), ("a", "d", "same"), ("c", "d", "different"), ("a", "gone", "same")
    )
    found = find_pairs(known, judged(("a", "b", 0.99), ("a", "c", 0.2)), said, 0.87)
    assert list(zip(found.content_a, found.content_b, found.tier, strict=True)) == [
        ("a", "c", "verdict"),
        ("c", "d", "pixel"),
    ]


def test_the_last_word_on_two_pictures_counts_whichever_files_showed_them() -> None:
    known = prints(a="1", b="2", c="1", d="2")  # c has the pixels of a, d those of b
    for first, last, tiers in (("same", "different", []), ("different", "same", ["verdict"])):
        said = verdicts(("c", "d", first), ("a", "b", last))
        for order in ("2026-01", "2026-02"), ("2026-02", "2026-01"):
            said["said"] = order
            found = find_pairs(known, judged(), said, 0.87)
            wanted = tiers if order[0] < order[1] else [] if first == "different" else ["verdict"]
            assert [tier for tier in found.tier if tier != "pixel"] == wanted


def test_a_leak_is_tied_to_its_surest_partner_and_nothing_chains() -> None:
    files = pd.DataFrame({"path": ["x", "y", "z"], "content": ["a", "b", "c"], "label": ["l"] * 3})
    others = pd.DataFrame({"path": ["t", "u"], "content": ["d", "e"], "label": ["l", "m"]})
    pairs = pd.DataFrame(
        [("a", "d", "near", 0.9, ""), ("a", "e", "near", 0.97, ""), ("a", "b", "near", 0.95, "")],
        columns=list(PAIRS.columns),
    )
    leaks = find_leaks(files, others, pairs)
    assert leaks[["path", "other", "tier", "other_label"]].to_numpy().tolist() == [["x", "u", "near", "m"]]
    assert find_leaks(files, others[:0], pairs).empty


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"conflicts": "toss"}, "conflicts: 'toss' is not known."),
        ({"scope": "some"}, "scope: 'some' is not known."),
        ({"threshold": 0}, "threshold: 0"),
        ({"thresold": 1}, "no setting 'thresold'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(folder: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        dedup(folder, search="pixel", **settings)
    assert error.value.remedy


@pytest.mark.parametrize("count", [1, 5])
def test_a_folder_of_one_picture_however_often(
    tmp_path: Path, count: int, scene: Callable[..., Image.Image]
) -> None:
    root = tmp_path / "flat"
    root.mkdir()
    for number in range(count):
        scene(0).save(root / f"{number}.png")
    duplicates = dedup(root)
    assert len(duplicates) == (count if count > 1 else 0)
    assert (duplicates["action"] == "remove").sum() == max(0, count - 1)
    assert not duplicates["conflict"].any()
    assert len(all_pairs(duplicates, Workspace(root).read("pairs"))) == count * (count - 1) // 2


def test_nothing_readable(tmp_path: Path) -> None:
    root = tmp_path / "broken"
    root.mkdir()
    (root / "a.png").write_bytes(b"no picture")
    assert dedup(root).empty
