"""The networks, by name.

A new model is one function that returns a module, with `@register("name")` above it; its module is named in
`_MODULES`. Tests are parametrised over the registry, so a model is tested by being registered.

Networks of other libraries have names of their own: `lite0`, `timm:NAME` and `hf:FOLDER_OR_ID`, see `family_of`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from curate.errors import UserError, known_names

if TYPE_CHECKING:
    import torch
    from torch import nn

    from classify.models.family import Family

Build = Callable[..., "nn.Module"]

_MODULES = (
    "classify.models.lenet",
    "classify.models.plain",
    "classify.models.residual",
    "classify.models.speedrun",
)
_REGISTRY: dict[str, Build] = {}
_ANY_SIZE: set[str] = set()


@runtime_checkable
class Preparing(Protocol):
    """A network that wants to see training pictures before its first step; a loaded one never needs to."""

    def prepare(self, images: torch.Tensor) -> None:
        """Set weights from float32 (N, 3, S, S), normalised as in training; the same pictures, the same weights."""


@dataclass(frozen=True)
class Model:
    """A row of `overview`: `name`, `about` in one line, number of `weights` (frozen ones too)."""

    name: str
    about: str
    weights: int


def register(name: str, any_size: bool = True) -> Callable[[Build], Build]:
    """Decorator: make `function(classes, size, width, dropout)` known as `name`; its docstring's first line says what it is.

    `classes` (int) is the number of classes, `size` (int) the side of the pictures in pixels, `width` (int) the
    channels of the first stage (0: the model's own usual), `dropout` (float) the share of features dropped before the
    head; all but `classes` have defaults. The module that it returns takes float32 (N, 3, S, S) and gives logits
    float32 (N, classes). A size too small for the model raises UserError. `any_size`: one made for S pixels also takes
    pictures of half as many, so that training may begin with small ones.
    """

    def add(function: Build) -> Build:
        _REGISTRY[name] = function
        if any_size:
            _ANY_SIZE.add(name)
        return function

    return add


def names() -> list[str]:
    """The names of all models, sorted."""
    for module in _MODULES:
        importlib.import_module(module)
    return sorted(_REGISTRY)


def takes_any_size(name: str) -> bool:
    """Whether `name` is a network of the registry that takes pictures of other sizes than it was made for."""
    return name in names() and name in _ANY_SIZE


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


def check_name(name: str, where: str = "") -> None:
    """Raise UserError, with the closest match, where `name` is no network's; `where` names the file that says it."""
    if family_of(name) is None and name not in names():
        told = f"{where}: model" if where else "model"
        raise UserError(f"{told} '{name}' is not known.", known_names(name, [*names(), *_FAMILIES]))


def create(name: str, classes: int, options: Mapping[str, Any] | None = None) -> nn.Module:
    """A new network for `classes` classes, its weights drawn from torch's global generator.

    `options` are `size`, `width` and `dropout`, see `register`, and `members`, the number of such networks that make one
    (`classify.models.ensemble`). Raises UserError for a name that is not known, with the closest match, and for a size that
    is too small for the model.
    """
    options = dict(options or {})
    if (members := options.pop("members", 1)) > 1:
        from classify.models.ensemble import Ensemble

        return Ensemble([create(name, classes, options) for _ in range(members)])
    family = family_of(name)
    if family is not None:
        return family.create(classes, options)
    check_name(name)
    return _REGISTRY[name](classes, **options)


def too_small(name: str, size: int, least: int) -> UserError:
    """The error for pictures of `size` pixels where model `name` needs `least`."""
    return UserError(
        f"model '{name}' takes pictures of {least} pixels or more, not {size}.",
        f"Use --set data.size={least} or more, or another model: see `classify models`.",
    )


def overview(classes: int = 10, size: int = 64) -> list[Model]:
    """All models at their usual width, with the number of their weights for so many classes and pixels."""
    import torch

    found = []
    for name in names():
        with torch.device("meta"):  # shapes only: nothing is allocated
            network = create(name, classes, {"size": size})
        about = (inspect.getdoc(_REGISTRY[name]) or "").partition("\n")[0]
        found.append(Model(name, about, sum(value.numel() for value in network.parameters())))
    return found
