"""How far the duplicates of this very folder can be trusted: how many of the pairs are wrong, how many copies are missed.

Wrong pairs: nobody knows them without looking, but the scores tell. Pairs of different pictures become rarer the higher
the score; how they thin out below the line says how many are to be expected above it (an exponential tail, as in peaks
over a threshold: Davison & Smith, J. R. Stat. Soc. B 52, 1990, here between the bounds of the score). Pairs just below
the line are taken for different pictures; where they are missed copies, the estimate errs on the safe side.

Missed copies: copies of a sample of the folder's own pictures are made and judged as any pair is.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from curate.duplicates.alignment import Picture
    from curate.duplicates.evidence import Question
    from curate.duplicates.fingerprints import Fingerprint

FROM = 0.75
"""Least score that takes part in the fit of the tail; below it scores thin out by other rules than near the line."""

PLANTED = 96
"""Copies that are made to see how many are found."""

LEVEL = 0.95
"""Share of folders in which the truth is to lie within the interval."""

_DRAWS = 400


@dataclass(frozen=True)
class Share:
    """A share 0..1 with its interval (at `LEVEL`), and of how many."""

    value: float
    low: float
    high: float
    of: int

    def __str__(self) -> str:
        """For people."""
        return f"{self.value:.1%} ({LEVEL:.0%} interval {self.low:.1%} to {self.high:.1%}, of {self.of:,})"


def precision(scores: NDArray[np.floating[Any]], threshold: float) -> Share:
    """Estimated share of right pairs among those that reach the threshold.

    `scores`, float (n,), are those of all judged pairs, 0..1. Raises nothing: without pairs the share is 1 of 0.
    """
    reported = int((scores >= np.float32(threshold)).sum())
    below = scores[(scores >= FROM) & (scores < threshold)]
    if not reported:
        return Share(1.0, 0.0, 1.0, 0)
    wrong = expected_above(below, threshold)
    rng = np.random.default_rng(0)
    drawn = np.array(
        [
            rng.poisson(expected_above(rng.choice(below, rng.poisson(len(below))), threshold))
            if len(below)
            else 0
            for _ in range(_DRAWS)
        ]
    )
    # Where nothing lies below the line, three wrong pairs are still what 95 % certainty cannot rule out; and where
    # copies lie there, which scores cannot tell from other pictures, none above it need be wrong.
    most = max(float(np.quantile(drawn, LEVEL)), 3.0 if len(below) < 3 else 0.0)
    return Share(max(0.0, 1 - wrong / reported), max(0.0, 1 - most / reported), 1.0, reported)


def expected_above(below: NDArray[np.floating[Any]], threshold: float) -> float:
    """Expected number of scores between the threshold and 1, from those between `FROM` and the threshold.

    The density is taken as exponential between `FROM` and 1; its rate is the maximum-likelihood one of the part that
    is seen, but not rising (a rising one would mean copies below the line, not other pictures).
    """
    if not len(below):
        return 0.0
    width, seen = 1 - FROM, threshold - FROM
    rate = _rate(float(below.mean()) - FROM, seen)
    if rate < 1e-6:
        return len(below) * (width - seen) / seen
    return float(
        len(below) * (math.exp(-rate * seen) - math.exp(-rate * width)) / (1 - math.exp(-rate * seen))
    )


def _rate(mean: float, width: float) -> float:
    """Rate of the exponential density on 0..`width` whose mean is `mean`; 0 where the mean is half the width or more."""
    from scipy.optimize import brentq

    if mean >= width / 2 * (1 - 1e-6):
        return 0.0
    if mean <= width / 400:
        return 400 / width

    def excess(rate: float) -> float:
        return 1 / rate - width / math.expm1(rate * width) - mean

    return float(brentq(excess, 1e-6 / width, 500 / width))


def threshold_for(scores: NDArray[np.floating[Any]], wanted: float) -> float:
    """The least threshold, in steps of 0.005 from 0.8, at which the estimated precision is `wanted` or more; at most 1."""
    for step in range(160, 200):
        threshold = step * 0.005
        reported = int((scores >= threshold).sum())
        below = scores[(scores >= FROM) & (scores < threshold)]
        if not reported or 1 - expected_above(below, threshold) / reported >= wanted:
            return threshold
    return 1.0


# Planted copies -------------------------------------------------------------------------------------------------


def sample(contents: Sequence[str], count: int = PLANTED) -> list[str]:
    """Contents to make copies of: a sample that depends on nothing but the contents."""
    return sorted(contents, key=lambda content: hashlib.sha256(f"planted {content}".encode()).hexdigest())[
        :count
    ]


def plant(image: Image.Image, content: str) -> tuple[str, Image.Image]:
    """An edited copy of an RGB picture, and the edit's name: one of `EDITS`, chosen and set by the content."""
    seed = int.from_bytes(hashlib.sha256(f"edit {content}".encode()).digest()[:8])
    rng = np.random.default_rng(seed)
    name = list(EDITS)[int(rng.integers(len(EDITS)))]
    edited = EDITS[name](image, rng)
    return name, _encoded(edited, int(rng.integers(60, 95)))


def _encoded(image: Image.Image, quality: int) -> Image.Image:
    """The picture as JPEG gives it back."""
    from PIL import Image

    stream = io.BytesIO()
    image.convert("RGB").save(stream, "JPEG", quality=quality)
    stream.seek(0)
    return Image.open(stream).convert("RGB")


def _resized(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    from PIL import Image

    scale = float(rng.uniform(0.4, 1.6))
    size = (max(16, round(image.width * scale)), max(16, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BICUBIC)


def _cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    share = float(rng.uniform(0.75, 0.95))
    width, height = max(1, round(image.width * share)), max(1, round(image.height * share))
    left, top = (
        int(rng.integers(whole - part + 1)) for whole, part in ((image.width, width), (image.height, height))
    )
    return image.crop((left, top, left + width, top + height))


def _bordered(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    from PIL import ImageOps

    width = max(1, round(min(image.size) * float(rng.uniform(0.03, 0.12))))
    return ImageOps.expand(image, width, ("black", "white", "grey")[int(rng.integers(3))])


def _captioned(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    from PIL import ImageDraw

    image = image.copy()
    height = max(4, round(image.height * 0.12))
    box = (0, image.height - height, image.width, image.height)
    draw = ImageDraw.Draw(image)
    draw.rectangle(box, fill="black")
    draw.text((image.width * 0.05, image.height - height), "a caption", fill="white", font_size=height * 0.8)
    return image


def _toned(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    from PIL import ImageEnhance

    for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = kind(image).enhance(float(rng.uniform(0.7, 1.35)))
    return image


def _blurred(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    from PIL import ImageFilter

    return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.005, 0.01)) * min(image.size)))


def _turned(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    from PIL import Image

    return image.transpose(list(Image.Transpose)[int(rng.integers(len(Image.Transpose)))])


def _tilted(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    from PIL import Image

    return image.rotate(float(rng.uniform(2, 8)), Image.Resampling.BICUBIC, fillcolor="white")


def _greyed(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.convert("L").convert("RGB")


def _same(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image


EDITS = {
    "re-encoded": _same,
    "resized": _resized,
    "cropped": _cropped,
    "framed": _bordered,
    "captioned": _captioned,
    "other tones": _toned,
    "blurred": _blurred,
    "flipped or turned": _turned,
    "tilted": _tilted,
    "grey": _greyed,
}
"""What is done to planted copies: the edits that pictures undergo on their way through the web."""


def judge_planted(work: Sequence[tuple[str, str]], features: bool) -> list[tuple[str, str, float]]:
    """For (content, file) pairs: the content, the edit that was planted, the score of picture and copy as a pair.

    They are judged as any pair is, but for the search: the pair is taken for granted. A file that changed or cannot be
    read is left out.
    """
    from curate.duplicates.closer import doubts, look
    from curate.duplicates.evidence import judge
    from curate.duplicates.fingerprints import fingerprint
    from curate.images import Unreadable, open_image, read_bytes, to_rgb

    found = []
    with tempfile.TemporaryDirectory(prefix="curate-planted-") as folder:
        for content, file in work:
            try:
                data = read_bytes(file)
                image = to_rgb(open_image(data))
            except Unreadable:
                continue
            if hashlib.sha256(data).hexdigest() != content:
                continue
            name, copy = plant(image, content)
            planted = Path(folder, "planted.png")
            copy.save(planted, compress_level=1)
            other = hashlib.sha256(planted.read_bytes()).hexdigest()
            prints = [fingerprint(image, features), fingerprint(copy, features)]
            pictures, question = _as_asked(prints)
            (finding,) = judge([(pictures, [question])], threshold=-1.0)
            places = {content: file, other: os.fspath(planted)}
            doubtful = doubts([finding], [content, other], places, [p.boxes for p in pictures.values()])
            score = look(doubtful)[0].score if doubtful else finding.score
            found.append((content, name, score))
    return found


def _as_asked(prints: Sequence[Fingerprint]) -> tuple[dict[int, Picture], Question]:
    """Two fingerprints as `judge` takes them, and the question that a search of the hashes would ask."""
    from curate.duplicates.alignment import Picture
    from curate.duplicates.candidates import best_hashes
    from curate.duplicates.evidence import Question

    nothing = np.zeros((0, 4), np.float32), np.zeros((0, 128), np.uint8)
    pictures = {
        number: Picture(
            p.thumb,
            p.boxes,
            nothing[0] if p.points is None else p.points,
            nothing[1] if p.descriptors is None else p.descriptors,
        )
        for number, p in enumerate(prints)
    }
    for _, _, distance, turn, kind_a, kind_b in best_hashes(np.stack([p.hashes for p in prints])).tolist():
        return pictures, Question(0, 1, distance, turn, (kind_a, kind_b))
    return pictures, Question(0, 1, 257, 0, (0, 0))


def recall(scores: NDArray[np.float32], threshold: float) -> Share:
    """Share of planted copies whose score, float (n,), reaches the threshold; interval of Clopper and Pearson (1934)."""
    from scipy.special import betaincinv  # scipy.stats takes a second to import

    of, hits = len(scores), int((scores >= np.float32(threshold)).sum())
    if not of:
        return Share(1.0, 0.0, 1.0, 0)
    tail = (1 - LEVEL) / 2
    low = float(betaincinv(hits, of - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, of - hits, 1 - tail)) if hits < of else 1.0
    return Share(hits / of, low, high, of)
