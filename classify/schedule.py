"""How much of the budget is used, and the learning rate that goes with it."""

from __future__ import annotations

import math
from collections.abc import Callable

from classify.settings import OptimizerSettings


class Budget:
    """Share of a run that is done, 0..1: of its steps or of its seconds, whichever is further.

    Parameters
    ----------
    steps : steps that the run takes at most.
    seconds : time that it may take at most, closing included; 0 for no limit.

    With a time limit the schedule follows the clock, so warm-up and decay end in time even where the machine slows
    down meanwhile; without one it depends on the step alone, and a run can be repeated exactly.
    """

    def __init__(self, steps: int, seconds: float) -> None:
        self.steps = steps
        self.seconds = seconds
        self.closing = 0.0
        """Seconds that the end of a run takes: the longest evaluation and saving so far."""

    def used(self, step: int, elapsed: float) -> float:
        """Share that is used after `step` steps and `elapsed` seconds; 1 or more: the end."""
        used = step / self.steps
        if self.seconds > 0:
            used = max(used, elapsed / max(self.seconds - 1.5 * self.closing, 1e-9))
        return used


DECAYS: dict[str, Callable[[float], float]] = {
    "cosine": lambda along: (1 + math.cos(math.pi * along)) / 2,  # Loshchilov & Hutter, SGDR, 2017
    "linear": lambda along: 1 - along,
    "polynomial": lambda along: (1 - along) ** 2,
    "exponential": lambda along: 0.01**along,
    "step": lambda along: 0.1 ** sum(along >= edge for edge in (0.5, 0.75)),  # He et al., 2016, for CIFAR
    "trapezoid": lambda along: min(1.0, (1 - along) / 0.4),  # warm-up, stable, decay: Haegele et al., 2024
    "constant": lambda along: 1.0,
}
"""Shapes by name: share of what follows the warm-up, 0..1, to the share of the highest rate. All but step, exponential and
constant end at 0."""


def learning_rate(settings: OptimizerSettings, highest: float, used: float) -> float:
    """The rate at the share `used` (0..1) of the budget: linear rise, then the fall that the settings name (`DECAYS`)."""
    used = min(max(used, 0.0), 1.0)
    if used < settings.warmup:
        return highest * used / settings.warmup
    along = (used - settings.warmup) / max(1 - settings.warmup, 1e-9)
    return highest * DECAYS[settings.decay](along)


_STEP = 8
"""Pixels by which pictures grow at once: halvings of the network come out even, and kernels are built for few sizes."""


def side(first: int, full: int, grown: float, used: float) -> int:
    """Side of the pictures, pixels, at the share `used` (0..1) of the budget: from `first` to `full` at the share `grown`.

    Progressive resizing (Howard, 2018; Tan & Le, EfficientNetV2, 2021): small pictures cost less, and what they teach
    carries over. `first` 0: `full` all along.
    """
    if not first or used >= grown:
        return full
    return min(full, first + int((full - first) * used / grown) // _STEP * _STEP)
