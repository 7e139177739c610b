"""Views of the training pictures, made so that sizes, formats, frames and compression tell nothing about the kind.

`view(image, kind, rng)` gives one picture as a stranger's folder might hold it. Drawings and photographs go through one
lottery of backgrounds, crops, sizes, tints, frames and compression. Photographs also serve as the start of synthetic
paintings (brush strokes after Hertzmann, SIGGRAPH 1998) and pencil drawings, which count as what they look like.
"""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image, ImageFilter, ImageOps

Picture = np.ndarray  # uint8 (H, W, 3)


def view(image: Image.Image, kind: str, rng: np.random.Generator) -> tuple[Picture, str]:
    """One random view, and its kind: photo, drawing, painting, or the last two made of a photograph."""
    pixels = _on_background(image, kind, rng)
    if kind == "photo" and rng.random() < 0.4:
        pixels, kind = (
            (_painted(pixels, rng), "painting") if rng.random() < 0.75 else (_pencil(pixels, rng), "drawing")
        )
    elif kind == "drawing" and rng.random() < 0.15:
        pixels = _pencil(pixels, rng)
    pixels = _crop(pixels, rng)
    pixels = _tint(pixels, rng)
    if kind != "photo" and rng.random() < 0.25:
        pixels = _scan(pixels, rng)
    if rng.random() < 0.1:
        pixels = _frame(pixels, rng)
    if rng.random() < 0.06:
        pixels = np.clip(pixels + rng.normal(0, rng.uniform(2, 10), pixels.shape), 0, 255).astype(np.uint8)
    return _compress(_resize(pixels, rng), rng), kind


def _on_background(image: Image.Image, kind: str, rng: np.random.Generator) -> Picture:
    """A cut-out on paper, on a colour or in a studio, with a shadow or none; some whole pictures are cut out first."""
    if image.mode != "RGBA":
        if rng.random() > 0.15:
            return np.asarray(image.convert("RGB"))
        image = _blob(image.convert("RGB"), rng)
    room = rng.uniform(0.02, 0.3)
    cut = image.crop(image.getchannel("A").getbbox() or (0, 0, *image.size))
    size = tuple(int(side * (1 + room)) + 2 for side in cut.size)
    luck = rng.random()
    if luck < 0.25:
        ground = _gradient(size[::-1], rng, 200 if luck < 0.2 else 0)
    else:
        ground = np.full((*size[::-1], 3), _plain(rng), np.uint8)
    canvas = Image.fromarray(ground).convert("RGBA")
    place = tuple(int(rng.uniform(0, room) * side) for side in cut.size)
    if rng.random() < 0.25:
        shade = cut.getchannel("A").filter(ImageFilter.GaussianBlur(rng.uniform(2, 8)))
        depth = rng.uniform(0.2, 0.6)
        shade = shade.point([int(value * depth) for value in range(256)])
        shift = tuple(max(0, side + int(rng.integers(-8, 9))) for side in place)
        canvas.paste((20, 20, 20, 255), shift, shade)
        canvas.putalpha(255)
    canvas.alpha_composite(cut, place)
    return np.asarray(canvas.convert("RGB"))


def _blob(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A smooth random shape cut out of a picture: the edge is that of a cut-out, the inside still of its kind."""
    noise = cv2.resize(rng.normal(0, 1, (5, 5)).astype(np.float32), image.size, interpolation=cv2.INTER_CUBIC)
    down, across = np.mgrid[-1 : 1 : image.height * 1j, -1 : 1 : image.width * 1j]
    inside = noise * rng.uniform(0.1, 0.5) + 1.1 - 1.2 * np.hypot(down, across) > rng.uniform(0, 0.4)
    if inside.mean() < 0.1:
        inside[:] = True
    found = image.convert("RGBA")
    found.putalpha(Image.fromarray(np.uint8(inside) * 255).filter(ImageFilter.GaussianBlur(0.7)))
    return found


def _plain(rng: np.random.Generator) -> tuple[int, int, int]:
    luck = rng.random()
    if luck < 0.5:
        return 255, 255, 255
    if luck < 0.65:
        return (int(rng.integers(0, 256)),) * 3
    return tuple(int(value) for value in rng.integers(0, 256, 3))  # type: ignore[return-value]


def _gradient(shape: tuple[int, int], rng: np.random.Generator, least: int) -> Picture:
    """Light that falls off over a ground of values from `least` to 255; a studio's is nearly white and grey."""
    corners = (
        rng.integers(least, 256, (2, 2, 1 if least else 3))
        .repeat(3 if least else 1, axis=2)
        .astype(np.float32)
    )
    return cv2.resize(corners, shape[::-1], interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def _crop(pixels: Picture, rng: np.random.Generator) -> Picture:
    height, width = pixels.shape[:2]
    share = rng.uniform(0.45, 1.0) if rng.random() < 0.6 else 1.0
    h, w = max(32, int(height * share)), max(32, int(width * min(1.0, share * rng.uniform(0.8, 1.25))))
    top, left = int(rng.integers(0, max(1, height - h + 1))), int(rng.integers(0, max(1, width - w + 1)))
    pixels = pixels[top : top + h, left : left + w]
    return pixels[:, ::-1] if rng.random() < 0.5 else pixels


def _tint(pixels: Picture, rng: np.random.Generator) -> Picture:
    luck = rng.random()
    if luck < 0.16:
        grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
        if luck < 0.10:
            return np.repeat(grey[..., None], 3, axis=2)
        tone = np.array(rng.uniform((0.95, 0.82, 0.6), (1.05, 0.95, 0.8)))
        return np.clip(grey[..., None] * tone + rng.uniform(0, 25), 0, 255).astype(np.uint8)
    if luck < 0.5:
        gain, gamma = rng.uniform(0.75, 1.2, 3) ** 0.6, rng.uniform(0.7, 1.4)
        return np.clip(255 * (pixels / 255.0) ** gamma * gain, 0, 255).astype(np.uint8)
    return pixels


def _scan(pixels: Picture, rng: np.random.Generator) -> Picture:
    """Paper under a lamp: uneven light, a tint, grain and a little blur."""
    height, width = pixels.shape[:2]
    light = cv2.resize(
        rng.uniform(0.75, 1.0, (3, 3)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    grain = cv2.GaussianBlur(
        rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), rng.uniform(0.5, 2.0)
    )
    paper = (light + grain * rng.uniform(0, 0.06) / max(float(grain.std()), 1e-3))[..., None]
    tone = rng.uniform((0.92, 0.9, 0.8), (1.0, 1.0, 1.0))
    dark = rng.uniform(0, 40)
    return np.clip((pixels.astype(np.float32) * (255 - dark) / 255 + dark) * paper * tone, 0, 255).astype(
        np.uint8
    )


def _frame(pixels: Picture, rng: np.random.Generator) -> Picture:
    border = max(2, int(min(pixels.shape[:2]) * rng.uniform(0.02, 0.15)))
    return np.asarray(ImageOps.expand(Image.fromarray(np.ascontiguousarray(pixels)), border, _plain(rng)))


def _resize(pixels: Picture, rng: np.random.Generator) -> Picture:
    """To what a folder would hold: often small, sometimes enlarged from few pixels."""
    long = int(np.exp(rng.uniform(np.log(90), np.log(300))))
    scale = long / max(pixels.shape[:2])
    size = tuple(max(24, round(side * scale)) for side in pixels.shape[1::-1])
    if rng.random() < 0.15:
        few = tuple(max(16, int(side * rng.uniform(0.3, 0.8))) for side in size)
        pixels = cv2.resize(np.ascontiguousarray(pixels), few, interpolation=cv2.INTER_AREA)
    how = cv2.INTER_AREA if scale < 1 else (cv2.INTER_CUBIC, cv2.INTER_LINEAR)[int(rng.integers(2))]
    return cv2.resize(np.ascontiguousarray(pixels), size, interpolation=how)


def _compress(pixels: Picture, rng: np.random.Generator) -> Picture:
    if rng.random() < 0.35:
        return pixels
    data = io.BytesIO()
    form = "JPEG" if rng.random() < 0.75 else "WEBP"
    Image.fromarray(pixels).save(data, form, quality=int(rng.integers(25, 96)))
    return np.asarray(Image.open(data).convert("RGB"))


def _pencil(pixels: Picture, rng: np.random.Generator) -> Picture:
    """Lines of a picture: dodged over its own blur, or thresholded."""
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY).astype(np.float32)
    blur = cv2.GaussianBlur(grey, (0, 0), rng.uniform(1.5, 5))
    lines = np.clip(grey / np.maximum(blur, 1) * 255, 0, 255)
    lines = np.clip((lines - 255) * rng.uniform(1.5, 4) + 255, 0, 255)
    if rng.random() < 0.4:
        lines = np.where(lines < rng.uniform(150, 230), rng.uniform(0, 60), 255)
        lines = cv2.GaussianBlur(lines.astype(np.float32), (0, 0), 0.6)
    return np.repeat(lines.astype(np.uint8)[..., None], 3, axis=2)


def _painted(pixels: Picture, rng: np.random.Generator) -> Picture:
    """Brush strokes of falling size along the picture's contours, on a ground of its blur."""
    pixels = np.ascontiguousarray(pixels)
    canvas = cv2.GaussianBlur(pixels, (0, 0), 6)
    jitter = rng.uniform(4, 22)
    for radius in (9, 5, 3) if rng.random() < 0.5 else (7, 4, 2):
        soft = cv2.GaussianBlur(pixels, (0, 0), radius * 0.6)
        grey = cv2.cvtColor(soft, cv2.COLOR_RGB2GRAY).astype(np.float32)
        across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
        error = np.abs(canvas.astype(np.int16) - soft).sum(axis=2)
        ys, xs = np.mgrid[0 : pixels.shape[0] : radius, 0 : pixels.shape[1] : radius].reshape(2, -1)
        open_ = np.flatnonzero(error[ys, xs] >= (0 if radius >= 7 else 25))
        order = rng.permutation(open_)[:1200]
        angles = np.arctan2(across, -down)
        for x, y in zip(xs[order], ys[order], strict=True):
            angle = angles[y, x] + rng.normal(0, 0.25)
            length = radius * rng.uniform(1.0, 3.5)
            step = np.array((np.cos(angle), np.sin(angle))) * length
            colour = np.clip(soft[y, x] + rng.normal(0, jitter, 3), 0, 255)
            start, end = (int(x - step[0]), int(y - step[1])), (int(x + step[0]), int(y + step[1]))
            cv2.line(canvas, start, end, colour.tolist(), max(1, radius), cv2.LINE_AA)
    if rng.random() < 0.5:  # canvas: a weave under the paint
        weave = np.sin(np.arange(pixels.shape[0])[:, None] * 1.9) + np.sin(np.arange(pixels.shape[1]) * 1.9)
        canvas = np.clip(canvas + weave[..., None] * rng.uniform(1, 6), 0, 255).astype(np.uint8)
    return canvas
