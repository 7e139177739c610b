"""One training step: a network, its moving average and its optimiser, and their state as tensors."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from classify.data.augmentation import Augmentation
from classify.distributed import ALONE, Group
from classify.groups import Freezing, scaled_groups
from classify.losses import loss
from classify.optimizers import make_optimizers
from classify.settings import Settings
from classify.stopwatch import Stopwatch
from classify.weights import Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EVALUATION_BATCH = 256

_TRIALS = 2
"""Steps by which a plan is measured; the quickest counts."""

_FEW = 8
"""Part of a batch that warms a plan up: without instructions for it, reduced precision is ten times slower, and a whole batch
would cost seconds."""

_HOPELESS = 3
"""A plan that takes so many times as long as the quickest with that part is not measured."""

_CLEARLY = 1.25
"""So many times quicker channels first must be to be taken."""


@dataclass(frozen=True)
class Plan:
    """How the arithmetic is done: `precision` fp32 or bf16 (autocast), memory order of the network's tensors."""

    precision: str
    channels_last: bool

    def __str__(self) -> str:
        """For people."""
        return f"{self.precision}, {'channels last' if self.channels_last else 'channels first'}"


class Learner:
    """A network in training. Steps draw all their random numbers from the seed and the step's number.

    Parameters
    ----------
    network : the module; float32 (N, 3, S, S) to logits (N, classes).
    settings : those of the run.
    preprocessing : from uint8 pictures to the network's input.
    plan : precision and memory order.
    device : where the network and the pictures are.
    group : the processes that train together.
    head : names of the head's tensors, where the network starts from others' weights (see `classify.groups`).
    """

    def __init__(
        self,
        network: nn.Module,
        settings: Settings,
        preprocessing: Preprocessing,
        plan: Plan,
        device: torch.device,
        group: Group = ALONE,
        head: frozenset[str] = frozenset(),
    ) -> None:
        order = torch.channels_last if plan.channels_last else torch.contiguous_format
        self.network = network.to(device).to(memory_format=order)
        self.averaged = copy.deepcopy(self.network).requires_grad_(False).eval()
        self.group = group
        self.forward = group.shared(self.network, changing=settings.transfer.mode != "full")
        self.waiting = Stopwatch(device)
        """Time until the steps' batches were ready: who chooses the pictures of a step begins it."""
        self.settings = settings
        self.preprocessing = preprocessing
        self.plan = plan
        self.device = device
        self.augmentation = Augmentation(settings.augmentation)
        groups = scaled_groups(self.network, head, settings.transfer.layer_decay)
        self.optimizers = make_optimizers(settings.optimizer, groups, settings.model.members)
        self.freezing = Freezing(self.network, head, settings.transfer)
        self.shift: torch.Tensor | None = None
        """Added to the logits in training, float32 (classes,): see `classify.losses.log_shares`."""
        self._order = order

    def step(
        self, images: torch.Tensor, targets: torch.Tensor, rate: float, number: int, side: int = 0
    ) -> torch.Tensor:
        """Learn from pictures uint8 (N, S, S, 3) and targets float32 (N, C) at a learning rate; the loss, a scalar.

        A target row is a distribution over classes times the picture's weight. `side`: what the network sees, pixels, where
        that is fewer than S.
        """
        seed = (self.settings.training.seed * 1_000_003 + number) * self.group.size + self.group.rank
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        batch = images.to(self.device, non_blocking=True).permute(0, 3, 1, 2).float() / 255
        batch = self.augmentation.pictures(batch, generator)
        batch = resized(batch, side)
        batch, targets = self.augmentation.blend(batch, targets, generator)
        batch = self.preprocessing.normalized(batch).contiguous(memory_format=self._order)
        self.waiting.ready()
        self.freezing.train()
        with self.autocast():
            logits = self.forward(batch)
        if self.shift is not None:
            logits = logits + self.shift
        found = loss(logits, targets, self.settings.optimizer.focal)
        self.network.zero_grad()
        found.backward()  # type: ignore[no-untyped-call]
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["lr_scale"]
            optimizer.step()
        self._average(number)
        return found.detach()

    def targets(self, labels: torch.Tensor, weights: torch.Tensor, classes: int) -> torch.Tensor:
        """Rows for `step`: labels int64 (N,) smoothed, times weights float32 (N,): float32 (N, classes)."""
        smoothing = self.settings.optimizer.label_smoothing
        rows = torch.full((len(labels), classes), smoothing / classes, device=labels.device)
        rows.scatter_(1, labels[:, None], 1 - smoothing + smoothing / classes)
        return rows * weights[:, None]

    def predict(self, images: torch.Tensor, rows: torch.Tensor, side: int = 0) -> NDArray[np.int64]:
        """Class of each picture `rows` int64 (N,) of `images` uint8 (M, S, S, 3) by the averaged weights: int64 (N,).

        `side` as for `step`.
        """
        found = [torch.zeros(0, dtype=torch.int64)]
        with torch.inference_mode(), self.autocast():
            for start in range(0, len(rows), _EVALUATION_BATCH):
                chosen = pick(images, rows[start : start + _EVALUATION_BATCH])
                batch = resized(self.preprocessing.tensor(chosen.to(self.device, non_blocking=True)), side)
                found.append(self.averaged(batch.contiguous(memory_format=self._order)).argmax(1).cpu())
        return torch.cat(found).numpy()

    def autocast(self) -> torch.autocast:
        """The precision that the run computes in, as a context."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.plan.precision == "bf16")

    @torch.no_grad()
    def _average(self, number: int) -> None:
        """Exponential moving average, shorter at the start so that the first weights are soon forgotten."""
        decay = min(self.settings.optimizer.ema, (1 + number) / (10 + number))
        mine, its = list(_numbers(self.network)), list(_numbers(self.averaged))
        torch._foreach_lerp_(its, mine, 1 - decay)

    # State -----------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, torch.Tensor]:
        """All that `restore` needs, as named tensors."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"averaged.{name}": value for name, value in self.averaged.state_dict().items()}
        for number, optimizer in enumerate(self.optimizers):
            for index, parts in optimizer.state_dict()["state"].items():
                for name, value in parts.items():
                    if value is not None:
                        tensors[f"optimizer.{number}.{index}.{name}"] = torch.as_tensor(value)
        return tensors

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take back what `state` gave. Raises KeyError or RuntimeError where it is of another network."""
        self.network.load_state_dict(_below(tensors, "network."))
        self.averaged.load_state_dict(_below(tensors, "averaged."))
        for number, optimizer in enumerate(self.optimizers):
            state: dict[int, dict[str, torch.Tensor]] = {}
            for name, value in _below(tensors, f"optimizer.{number}.").items():
                index, _, key = name.partition(".")
                state.setdefault(int(index), {})[key] = value
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def pick(images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """The pictures `rows` int64 (N,) of `images`, on whatever device these are."""
    return images[rows.to(images.device, non_blocking=True)]


def resized(batch: torch.Tensor, side: int) -> torch.Tensor:
    """Pictures float32 (N, 3, S, S) at `side` pixels where that is fewer than S, and more than none."""
    if not 0 < side < batch.shape[2]:
        return batch
    return F.interpolate(batch, (side, side), mode="bilinear", antialias=True)


def resident(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The pictures on `device` where they take no more than half of the memory that is free there, else as they are."""
    if device.type == "cuda" and images.nbytes > torch.cuda.mem_get_info(device)[0] // 2:
        return images
    return images.to(device)


def _below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def _numbers(module: nn.Module) -> Iterable[torch.Tensor]:
    """Parameters and the buffers that are averages themselves."""
    yield from module.parameters()
    for buffer in module.buffers():
        if buffer.is_floating_point():
            yield buffer


def fastest_plan(
    network: nn.Module,
    settings: Settings,
    preprocessing: Preprocessing,
    device: torch.device,
    classes: int,
    seconds: float = math.inf,
    head: frozenset[str] = frozenset(),
) -> tuple[Plan, dict[str, float]]:
    """Precision and memory order whose steps are quickest here, and the pictures a second of each that was tried.

    Reduced precision is slow on processors without instructions for it, so it is measured, on copies of the network,
    by turns so that a busy machine slows all of them alike. Channels first must win clearly, since channels last
    nearly always wins and one noisy measurement should not decide otherwise. No round of whole batches but the first is
    begun after `seconds`.
    Where the settings name the precision nothing is measured: the clock must not decide what the same seed gives.
    """
    if settings.training.precision != "auto":
        return Plan(settings.training.precision, True), {}
    plans = [Plan(precision, last) for last in (True, False) for precision in ("fp32", "bf16")]
    count, size = settings.training.batch_size, preprocessing.size
    images = torch.zeros((count, size, size, 3), dtype=torch.uint8, device=device)
    targets = torch.full((count, classes), 1 / classes, device=device)
    learners = {
        plan: Learner(copy.deepcopy(network), settings, preprocessing, plan, device, head=head)
        for plan in plans
    }
    for learner in learners.values():
        learner.freezing.at(1.0)  # what most of the budget goes to
    begun = time.perf_counter()
    few = max(2 * settings.model.members, count // _FEW)
    first = dict.fromkeys(plans, math.inf)
    for _ in range(_TRIALS):  # the first step of all also pays for whatever is set up once
        for plan in plans:
            first[plan] = min(first[plan], _seconds(learners[plan], images[:few], targets[:few]))
    hopeful = [plan for plan in plans if first[plan] <= _HOPELESS * min(first.values())]
    best = dict.fromkeys(hopeful, math.inf)
    for _ in range(_TRIALS):
        for plan in hopeful:
            best[plan] = min(best[plan], _seconds(learners[plan], images, targets))
        if time.perf_counter() - begun > seconds:
            break
    fastest = min(hopeful, key=lambda plan: best[plan] * (1 if plan.channels_last else _CLEARLY))
    return fastest, {str(plan): count / best[plan] for plan in hopeful}


def _seconds(learner: Learner, images: torch.Tensor, targets: torch.Tensor) -> float:
    """What a step takes."""
    start = time.perf_counter()
    learner.step(images, targets, 0.0, 0)
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)
    return time.perf_counter() - start
