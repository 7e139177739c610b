"""The stage as a whole on small folders of synthetic pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image, ImageOps

from curate import duplicates
from curate.duplicates import DedupSettings, all_pairs, run
from curate.errors import UserError
from curate.pipeline import Context
from curate.tables import DUPLICATES, FILES, PAIRS
from curate.workspace import Workspace


def context(root: Path, workers: int = 1) -> Context:
    """A workspace whose table `files` describes `root`, without the stage that scans."""
    rows = []
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        data = path.read_bytes()
        name = path.relative_to(root).as_posix()
        with Image.open(path) as image:
            size, form = image.size, image.format
        rows.append(
            {
                "path": name,
                "content": hashlib.sha256(data).hexdigest(),
                "size": len(data),
                "mtime_ns": path.stat().st_mtime_ns,
                "label": name.split("/")[0] if "/" in name else "",
                "status": "ok",
                "width": size[0],
                "height": size[1],
                "format": form,
            }
        )
    frame = pd.DataFrame(rows)
    for name, column in FILES.columns.items():
        if name not in frame:
            frame[name] = "" if column.type == "string" else 0
    workspace = Workspace.open(root)
    workspace.write("files", frame)
    said: list[str] = []
    made = Context(workspace, workers=workers, say=said.append)
    object.__setattr__(made, "said", said)
    return made


@pytest.fixture
def folder(tmp_path: Path, scene: Callable[..., Image.Image]) -> Path:
    root = tmp_path / "set"
    (root / "cat").mkdir(parents=True)
    (root / "dog").mkdir()
    for seed in range(6):
        scene(seed).save(root / "cat" / f"{seed}.png")
    (root / "cat" / "copy.png").write_bytes((root / "cat" / "0.png").read_bytes())
    scene(1).save(root / "cat" / "same_pixels.bmp")
    ImageOps.mirror(scene(2)).save(root / "cat" / "mirror.jpg", quality=70)
    scene(3).resize((90, 90)).save(root / "dog" / "other_label.jpg", quality=80)
    for name in ("blank1", "blank2"):
        Image.new("RGB", (100 + len(name), 100 + ord(name[-1])), "white").save(root / "dog" / f"{name}.png")
    return root


def test_tiers_conflicts_and_blank_pages(folder: Path) -> None:
    made = context(folder)
    tables = run(made, DedupSettings())
    listed = all_pairs(tables["duplicates"], tables["pairs"]).set_index(["a", "b"])
    assert dict(listed["tier"]) == {
        ("cat/0.png", "cat/copy.png"): "exact",
        ("cat/1.png", "cat/same_pixels.bmp"): "pixel",
        ("cat/2.png", "cat/mirror.jpg"): "near",
        ("cat/3.png", "dog/other_label.jpg"): "near",
    }
    assert listed.index[listed["conflict"]].tolist() == [("cat/3.png", "dog/other_label.jpg")]
    action = tables["duplicates"].set_index("path")["action"]
    assert action["cat/mirror.jpg"] == "remove"
    assert action["cat/2.png"] == "keep"
    assert action["dog/other_label.jpg"] == action["cat/3.png"] == "review"
    assert any("2 blank" in text for text in made.said)  # type: ignore[attr-defined]
    for name, table in (("pairs", PAIRS), ("duplicates", DUPLICATES)):
        assert list(tables[name].columns) == list(table.columns)
        made.workspace.write(name, tables[name])
    assert (tables["pairs"]["content_a"] < tables["pairs"]["content_b"]).all()


def test_the_number_of_workers_changes_nothing(folder: Path) -> None:
    one, two = (run(context(folder, workers), DedupSettings()) for workers in (1, 2))
    pd.testing.assert_frame_equal(one["pairs"], two["pairs"])
    pd.testing.assert_frame_equal(one["duplicates"], two["duplicates"])


def test_known_fingerprints_are_not_computed_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, scene: Callable[..., Image.Image]
) -> None:
    made = context(folder)
    first = run(made, DedupSettings())
    made.workspace.write("fingerprints", first["fingerprints"], version=duplicates.VERSION)
    scene(50).save(folder / "cat" / "new.png")
    made = context(folder)
    work: list[str] = []
    original = duplicates.fingerprints.fingerprint_files  # type: ignore[attr-defined]
    monkeypatch.setattr(
        "curate.duplicates.fingerprints.fingerprint_files",
        lambda items: work.extend(i[1] for i in items) or original(items),
    )
    second = run(made, DedupSettings())
    assert [Path(path).name for path in work] == ["new.png"]
    assert len(second["fingerprints"]) == len(first["fingerprints"]) + 1
    pd.testing.assert_frame_equal(first["duplicates"], second["duplicates"])


def test_without_near_only_bytes_and_pixels_count(folder: Path) -> None:
    assert set(run(context(folder), DedupSettings(near=False))["pairs"]["tier"]) == {"pixel"}


@pytest.mark.parametrize("count", [1, 5])
def test_a_folder_of_one_picture_however_often(
    tmp_path: Path, count: int, scene: Callable[..., Image.Image]
) -> None:
    root = tmp_path / "flat"
    root.mkdir()
    for number in range(count):
        scene(0).save(root / f"{number}.png")
    tables = run(context(root), DedupSettings())
    assert len(tables["duplicates"]) == (count if count > 1 else 0)
    assert (tables["duplicates"]["action"] == "remove").sum() == max(0, count - 1)
    assert not tables["duplicates"]["conflict"].any()
    assert len(all_pairs(tables["duplicates"], tables["pairs"])) == count * (count - 1) // 2


def test_nothing_readable(tmp_path: Path) -> None:
    root = tmp_path / "empty"
    root.mkdir()
    workspace = Workspace.open(root)
    workspace.write("files", FILES.empty())
    tables = run(Context(workspace, workers=1), DedupSettings())
    assert all(table.empty for table in tables.values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (DedupSettings(conflicts="toss"), "conflicts: 'toss' is not known."),
        (DedupSettings(threshold=0), "threshold: 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(
    tmp_path: Path, settings: DedupSettings, message: str, scene: Callable[..., Image.Image]
) -> None:
    root = tmp_path / "one"
    root.mkdir()
    scene(0).save(root / "a.png")
    with pytest.raises(UserError, match=message) as error:
        run(context(root), settings)
    assert error.value.remedy
