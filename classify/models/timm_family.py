"""`timm:NAME`: every architecture of timm, its own size and colours, and the weights published for it."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from classify.models.family import Family, Look, Source, quietly
from classify.provenance import digest
from curate.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn


class Timm(Family):
    """The architecture `model` of timm, with or without a tag (`resnet18`, `resnet18.a1_in1k`). Raises UserError."""

    def __init__(self, model: str) -> None:
        import timm

        self.name = f"timm:{model}"
        self._model = model
        if not timm.is_model(model):
            near = difflib.get_close_matches(model, timm.list_models(), 1, 0.4)
            raise UserError(
                f"model '{self.name}': timm has no '{model}'.",
                f"Did you mean 'timm:{near[0]}'?" if near else "timm.list_models() names them all.",
            )
        with quietly(f"model '{self.name}' cannot be made", "Leave the tag after the dot away."):
            config: Any = timm.get_pretrained_cfg(model)
            self._config: dict[str, Any] = config.to_dict()

    def look(self) -> Look:
        """As timm's configuration of the weights says."""
        return Look(
            int(self._config["input_size"][1]), tuple(self._config["mean"]), tuple(self._config["std"])
        )

    def options(self, size: int, dropout: float) -> dict[str, Any]:
        """The size counts where it is not the network's own and the architecture is bound to one, by learnt positions say."""
        bound = self._config.get("fixed_input_size") and size != self.look().size
        return {"size": size if bound else 0, "dropout": dropout}

    def create(self, classes: int, options: Mapping[str, Any]) -> nn.Module:
        """See the base. Raises UserError where timm cannot build it so."""
        return self._build(options, pretrained=False, num_classes=classes)

    def published(self, options: Mapping[str, Any]) -> Source:
        """See the base; learnt positions are resampled to the size."""
        state = self._build(options, pretrained=True).state_dict()
        return Source(state, f"the published weights of {self.name}", digest(state))

    def _build(self, options: Mapping[str, Any], **more: Any) -> nn.Module:
        import timm

        if options["size"]:
            more["img_size"] = options["size"]
        if options["dropout"]:
            more["drop_rate"] = options["dropout"]
        what, remedy = f"model '{self.name}' cannot be made", "Choose another data.size, or 0 for its own."
        if more["pretrained"]:
            what = f"model '{self.name}': its published weights cannot be had"
            remedy = (
                "They are downloaded: connect to the network, give a local checkpoint with model.weights, or take lite0 as "
                "model.name, whose weights are installed."
            )
        with quietly(what, remedy):
            network: nn.Module = timm.create_model(self._model, **more)
        return network

    def fitted(self, network: nn.Module, state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        """timm keeps beside each architecture what turns others' checkpoints, and other sizes', into its own."""
        own = network.state_dict()
        if all(name in state and state[name].shape == value.shape for name, value in own.items()):
            return state
        convert = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
        if convert is None:
            return state
        try:
            found: Mapping[str, torch.Tensor] = convert(dict(state), network)
        except (
            Exception
        ):  # it was written for checkpoints of the architecture; of others the caller says what is amiss
            return state
        return found
