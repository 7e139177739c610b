"""What people decide about pairs of pictures, and that it lasts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import curate
from curate.errors import UserError
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


def test_a_csv_of_verdicts(tmp_path: Path) -> None:
    file = tmp_path / "said.csv"
    file.write_text("a,b,verdict,note\nx.png,y.png, same,sure\n")
    assert read_said(file) == [("x.png", "y.png", "same")]
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
