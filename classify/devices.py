"""Where a run computes, and what is said where the memory there does not suffice."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch

from classify.settings import Settings
from curate.errors import UserError


def chosen_device(settings: Settings) -> torch.device:
    """Where a run with these settings computes here. Raises UserError where there is no GPU and one is asked for."""
    name = settings.training.device
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "training.device is cuda, but no GPU can be used here.", "Use --set training.device=auto."
        )
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


@contextlib.contextmanager
def room(settings: Settings) -> Iterator[None]:
    """Too little memory, of the processor or of a GPU, as UserError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch's error for the processor's memory has no type of its own.
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "allocate memory" not in str(
            error
        ):
            raise
        side = f" of {settings.data.size} px" if settings.data.size else ""
        raise UserError(
            f"The memory does not hold this: batches of {settings.training.batch_size} pictures{side}, "
            f"network {settings.model.name}.",
            "Take a smaller training.batch_size, data.size or network, or data.cache=disk.",
        ) from error
