"""What the report shows, from tables to plain lists and dictionaries: no HTML, no pixels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable

MONTAGE = 12
"""Pictures that a cluster is shown by."""

_TIERS = ("exact", "pixel", "verdict", "near")
Row = dict[str, Any]


@dataclass(frozen=True)
class Listing:
    """A list that is shown in part: the whole, and how much of it the page holds."""

    rows: list[Row]
    most: int

    @property
    def shown(self) -> list[Row]:
        """What the page holds."""
        return self.rows[: self.most]

    @property
    def total(self) -> int:
        """Length of the whole."""
        return len(self.rows)

    @property
    def cut(self) -> bool:
        """Whether something is left out."""
        return len(self.rows) > self.most


def outcome(files: pd.DataFrame, plan: pd.DataFrame | None) -> list[Row]:
    """What becomes of the files: rows of `name`, `label`, `count`, `bytes`, `share`, together the whole folder.

    Names: stays, review, unreadable, duplicate, photograph, other. Before there is a plan: stays and unreadable.
    """
    if plan is None:
        names = files["status"].map(lambda status: "stays" if status == "ok" else "unreadable")
        sizes = files["size"]
    else:
        stages = {"scan": "unreadable", "dedup": "duplicate", "filter-photos": "photograph"}
        removed = plan["stage"].map(stages).fillna("other")
        names = removed.where(
            plan["action"] == "remove", plan["action"].map({"review": "review"}).fillna("stays")
        )
        sizes = plan["size"]
    counts, weights = names.value_counts(), sizes.groupby(names).sum()
    words = {
        "stays": "stays",
        "review": "waits for a person",
        "duplicate": "removed as a copy",
        "photograph": "removed by the photo filter",
        "unreadable": "unreadable" if plan is None else "removed as unreadable",
        "other": "removed",
    }
    total = max(1, len(names))
    return [
        {
            "name": name,
            "label": label,
            "count": int(counts[name]),
            "bytes": int(weights[name]),
            "share": counts[name] / total,
        }
        for name, label in words.items()
        if name in counts
    ]


def problem_rows(problems: pd.DataFrame) -> list[Row]:
    """The problems, the gravest first, `examples` as a list of paths."""
    order = {"high": 0, "medium": 1, "low": 2}
    rows: list[Row] = [
        {
            **{str(key): value for key, value in row.items()},
            "examples": [path for path in row["examples"].split("\n") if path],
        }
        for row in problems.to_dict("records")
    ]
    return sorted(rows, key=lambda row: (order.get(row["severity"], 3), -row["count"], row["problem"]))


def groups(duplicates: pd.DataFrame, pairs: pd.DataFrame | None) -> list[Row]:
    """Duplicate groups, the least certain first.

    Each: `keeper`, `tier` (its loosest), `conflict`, `labels`, `members` (the keeper first; `path`, `label`, `tier`,
    `score`, `action`, `reason`, `keeper`), `weakest`: the least certain pair in it (`score`, `evidence`, `a`, `b`), of
    `pairs` where that table knows one, else of the members' scores; None where all have the same bytes.
    """
    weakest = _weakest_pairs(duplicates, pairs)
    found: list[Row] = []
    for number, rows in duplicates.sort_values(["group", "path"]).groupby("group", sort=True):
        members: list[Row] = [
            {
                "path": row["path"],
                "label": row["label"],
                "tier": row["tier"],
                "score": float(row["score"]),
                "action": row["action"],
                "reason": row["reason"],
                "keeper": row["path"] == row["keeper"],
            }
            for row in rows.to_dict("records")
        ]
        members.sort(key=lambda member: (not member["keeper"], -member["score"], member["path"]))
        copies = [member for member in members if not member["keeper"]]
        loosest = max((_TIERS.index(member["tier"]) for member in copies), default=0)
        found.append(
            {
                "keeper": str(rows["keeper"].iloc[0]),
                "tier": _TIERS[loosest],
                "conflict": bool(rows["conflict"].any()),
                "labels": sorted(set(rows["label"])),
                "members": members,
                "weakest": weakest.get(int(str(number))) or _weakest_member(members),
            }
        )
    found.sort(key=lambda group: (group["weakest"]["score"] if group["weakest"] else 2.0, group["keeper"]))
    return found


def _weakest_member(members: Sequence[Row]) -> Row | None:
    copies = [member for member in members if not member["keeper"] and member["tier"] != "exact"]
    if not copies:
        return None
    last = min(copies, key=lambda member: member["score"])
    return {"score": last["score"], "evidence": "", "a": members[0]["path"], "b": last["path"]}


def _weakest_pairs(duplicates: pd.DataFrame, pairs: pd.DataFrame | None) -> dict[int, Row]:
    """By group, the pair of the lowest score; `pairs` speaks of contents, so each is shown by its first path."""
    if pairs is None or pairs.empty or duplicates.empty:
        return {}
    first = duplicates.sort_values("path").drop_duplicates("content").set_index("content")
    inside = pairs.assign(
        group=pairs["content_a"].map(first["group"]), other=pairs["content_b"].map(first["group"])
    )
    inside = inside[inside["group"].notna() & (inside["group"] == inside["other"])]
    inside = inside.sort_values(["score", "content_a", "content_b"]).drop_duplicates("group")
    return {
        int(row["group"]): {
            "score": float(row["score"]),
            "evidence": str(row["evidence"]),
            "a": str(first.at[row["content_a"], "path"]),
            "b": str(first.at[row["content_b"], "path"]),
        }
        for row in inside.to_dict("records")
    }


def similar_groups(similar: pd.DataFrame) -> list[Row]:
    """Pairs that look alike to the encoder, the nearest first, in the form of `groups`: nothing of them is removed."""
    rows = similar.sort_values(["score", "path", "other"], ascending=[False, True, True])
    return [
        {
            "keeper": row["path"],
            "tier": "similar",
            "conflict": row["label"] != row["other_label"],
            "labels": sorted({row["label"], row["other_label"]}),
            "members": [
                {
                    "path": path,
                    "label": label,
                    "tier": "similar",
                    "score": float(row["score"]),
                    "action": "keep",
                    "reason": "",
                    "keeper": False,
                }
                for path, label in ((row["path"], row["label"]), (row["other"], row["other_label"]))
            ],
            "weakest": {"score": float(row["score"]), "evidence": "", "a": row["path"], "b": row["other"]},
        }
        for row in rows.to_dict("records")
    ]


def leak_rows(leaks: pd.DataFrame) -> list[Row]:
    """Files whose picture another folder holds too, the surest first."""
    rows = leaks.sort_values(["score", "path"], ascending=[False, True])
    return [
        {name: row[name] for name in ("path", "label", "other", "other_label", "tier", "reason")}
        | {"score": float(row["score"])}
        for row in rows.to_dict("records")
    ]


def photo_rows(photos: pd.DataFrame, action: str) -> list[Row]:
    """Pictures that the photo filter removes (`remove`), the least certain first, or leaves to a person (`review`), the most
    certain first."""
    some = photos[photos["action"] == action]
    certainty = (some["photo_score"] - 0.5).abs()
    some = some.assign(certainty=certainty).sort_values(
        ["certainty", "path"], ascending=[action == "remove", True]
    )
    return [
        {
            "path": row["path"],
            "label": row["label"],
            "score": float(row["photo_score"]),
            "reason": row["reason"],
        }
        for row in some.to_dict("records")
    ]


def cluster_rows(photos: pd.DataFrame) -> list[Row]:
    """The clusters that the photo filter found: `name`, `count`, and `paths` of a few pictures, evenly chosen; the largest first."""
    rows = []
    for name, part in photos[photos["cluster"] != ""].sort_values("path").groupby("cluster"):
        step = max(1, len(part) // MONTAGE)
        paths = part["path"].iloc[::step].tolist()[:MONTAGE]
        rows.append({"name": str(name), "count": len(part), "paths": paths})
    return sorted(rows, key=lambda row: (-int(str(row["count"])), str(row["name"])))


def unreadable_rows(files: pd.DataFrame, reasons: dict[str, str]) -> list[Row]:
    """Files that could not be read: `path`, `size`, `reason`, `detail`, `meaning` (from `reasons`, code to words)."""
    bad = files[files["status"] != "ok"].sort_values(["reason", "path"])
    return [
        {
            "path": row["path"],
            "size": int(row["size"]),
            "reason": row["reason"],
            "detail": row["detail"],
            "meaning": reasons.get(row["reason"], row["reason"]),
        }
        for row in bad.to_dict("records")
    ]


def class_rows(classes: Iterable[Row]) -> list[Row]:
    """`summary["classes"]` with the widths of its bars, in percent of the largest class."""
    rows = [dict(row) for row in classes]
    most = max((row["files"] for row in rows), default=0) or 1
    for row in rows:
        row["raw_width"] = 100 * row["files"] / most
        row["planned_width"] = 100 * row.get("planned", row["readable"]) / most
    return rows


def split_rows(splits: pd.DataFrame) -> list[Row]:
    """Pictures by class and part, the last row the sums: `label`, `train`, `val`, `test`, `out`."""
    parts = ["train", "val", "test", "out"]
    table = pd.crosstab(splits["label"], splits["split"]).reindex(columns=parts, fill_value=0)
    rows = [
        {"label": str(label), **{part: int(row[part]) for part in parts}} for label, row in table.iterrows()
    ]
    return [*rows, {"label": None, **{part: int(table[part].sum()) for part in parts}}] if rows else []


_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def shown_text(text: str) -> str:
    r"""Text with what cannot be seen, or would turn the line round, written out: `\n` as `\x0a`, U+202E as `\u202e`."""
    return _UNSEEN.sub(lambda m: f"\\x{ord(m[0]):02x}" if ord(m[0]) < 256 else f"\\u{ord(m[0]):04x}", text)


def size_text(size: float) -> str:
    """Bytes for people: 812 bytes, 9.8 MB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
