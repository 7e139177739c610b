"""The weights file: one `.safetensors` with the network, its classes, its preprocessing and its settings.

Whoever holds the file can classify pictures; nothing else is needed, and class names never depend on the order of
folders. The metadata are JSON texts; nothing in the file can run code.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classify.views import Views
from curate.errors import UserError
from curate.images import WHITE, fit
from curate.workspace import sync_folder

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from PIL import Image
    from torch import nn

FORMAT = "curate-classify-weights"
"""Value of the metadata's `format`: tells our files from other safetensors."""

VERSION = 1
"""Version of the metadata's layout."""

BATCH = 256
"""Pictures in one pass when classifying."""


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the network's input: the same object in training, evaluation, prediction and export.

    `size` is in pixels; `fit` is pad, crop or stretch (see `curate.images.fit`); `background` (0..255) fills the
    borders and shows through transparency; `mean` and `std` are of channels scaled to 0..1.
    """

    size: int
    fit: str = "pad"
    background: tuple[int, int, int] = WHITE
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.25, 0.25, 0.25)

    def picture(self, image: Image.Image) -> NDArray[np.uint8]:
        """An RGB picture at the network's size: uint8 (size, size, 3)."""
        return np.array(fit(image, self.size, self.fit, self.background), dtype=np.uint8)

    def tensor(self, images: torch.Tensor) -> torch.Tensor:
        """Pictures uint8 (N, H, W, 3) as the network takes them: float32 (N, 3, H, W), on the same device.

        The memory stays in channels-last order, which is what convolutions are fastest with.
        """
        return self.normalized(images.permute(0, 3, 1, 2).float() / 255)

    def normalized(self, images: torch.Tensor) -> torch.Tensor:
        """Pictures float32 (N, 3, H, W) in 0..1, shifted and scaled by mean and std."""
        import torch

        mean = torch.tensor(self.mean).to(images.device, non_blocking=True)[:, None, None]
        std = torch.tensor(self.std).to(images.device, non_blocking=True)[:, None, None]
        return (images - mean) / std

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Preprocessing:
        """What `to_dict` gave. Raises KeyError, TypeError or ValueError for anything else."""
        red, green, blue = (int(value) for value in data["background"])
        return cls(
            size=int(data["size"]),
            fit=str(data["fit"]),
            background=(red, green, blue),
            mean=tuple(float(value) for value in data["mean"]),
            std=tuple(float(value) for value in data["std"]),
        )


@dataclass
class Classifier:
    """A trained network with all that is needed to use it. `model` is in evaluation mode.

    `metadata` holds the rest of the file's metadata: model name and options, and what training noted (`extra`).
    """

    model: nn.Module
    classes: list[str]
    preprocessing: Preprocessing
    settings: dict[str, Any]
    metadata: dict[str, Any]

    @property
    def temperature(self) -> float:
        """What training fitted on its validation part (see `classify.calibration`); 1 where it did not."""
        return float(self.metadata.get("temperature", 1.0))

    @property
    def views(self) -> Views:
        """What the weights' own settings average over (`evaluation.flip`, `evaluation.turn`, `evaluation.shift`)."""
        return Views.of(self.settings)

    def probabilities(
        self, images: NDArray[np.uint8] | torch.Tensor, views: Views | None = None
    ) -> NDArray[np.float32]:
        """Probability of each class: float32 (N, C), rows sum to 1, from pictures uint8 (N, size, size, 3).

        `beliefs`, made milder or bolder by the temperature. Raises ValueError for another shape.
        """
        from classify.calibration import calibrated

        return calibrated(self.beliefs(images, views), self.temperature)

    def beliefs(
        self, images: NDArray[np.uint8] | torch.Tensor, views: Views | None = None
    ) -> NDArray[np.float32]:
        """What the network itself says: float32 (N, C), rows sum to 1, from pictures uint8 (N, size, size, 3).

        The mean over the `views` of a picture; None takes the weights' own. Raises ValueError for another shape.
        """
        import torch

        size = self.preprocessing.size
        pictures = torch.as_tensor(images)
        if pictures.ndim != 4 or tuple(pictures.shape[1:]) != (size, size, 3):
            raise ValueError(f"images: shape {tuple(pictures.shape)}, not (N, {size}, {size}, 3)")
        views = self.views if views is None else views
        device = next(self.model.parameters()).device
        parts = [np.zeros((0, len(self.classes)), dtype=np.float32)]
        with torch.inference_mode():
            for start in range(0, len(pictures), BATCH):
                batch = self.preprocessing.tensor(pictures[start : start + BATCH].to(device))
                beliefs = [self.model(view).float().softmax(1) for view in views(batch)]
                parts.append((sum(beliefs[1:], beliefs[0]) / len(beliefs)).cpu().numpy())
        return np.concatenate(parts)


def save(
    path: str | Path,
    state: Mapping[str, torch.Tensor],
    *,
    model: str,
    model_options: Mapping[str, Any],
    classes: Sequence[str],
    preprocessing: Preprocessing,
    settings: Mapping[str, Any],
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write the weights file `path`, all or nothing. Raises UserError where it cannot be written.

    `state` is the network's `state_dict()`; `model` and `model_options` are what `classify.models.create` takes;
    `extra` is whatever else should travel along (JSON-able).
    """
    metadata = {
        "format": FORMAT,
        "version": json.dumps(VERSION),
        "model": json.dumps({"name": model, "options": dict(model_options)}),
        "classes": json.dumps(list(classes), ensure_ascii=False),
        "preprocessing": json.dumps(preprocessing.to_dict()),
        "settings": json.dumps(dict(settings)),
        "extra": json.dumps(dict(extra or {})),
    }
    write_whole(path, pack(state, metadata))


def pack(state: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a safetensors file: the same content, the same bytes.

    The library writes the metadata in random order; the header is JSON behind its length in 8 bytes, so they can be
    sorted afterwards (https://github.com/huggingface/safetensors#format).
    """
    from safetensors.torch import save as serialize

    data = serialize(
        {name: value.detach().cpu().contiguous() for name, value in sorted(state.items())}, dict(metadata)
    )
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[end:]


def load(path: str | Path, device: str = "cpu") -> Classifier:
    """The classifier in the weights file `path`, on `device`, ready to use.

    Raises UserError where the file is missing, is no weights file of this project, or is damaged.
    """
    from classify import models

    metadata, state = _read(Path(path))
    try:
        found = json.loads(metadata["model"])
        classes = [str(name) for name in json.loads(metadata["classes"])]
        preprocessing = Preprocessing.from_dict(json.loads(metadata["preprocessing"]))
        settings = json.loads(metadata["settings"])
        extra = json.loads(metadata["extra"])
        network = models.create(found["name"], len(classes), found["options"])
        network.load_state_dict(state)
    except UserError as error:
        raise UserError(
            f"{path}: {error.message}", "Use the version of this project that wrote the file."
        ) from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: the weights file is damaged ({reason}).", _REMEDY) from error
    network.eval().requires_grad_(False)
    network.to(device)
    return Classifier(network, classes, preprocessing, settings, {"model": found, **extra})


_REMEDY = "Give a file that `classify train` wrote, such as RUN/best.safetensors."


def _read(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """The file's metadata and tensors, checked to be ours."""
    from safetensors import SafetensorError, safe_open

    if path.is_dir():
        inside = path / "best.safetensors"
        remedy = f"Give the file in it, {inside}." if inside.is_file() else _REMEDY
        raise UserError(f"{path}: is a folder, not a weights file.", remedy)
    if not path.exists():
        raise UserError(f"{path}: there is no such file.", _REMEDY)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a mapping
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}).", _REMEDY) from error
    except SafetensorError as error:
        raise UserError(f"{path}: is no weights file, or was cut short ({error}).", _REMEDY) from error
    if metadata.get("format") != FORMAT:
        raise UserError(
            f"{path}: is a safetensors file, but not one of `classify train`: it names no classes.", _REMEDY
        )
    if metadata.get("version") != json.dumps(VERSION):
        raise UserError(
            f"{path}: was written in layout {metadata.get('version')}; this version reads layout {VERSION}.",
            "Use the version of this project that wrote the file.",
        )
    return metadata, state


def write_whole(path: str | Path, data: bytes) -> None:
    """Put `data` into the file `path`: readers see the old file or the new one, never half of one.

    Raises UserError where the disk is full or the place cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if not isinstance(error, OSError):
            raise
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise UserError(
            f"{path}: cannot be written ({error.strerror or error}).",
            "Make room, then run the same command again." if full else "Give another place with --out.",
        ) from error
