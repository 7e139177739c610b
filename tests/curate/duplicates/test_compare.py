"""The stage that measures and judges, on small folders of synthetic pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from curate.duplicates import fingerprints
from curate.duplicates.compare import CompareSettings
from curate.errors import UserError
from curate.pipeline import Reporter, bring_up_to_date, session
from curate.tables import FINGERPRINTS, JUDGED

Tables = dict[str, pd.DataFrame]


def compare(folder: Path, search: str = "full", workers: int = 1, said: list[str] | None = None) -> Tables:
    from curate.pipeline import QUIET

    reporter = Reporter(QUIET.stage, [].append if said is None else said.append)
    with session(folder) as workspace:
        bring_up_to_date(
            workspace, ["compare"], {"compare": CompareSettings(search)}, workers=workers, reporter=reporter
        )
        return {name: workspace.read(name) for name in ("files", "fingerprints", "judged")}


def alike(tables: Tables) -> set[tuple[str, str]]:
    """Pairs of names whose pictures were judged to be one."""
    name = tables["files"].drop_duplicates("content").set_index("content")["path"]
    found = tables["judged"][tables["judged"]["score"] > 0.87]
    return {tuple(sorted((name[a], name[b]))) for a, b in zip(found.content_a, found.content_b, strict=True)}


def test_edited_copies_are_found_and_blank_pages_left_alone(folder: Path) -> None:
    said: list[str] = []
    tables = compare(folder, said=said)
    assert alike(tables) == {("cat/2.png", "cat/mirror.jpg"), ("cat/3.png", "dog/other_label.jpg")}
    assert any("2 blank" in text for text in said)
    assert list(tables["fingerprints"].columns) == list(FINGERPRINTS.columns)
    assert list(tables["judged"].columns) == list(JUDGED.columns)
    assert (tables["judged"]["content_a"] < tables["judged"]["content_b"]).all()


def test_the_number_of_workers_changes_nothing(folder: Path, tmp_path: Path) -> None:
    one = compare(folder, workers=1)
    (tmp_path / "set.curate").rename(tmp_path / "first.curate")
    two = compare(folder, workers=2)
    for name in ("fingerprints", "judged"):
        pd.testing.assert_frame_equal(one[name], two[name])


def test_only_what_is_new_is_measured_and_judged_and_the_result_is_that_of_a_fresh_start(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scene: Callable[..., Image.Image]
) -> None:
    from curate.duplicates import evidence

    compare(folder)
    scene(2).rotate(180).save(folder / "cat" / "new.png")
    (folder / "cat" / "5.png").rename(folder / "dog" / "moved.png")
    measured: list[str] = []
    judged: list[int] = []
    measure, judge = fingerprints.fingerprint_files, evidence.judge
    monkeypatch.setattr(
        fingerprints,
        "fingerprint_files",
        lambda items, features: measured.extend(i[1] for i in items) or measure(items, features),
    )
    monkeypatch.setattr(
        evidence,
        "judge",
        lambda work, threshold: judged.extend(len(q) for _, q in work) or judge(work, threshold),
    )
    second = compare(folder)
    assert [Path(path).name for path in measured] == ["new.png"]
    assert 0 < sum(judged) < len(second["judged"])
    (tmp_path / "set.curate").rename(tmp_path / "second.curate")
    fresh = compare(folder)
    pd.testing.assert_frame_equal(second["fingerprints"], fresh["fingerprints"])
    pd.testing.assert_frame_equal(second["judged"], fresh["judged"])


def test_a_fast_search_needs_no_local_features_and_a_full_one_adds_them(folder: Path) -> None:
    fast = compare(folder, "fast")
    assert fast["fingerprints"]["descriptors"].isna().all()
    assert ("cat/2.png", "cat/mirror.jpg") in alike(fast)
    assert compare(folder, "full")["fingerprints"]["descriptors"].notna().all()
    again = compare(folder, "fast")
    assert again["fingerprints"]["descriptors"].notna().all(), "what is known is not thrown away"
    pd.testing.assert_frame_equal(fast["judged"], again["judged"])


def test_pixel_search_judges_nothing(folder: Path) -> None:
    assert compare(folder, "pixel")["judged"].empty


def test_an_unknown_search_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="search: 'slow' is not known") as error:
        compare(folder, "slow")
    assert "full, fast, pixel" in error.value.remedy
