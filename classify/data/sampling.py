"""Which pictures an epoch draws, and in what order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def draw_epoch(rates: NDArray[np.float64], count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Indices of `count` draws in random order, int64 (count,), each picture about in proportion to its rate.

    `rates` (N,) are not negative, and not all zero. Systematic sampling: a picture is drawn the whole number below or
    above its expected number of times, so with equal rates and count N each is drawn once. Depends on seed and epoch
    alone.
    """
    generator = np.random.default_rng((seed, epoch))
    order = generator.permutation(len(rates))
    edges = np.cumsum(rates[order])
    ticks = (np.arange(count) + generator.random()) * (edges[-1] / count)
    drawn = order[np.minimum(np.searchsorted(edges, ticks, side="right"), len(rates) - 1)]
    return generator.permutation(drawn).astype(np.int64)
