"""How long the steps of training waited until their batch was ready for the network."""

from __future__ import annotations

import time
from typing import Any

import torch


class Stopwatch:
    """Time between `begin` and `ready`, over many steps.

    On a GPU it is that of the device, by events in its stream: the processor runs ahead there, and its own clock would say
    nothing. Nothing waits for the device but `seconds`.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._spans: list[tuple[Any, Any]] = []
        self._sum = 0.0
        self._begun: Any = None

    def begin(self) -> None:
        """The batch is asked for."""
        self._begun = self._now()

    def ready(self) -> None:
        """The batch is as the network takes it. Does nothing where nothing was begun."""
        if self._begun is None:
            return
        if self._device.type == "cuda":
            self._spans.append((self._begun, self._now()))
        else:
            self._sum += self._now() - self._begun
        self._begun = None

    def seconds(self) -> float:
        """The sum since the last time it was asked for."""
        if self._spans:
            self._spans[-1][1].synchronize()
            self._sum += sum(begun.elapsed_time(ended) for begun, ended in self._spans) / 1000
            self._spans.clear()
        found, self._sum = self._sum, 0.0
        return found

    def _now(self) -> Any:
        if self._device.type != "cuda":
            return time.perf_counter()
        # torch gives its events no types.
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event
