"""The report: one offline HTML file to look at, and `report.json` for programs.

Nothing in the page refers to anything outside of it: style, script and thumbnails are inlined, and its content
security policy allows no more than that (the script by its hash), so that a hostile file name could do nothing even
if it broke out of the escaping.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from reports import plots, sections
from reports.map import Chart, draw_map
from reports.sections import Listing, shown_text, size_text
from reports.sheets import Sheet, place, sprites, thumbnail

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from PIL import Image

SCHEMA = 1
"""Version of the layout of `report.json`."""

MOST = {
    "groups": 48,
    "conflicts": 36,
    "leaks": 60,
    "similar": 24,
    "photos": 72,
    "clusters": 12,
    "unsure": 48,
    "unreadable": 60,
    "classes": 80,
    "examples": 6,
}
"""How much of each list the page shows; `report.json` holds the whole."""
_GALLERY, _MAP = 120, 88
"""Cells of the thumbnails in lists and on the map, pixels."""

Read = Callable[[str], "NDArray[np.uint8]"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ReportData:
    """What the report is made of: tables with the columns of `curate.tables`; None where a stage has not run.

    Parameters
    ----------
    folder : the folder as the user names it, for titles and commands.
    summary : what `curate.stages.eda.summary` gives.
    read : takes a path as the tables write it and gives uint8 (H, W, 3); whatever it raises shows as a grey cell.
        Without it the page has no thumbnails.
    reasons : reason codes of unreadable files in words.
    version : of the program, for the foot of the page.
    workspace : as the user named it, for the commands on the page; empty: the usual one.
    """

    folder: str
    summary: dict[str, Any]
    problems: pd.DataFrame
    files: pd.DataFrame
    duplicates: pd.DataFrame | None = None
    pairs: pd.DataFrame | None = None
    leaks: pd.DataFrame | None = None
    similar: pd.DataFrame | None = None
    share: pd.DataFrame | None = None
    photos: pd.DataFrame | None = None
    splits: pd.DataFrame | None = None
    plan: pd.DataFrame | None = None
    embeddings: pd.DataFrame | None = None
    read: Read | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    version: str = ""
    seed: int = 0
    workspace: str = ""


def build_report(
    data: ReportData, out: Path, progress: Progress = lambda done, total: None
) -> tuple[Path, Path]:
    """Write `report.html` and `report.json` into the folder `out` (made if there is none); returns their paths.

    The same data give the same bytes. `progress` is called with (thumbnails made, thumbnails in all).
    """
    out.mkdir(parents=True, exist_ok=True)
    lists = _lists(data)
    chart = None
    if data.embeddings is not None:
        chart = draw_map(
            data.files, data.embeddings, data.photos, data.splits, data.plan, share=data.share, seed=data.seed
        )
    pages = {
        out / "report.html": _html(data, lists, chart, progress),
        out / "report.json": _json(data, lists),
    }
    for path, text in pages.items():
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))
        temporary.replace(path)
    html, machine = pages
    return html, machine


def _lists(data: ReportData) -> dict[str, Listing]:
    grouped = sections.groups(data.duplicates, data.pairs) if data.duplicates is not None else []
    return {
        "groups": Listing([group for group in grouped if not group["conflict"]], MOST["groups"]),
        "conflicts": Listing([group for group in grouped if group["conflict"]], MOST["conflicts"]),
        "leaks": Listing(sections.leak_rows(data.leaks) if data.leaks is not None else [], MOST["leaks"]),
        "similar": Listing(
            sections.similar_groups(data.similar) if data.similar is not None else [], MOST["similar"]
        ),
        "photos": Listing(_photos(data, "remove"), MOST["photos"]),
        "unsure": Listing(_photos(data, "review"), MOST["unsure"]),
        "clusters": Listing(
            sections.cluster_rows(data.photos) if data.photos is not None else [], MOST["clusters"]
        ),
        "unreadable": Listing(sections.unreadable_rows(data.files, data.reasons), MOST["unreadable"]),
        "classes": Listing(sections.class_rows(data.summary["classes"]), MOST["classes"]),
    }


def _directory(data: ReportData) -> str:
    """The folder as commands on the page name it, with the workspace where it is not the usual one."""
    named = f" --workspace {shlex.quote(data.workspace)}" if data.workspace else ""
    return shlex.quote(data.folder) + named


def _wanted(data: ReportData) -> str:
    """What the photo filter looked for, in a word."""
    asked = data.share["wanted"].tolist() if data.share is not None else []
    return "illustrations" if asked == ["illustrations"] else "photographs"


def _photos(data: ReportData, action: str) -> list[sections.Row]:
    return sections.photo_rows(data.photos, action) if data.photos is not None else []


def _json(data: ReportData, lists: dict[str, Listing]) -> str:
    """The whole of what the page shows in part."""
    content = {
        "schema": SCHEMA,
        "version": data.version,
        "folder": data.folder,
        "summary": data.summary,
        "outcome": sections.outcome(data.files, data.plan),
        "problems": sections.problem_rows(data.problems),
        "duplicates": lists["groups"].rows,
        "conflicts": lists["conflicts"].rows,
        "leaks": lists["leaks"].rows,
        "similar": lists["similar"].rows,
        "share": data.share.to_dict("records") if data.share is not None else [],
        "photographs": lists["photos"].rows,
        "unsure": lists["unsure"].rows,
        "clusters": lists["clusters"].rows,
        "unreadable": lists["unreadable"].rows,
        "splits": sections.split_rows(data.splits)[:-1] if data.splits is not None else [],
    }
    return json.dumps(content, indent=1, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no place in report.json")


# The page ---------------------------------------------------------------------------------------------------------


def _html(data: ReportData, lists: dict[str, Listing], chart: Chart | None, progress: Progress) -> str:
    problems = sections.problem_rows(data.problems)
    wanted = _gallery_paths(lists, problems)
    gallery, places, map_sheets = _thumbnails(data, wanted, chart.paths if chart else [], progress)
    script = template_text("report.js")
    page: str = (
        environment()
        .get_template("report.html.j2")
        .render(
            data=data,
            summary=data.summary,
            title=PurePath(data.folder).name or data.folder,
            directory=_directory(data),
            outcome=sections.outcome(data.files, data.plan),
            problems=problems,
            wanted=_wanted(data),
            most_examples=MOST["examples"],
            lists=lists,
            charts=_plots(data),
            splits=sections.split_rows(data.splits) if data.splits is not None else [],
            chart=chart,
            chart_json=_script_data(chart.content(), map_sheets) if chart else "",
            places=places,
            style=Markup(
                template_text("report.css") + sheet_rules("g", gallery) + sheet_rules("m", map_sheets)
            ),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )
    return page


def template_text(name: str) -> str:
    """The text of a file in `templates`."""
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


def environment() -> Any:
    """Jinja's environment of all pages: everything is escaped; `shown` and `count` are its filters."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "shown": shown_text,
        "size": size_text,
        "number": plots.number,
        "count": lambda n: f"{n:,}",
    }
    return environment


def _plots(data: ReportData) -> list[dict[str, Any]]:
    """Heading, what the numbers mean, and the plot, of each measure that there is."""
    files = data.files[data.files["status"] == "ok"]
    if files.empty:
        return []
    stays = np.ones(len(files), bool)
    if data.plan is not None:
        stays = ~files["path"].isin(data.plan.loc[data.plan["action"] == "remove", "path"]).to_numpy()
    ratio = (files["width"] / files["height"].clip(lower=1)).to_numpy(float)
    drawn: list[dict[str, Any]] = [
        {
            "name": "Size",
            "note": "width and height; the line is square",
            "plot": plots.sizes(files["width"].to_numpy(), files["height"].to_numpy()),
        },
        {
            "name": "Aspect ratio",
            "note": "width over height",
            "plot": plots.histogram(ratio, stays, name="aspect ratio", log=True),
        },
    ]
    for column, name, note, limits, log in (
        ("brightness", "Brightness", "mean luma, 0 black to 1 white", (0.0, 1.0), False),
        ("contrast", "Contrast", "standard deviation of luma", (0.0, 0.5), False),
        ("sharpness", "Sharpness", "variance of the Laplacian", None, True),
        ("colorfulness", "Colourfulness", "0 grey, above 60 vivid", None, False),
    ):
        values = files[column].to_numpy(float)
        drawn.append(
            {
                "name": name,
                "note": note,
                "plot": plots.histogram(values, stays, name=name, limits=limits, log=log),
            }
        )
    return [row for row in drawn if row["plot"]]


# Thumbnails -------------------------------------------------------------------------------------------------------


def _gallery_paths(lists: dict[str, Listing], problems: Sequence[sections.Row]) -> list[str]:
    """Every path whose thumbnail a list of the page shows, once."""
    paths: list[str] = []
    for problem in problems:
        if problem["problem"] != "unreadable":
            paths += problem["examples"][: MOST["examples"]]
    for name in ("groups", "conflicts", "similar"):
        paths += [member["path"] for group in lists[name].shown for member in group["members"][:8]]
    for name in ("leaks", "photos", "unsure"):
        paths += [row["path"] for row in lists[name].shown]
    paths += [path for row in lists["clusters"].shown for path in row["paths"]]
    return list(dict.fromkeys(paths))


def _thumbnails(
    data: ReportData, gallery: list[str], mapped: list[str], progress: Progress
) -> tuple[list[Sheet], dict[str, tuple[int, int, int]], list[Sheet]]:
    """The sheets of the lists, by path where its thumbnail lies in them (sheet, column, row), and the sheets of the map.

    Each file is read once; memory holds one sheet of the map at a time, and the thumbnails of the lists.
    """
    if data.read is None:
        return [], {}, []
    kept: dict[str, Image.Image | None] = dict.fromkeys(gallery)
    todo = [*mapped, *(path for path in gallery if path not in set(mapped))]
    pictures = _pictures(data.read, todo, kept, progress)
    map_sheets = sprites((next(pictures) for _ in mapped), _MAP, 55)
    for _ in pictures:  # what is in the lists but not on the map lands in `kept`
        pass
    sheets = sprites(kept.values(), _GALLERY, 70)
    places = {}
    for index, path in enumerate(kept):
        sheet, x, y = place(index, sheets)
        places[path] = (sheet, x // _GALLERY, y // _GALLERY)
    return sheets, places, map_sheets


def _pictures(
    read: Read, paths: list[str], kept: dict[str, Image.Image | None], progress: Progress
) -> Iterator[Image.Image | None]:
    """The map's thumbnails in order; those that `kept` asks for are put there, in their own size."""

    def one(path: str) -> tuple[Image.Image | None, Image.Image | None]:
        try:
            pixels = read(path)
        except (
            Exception
        ):  # the file may have changed since the scan in any way; a report is no place to fail for it
            return None, None
        return thumbnail(pixels, _MAP), thumbnail(pixels, _GALLERY) if path in kept else None

    with ThreadPoolExecutor(4) as pool:
        for start in range(0, len(paths), 256):
            batch = paths[start : start + 256]
            for path, (small, large) in zip(batch, pool.map(one, batch), strict=True):
                if path in kept:
                    kept[path] = large
                yield small
            progress(start + len(batch), len(paths))


def sheet_rules(prefix: str, sheets: list[Sheet]) -> str:
    """One CSS rule a sheet: its picture, and its size in units of one shown thumbnail (`--cell`)."""
    return "".join(
        f"\n.{prefix}{i}{{background-image:url(data:image/webp;base64,{base64.b64encode(sheet.data).decode()});"
        f"background-size:calc(var(--cell)*{sheet.columns}) calc(var(--cell)*{sheet.rows})}}"
        for i, sheet in enumerate(sheets)
    )


def _script_data(content: dict[str, Any], sheets: list[Sheet]) -> Markup:
    """The map's points for the script, safe within a script element: no `<`, `>` or `&` is left in it."""
    text = json.dumps({**content, "columns": [sheet.columns for sheet in sheets]}, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
