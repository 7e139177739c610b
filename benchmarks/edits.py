"""Edited copies of a picture: the kinds of edit that the set near_duplicates holds, with random strengths.

Each edit takes an RGB picture and a random generator and gives an RGB picture; `copy_of` also encodes it as a file.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

Edit = Callable[[Image.Image, np.random.Generator], Image.Image]


def copy_of(image: Image.Image, kind: str, rng: np.random.Generator) -> bytes:
    """The encoded bytes of an edited copy; `kind` is one of `KINDS`."""
    if kind == "exif_turn":
        exif = Image.Exif()
        exif[0x0112] = int(rng.choice([3, 6, 8]))
        return _encoded(image, "JPEG", quality=int(rng.integers(75, 96)), exif=exif)
    if kind == "palette_gif":
        return _encoded(image.quantize(int(rng.choice([32, 64, 128, 256]))), "GIF")
    if kind.startswith("reencode_webp"):
        return _encoded(image, "WEBP", quality=int(rng.integers(30, 70)))
    if kind.startswith("reencode_jpeg"):
        middle = int(kind.removeprefix("reencode_jpeg"))
        quality = int(rng.integers(max(8, middle - 10), middle + 11))
        return _encoded(image, "JPEG", quality=quality)
    edited = EDITS[kind](image, rng)
    if rng.random() < 0.5:
        return _encoded(edited, "PNG")
    return _encoded(edited, "JPEG", quality=int(rng.integers(70, 96)))


def _encoded(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def _crop(low: float, high: float) -> Edit:
    """A part of the picture, near its middle, with `low` to `high` of its area."""

    def edit(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        side = float(np.sqrt(rng.uniform(low, high)))
        width, height = round(image.width * side), round(image.height * side)
        left = round((image.width - width) * rng.uniform(0.2, 0.8))
        top = round((image.height - height) * rng.uniform(0.2, 0.8))
        return image.crop((left, top, left + width, top + height))

    return edit


def _border(colour: str) -> Edit:
    def edit(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        return ImageOps.expand(image, max(1, round(min(image.size) * rng.uniform(0.03, 0.12))), colour)

    return edit


def _letterbox(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    bars = rng.uniform(0.2, 0.7)
    across = rng.random() < 0.5
    size = (round(image.width * (1 + bars * across)), round(image.height * (1 + bars * (not across))))
    page = Image.new("RGB", size, ("black", "white")[int(rng.integers(2))])
    page.paste(image, ((size[0] - image.width) // 2, (size[1] - image.height) // 2))
    return page


def _text(words: str, place: str) -> Edit:
    """White letters with a black outline over the middle, or along the lower or the upper edge."""

    def edit(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        image = image.copy()
        draw = ImageDraw.Draw(image)
        size = max(7, round(image.height * rng.uniform(0.07, 0.12)))
        box = draw.textbbox((0, 0), words, font_size=size, stroke_width=1)
        x = (image.width - box[2]) * rng.uniform(0.1, 0.9)
        middle = (image.height - box[3]) / 2
        y = middle if place == "middle" else (image.height - box[3]) * float(rng.choice([0.02, 0.97]))
        draw.text((x, y), words, fill="white", stroke_fill="black", stroke_width=1, font_size=size)
        return image

    return edit


def _logo(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    image = image.copy()
    side = round(min(image.size) * rng.uniform(0.12, 0.2))
    left, top = (round((whole - side) * rng.choice([0.05, 0.95])) for whole in image.size)
    colour = tuple(int(value) for value in rng.integers(0, 256, 3))
    ImageDraw.Draw(image).ellipse((left, top, left + side, top + side), fill=colour)
    return image


def _enhanced(kind: type, low: float, high: float) -> Edit:
    """Brightness, contrast and the like by a factor from `low` to `high`, never near 1."""

    def edit(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        factor = rng.uniform(low, 0.85) if rng.random() < 0.5 else rng.uniform(1.15, high)
        return kind(image).enhance(float(factor))

    return edit


def _gamma(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    power = float(rng.uniform(0.55, 0.8) if rng.random() < 0.5 else rng.uniform(1.25, 1.8))
    return image.point([round(255 * (value / 255) ** power) for value in range(256)] * 3)


def _hue(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    shift = int(rng.integers(15, 60)) * int(rng.choice([-1, 1]))
    return Image.merge(
        "HSV", (hue.point([(h + shift) % 256 for h in range(256)]), saturation, value)
    ).convert("RGB")


def _noise(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, np.float32) + rng.normal(0, rng.uniform(5, 15), (*image.size[::-1], 3))
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


def _scaled(low: float, high: float) -> Edit:
    def edit(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        factor = rng.uniform(low, high)
        size = (max(8, round(image.width * factor)), max(8, round(image.height * factor)))
        return image.resize(size, Image.Resampling.BICUBIC)

    return edit


def _stretch(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.resize((round(image.width * rng.uniform(0.78, 0.92)), image.height))


def _rotate(low: float, high: float) -> Edit:
    def edit(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        angle = float(rng.uniform(low, high) * rng.choice([-1, 1]))
        corner = image.getpixel((0, 0))
        return image.rotate(angle, Image.Resampling.BICUBIC, fillcolor=corner)

    return edit


def _transposed(how: Image.Transpose) -> Edit:
    return lambda image, rng: image.transpose(how)


EDITS: dict[str, Edit] = {
    "blur": lambda image, rng: image.filter(
        ImageFilter.GaussianBlur(float(rng.uniform(0.006, 0.014)) * min(image.size))
    ),
    "border_black": _border("black"),
    "border_white": _border("white"),
    "brightness": _enhanced(ImageEnhance.Brightness, 0.6, 1.5),
    "caption": _text("hello there", "edge"),
    "contrast": _enhanced(ImageEnhance.Contrast, 0.55, 1.7),
    "crop_60": _crop(0.55, 0.7),
    "crop_75": _crop(0.7, 0.85),
    "crop_90": _crop(0.85, 0.95),
    "flip_h": _transposed(Image.Transpose.FLIP_LEFT_RIGHT),
    "flip_v": _transposed(Image.Transpose.FLIP_TOP_BOTTOM),
    "gamma": _gamma,
    "grey": lambda image, rng: image.convert("L").convert("RGB"),
    "hue": _hue,
    "letterbox": _letterbox,
    "logo": _logo,
    "noise": _noise,
    "resize_150": _scaled(1.2, 1.8),
    "resize_25": _scaled(0.22, 0.35),
    "resize_50": _scaled(0.4, 0.6),
    "resize_75": _scaled(0.65, 0.85),
    "rotate_10": _rotate(7, 11),
    "rotate_4": _rotate(2, 6),
    "saturation": _enhanced(ImageEnhance.Color, 0.2, 1.9),
    "sharpen": _enhanced(ImageEnhance.Sharpness, 0.0, 4.0),
    "stretch": _stretch,
    "turn_180": _transposed(Image.Transpose.ROTATE_180),
    "turn_270": _transposed(Image.Transpose.ROTATE_270),
    "turn_90": _transposed(Image.Transpose.ROTATE_90),
    "watermark": _text("sample image", "middle"),
}

KINDS = (
    *EDITS,
    *("exif_turn", "palette_gif", "reencode_jpeg10", "reencode_jpeg30", "reencode_jpeg75", "reencode_webp50"),
)
"""The 36 kinds of near_duplicates, by their names there."""
