"""The pictures of the demo set: drawings and photographs from recipes, edits of them, and ways to break a file.

Everything here is a function of its arguments and of the generator handed to it, and every encoder setting is
pinned: the same recipe gives the same bytes with the same versions of the libraries.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

Colour: TypeAlias = tuple[int, int, int]
Edit: TypeAlias = Callable[[Image.Image, np.random.Generator], Image.Image]

SUFFIX = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "BMP": ".bmp"}
FORMATS = tuple(SUFFIX)
FORMAT_SHARES = (0.48, 0.26, 0.14, 0.08, 0.04)
"""Shares of `FORMATS`. Drawings and photographs draw from one lottery, so no format tells them apart."""

LINE_ART_SHARE = 0.18
_NO_FILLS = r"\1<style>#color,#color-foreground,#hair,#skin,#skin-shadow{display:none}</style>"


@dataclass(frozen=True)
class Drawing:
    """One to three artworks (SVG files) on one canvas."""

    artworks: tuple[str, ...]


@dataclass(frozen=True)
class Photo:
    """A piece of a photograph: file and box (left, top, right, bottom) in its pixels."""

    file: str
    box: tuple[int, int, int, int]


def choose_format(rng: np.random.Generator) -> str:
    """A file format by `FORMAT_SHARES`."""
    return str(rng.choice(FORMATS, p=FORMAT_SHARES))


def make_picture(recipe: Drawing | Photo, file_format: str, rng: np.random.Generator) -> Image.Image:
    """The picture of a recipe, RGB, or RGBA (some drawings in PNG). Longer side 72 to 224 pixels."""
    longer = int(rng.integers(72, 225))
    aspect = float(np.exp(rng.uniform(-0.3, 0.3)))
    if isinstance(recipe, Photo):
        return _cut_photo(recipe, longer, rng)
    size = (longer, round(longer / aspect)) if aspect >= 1 else (round(longer * aspect), longer)
    layers = _place(recipe.artworks, size, rng)
    if file_format == "PNG" and rng.random() < 0.25:
        return layers
    canvas = _background(size, rng).convert("RGBA")
    return Image.alpha_composite(canvas, layers).convert("RGB")


def rasterise(file: str, side: int, *, line_art: bool = False) -> Image.Image:
    """An SVG file as a square RGBA picture of `side` pixels; `line_art` leaves the coloured areas out.

    System fonts are left out, so that the result is the same on every machine.
    """
    import resvg_py

    svg = Path(file).read_text(encoding="utf-8")
    if line_art:
        svg = re.sub(r"(<svg\b[^>]*>)", _NO_FILLS, svg, count=1)
    png = resvg_py.svg_to_bytes(svg_string=svg, width=side, height=side, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(png))).convert("RGBA")


def _place(artworks: tuple[str, ...], size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """The artworks on a transparent canvas: one fills most of it; two or three stand apart and differ in size."""
    layers = Image.new("RGBA", size, (0, 0, 0, 0))
    line_art = bool(rng.random() < LINE_ART_SHARE)
    tint, saturation = _choose_tint(rng)
    ink = tuple(int(v) for v in rng.integers(0, 90, 3))
    spots = _spots(len(artworks), rng)
    for file, (x, y, scale) in zip(artworks, spots, strict=True):
        side = max(24, round(scale * min(size)))
        art = rasterise(file, side, line_art=line_art)
        art = _ink(art, (ink[0], ink[1], ink[2])) if line_art else _tint(art, tint, saturation)
        if rng.random() < 0.5:
            art = ImageOps.mirror(art)
        art = art.rotate(float(rng.uniform(-14, 14)), Image.Resampling.BICUBIC)
        layers.alpha_composite(
            art,
            (
                int(np.clip(round(x * size[0] - side / 2), 0, max(0, size[0] - side))),
                int(np.clip(round(y * size[1] - side / 2), 0, max(0, size[1] - side))),
            ),
        )
    return layers


def _spots(count: int, rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """Centre (shares of width and height) and side (share of the shorter side) of each artwork."""
    if count == 1:
        return [
            (float(rng.uniform(0.42, 0.58)), float(rng.uniform(0.42, 0.58)), float(rng.uniform(0.72, 1.0)))
        ]
    angle = float(rng.uniform(0, 2 * np.pi))
    spots = []
    for index in range(count):
        turn = angle + 2 * np.pi * index / count
        scale = float(rng.uniform(0.5, 0.68)) * (1.1 if index == 0 else 0.9 if count == 2 else 0.8)
        spots.append((0.5 + 0.27 * float(np.cos(turn)), 0.5 + 0.27 * float(np.sin(turn)), scale))
    return spots


def _choose_tint(rng: np.random.Generator) -> tuple[int, float]:
    """Turn of the hue (0..255 is the whole circle) and factor of the saturation; half of the drawings keep theirs."""
    if rng.random() < 0.5:
        return 0, 1.0
    return int(rng.integers(-40, 41)), float(rng.uniform(0.45, 1.25))


def _tint(art: Image.Image, turn: int, saturation: float) -> Image.Image:
    if turn == 0 and saturation == 1.0:
        return art
    hue, sat, value = art.convert("RGB").convert("HSV").split()
    hue = hue.point([(v + turn) % 256 for v in range(256)])
    sat = sat.point([min(255, round(v * saturation)) for v in range(256)])
    tinted = Image.merge("HSV", (hue, sat, value)).convert("RGB")
    tinted.putalpha(art.getchannel("A"))
    return tinted


def _ink(art: Image.Image, ink: Colour) -> Image.Image:
    """Black lines become lines of the ink's colour; white stays white."""
    bands = [
        band.point([shade + round(v * (255 - shade) / 255) for v in range(256)])
        for band, shade in zip(art.convert("RGB").split(), ink, strict=True)
    ]
    return Image.merge("RGBA", (*bands, art.getchannel("A")))


def _light(rng: np.random.Generator, low: int = 150) -> Colour:
    red, green, blue = (int(v) for v in rng.integers(low, 256, 3))
    return red, green, blue


def _background(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """White, one colour, a gradient, paper, hills or a spot: light enough for black lines."""
    kind = rng.choice(
        ["white", "pale", "flat", "gradient", "paper", "hills", "spot"],
        p=[0.3, 0.18, 0.1, 0.14, 0.1, 0.1, 0.08],
    )
    if kind == "white":
        return Image.new("RGB", size, (255, 255, 255))
    if kind == "pale":
        return Image.new("RGB", size, _light(rng, 215))
    if kind == "flat":
        return Image.new("RGB", size, _light(rng))
    if kind == "gradient":
        ramp = Image.linear_gradient("L").rotate(90 * int(rng.integers(4))).resize(size)
        return ImageOps.colorize(ramp, _light(rng), _light(rng, 200))
    if kind == "paper":
        grain = rng.normal(0, rng.uniform(2, 7), (size[1], size[0], 1))
        sheet = np.clip(np.array(_light(rng, 220)) + grain, 0, 255)
        return Image.fromarray(np.round(sheet).astype(np.uint8), "RGB")
    canvas = Image.new("RGB", size, _light(rng, 200))
    pen = ImageDraw.Draw(canvas)
    width, height = size
    if kind == "spot":
        radius = round(min(size) * rng.uniform(0.35, 0.48))
        pen.ellipse(
            (width // 2 - radius, height // 2 - radius, width // 2 + radius, height // 2 + radius),
            fill=_light(rng),
        )
        return canvas
    for level in (0.55, 0.75):
        top = round(height * (level + rng.uniform(-0.1, 0.1)))
        left = round(width * rng.uniform(-0.6, 0.1))
        pen.ellipse((left, top, left + round(width * 1.6), top + height), fill=_light(rng, 130))
    return canvas


@lru_cache(maxsize=20)
def open_photo(file: str) -> Image.Image:
    """A bundled photograph as RGB."""
    with Image.open(file) as image:
        return image.convert("RGB")


def _cut_photo(recipe: Photo, longer: int, rng: np.random.Generator) -> Image.Image:
    """A piece of a photograph: cut inside its box, perhaps mirrored, its colours changed, brought to a size."""
    left, top, right, bottom = recipe.box
    width, height = right - left, bottom - top
    inner_w, inner_h = round(width * rng.uniform(0.8, 1.0)), round(height * rng.uniform(0.8, 1.0))
    x, y = left + int(rng.integers(0, width - inner_w + 1)), top + int(rng.integers(0, height - inner_h + 1))
    piece = open_photo(recipe.file).crop((x, y, x + inner_w, y + inner_h))
    if rng.random() < 0.5:
        piece = ImageOps.mirror(piece)
    piece = ImageEnhance.Color(piece).enhance(float(rng.uniform(0.7, 1.4)))
    piece = ImageEnhance.Brightness(piece).enhance(float(rng.uniform(0.85, 1.2)))
    scale = min(longer, 1.5 * max(piece.size)) / max(piece.size)
    return piece.resize((round(inner_w * scale), round(inner_h * scale)), Image.Resampling.BICUBIC)


def encode(image: Image.Image, file_format: str, *, quality: int = 85) -> bytes:
    """The file's bytes. `quality` counts for JPEG and WEBP; transparency survives in PNG alone."""
    buffer = io.BytesIO()
    if image.mode == "RGBA" and file_format != "PNG":
        image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    if file_format != "PNG":
        image = image.convert("RGB")
    if file_format == "JPEG":
        image.save(buffer, "JPEG", quality=quality, subsampling=2, optimize=False, progressive=False)
    elif file_format == "WEBP":
        image.save(buffer, "WEBP", quality=quality, method=2, lossless=False)
    elif file_format == "GIF":
        palette = image.quantize(128, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        palette.save(buffer, "GIF", optimize=False)
    elif file_format == "PNG":
        image.save(buffer, "PNG", compress_level=6, optimize=False)
    else:
        image.save(buffer, "BMP")
    return buffer.getvalue()


def decode(data: bytes) -> Image.Image:
    """A file of the set as RGB, transparency on white."""
    with Image.open(io.BytesIO(data)) as image:
        if image.mode == "RGBA":
            return Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image).convert(
                "RGB"
            )
        return image.convert("RGB")


def _resize(image: Image.Image, factor: float) -> Image.Image:
    size = (max(16, round(image.width * factor)), max(16, round(image.height * factor)))
    return image.resize(size, Image.Resampling.BICUBIC)


def _crop(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    width, height = round(image.width * 0.92), round(image.height * 0.92)
    x, y = int(rng.integers(0, image.width - width + 1)), int(rng.integers(0, image.height - height + 1))
    return image.crop((x, y, x + width, y + height))


def _border(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageOps.expand(image, round(max(image.size) * rng.uniform(0.03, 0.07)), (255, 255, 255))


def _letterbox(image: Image.Image, _rng: np.random.Generator) -> Image.Image:
    side = max(image.size) + round(0.06 * max(image.size))
    return ImageOps.pad(image, (side, max(image.size)), color=(0, 0, 0))


def _caption(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A strip with words below the picture, as pages of pictures add them."""
    strip = max(14, round(image.height * 0.12))
    canvas = Image.new("RGB", (image.width, image.height + strip), (255, 255, 255))
    canvas.paste(image)
    words = str(rng.choice(["free clip art", "image no. 17", "drawing of the day", "my collection"]))
    ImageDraw.Draw(canvas).text(
        (4, image.height + 1), words, (30, 30, 30), ImageFont.load_default(strip * 0.7)
    )
    return canvas


def _watermark(image: Image.Image, _rng: np.random.Generator) -> Image.Image:
    """Half-transparent words across the lower part."""
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    font = ImageFont.load_default(max(10, image.width * 0.13))
    ImageDraw.Draw(layer).text(
        (image.width * 0.08, image.height * 0.72), "sample.pic", (90, 90, 90, 120), font
    )
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def _gamma(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    power = float(rng.choice([0.75, 1.3]))
    return image.point([round(255 * (v / 255) ** power) for v in range(256)] * 3)


EDITS: dict[str, Edit] = {
    "reencode_jpeg30": lambda image, _: image,
    "reencode_jpeg75": lambda image, _: image,
    "reencode_webp50": lambda image, _: image,
    "palette_gif": lambda image, _: image,
    "resize_50": lambda image, _: _resize(image, 0.5),
    "resize_75": lambda image, _: _resize(image, 0.75),
    "resize_150": lambda image, _: _resize(image, 1.5),
    "crop_92": _crop,
    "border_white": _border,
    "letterbox": _letterbox,
    "flip_h": lambda image, _: ImageOps.mirror(image),
    "turn_90": lambda image, _: image.transpose(Image.Transpose.ROTATE_90),
    "brightness": lambda image, rng: ImageEnhance.Brightness(image).enhance(float(rng.uniform(0.75, 0.9))),
    "contrast": lambda image, rng: ImageEnhance.Contrast(image).enhance(float(rng.uniform(0.7, 0.85))),
    "saturation": lambda image, rng: ImageEnhance.Color(image).enhance(float(rng.uniform(0.3, 0.6))),
    "gamma": _gamma,
    "grey": lambda image, _: image.convert("L").convert("RGB"),
    "blur": lambda image, _: image.filter(ImageFilter.GaussianBlur(max(image.size) / 180)),
    "caption": _caption,
    "watermark": _watermark,
}
"""What a near copy went through, by the name that the truth file gives it."""

_EDIT_FORMATS = {
    "reencode_jpeg30": ("JPEG", 30),
    "reencode_jpeg75": ("JPEG", 75),
    "reencode_webp50": ("WEBP", 50),
    "palette_gif": ("GIF", 0),
}


def near_copy(original: bytes, edit: str, rng: np.random.Generator) -> tuple[bytes, str, str]:
    """An edited copy of a file: its bytes, its format, and the edit that was made.

    Where an edit changes no pixel (grey of a black drawing) the copy is darkened instead, and the edit says so.
    """
    image = decode(original)
    file_format, quality = _EDIT_FORMATS.get(edit, (choose_format(rng), int(rng.integers(65, 93))))
    data = encode(EDITS[edit](image, rng), file_format, quality=quality)
    if decode(data).tobytes() == image.tobytes():
        edit = "brightness"
        data = encode(EDITS[edit](image, rng), file_format, quality=quality)
    return data, file_format, edit


BREAKS = ("cut_jpeg", "cut_png", "html", "empty", "random")
"""Kinds of unreadable files."""


def broken_file(how: str, image: Image.Image, rng: np.random.Generator) -> tuple[bytes, str]:
    """Bytes and suffix of a file that promises a picture and holds none, or only a part of one."""
    if how == "cut_jpeg":
        data = encode(image, "JPEG")
        return data[: round(len(data) * rng.uniform(0.5, 0.9))], ".jpg"
    if how == "cut_png":
        data = encode(image, "PNG")
        return data[: round(len(data) * rng.uniform(0.4, 0.8))], ".png"
    if how == "html":
        page = "<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n"
        return page.encode(), ".jpg"
    if how == "empty":
        return b"", ".jpg"
    if how == "random":
        return b"\xfe\xed\xfa\xce" + rng.bytes(int(rng.integers(2000, 9000))), ".webp"
    raise ValueError(f"{how}: none of {', '.join(BREAKS)}")
