"""Which weights learn when, and how fast: a frozen backbone, and learning rates that fall away from the head."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from classify.settings import TransferSettings


class Freezing:
    """Holds the backbone still where the settings say so.

    Parameters
    ----------
    network : the module in training.
    head : names of the head's tensors in `network.state_dict()`; where it is empty, nothing is ever frozen.
    settings : `mode` and `head_share`.
    """

    def __init__(self, network: nn.Module, head: frozenset[str], settings: TransferSettings) -> None:
        from torch.nn.modules.batchnorm import _NormBase

        self._network = network
        self._backbone = [
            value
            for name, value in network.named_parameters()
            if head and name not in head and value.requires_grad
        ]
        self._norms = [module for module in network.modules() if isinstance(module, _NormBase)]
        self._settings = settings
        self.frozen = False
        self.at(0.0)

    def at(self, used: float) -> None:
        """Freeze or free the backbone as it should be at the share `used` (0..1) of the budget."""
        mode = self._settings.mode
        frozen = mode == "head" or (mode == "head-first" and used < self._settings.head_share)
        self.frozen = frozen and bool(self._backbone)
        for value in self._backbone:
            value.requires_grad_(not self.frozen)

    def train(self) -> None:
        """Put the network into training mode, but the running statistics of a frozen backbone stay as they are."""
        self._network.train()
        if self.frozen:
            for norm in self._norms:
                norm.eval()


def scaled_groups(network: nn.Module, head: frozenset[str], layer_decay: float) -> list[dict[str, Any]]:
    """All parameters by layer, the head's first: `params`, and `lr_scale`, the factor on the learning rate.

    The factor is `layer_decay` to the power of the layer's distance from the head (Clark et al., "ELECTRA", 2020;
    Bao et al., "BEiT", 2022). At 1 there is one group with the factor 1.
    """
    if layer_decay == 1:
        return [{"params": list(network.parameters()), "lr_scale": 1.0}]
    far = distances(network, head)
    groups: dict[int, list[Any]] = {}
    for name, value in network.named_parameters():
        groups.setdefault(far[name], []).append(value)
    return [{"params": groups[step], "lr_scale": layer_decay**step} for step in sorted(groups)]


def distances(network: nn.Module, head: frozenset[str]) -> dict[str, int]:
    """How many layers each parameter is from the head, by name: the head 0, the layer below it 1.

    Layers are those of timm's `group_matcher` where the network has one, else what stands together in the network: a
    numbered block, or a part of the network with all below it.
    """
    found = [name for name, _ in network.named_parameters()]
    matcher: Any = getattr(network, "group_matcher", None)
    if matcher is not None:
        from timm.models import group_parameters

        layers = group_parameters(network, matcher(coarse=False), reverse=True)
    else:
        body = [name for name in found if name not in head]
        columns = zip(*(name.split(".")[:-1] for name in body), strict=False)
        shared = sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, columns))
        units = {name: _unit(network, name, shared) for name in body}
        order = {unit: place for place, unit in enumerate(dict.fromkeys(units.values()))}
        layers = {name: order[unit] for name, unit in units.items()}
    top = max((layers[name] for name in found if name not in head), default=0)
    return {name: 0 if name in head else top + 1 - layers[name] for name in found}


_STACK = re.compile(r"layers?|blocks?|stages")


def _unit(network: nn.Module, name: str, shared: int) -> str:
    """The layer that the parameter `name` stands in; the first `shared` parts of the name are the whole backbone's.

    A numbered module with modules of its own is a block (`vit.layers.3`, `stages.1.layers.0`, but not the convolution
    `stem.0`); what is in none belongs to its part of the backbone (`vit.embeddings`, `stem`).
    """
    parts = name.split(".")
    blocks = [
        place
        for place, part in enumerate(parts)
        if part.isdigit() and list(network.get_submodule(".".join(parts[: place + 1])).children())
    ]
    if not blocks:
        return ".".join(parts[: shared + 1])
    stacked = len(blocks) > 1 and _STACK.fullmatch(parts[blocks[1] - 1])
    return ".".join(parts[: blocks[1 if stacked else 0] + 1])
