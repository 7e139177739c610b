"""Whether an ONNX graph answers as its classifier does: onnxruntime beside PyTorch, on the same decoded pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classify.data.items import Item, decode
from curate.engine import Progress, silent
from curate.errors import UserError
from curate.images import Unreadable
from curate.paths import path_from_text
from curate.walk import walk

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from classify.weights import Classifier

TOLERANCE = 1e-4
"""Largest difference of a logit or a probability that is taken for rounding."""

MOST = 1_000
"""Pictures of a folder that are looked at: so many, spread evenly."""

SYNTHETIC = 48
"""Pictures made up where no folder is given."""


@dataclass(frozen=True)
class Check:
    """What `compare` found on `pictures` pictures, of which `unreadable` more could not be read.

    `logits` and `probabilities` are the largest differences; `differing` is how many have another most probable class.
    """

    pictures: int
    unreadable: int
    logits: float
    probabilities: float
    differing: int

    @property
    def passed(self) -> bool:
        """Whether the graph may be used in the classifier's place; a NaN never passes."""
        return self.logits <= TOLERANCE and self.probabilities <= TOLERANCE and not self.differing

    def __str__(self) -> str:
        """One line for the terminal."""
        return (
            f"onnxruntime beside PyTorch on {self.pictures:,} pictures: logits differ by {self.logits:.1e} at most, "
            f"probabilities by {self.probabilities:.1e}; the same most probable class in "
            f"{1 - self.differing / self.pictures:.2%}"
        )


class Runtime:
    """An ONNX graph, ready to run on the processor."""

    def __init__(self, model: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # Threads that wait busily would hold up PyTorch's, which take turns with them.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def __call__(self, pictures: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits and probabilities float32 (N, C) of pictures uint8 (N, H, W, 3)."""
        logits, probabilities = self._session.run(["logits", "probabilities"], {"pictures": pictures})
        return logits, probabilities


def compare(
    model: bytes, classifier: Classifier, items: Sequence[Item], progress: Progress = silent
) -> Check:
    """Answers of the graph to each picture as it is decoded, beside the classifier's to the fitted one.

    The classifier computes on the device that it is on. Raises UserError where none of the pictures can be read.
    """
    runtime = Runtime(model)
    logits = probabilities = 0.0
    differing = read = 0
    for number, item in enumerate(items):
        progress(number, len(items))
        try:
            image = decode(item, classifier.preprocessing)[0]
        except Unreadable:
            continue
        theirs = runtime(np.array(image)[None])
        own = _answers(classifier, image)
        read += 1
        logits = float(np.maximum(logits, np.abs(theirs[0] - own[0]).max()))
        probabilities = float(np.maximum(probabilities, np.abs(theirs[1] - own[1]).max()))
        differing += int(theirs[1].argmax() != own[1].argmax())
    progress(len(items), len(items))
    if not read:
        raise UserError(
            f"none of the {len(items):,} files to check with can be read as a picture.",
            "Give a folder with pictures with --check.",
        )
    return Check(read, len(items) - read, logits, probabilities, differing)


def _answers(classifier: Classifier, image: Image.Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits and probabilities float32 (1, C) as PyTorch computes them."""
    import torch

    from classify.exporting.graph import Answers

    fitted = classifier.preprocessing.picture(image)[None]
    device = next(classifier.model.parameters()).device
    with torch.inference_mode():
        logits = Answers(classifier)(torch.from_numpy(fitted).to(device))[0]
    return logits.cpu().numpy(), classifier.probabilities(fitted)


def pictures_of(folder: str | Path) -> list[Item]:
    """The pictures below a folder, `MOST` of them spread evenly. Raises UserError where there are none."""
    if not Path(folder).is_dir():
        raise UserError(f"{folder}: is no folder.", "Give a folder with pictures with --check.")
    files = [path_from_text(path) for path, _, _ in walk(str(folder)).files]
    if not files:
        raise UserError(f"{folder}: there is no picture in it.", "Give a folder with pictures with --check.")
    chosen = np.linspace(0, len(files) - 1, min(MOST, len(files))).round().astype(int)
    return [Path(folder) / files[index] for index in chosen]


def synthetic(count: int = SYNTHETIC, seed: int = 0) -> list[Item]:
    """Made-up pictures, uint8 (H, W, 3): clouds of colour under noise, sides of 1 to 600 pixels, the same every time."""
    random = np.random.default_rng(seed)
    found: list[Item] = []
    for _ in range(count):
        height, width = np.rint(np.exp(random.uniform(0, np.log(600), 2))).astype(int)
        coarse = random.uniform(0, 255, (4, 4, 3))
        rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
        pixels = coarse[rows][:, columns] + random.normal(0, 30, (height, width, 3))
        found.append(pixels.clip(0, 255).astype(np.uint8))
    return found
