"""Thumbnails: many small pictures in a few sprite sheets, and contact sheets for people.

A sprite sheet is one WebP picture of equal cells, so that a page carries thousands of thumbnails in a handful of
inlined pictures and shows any of them by an offset.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIDE = 32
"""Cells a row and rows a sheet: 1,024 thumbnails of 72 px make 2,304 x 2,304 px, which any browser decodes."""

_BACKGROUND = (255, 255, 255)
_MISSING = (226, 228, 232)


@dataclass(frozen=True)
class Sheet:
    """One sprite sheet: WebP bytes, the side of a cell in pixels, and its numbers of columns and rows."""

    data: bytes
    cell: int
    columns: int
    rows: int


def thumbnail(
    picture: Image.Image | NDArray[np.uint8], cell: int, background: tuple[int, int, int] = _BACKGROUND
) -> Image.Image:
    """A picture (PIL, or uint8 (H, W, 3)) whole within `cell` x `cell` pixels, centred on `background`; RGB.

    A picture smaller than the cell is enlarged by whole numbers only, so that pixel art stays what it is.
    """
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image = image.convert("RGB")
    longer = max(image.size)
    if longer <= cell:
        factor = max(1, cell // longer)
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    else:
        image = ImageOps.contain(image, (cell, cell), Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (cell, cell), background)
    canvas.paste(image, ((cell - image.width) // 2, (cell - image.height) // 2))
    return canvas


def missing(cell: int) -> Image.Image:
    """What stands where there is no picture: a grey cell with a cross."""
    image = Image.new("RGB", (cell, cell), _MISSING)
    draw = ImageDraw.Draw(image)
    low, high = cell // 3, cell - cell // 3
    draw.line((low, low, high, high), fill=(120, 124, 130), width=max(1, cell // 32))
    draw.line((low, high, high, low), fill=(120, 124, 130), width=max(1, cell // 32))
    return image


def sprites(
    pictures: Iterable[Image.Image | NDArray[np.uint8] | None], cell: int = 72, quality: int = 60
) -> list[Sheet]:
    """Pack pictures, in their order, into sheets of at most 1,024 cells.

    Parameters
    ----------
    pictures : PIL images or uint8 (H, W, 3) arrays; None where a picture could not be read. Taken one by one, so a
        generator keeps memory to one sheet.
    cell : side of a cell, pixels.
    quality : WebP quality, 0..100.

    Picture `i` lies in sheet `i // 1024`, row `i % 1024 // columns`, column `i % 1024 % columns`: see `place`.
    """
    sheets: list[Sheet] = []
    cells: list[Image.Image] = []
    for picture in pictures:
        cells.append(missing(cell) if picture is None else thumbnail(picture, cell))
        if len(cells) == _SIDE * _SIDE:
            sheets.append(_pack(cells, cell, quality))
            cells = []
    if cells:
        sheets.append(_pack(cells, cell, quality))
    return sheets


def place(index: int, sheets: Sequence[Sheet]) -> tuple[int, int, int]:
    """Where thumbnail `index` lies: (sheet, x, y), with x and y in pixels from the sheet's upper left corner."""
    sheet, within = divmod(index, _SIDE * _SIDE)
    row, column = divmod(within, sheets[sheet].columns)
    return sheet, column * sheets[sheet].cell, row * sheets[sheet].cell


def _pack(cells: list[Image.Image], cell: int, quality: int) -> Sheet:
    columns = min(_SIDE, len(cells))
    rows = -(-len(cells) // columns)
    canvas = Image.new("RGB", (columns * cell, rows * cell), _BACKGROUND)
    for index, image in enumerate(cells):
        row, column = divmod(index, columns)
        canvas.paste(image, (column * cell, row * cell))
    buffer = io.BytesIO()
    canvas.save(buffer, "WEBP", quality=quality, method=4)
    return Sheet(buffer.getvalue(), cell, columns, rows)


def contact_sheet(
    pictures: Sequence[str | Path | Image.Image | NDArray[np.uint8] | None],
    labels: Sequence[str] = (),
    *,
    columns: int = 8,
    cell: int = 144,
) -> Image.Image:
    """One picture of many, in rows, each with a line of text below: to look over a decision.

    Parameters
    ----------
    pictures : files, PIL images or uint8 (H, W, 3) arrays; what is None or cannot be opened shows as a cross.
    labels : one text a picture, or none at all. Raises ValueError where their number differs.
    columns, cell : pictures a row, and the side of each in pixels.
    """
    if labels and len(labels) != len(pictures):
        raise ValueError(f"contact_sheet: {len(labels)} labels for {len(pictures)} pictures")
    line, gap = (16 if labels else 0), 6
    rows = max(1, -(-len(pictures) // columns))
    size = (columns * (cell + gap) + gap, rows * (cell + line + gap) + gap)
    canvas = Image.new("RGB", size, (245, 245, 245))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(11)
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        x, y = gap + column * (cell + gap), gap + row * (cell + line + gap)
        canvas.paste(_opened(picture, cell), (x, y))
        if labels:
            draw.text((x, y + cell + 1), _fitting(labels[index], font, cell), fill=(20, 20, 20), font=font)
    return canvas


_INK, _MUTED, _LINE, _PAPER = (24, 26, 30), (84, 89, 97), (205, 209, 215), (240, 241, 244)
_MARGIN, _TEXT = 20, 250


def labelled_rows_png(
    title: str,
    columns: Sequence[str],
    rows: Mapping[str, Sequence[tuple[str, str, NDArray[np.uint8]]]],
) -> bytes:
    """The bytes of a PNG: the same pictures in every row, each row with words on its left.

    Parameters
    ----------
    title : the line above all.
    columns : a name for each column, such as the picture's class.
    rows : heading -> rows (name, lines about it, pictures uint8 (N, S, S, 3)), from top to bottom; at least one.
    """
    side = next(iter(rows.values()))[0][2].shape[1]
    cell, gap = (side * max(1, round(128 / side)) if side <= 128 else 128), 6
    left, step = _MARGIN + _TEXT, cell + gap
    width = max(left + len(columns) * step - gap, 900) + _MARGIN
    large, plain, small = (ImageFont.load_default(size) for size in (21, 15, 13))
    high = {heading: _heights(below, small, step) for heading, below in rows.items()}
    canvas = Image.new(
        "RGB", (width, 92 + sum(44 + sum(heights) for heights in high.values()) + _MARGIN), _PAPER
    )
    draw = ImageDraw.Draw(canvas)
    draw.text((_MARGIN, _MARGIN), _fitting(title, large, width - 2 * _MARGIN), _INK, large)
    for column, name in enumerate(columns):
        draw.text((left + column * step, 64), _fitting(name, small, cell), _MUTED, small)
    y = 84
    for heading, below in rows.items():
        draw.line((_MARGIN, y + 6, width - _MARGIN, y + 6), _LINE)
        draw.text((_MARGIN, y + 14), heading, _MUTED, plain)
        y += 44
        for (name, about, pictures), height in zip(below, high[heading], strict=True):
            draw.text((_MARGIN, y), _fitting(name, plain, _TEXT - 16), _INK, plain)
            draw.multiline_text((_MARGIN, y + 20), _wrapped(about, small), _MUTED, small, spacing=3)
            for column, picture in enumerate(pictures):
                canvas.paste(thumbnail(picture, cell), (left + column * step, y))
            y += height
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _heights(
    rows: Sequence[tuple[str, str, NDArray[np.uint8]]],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    least: int,
) -> list[int]:
    """Pixels that each row takes: its pictures, or its words where they are higher."""
    return [max(least, 28 + 17 * len(_wrapped(about, font).splitlines())) for _, about, _ in rows]


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text with line breaks between words, so that it fits beside the pictures."""
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and font.getlength(longer) > _TEXT - 16:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return "\n".join(lines)


def _opened(picture: str | Path | Image.Image | NDArray[np.uint8] | None, cell: int) -> Image.Image:
    if picture is None:
        return missing(cell)
    if isinstance(picture, str | Path):
        try:
            with Image.open(picture) as image:
                return thumbnail(ImageOps.exif_transpose(image), cell)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return missing(cell)
    return thumbnail(picture, cell)


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """The text cut to `width` pixels, its end kept: file names differ at their ends."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength("…" + text) > width:
        text = text[1:]
    return "…" + text
