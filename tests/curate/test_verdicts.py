"""What people decide about pairs of pictures, and that it lasts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import curate
from curate.errors import Refused, UserError
from curate.journal import apply
from curate.pipeline import session
from curate.verdicts import read_said, read_verdicts, record


@pytest.fixture
def folder(tmp_path: Path, scene: Callable[..., Image.Image]) -> Path:
    root = tmp_path / "set"
    root.mkdir()
    for seed in range(3):
        scene(seed).save(root / f"{seed}.png")
    scene(0).save(root / "small.jpg", quality=60)
    (root / "copy.png").write_bytes((root / "0.png").read_bytes())
    (root / "broken.png").write_bytes(b"no picture")
    curate.dedup(root, workers=1)
    return root


def groups(folder: Path) -> set[frozenset[str]]:
    found = curate.dedup(folder, workers=1)
    return {frozenset(rows["path"]) for _, rows in found.groupby("group")}


def test_verdicts_change_the_groups_and_outlive_renames_and_rescans(folder: Path) -> None:
    assert groups(folder) == {frozenset({"0.png", "copy.png", "small.jpg"})}
    with session(folder) as workspace:
        record(workspace, [("0.png", "small.jpg", "different"), ("1.png", str(folder / "2.png"), "same")])
    assert groups(folder) == {frozenset({"0.png", "copy.png"}), frozenset({"1.png", "2.png"})}
    (folder / "sub").mkdir()
    (folder / "1.png").rename(folder / "sub" / "renamed.png")
    assert groups(folder) == {frozenset({"0.png", "copy.png"}), frozenset({"sub/renamed.png", "2.png"})}


def test_the_latest_word_counts(folder: Path) -> None:
    with session(folder) as workspace:
        record(workspace, [("1.png", "2.png", "same")])
        table = record(workspace, [("2.png", "1.png", "different")])
        assert table["verdict"].tolist() == ["different"]
        assert len(read_verdicts(workspace)) == 1


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (("0.png", "1.png", "alike"), "'alike' is no verdict"),
        (("0.png", "copy.png", "different"), "same bytes"),
        (("0.png", "00.png", "same"), "knows no such picture; do you mean 0.png"),
        (("0.png", "broken.png", "same"), None),
    ],
)
def test_what_makes_no_sense_is_refused_as_a_whole(
    folder: Path, said: tuple[str, str, str], message: str | None
) -> None:
    with session(folder) as workspace:
        if (
            message is None
        ):  # the bytes of an unreadable file are known: a verdict on it is allowed and does nothing
            assert len(record(workspace, [said])) == 1
            return
        with pytest.raises(UserError, match=message) as error:
            record(workspace, [("1.png", "2.png", "same"), said])
        assert error.value.remedy
        assert read_verdicts(workspace).empty


def test_damaged_verdicts_are_not_taken_for_none(folder: Path) -> None:
    curate.scan(folder, workers=1)
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.png"))[:2]]
    with session(folder) as workspace:
        record(workspace, [(names[0], "", "drawing")])
        file = workspace.path / "verdicts.parquet"
        data = file.read_bytes()
        file.write_bytes(data[:-20])
        for use in (lambda: read_verdicts(workspace), lambda: record(workspace, [(names[1], "", "drawing")])):
            with pytest.raises(UserError, match="what people said cannot be read") as error:
                use()
            assert "Put a copy of it back" in error.value.remedy
        file.write_bytes(data)
        assert len(read_verdicts(workspace)) == 1


def test_a_csv_of_verdicts(tmp_path: Path) -> None:
    file = tmp_path / "said.csv"
    file.write_text("a,b,verdict,note\nx.png,y.png, same,sure\n")
    assert read_said(file) == [("x.png", "y.png", "same")]
    file.write_text("path,label,suggested,verdict\nx.png,cat,dog,take\ny.png,cat,dog,\nz.png,cat,dog,ok\n")
    assert read_said(file) == [("x.png", "", "label:dog"), ("z.png", "", "ok")]
    file.write_text("path,verdict\nx.png,take\n")
    with pytest.raises(UserError, match="line 2: nothing is suggested"):
        read_said(file)
    file.write_text("path,label\nx.png,cat\n")
    with pytest.raises(UserError, match="has no column verdict"):
        read_said(file)
    file.write_text("a,verdict\nx.png,same\n")
    with pytest.raises(UserError, match="has no column b"):
        read_said(file)
    with pytest.raises(UserError, match=r"absent.csv: cannot be read"):
        read_said(tmp_path / "absent.csv")


def test_the_command_records_lists_and_refuses_half_a_verdict(folder: Path) -> None:
    from typer.testing import CliRunner

    from curate.cli import app

    def call(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["verdict", str(folder), *words])
        return done.exit_code, done.output

    for words, said in (
        (("0.png",), "one or two files and a word"),
        (("0.png", "1.png"), "A B same or different"),
    ):
        code, printed = call(*words)
        assert code == 2
        assert said in " ".join(printed.split())
    assert call("0.png", "1.png", "different")[0] == 0
    code, printed = call()
    assert code == 0
    assert "different" in printed


def test_a_verdict_on_one_picture_settles_it(folder: Path) -> None:
    with session(folder) as workspace:
        record(workspace, [("1.png", "", "photo")])
        table = record(workspace, [("0.png", "", "drawing"), ("1.png", "2.png", "different")])
        assert len(table) == 3
        with pytest.raises(UserError, match="'same' is no verdict on one picture"):
            record(workspace, [("1.png", "", "same")])
    photos = curate.filter_photos(folder, workers=1).set_index("path")
    assert photos.loc["1.png", ["photo_verdict", "action", "reason"]].tolist() == [
        "photo",
        "remove",
        "a person said so",
    ]
    assert photos.loc["copy.png", "reason"] == "a person said so"
    assert photos.loc["2.png", "reason"] != "a person said so"


@pytest.fixture
def classes(tmp_path: Path, scene: Callable[..., Image.Image]) -> Path:
    """Six pictures under cat, six under dog, one at the root; cat/0.png and dog/0.png differ."""
    root = tmp_path / "classes"
    for seed in range(12):
        place = root / ("cat", "dog")[seed % 2] / f"{seed // 2}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        scene(seed).save(place)
    scene(20).save(root / "loose.png")
    return root


def test_labels_that_people_gave_reach_split_plan_and_clean_tree(classes: Path, tmp_path: Path) -> None:
    curate.run(classes, workers=1)
    before = {path: path.read_bytes() for path in sorted(classes.rglob("*.png"))}
    with session(classes) as workspace:
        said = [("cat/0.png", "", "label:dog"), ("cat/1.png", "", "no-class"), ("cat/2.png", "", "ok")]
        record(workspace, [*said, ("loose.png", "", "label:cat")])
        with pytest.raises(Refused, match="older than the table 'verdicts'"):
            apply(workspace, copy_to=tmp_path / "clean")
    plan = curate.run(classes, workers=1).set_index("path")
    assert plan.loc["cat/0.png", ["label", "action", "stage", "reason"]].tolist() == [
        "dog", "keep", "verdict", "a person said that it belongs to 'dog'",
    ]  # fmt: skip
    assert plan.loc["cat/1.png", ["action", "stage", "reason"]].tolist() == [
        "remove", "verdict", "a person said that it belongs to no class",
    ]  # fmt: skip
    assert plan.loc["cat/2.png", ["label", "action", "stage"]].tolist() == ["cat", "keep", ""]
    splits = curate.split(classes, workers=1).set_index("path")
    assert splits.loc["cat/0.png", "label"] == "dog"
    assert splits.loc["loose.png", "label"] == "cat"
    assert splits.loc["cat/1.png", ["split", "reason"]].tolist() == [
        "out", "a person said that it belongs to no class",
    ]  # fmt: skip
    curate.apply(classes, copy_to=tmp_path / "clean")
    found = {str(path.relative_to(tmp_path / "clean")) for path in (tmp_path / "clean").rglob("*.png")}
    assert {"dog/0.png", "dog/0~.png", "cat/loose.png"} <= found
    assert not {"cat/0.png", "cat/1.png", "loose.png"} & found
    assert (tmp_path / "clean" / "dog" / "0~.png").read_bytes() == before[classes / "cat" / "0.png"]
    curate.apply(classes)
    assert not (classes / "cat" / "1.png").exists()
    assert (classes / "cat" / "0.png").exists()
    curate.undo(classes)
    assert {path: path.read_bytes() for path in sorted(classes.rglob("*.png"))} == before


def test_a_label_lasts_beside_a_verdict_on_what_a_picture_is(classes: Path) -> None:
    curate.scan(classes, workers=1)
    with session(classes) as workspace:
        record(workspace, [("cat/0.png", "", "label:dog"), ("cat/0.png", "", "drawing")])
        table = record(workspace, [("cat/0.png", "", "ok")])
        assert sorted(table["verdict"]) == ["drawing", "label:cat"]
        (classes / "cat" / "0.png").rename(classes / "dog" / "moved.png")
    plan = curate.run(classes, workers=1).set_index("path")
    assert plan.loc["dog/moved.png", "label"] == "cat"


def test_one_picture_under_two_labels_is_settled_by_a_label(classes: Path) -> None:
    (classes / "dog" / "same.png").write_bytes((classes / "cat" / "0.png").read_bytes())
    assert curate.dedup(classes, workers=1)["conflict"].all()
    with session(classes) as workspace:
        record(workspace, [("dog/same.png", "", "ok")])
    found = curate.dedup(classes, workers=1)
    assert not found["conflict"].any()
    assert sorted(found["action"]) == ["keep", "remove"]
    assert set(found["label"]) == {"dog"}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (("cat/0.png", "", "label:dgo"), "there is no class 'dgo'; do you mean dog"),
        (("cat/0.png", "", "label:"), "there is no class ''"),
        (("cat/0.png", "", "wrong"), "'wrong' is no verdict on one picture"),
        (("loose.png", "", "ok"), "lies in no class folder"),
        (("cat/0.png", "cat/1.png", "label:dog"), "no verdict on two pictures"),
    ],
)
def test_a_label_that_makes_no_sense_is_refused(
    classes: Path, said: tuple[str, str, str], message: str
) -> None:
    curate.scan(classes, workers=1)
    with session(classes) as workspace:
        with pytest.raises(UserError, match=message) as error:
            record(workspace, [("cat/1.png", "", "ok"), said])
        assert error.value.remedy
        assert read_verdicts(workspace).empty
