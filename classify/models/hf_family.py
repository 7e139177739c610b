"""`hf:FOLDER_OR_ID`: image classifiers of the library transformers, from a local folder or from the hub."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from classify.models.family import Family, Look, Source, quietly
from classify.provenance import digest
from curate.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable


class Logits(nn.Module):
    """A model of transformers as a network: float32 (N, 3, S, S) to logits (N, classes).

    Learnt positions are interpolated where the model can do that and S is not the size that it was made for.
    """

    def __init__(self, model: nn.Module, interpolate: bool) -> None:
        super().__init__()
        self.model = model
        self._more = {"interpolate_pos_encoding": True} if interpolate else {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        logits: torch.Tensor = self.model(pixel_values=x, **self._more).logits
        return logits


class Transformers(Family):
    """The model in a folder that `save_pretrained` wrote, or of that name on the hub.

    Nothing is read before it is asked for: a network that was trained here is built again from its options alone.
    """

    def __init__(self, source: str) -> None:
        self.name = f"hf:{source}"
        self._source = source
        if importlib.util.find_spec("transformers") is None:
            raise UserError(
                f"model '{self.name}' needs transformers, which is not installed (pip install 'curate-classify[hf]').",
                "Install it, or choose another model.name.",
            )

    def look(self) -> Look:
        """As the folder's image processor says; without one the configuration's size and ImageNet's colours."""
        from transformers import AutoImageProcessor

        config = self._config()
        size = config.get("image_size")
        own = Look(int(size[0] if isinstance(size, list | tuple) else size or 224))
        try:
            with quietly(f"model '{self.name}': no image processor", ""):
                processor = AutoImageProcessor.from_pretrained(self._source, trust_remote_code=False)
        except UserError:
            return own
        side = _side(processor) or own.size
        if not getattr(processor, "do_normalize", True):
            return Look(side, (0.0,) * 3, (1.0,) * 3)
        return Look(side, tuple(processor.image_mean or own.mean), tuple(processor.image_std or own.std))

    def options(self, size: int, dropout: float) -> dict[str, Any]:
        """The whole configuration, since the folder may be gone when the weights are used."""
        if dropout:
            raise UserError(
                f"model.dropout cannot be set for '{self.name}': the folder's configuration has its own.",
                "Leave model.dropout at 0.",
            )
        return {"config": self._config(), "size": size}

    def create(self, classes: int, options: Mapping[str, Any]) -> nn.Module:
        """See the base. Raises UserError where this version of transformers does not know the configuration."""
        from transformers import AutoConfig, AutoModelForImageClassification

        with quietly(f"model '{self.name}' cannot be made", "Use the version of transformers that knows it."):
            settings = {**options["config"], "num_labels": classes}
            config = AutoConfig.for_model(settings.pop("model_type"), **settings)
            model = AutoModelForImageClassification.from_config(config, dtype=torch.float32)
        known = "interpolate_pos_encoding" in inspect.signature(model.forward).parameters
        return Logits(model, known and getattr(config, "image_size", None) != options["size"])

    def published(self, options: Mapping[str, Any]) -> Source:
        """See the base. Only safetensors are read."""
        from transformers import AutoModelForImageClassification

        del options
        load: Callable[..., Any] = AutoModelForImageClassification.from_pretrained
        with quietly(f"model '{self.name}': its weights cannot be had", _REMEDY), _no_bars():
            model, report = load(
                self._source,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
            )
        state = _loaded(model, report)
        source = Path(self._source)
        title = source.resolve().name if source.is_dir() else self._source
        return Source(state, f"the weights of hf:{title}", digest(state))

    def fitted(self, network: nn.Module, state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        """Files that transformers wrote call tensors by other names than the model does; it translates them itself."""
        model: Any = network.model
        if any(name.startswith("model.") for name in state):
            return state
        with quietly(f"model '{self.name}': the checkpoint cannot be read as one of it", _REMEDY), _no_bars():
            loaded, report = type(model).from_pretrained(
                None,
                config=model.config,
                state_dict=dict(state),
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
        return _loaded(loaded, report)

    def _config(self) -> dict[str, Any]:
        """The configuration without the old classes and the type of the numbers, which `create` sets anew."""
        from transformers import AutoConfig

        with quietly(f"model '{self.name}': its configuration cannot be had", _REMEDY):
            found = AutoConfig.from_pretrained(
                self._source, trust_remote_code=False
            )  # left out, it asks the user
            config: dict[str, Any] = found.to_dict()
        for key in ("id2label", "label2id", "num_labels", "dtype", "_name_or_path"):
            config.pop(key, None)
        return config


_REMEDY = (
    "Give a folder that save_pretrained wrote (config.json, model.safetensors); a name on the hub is downloaded and "
    "needs the network."
)


@contextlib.contextmanager
def _no_bars() -> Iterator[None]:
    """No progress bar of transformers' own."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _loaded(model: Any, report: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The tensors that did come from the checkpoint, under the names that they have in `Logits`."""
    drawn = {*report["missing_keys"], *(name for name, *_ in report["mismatched_keys"])}
    return {f"model.{name}": value for name, value in model.state_dict().items() if name not in drawn}


def _side(processor: Any) -> int:
    """The side of the picture that the network is given, pixels; 0 where the processor does not say."""
    crop = getattr(processor, "crop_size", None) if getattr(processor, "do_center_crop", False) else None
    for size in (crop, getattr(processor, "size", None)):
        for key in ("height", "shortest_edge"):
            if size and dict(size).get(key):
                return int(dict(size)[key])
    return 0
