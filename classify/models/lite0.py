"""EfficientNet-Lite0 (Tan & Le, arXiv:1905.11946), whose ImageNet weights are an installed package: they need no network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from classify.models.family import Family, Look, Source
from classify.provenance import file_digest
from curate.encoders import builtin_weights, load_checkpoint

if TYPE_CHECKING:
    import torch
    from torch import nn


class Lite0(Family):
    """timm's definition of the network with the package's weights."""

    name = "lite0"

    def look(self) -> Look:
        """Those of the training: 224 px, (pixel - 127) / 128."""
        return Look(224, (127 / 255,) * 3, (128 / 255,) * 3)

    def options(self, size: int, dropout: float) -> dict[str, Any]:
        """Any size will do, so it is not among them."""
        del size
        return {"dropout": dropout}

    def create(self, classes: int, options: Mapping[str, Any]) -> nn.Module:
        """See the base."""
        import timm

        network: nn.Module = timm.create_model(
            "tf_efficientnet_lite0", pretrained=False, num_classes=classes, drop_rate=options["dropout"]
        )
        return network

    def published(self, options: Mapping[str, Any]) -> Source:
        """The installed file. Raises UserError where it is not installed."""
        del options
        file = builtin_weights()
        return Source(load_checkpoint(file), file.name, file_digest(file) or "")

    def fitted(self, network: nn.Module, state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        """The package's file calls the same tensors, in the same order, by other names."""
        own = network.state_dict()
        if "_conv_stem.weight" not in state or len(own) != len(state):
            return state
        return dict(zip(own, state.values(), strict=True))
