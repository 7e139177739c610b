"""The report: whole, offline, safe from hostile names, the same for the same data."""

import base64
import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports import page, sections
from reports.page import ReportData, build_report
from reports.sections import shown_text, size_text

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}"


class Page(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._within = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._within = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within == "script":
            self.scripts[-1] += data
        elif self._within != "style":
            self.text += data


def files_table(paths: list[str], bad: tuple[str, ...] = ()) -> pd.DataFrame:
    frame = pd.DataFrame({"path": paths})
    frame["content"] = [hashlib.sha256(path.encode()).hexdigest() for path in paths]
    frame["size"] = 1000
    frame["label"] = [path.split("/")[0] if "/" in path else "" for path in paths]
    frame["status"] = ["unreadable" if path in bad else "ok" for path in paths]
    frame["reason"] = ["truncated" if path in bad else "" for path in paths]
    frame["detail"] = ["no end marker" if path in bad else "" for path in paths]
    frame["width"], frame["height"] = 60, 40
    for i, column in enumerate(("brightness", "contrast", "sharpness", "colorfulness")):
        frame[column] = np.linspace(0.1, 0.1 + 0.1 * (i + 1), len(paths))
    return frame


def summary(files: pd.DataFrame) -> dict[str, Any]:
    ok = files[files["status"] == "ok"]
    classes = [
        {
            "label": label,
            "files": len(rows),
            "readable": len(rows),
            "planned": len(rows) - 1,
            "drawn": len(rows),
        }
        for label, rows in files.groupby("label")
    ]
    return {
        "files": len(files),
        "readable": len(ok),
        "bytes": int(files["size"].sum()),
        "classes": classes,
        "imbalance": {"raw": 2.0, "planned": 1.5},
        "effective_classes": {"raw": 1.9, "planned": 1.95},
        "formats": {"PNG": len(ok)},
        "modes": {"RGB": len(ok)},
        "transparent": 0,
        "animated": 0,
        "turned": 0,
        "blank": 0,
        "outliers": {"blurry": 1},
        "duplicates": {
            "groups": 2,
            "copies": 3,
            "copies_by_tier": {"exact": 1, "pixel": 0, "verdict": 0, "near": 2},
        },
    }


def full_data(classes: tuple[str, str] = ("cat", "dog"), name: str = "") -> ReportData:
    """Twelve files: a group of three, a conflict of two, two photographs and one unsure, one unreadable."""
    a, b = classes
    paths = [f"{a}/{i}{name}.png" for i in range(6)] + [f"{b}/{i}{name}.png" for i in range(6)]
    files = files_table(paths, bad=(paths[11],))
    keeper = [paths[0], paths[0], paths[0], paths[3], paths[6 + 3]]
    rows = [paths[0], paths[1], paths[2], paths[3], paths[9]]
    keeper[4] = paths[3]
    duplicates = pd.DataFrame(
        {
            "path": rows,
            "content": files.set_index("path").loc[rows, "content"].to_numpy(),
            "label": [a, a, a, a, b],
            "group": [0, 0, 0, 1, 1],
            "tier": ["exact", "exact", "near", "near", "near"],
            "score": [1.0, 1.0, 0.7, 1.0, 0.8],
            "keeper": keeper,
            "conflict": [False, False, False, True, True],
            "action": ["keep", "remove", "remove", "review", "review"],
            "reason": ["largest of 3", "same bytes", "near copy", "two labels", "two labels"],
        }
    )
    content = files.set_index("path")["content"]
    first, second = sorted([content[paths[1]], content[paths[2]]])
    pairs = pd.DataFrame(
        {
            "content_a": [first],
            "content_b": [second],
            "tier": "near",
            "score": [0.55],
            "evidence": ["12 of 20 points"],
        }
    )
    photos = pd.DataFrame(
        {
            "path": paths[:11],
            "label": [a] * 6 + [b] * 5,
            "photo_score": [0.1] * 8 + [0.99, 0.85, 0.6],
            "photo_verdict": ["drawing"] * 8 + ["photo", "photo", "unsure"],
            "action": ["keep"] * 8 + ["remove", "remove", "review"],
            "reason": ["grain"] * 11,
            "cluster": ["1: drawings"] * 8 + ["2: photographs"] * 3,
        }
    )
    plan = pd.DataFrame(
        {
            "path": paths,
            "size": 1000,
            "label": files["label"],
            "action": ["keep", "remove", "remove", "review"]
            + ["keep"] * 4
            + ["remove", "review", "keep", "remove"],
            "stage": ["", "dedup", "dedup", "dedup", "", "", "", "", "filter-photos", "dedup", "", "scan"],
        }
    )
    splits = pd.DataFrame(
        {"path": paths, "label": files["label"], "split": ["train", "out", "val", "test"] * 3}
    )
    vectors = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)
    return ReportData(
        folder="my pictures" + name,
        summary=summary(files),
        problems=pd.DataFrame(
            {
                "problem": ["tiny_pictures", "label_conflicts"],
                "severity": ["low", "high"],
                "count": [1, 2],
                "value": [1.0, 1.0],
                "sentence": [f"1 picture is small: {name}", f"One picture under '{a}' and '{b}'."],
                "command": ["", "curate report 'my pictures'"],
                "examples": [paths[0], f"{paths[3]}\n{paths[9]}"],
            }
        ),
        files=files,
        duplicates=duplicates,
        pairs=pairs,
        photos=photos,
        splits=splits,
        plan=plan,
        embeddings=pd.DataFrame({"content": files["content"], "vector": list(vectors)}),
        read=lambda path: np.full((40, 60, 3), len(path) % 255, np.uint8),
        reasons={"truncated": "the file ends before the picture does"},
        version="1.2.3",
    )


def build(data: ReportData, out: Path) -> tuple[str, dict[str, Any]]:
    html, machine = build_report(data, out)
    return html.read_text(encoding="utf-8"), json.loads(machine.read_text(encoding="utf-8"))


def test_the_page_refers_to_nothing_outside(tmp_path: Path) -> None:
    html, _ = build(full_data(), tmp_path)
    found = Page(html)
    for tag, attributes in found.tags:
        assert tag not in {"link", "iframe", "object", "embed", "base", "img", "form"}
        for name in ("src", "href", "action", "srcset", "data"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]*", "", html).replace("http-equiv", "")
    assert not re.search(r"url\((?!data:image/webp;base64,)|@import", html)


def test_the_policy_allows_the_page_s_own_script_only(tmp_path: Path) -> None:
    html, _ = build(full_data(), tmp_path)
    found = Page(html)
    policy = next(
        a["content"] or "" for tag, a in found.tags if a.get("http-equiv") == "Content-Security-Policy"
    )
    script = found.scripts[-1]
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1]


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    html, machine = build(
        full_data(("a<b>" + HOSTILE.replace("/", ""), "dog"), HOSTILE.replace("/", "∕")), tmp_path
    )
    plain, _ = build(full_data(), tmp_path / "plain")
    tags, expected = [tag for tag, _ in Page(html).tags], [tag for tag, _ in Page(plain).tags]
    assert tags == expected
    assert not any(name.startswith("on") for _, attributes in Page(html).tags for name in attributes)
    assert "{{ 7*7 }}" in Page(html).text
    assert "<" not in next(script for script in Page(html).scripts if script.startswith("{"))
    assert HOSTILE.replace("/", "∕") in machine["folder"]


def test_what_cannot_be_seen_is_written_out() -> None:
    assert shown_text("a\nb\u202egnp.exe\x00") == "a\\x0ab\\u202egnp.exe\\x00"
    assert shown_text("Ünïcode – 猫") == "Ünïcode – 猫"


def test_groups_come_with_keeper_reason_and_weakest_pair_and_conflicts_apart(tmp_path: Path) -> None:
    data = full_data()
    html, machine = build(data, tmp_path)
    (group,), (conflict,) = machine["duplicates"], machine["conflicts"]
    assert group["keeper"] == "cat/0.png"
    assert [member["path"] for member in group["members"]] == ["cat/0.png", "cat/1.png", "cat/2.png"]
    assert group["tier"] == "near"
    assert group["weakest"]["score"] == pytest.approx(0.55)
    assert {group["weakest"]["a"], group["weakest"]["b"]} == {"cat/1.png", "cat/2.png"}
    assert conflict["labels"] == ["cat", "dog"]
    assert conflict["weakest"]["score"] == pytest.approx(0.8)
    text = Page(html).text
    assert "Weakest pair 0.55: 12 of 20 points" in text
    assert "largest of 3" in text


def test_photographs_come_the_least_certain_first(tmp_path: Path) -> None:
    _, machine = build(full_data(), tmp_path)
    assert [row["score"] for row in machine["photographs"]] == [0.85, 0.99]
    assert [row["path"] for row in machine["unsure"]] == ["dog/4.png"]


def test_problems_are_ordered_by_gravity_with_their_commands(tmp_path: Path) -> None:
    html, machine = build(full_data(), tmp_path)
    assert [row["problem"] for row in machine["problems"]] == ["label_conflicts", "tiny_pictures"]
    assert machine["problems"][0]["examples"] == ["cat/3.png", "dog/3.png"]
    assert "curate report 'my pictures'" in Page(html).text


def test_the_outcome_is_the_whole_folder(tmp_path: Path) -> None:
    _, machine = build(full_data(), tmp_path)
    counts = {row["name"]: row["count"] for row in machine["outcome"]}
    assert counts == {"stays": 6, "review": 2, "duplicate": 2, "photograph": 1, "unreadable": 1}
    assert sum(row["share"] for row in machine["outcome"]) == pytest.approx(1)
    assert machine["unreadable"][0]["meaning"] == "the file ends before the picture does"
    assert machine["splits"] == [
        {"label": "cat", "train": 2, "val": 1, "test": 1, "out": 2},
        {"label": "dog", "train": 1, "val": 2, "test": 2, "out": 1},
    ]
    assert machine["schema"] == page.SCHEMA


def test_long_lists_are_cut_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(page.MOST, "photos", 1)
    html, machine = build(full_data(), tmp_path)
    text = " ".join(Page(html).text.split())
    assert "Showing 1 of 2 suspected photographs. The whole list is in report.json" in text
    assert "curate filter-photos 'my pictures' --csv photos.csv" in text
    assert len(machine["photographs"]) == 2


def test_the_same_data_give_the_same_bytes(tmp_path: Path) -> None:
    data = full_data()
    shuffled = dataclasses.replace(data, files=data.files.sample(frac=1, random_state=1))
    first, second = build_report(data, tmp_path / "a"), build_report(shuffled, tmp_path / "b")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["report.html", "report.json"]


def test_thumbnails_have_texts_and_each_file_is_read_once(tmp_path: Path) -> None:
    read: list[str] = []

    def reader(path: str) -> np.ndarray:
        read.append(path)
        if path == "cat/1.png":
            raise OSError("gone")
        return np.zeros((10, 10, 3), np.uint8)

    told: list[tuple[int, int]] = []
    html, _ = (
        path.read_text(encoding="utf-8")
        for path in build_report(
            dataclasses.replace(full_data(), read=reader), tmp_path, lambda *n: told.append(n)
        )
    )
    assert len(read) == len(set(read)) == 11
    assert told[-1] == (11, 11)
    thumbs = [a for tag, a in Page(html).tags if "thumb" in (a.get("class") or "").split()]
    assert len(thumbs) >= 11
    assert all(a["role"] == "img" and a["aria-label"] for a in thumbs)


def test_only_a_scan(tmp_path: Path) -> None:
    files = files_table(["a.png", "b.png"])
    numbers = summary(files)
    del numbers["duplicates"]
    for row in numbers["classes"]:
        del row["planned"], row["drawn"]
    html, machine = build(
        ReportData(folder="x", summary=numbers, problems=full_data().problems.iloc[:0], files=files), tmp_path
    )
    text = " ".join(Page(html).text.split())
    assert "No problems found." in text
    assert "2 stays" not in text
    for word in ("Duplicates", "Suspected photographs", "Splits", "Map"):
        assert word not in text
    assert machine["duplicates"] == []


def test_an_empty_folder(tmp_path: Path) -> None:
    files = files_table([])
    html, _ = build(ReportData("x", summary(files), full_data().problems.iloc[:0], files), tmp_path)
    assert "0 files" in Page(html).text


def test_without_pairs_the_weakest_member_speaks() -> None:
    data = full_data()
    assert data.duplicates is not None
    by_keeper = {group["keeper"]: group for group in sections.groups(data.duplicates, None)}
    assert by_keeper["cat/0.png"]["weakest"] == {
        "score": 0.7,
        "evidence": "",
        "a": "cat/0.png",
        "b": "cat/2.png",
    }


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (812, "812 bytes"), (9_830_000, "9.8 MB"), (123_456, "123 kB")]
)
def test_sizes_are_for_people(size: int, text: str) -> None:
    assert size_text(size) == text
