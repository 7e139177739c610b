"""Several processes that train one network together, as `torchrun` starts them; or one alone.

Each process holds all pictures and works on its part of every batch; gradients are averaged
(`torch.nn.parallel.DistributedDataParallel`). The first process decides, writes and speaks.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

from curate.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn


@dataclass(frozen=True)
class Group:
    """The processes of a run: `rank` of this one, counted from 0, of `size`."""

    rank: int = 0
    size: int = 1
    control: Any = None
    """torch's group for plain numbers on the processor, so that a GPU is never waited for."""

    @property
    def first(self) -> bool:
        """Whether this process decides, writes and speaks."""
        return self.rank == 0

    def part(self, batch: NDArray[np.int64]) -> NDArray[np.int64]:
        """This process's part of a batch's indices, int64 (N / size,)."""
        return batch[self.rank :: self.size]

    def agree(self, *numbers: float) -> list[float]:
        """The first process's numbers, in every process."""
        if self.size == 1:
            return list(numbers)
        found = torch.tensor(numbers, dtype=torch.float64)
        self._told(found)
        return [float(number) for number in found]

    def _told(self, numbers: torch.Tensor) -> None:
        """Put the first process's numbers into every process's. Raises UserError where one of them has ended."""
        try:
            distributed.broadcast(numbers, 0, group=self.control)
        except RuntimeError as error:
            raise UserError(
                "Another of the processes that train together has ended.", "See what it said."
            ) from error

    def alike(self, text: str) -> bool:
        """Whether all processes have the same text."""
        if self.size == 1:
            return True
        same = torch.tensor([float(self.agree_text(text) == text)], dtype=torch.float64)
        distributed.all_reduce(same, distributed.ReduceOp.MIN, group=self.control)
        return bool(same.item())

    def agree_text(self, text: str) -> str:
        """The first process's text, in every process."""
        if self.size == 1:
            return text
        data = text.encode()
        (length,) = self.agree(len(data))
        found = torch.zeros(int(length), dtype=torch.uint8)
        if self.first:
            found[:] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        self._told(found)
        return bytes(found.tolist()).decode()

    def shared(self, network: nn.Module, changing: bool = False) -> nn.Module:
        """The network as training calls it: gradients are averaged over the processes.

        `changing`: not all weights learn in every step.
        """
        if self.size == 1:
            return network
        return torch.nn.parallel.DistributedDataParallel(network, find_unused_parameters=changing)


ALONE = Group()


def speaks() -> bool:
    """Whether this process is the one that prints: the first that `torchrun` started, or one that is alone."""
    return os.environ.get("RANK", "0") == "0"


@contextlib.contextmanager
def join(device: torch.device, batch_size: int) -> Iterator[Group]:
    """The group that `torchrun` put this process into; a process started without it is alone.

    Raises UserError where the batch cannot be divided evenly.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    if batch_size % size:
        raise UserError(
            f"training.batch_size is {batch_size}: it cannot be divided among {size} processes.",
            f"Take a multiple of {size}: --set training.batch_size={max(size, batch_size // size * size)}.",
        )
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Group(distributed.get_rank(), size, distributed.new_group(backend="gloo"))
    finally:
        distributed.destroy_process_group()
