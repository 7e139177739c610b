"""The networks, by name.

A new model is one function that returns a module, with `@register("name")` above it; its module is named in
`_MODULES`. Tests are parametrised over the registry, so a model is tested by being registered.

Networks of other libraries have names of their own: `lite0`, `timm:NAME` and `hf:FOLDER_OR_ID`, see `family_of`.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from curate.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from classify.models.family import Family

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


_FAMILIES = ("lite0", "timm:NAME", "hf:FOLDER_OR_ID")


def family_of(name: str) -> Family | None:
    """The published network of that name; None for one of the registry. Raises UserError where its library has none."""
    kind, _, rest = name.partition(":")
    if name == "lite0":
        from classify.models.lite0 import Lite0

        return Lite0()
    if kind == "timm" and rest:
        from classify.models.timm_family import Timm

        return Timm(rest)
    if kind == "hf" and rest:
        from classify.models.hf_family import Transformers

        return Transformers(rest)
    return None


def create(name: str, classes: int, options: Mapping[str, Any] | None = None) -> nn.Module:
    """A new network for `classes` classes, its weights drawn from torch's global generator.

    `options` are the model's own, such as `size` (pixels) and `width` (channels). Raises UserError for a name or an
    option that is not known, with the closest match.
    """
    family = family_of(name)
    if family is not None:
        return family.create(classes, dict(options or {}))
    known = [*names(), *_FAMILIES]
    if name not in _REGISTRY:
        close = difflib.get_close_matches(name, known, 1, 0.4)
        hint = f"Did you mean '{close[0]}'?" if close else ""
        raise UserError(f"model '{name}' is not known.", f"{hint} Known: {', '.join(known)}.".strip())
    return _REGISTRY[name](classes, **dict(options or {}))
