"""The networks, by name.

A new model is one function that returns a module, with `@register("name")` above it; its module is named in
`_MODULES`. Tests are parametrised over the registry, so a model is tested by being registered.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from curate.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from classify.settings import Settings

Build = Callable[..., "nn.Module"]

_MODULES = ("classify.models.residual",)
_REGISTRY: dict[str, Build] = {}


def register(name: str) -> Callable[[Build], Build]:
    """Decorator: make `function(classes: int, **options)` known as `name`.

    The module that it returns takes float32 (N, 3, S, S) and gives logits float32 (N, classes).
    """

    def add(function: Build) -> Build:
        _REGISTRY[name] = function
        return function

    return add


def names() -> list[str]:
    """The names of all models, sorted."""
    for module in _MODULES:
        importlib.import_module(module)
    return sorted(_REGISTRY)


def create(name: str, classes: int, options: Mapping[str, Any] | None = None) -> nn.Module:
    """A new network for `classes` classes, its weights drawn from torch's global generator.

    `options` are the model's own, such as `size` (pixels) and `width` (channels). Raises UserError for a name or an
    option that is not known, with the closest match.
    """
    known = names()
    if name not in known:
        close = difflib.get_close_matches(name, known, 1, 0.4)
        hint = f"Did you mean '{close[0]}'?" if close else ""
        raise UserError(f"model '{name}' is not known.", f"{hint} Known: {', '.join(known)}.".strip())
    return _REGISTRY[name](classes, **dict(options or {}))


def from_seed(settings: Settings, classes: int) -> tuple[nn.Module, dict[str, Any]]:
    """The network that a run starts with, and the options that `create` took: the same seed, the same weights.

    Sets torch's global generator. Training and `classify verify` both come here. Raises UserError like `create`.
    """
    import torch

    options = {
        "size": settings.data.size,
        "width": settings.model.width,
        "dropout": settings.model.dropout,
    }
    torch.manual_seed(settings.training.seed)
    return create(settings.model.name, classes, options), options
