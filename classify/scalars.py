"""Curves for TensorBoard, where the user wants them and has installed it."""

from __future__ import annotations

import contextlib
import importlib.util
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from classify.settings import Settings
from curate.errors import UserError

if TYPE_CHECKING:
    from classify.history import Epoch

FOLDER = "tensorboard"

_TAGS = {
    "loss": "training/loss",
    "macro_f1": "validation/macro_f1",
    "accuracy": "validation/accuracy",
    "rate": "training/pictures_per_second",
    "learning_rate": "training/learning_rate",
}


def check_tensorboard(settings: Settings) -> None:
    """Raise UserError where the settings ask for TensorBoard and it is not installed."""
    if settings.training.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise UserError(
            "training.tensorboard is true, but TensorBoard is not installed.",
            "Install it with: pip install 'curate-classify[tensorboard]', or leave the setting away.",
        )


@contextlib.contextmanager
def scalars(
    run: Path, settings: Settings, done: int, on_epoch: Callable[[Epoch], None]
) -> Iterator[Callable[[Epoch], None]]:
    """Give `on_epoch`, which also writes each epoch's scalars to RUN/tensorboard where the settings ask for it.

    `done` is the number of epochs that the run goes on after: what a killed session wrote of later ones is hidden.
    """
    if not settings.training.tensorboard:
        yield on_epoch
        return
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(run / FOLDER), purge_step=done + 1) as writer:

        def write(epoch: Epoch) -> None:
            for key, tag in _TAGS.items():
                value = getattr(epoch, key)
                if not math.isnan(value):
                    writer.add_scalar(tag, value, epoch.epoch)
            writer.flush()
            on_epoch(epoch)

        yield write
