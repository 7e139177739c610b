"""Networks that others have designed and published: one family a library, its members named behind a prefix."""

from __future__ import annotations

import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.encoders import cause
from curate.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Look:
    """What a network was made for: pictures of `size` pixels, shifted and scaled by `mean` and `std` (of 0..1)."""

    size: int
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD


@dataclass(frozen=True)
class Source:
    """Weights to start from: `state` by name, `title` for people, `sha256` of the file or of the tensors.

    `classes` are those that the head tells apart, where that is known: only of our own weights files.
    """

    state: Mapping[str, torch.Tensor]
    title: str
    sha256: str
    classes: tuple[str, ...] = ()


class Family(ABC):
    """One member of a family; `name` is what the settings call it, with the prefix."""

    name: str

    @abstractmethod
    def look(self) -> Look:
        """Size and colours that the network was made for."""

    @abstractmethod
    def options(self, size: int, dropout: float) -> dict[str, Any]:
        """What `create` needs besides the classes, JSON-able: with it the architecture is built again offline."""

    @abstractmethod
    def create(self, classes: int, options: Mapping[str, Any]) -> nn.Module:
        """The architecture with random weights: float32 (N, 3, S, S) to logits (N, classes)."""

    @abstractmethod
    def published(self, options: Mapping[str, Any]) -> Source:
        """The published weights, downloaded where they are not here. Raises UserError where they cannot be had."""

    def fitted(self, network: nn.Module, state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        """A checkpoint's tensors under the names, and in the shapes, of `network`, where the family knows how."""
        del network
        return state


@contextlib.contextmanager
def quietly(what: str, remedy: str) -> Iterator[None]:
    """Run a library's loading: its errors as one UserError about `what`, and none of its warnings.

    Offline, the hub's client logs every one of its retries; the error says the same in one line.
    """
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # the libraries raise nearly anything
        raise UserError(f"{what} ({cause(error)}).", remedy) from error
    finally:
        logging.disable(before)
