"""A page of sections, as plain data: sentences, tables, plots, pictures; one HTML file that loads nothing.

What a page says is put together where it is known; how it looks is decided here and in `templates/`, once for all.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from markupsafe import Markup

from reports.page import environment, sheet_rules, template_text
from reports.sheets import place, sprites, thumbnail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

_CELL = 160
"""Side of a stored thumbnail, pixels: twice what is shown, for screens of high density."""


@dataclass(frozen=True)
class Table:
    """`rows` of text below `columns`: the first `left` columns are words, the others numbers.

    `strong` are indices of rows to point out, `title` stands above.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    strong: frozenset[int] = frozenset()
    title: str = ""

    kind = "table"


@dataclass(frozen=True)
class Plot:
    """A drawing as SVG (made by this program, never from outside), its title and what it shows in words."""

    drawing: Markup
    title: str = ""
    note: str = ""


@dataclass(frozen=True)
class Plots:
    """Drawings beside each other; `wide` for a single one that needs the width."""

    plots: Sequence[Plot]
    wide: bool = False

    kind = "plots"


@dataclass(frozen=True)
class Figure:
    """A drawing on white, the bytes of a PNG or WebP, and its words for those who cannot see it; in the dark it is inverted."""

    data: bytes
    said: str

    kind = "figure"

    @property
    def address(self) -> str:
        """The picture as a `data:` address."""
        kind = "png" if self.data.startswith(b"\x89PNG") else "webp"
        return f"data:image/{kind};base64,{base64.b64encode(self.data).decode()}"


@dataclass(frozen=True)
class Shot:
    """A small picture: PIL image, uint8 (H, W, 3), or None where it cannot be shown.

    `tag` is the word below it, coloured by `tone` (stay: right, go: wrong, review: to be looked at); `text` follows;
    `path` names the file.
    """

    picture: Image.Image | NDArray[np.uint8] | None
    tag: str = ""
    tone: str = "stay"
    text: str = ""
    path: str = ""


@dataclass(frozen=True)
class Gallery:
    """Small pictures; the first `of` belong to each other in a row where that is more than 1. `more` were left out."""

    shots: Sequence[Shot]
    of: int = 1
    more: int = 0

    kind = "gallery"


Part = str | Table | Plots | Figure | Gallery
"""A sentence, or one of the above."""


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    parts: Sequence[Part] = field(default_factory=tuple)


def document(
    kind: str,
    title: str,
    lead: Sequence[str],
    sections: Sequence[Section],
    foot: str = "",
    tiles: Sequence[tuple[str, str, str]] = (),
) -> str:
    """The page's HTML.

    `kind` is the command that made it, `lead` the first sentences, `tiles` the figures that matter most (name, figure,
    a word on it). All text is escaped; sections without parts are left out; the same data give the same page.
    """
    shown = [section for section in sections if section.parts]
    shots = list(_shots(shown))
    sheets = sprites((thumbnail(shot.picture, _CELL) if shot.picture is not None else None for shot in shots), _CELL, 75)  # fmt: skip
    places = {}
    for index, shot in enumerate(shots):
        sheet, x, y = place(index, sheets)
        places[id(shot)] = (sheet, x // _CELL, y // _CELL)
    page: str = (
        environment()
        .get_template("document.html.j2")
        .render(
            kind=kind,
            title=title,
            lead=lead,
            tiles=tiles,
            sections=shown,
            foot=foot,
            place=lambda shot: places[id(shot)],
            style=Markup(template_text("report.css") + sheet_rules("g", sheets)),
        )
    )
    return page


def _shots(sections: Sequence[Section]) -> Iterator[Shot]:
    for section in sections:
        for part in section.parts:
            if isinstance(part, Gallery):
                yield from part.shots
