"""The training loop: one session of a run, inside a time budget, and again after a kill."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from classify import checkpoints, fingerprints, models, provenance, weights
from classify.calibration import fit_file
from classify.data.dataset import Dataset
from classify.distributed import Group
from classify.history import Epoch, as_csv, enter, scores, waited
from classify.learner import Learner, Plan, fastest_plan
from classify.pool import Pool
from classify.schedule import Budget, learning_rate, side
from classify.settings import Settings
from classify.transfer import Start, check_size
from classify.views import Views
from classify.weights import write_whole
from curate.errors import UserError
from curate.words import are, counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MEASURING = 0.02
"""Share of the time budget that may go to finding the fastest arithmetic."""

_SAVE_SECONDS = 20.0
"""Least time between two checkpoints."""

_BEST = "best."
"""What the names of the kept weights begin with in a checkpoint."""

_FITTED = 2_000
"""Most validation pictures that a temperature is fitted on: its standard error is then about a fiftieth."""

_SAMPLE = 5_000
_SAMPLE_PIXELS = _SAMPLE * 64**2
"""Most training pictures that a network is prepared with, and most pixels: as floats they are held all at once."""


@dataclass(frozen=True)
class TrainResult:
    """What a run made: the weights files, and the kept epoch's macro-F1 on the validation part (None without one).

    `highest` is the highest mean of five epochs' macro-F1, `seconds` over all sessions, `pictures` seen, `waiting`: share of
    the steps' time until a batch was ready, 0..1. `test`: what to judge on, where a test part was held back, else empty.
    `notes`: sentences on the pictures, such as those that cannot be read.
    """

    run: str
    best: str
    last: str
    epochs: int
    best_epoch: int
    macro_f1: float | None
    highest: float | None
    seconds: float
    pictures: int
    waiting: float
    classes: list[str]
    test: str
    notes: list[str]


class Run:
    """One session of a run: everything that the loop holds."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        begin: Start,
        data: Dataset,
        device: torch.device,
        group: Group,
        start: float,
        say: Callable[[str], None],
        session: provenance.Session,
        test: Path | None,
    ) -> None:
        self.test = test
        self.folder = folder
        self.session = session
        self.preprocessing = begin.preprocessing
        self.data = data
        self.device = device
        self.group = group
        self.say = say
        stored = checkpoints.read(folder)
        self.options = begin.options
        network, head = begin.network(data.classes, settings.training.seed)
        if settings.training.first_size:
            growing = "training.first_size, or 0 for the full size all along"
            check_size(network, begin.name, settings.training.first_size, growing)
        if begin.source:
            say(f"Starting from {begin.describe(data.classes)}.")
        initial = {name: value.clone() for name, value in network.state_dict().items()}
        if isinstance(network, models.Preparing) and not (stored or begin.source):
            count = min(_SAMPLE, _SAMPLE_PIXELS // begin.preprocessing.size**2)
            spread = data.train.rows[:: max(1, len(data.train) // count)][:count]
            network.prepare(begin.preprocessing.tensor(torch.from_numpy(data.train.store[spread])))
        plan, settings = self._plan(network, settings, stored, head)
        self.settings = settings
        self.learner = Learner(network, settings, begin.preprocessing, plan, device, group, head)
        self.state = checkpoints.Progress()
        self.about = {
            "data": data.fingerprint,
            "drawn": data.draws,
            "classes": data.classes,
            "channels_last": plan.channels_last,
            "processes": group.size,
        }
        self.best: dict[str, torch.Tensor] = {}
        """The weights that are kept."""
        self.written = 0
        """The epoch that `best.safetensors` is of; 0 where this session has not written it."""
        if stored:
            self._restore(stored)
        self.clock = start - self.state.elapsed
        self.saved = time.monotonic()
        self.pool = Pool(data.train, settings, len(data.classes), device)
        self.learner.shift = self.pool.shift
        self.val_rows = torch.from_numpy(data.val.rows)
        self.budget = self._budget()
        if not self.state.step:
            self._see_time()
        if group.first and not stored:
            write_whole(folder / "settings.toml", settings.to_toml().encode())
            session.begin(
                initial, self.options, settings, data, str(plan), device, begin.describe(data.classes)
            )
        if data.seen:
            write_whole(folder / fingerprints.NAME, fingerprints.pack(data.seen))

    def _plan(
        self, network: torch.nn.Module, settings: Settings, stored: Any, head: frozenset[str]
    ) -> tuple[Plan, Settings]:
        """Precision and memory order: those of the run resumed, else measured; and settings that name the precision."""
        if stored:
            plan = Plan(settings.training.precision, bool(stored[2].get("channels_last")))
        else:
            plan, rates = fastest_plan(
                network,
                settings,
                self.preprocessing,
                self.device,
                len(self.data.classes),
                seconds=_MEASURING * 60 * settings.training.minutes
                if settings.training.minutes
                else math.inf,
                head=head,
            )
            chosen = self.group.agree_text(f"{plan.precision} {plan.channels_last}").split()
            plan = Plan(chosen[0], chosen[1] == "True")
            tried = "; ".join(f"{name} {rate:.0f}" for name, rate in rates.items())
            self.say(
                f"Computing in {plan} on {self.device.type}: "
                f"{f'chosen by the pictures a second here: {tried}' if tried else 'as the settings say'}."
            )
        return plan, settings.replaced({"training": {"precision": plan.precision}}, "training")

    def _restore(self, stored: tuple[dict[str, torch.Tensor], checkpoints.Progress, dict[str, Any]]) -> None:
        tensors, state, about = stored
        if about.get("processes") != self.group.size:
            raise UserError(
                f"{self.folder}: was trained by {counted(about.get('processes', 1), 'process')} together, now there "
                f"{are(self.group.size)} {self.group.size}.",
                "Go on with as many, or start a new run with another --out.",
            )
        if about != self.about:
            raise UserError(
                f"{self.folder}: the pictures, their order or their balance are no longer those that this run started with.",
                "Start a new run with another --out.",
            )
        try:
            self.learner.restore(tensors)
        except (KeyError, RuntimeError, ValueError) as error:
            raise UserError(
                f"{self.folder}: its settings.toml is not that of its checkpoint, which holds another network or optimiser.",
                "Put the settings back, or start a new run with another --out.",
            ) from error
        self.state = state
        kept = {name.removeprefix(_BEST): value for name, value in tensors.items() if name.startswith(_BEST)}
        self.best = kept or self._averaged()
        if self.group.first and not state.finished:
            # A session that was killed while it saved may have left that of a later epoch, which is none of this run now.
            self._write_best()
        self.session.first = state.epoch
        self.say(f"Going on after epoch {state.epoch} ({state.elapsed / 60:.1f} minutes done).")

    def _budget(self) -> Budget:
        """What the run may take: epochs, pictures and minutes, whichever is used first."""
        training = self.settings.training
        steps = training.epochs * self.pool.steps
        if training.pictures:
            steps = min(steps, math.ceil(training.pictures / training.batch_size))
        return Budget(steps, 60 * training.minutes)

    def _see_time(self) -> None:
        """Raise UserError where nothing is left to learn in: the weights would be as they were drawn."""
        (used,) = self.group.agree(self.budget.used(0, self.elapsed))
        if used >= 1:
            raise UserError(
                f"training.minutes = {self.settings.training.minutes:g}: reading the pictures and measuring took all of it "
                f"({self.elapsed / 60:.2g} minutes).",
                "Give it more, or training.minutes=0 and epochs.",
            )

    @property
    def elapsed(self) -> float:
        """Seconds that the run has taken, over all sessions."""
        return time.monotonic() - self.clock

    def train(self, on_epoch: Callable[[Epoch], None]) -> TrainResult:
        """Epochs until the budget is used or patience is over; see `classify.training.train`."""
        if self.state.finished:
            self.say("It had ended already: nothing is left to do.")
        while not self.state.finished:
            epoch = self._epoch()
            if epoch is None:
                self.state.finished = True
            elif self.group.first:
                self._judge(epoch)
                on_epoch(epoch)
                if self.state.finished and epoch.used < 1:
                    self.say(
                        f"Stopped: {self.settings.training.patience} epochs without a better macro-F1 (training.patience)."
                    )
            self.state.finished = bool(*self.group.agree(self.state.finished))
            if self.group.first and (self.state.finished or time.monotonic() - self.saved > _SAVE_SECONDS):
                self._save()
        score = self.state.history[self.state.best_epoch - 1]["macro_f1"] if self.group.first else math.nan
        return TrainResult(
            run=str(self.folder),
            best=str(self.folder / "best.safetensors"),
            last=str(self.folder / "last.safetensors"),
            epochs=self.state.epoch,
            best_epoch=self.state.best_epoch,
            macro_f1=None if math.isnan(score) else score,
            highest=None if math.isnan(score) else self.state.highest,
            seconds=self.elapsed,
            pictures=self.state.step * self.settings.training.batch_size,
            waiting=waited(self.state.history),
            classes=self.data.classes,
            test=str(self.test or ""),
            notes=self.data.notes,
        )

    def _epoch(self) -> Epoch | None:
        """One pass over the training part, or as much of it as the budget allows, and its evaluation; None where the time
        ran out before the first step.
        """
        training = self.settings.training
        begun, done = time.monotonic(), 0
        losses = []
        for indices in self.pool.epoch(self.state.epoch):
            (used,) = self.group.agree(self.budget.used(self.state.step, self.elapsed))
            if used >= 1 and self.state.step:
                break
            losses.append(self._step(self.group.part(indices), used))
            self.state.step += 1
            done += 1
        if not losses:
            return None
        loss = self._sound(float(torch.stack(losses).mean()))
        waiting, trained = self.learner.waiting.seconds(), time.monotonic()
        macro_f1 = accuracy = math.nan
        seen = self._side(self.budget.used(self.state.step, self.elapsed))
        if self.group.first:
            found = self.learner.predict(self.pool.images, self.val_rows, seen)
            macro_f1, accuracy = scores(self.data.val.labels, found)
        self.state.epoch += 1
        now = time.monotonic()
        self.budget.closing = max(self.budget.closing, now - trained)
        used = min(1.0, self.budget.used(self.state.step, self.elapsed))
        return Epoch(
            epoch=self.state.epoch,
            loss=loss,
            macro_f1=macro_f1,
            accuracy=accuracy,
            learning_rate=self._rate(used),
            seconds=now - begun,
            evaluation_seconds=now - trained,
            rate=done * training.batch_size / max(trained - begun, 1e-9),
            waiting=waiting / max(trained - begun, 1e-9),
            side=seen,
            used=used,
            left=self.elapsed * (1 - used) / max(used, 1e-9),
        )

    def _sound(self, loss: float) -> float:
        """The loss, where it and the weights are numbers. Raises UserError: what comes after would be worth nothing."""
        sums = [value.sum(dtype=torch.float64) for value in self.learner.network.parameters()]
        (sound,) = self.group.agree(math.isfinite(loss) and bool(torch.stack(sums).isfinite().all()))
        if not sound:
            raise UserError(
                f"{self.folder}: in epoch {self.state.epoch + 1} the loss is no number any more.",
                f"Start a new run with a lower optimizer.lr (it is {self.settings.optimizer.lr:g}).",
            )
        return loss

    def _step(self, indices: NDArray[np.int64], used: float) -> torch.Tensor:
        self.learner.waiting.begin()
        images, labels, weighed = self.pool.batch(indices)
        targets = self.learner.targets(labels, weighed, len(self.data.classes))
        self.learner.freezing.at(used)
        # That of the step's middle: at its start the warm-up is at 0, and a run of one step would learn nothing.
        rate = self._rate(used + 0.5 / self.budget.steps)
        return self.learner.step(images, targets, rate, self.state.step, self._side(used))

    def _side(self, used: float) -> int:
        """What the network sees of the pictures at the share `used` of the budget, pixels."""
        training = self.settings.training
        return side(training.first_size, self.preprocessing.size, training.grown, used)

    def _rate(self, used: float) -> float:
        optimizer = self.settings.optimizer
        scale = self.settings.training.batch_size / self.settings.model.members / 64
        if optimizer.name != "sgd":
            scale = math.sqrt(scale)
        return learning_rate(optimizer, optimizer.lr * scale, used)

    def _judge(self, epoch: Epoch) -> None:
        """Enter the epoch into the history, keep its weights where they are the best so far, and see whether to end."""
        patience = self.settings.training.patience if epoch.side == self.preprocessing.size else 0
        if enter(self.state, epoch, len(self.data.val), patience):
            self.best = self._averaged()

    def _averaged(self) -> dict[str, torch.Tensor]:
        """The averaged weights as they are now."""
        return {name: value.clone() for name, value in self.learner.averaged.state_dict().items()}

    def _save(self) -> None:
        """Write the weights, the history and the checkpoint."""
        begun = time.monotonic()
        self._write_best()
        self._write_weights("last.safetensors", self.learner.averaged.state_dict(), self.state.epoch)
        if self.state.finished:
            self._calibrate()
        write_whole(self.folder / "history.csv", as_csv(self.state.history).encode())
        self.state.elapsed = self.elapsed
        self.session.save(self.state.epoch, self.state.finished)
        tensors = self.learner.state()
        if self.state.best_epoch != self.state.epoch:  # else they are the averaged ones
            tensors |= {f"{_BEST}{name}": value for name, value in self.best.items()}
        checkpoints.write(self.folder, tensors, self.state, self.about)
        self.saved = time.monotonic()
        seconds = self.saved - begun + self.state.history[-1]["evaluation_seconds"]
        self.budget.closing = max(self.budget.closing, seconds + self._fitting)

    @property
    def _fitting(self) -> float:
        """Seconds that fitting both temperatures will take: every view of the pictures, where an epoch's evaluation has one."""
        views = Views.of(self.settings.to_dict())
        share = min(1.0, _FITTED / max(1, len(self.data.val)))
        return 2 * len(views) * share * float(self.state.history[-1]["evaluation_seconds"])

    def _calibrate(self) -> None:
        """Give both weights files the temperature that suits the validation part, as `evaluate` sees its pictures."""
        val = self.data.val
        if len(val):
            spread = slice(None, None, -(-len(val) // _FITTED))
            pictures, labels = val.store[val.rows[spread]], val.labels[spread]
            # In the run's precision, so that it takes what `_fitting` foresees; the temperature is the same to three digits.
            with self.learner.autocast():
                for name in provenance.WEIGHTS:
                    fit_file(self.folder / name, pictures, labels, str(self.device))

    def _write_best(self) -> None:
        if self.written != self.state.best_epoch:
            self._write_weights("best.safetensors", self.best, self.state.best_epoch)
            self.written = self.state.best_epoch

    def _write_weights(self, name: str, state: dict[str, torch.Tensor], epoch: int) -> None:
        row = self.state.history[epoch - 1]
        weights.save(
            self.folder / name,
            state,
            model=self.settings.model.name,
            model_options=self.options,
            classes=self.data.classes,
            preprocessing=self.preprocessing,
            settings=self.settings.to_dict(),
            extra={
                "epoch": epoch,
                "val_macro_f1": None if math.isnan(row["macro_f1"]) else row["macro_f1"],
                "data_sha256": self.data.fingerprint,
            },
        )
