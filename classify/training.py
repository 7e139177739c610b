"""The training loop: from a folder to `best.safetensors`, inside a time budget, and again after a kill."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from classify import checkpoints, models, provenance, weights
from classify.data.dataset import Dataset, Part, read_dataset
from classify.data.sampling import draw_epoch
from classify.data.sources import find_source
from classify.learner import Learner, Plan, fastest_plan
from classify.runs import run_folder, settings_of
from classify.scalars import check_tensorboard, scalars
from classify.schedule import Budget, learning_rate
from classify.settings import Settings
from classify.watching import Watch
from classify.weights import Preprocessing, write_whole
from curate.engine import Progress, silent
from curate.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SMOOTH = 5
"""Evaluations whose mean decides about `best`: one alone is noise where the validation part is small."""

_MEASURING = 0.02
"""Share of the time budget that may go to finding the fastest arithmetic."""

_SAVE_SECONDS = 20.0
"""Least time between two checkpoints."""


@dataclass(frozen=True)
class Epoch:
    """One epoch: `loss` mean over its steps, `macro_f1` and `accuracy` on the validation part, `seconds` in all of
    which `evaluation_seconds` went to it, `rate` pictures a second in training, `used` share of the budget (0..1),
    `left` seconds to the end as it looks now.
    """

    epoch: int
    loss: float
    macro_f1: float
    accuracy: float
    learning_rate: float
    seconds: float
    evaluation_seconds: float
    rate: float
    used: float
    left: float

    def __str__(self) -> str:
        """One line for the terminal."""
        return (
            f"epoch {self.epoch:>4}   loss {self.loss:6.3f}   macro-F1 {self.macro_f1:.3f}   {self.seconds:6.1f} s   "
            f"{self.rate:7.0f} pictures/s   {100 * self.used:3.0f} %   {self.left / 60:5.1f} min left"
        )


@dataclass(frozen=True)
class TrainResult:
    """What a run made: the weights files, and the kept epoch's macro-F1 on the validation part (None without one)."""

    run: str
    best: str
    last: str
    epochs: int
    best_epoch: int
    macro_f1: float | None
    seconds: float
    pictures: int
    classes: list[str]


def train(
    source: str | Path,
    out: str | Path,
    settings: Settings | None = None,
    *,
    resume: bool = False,
    workers: int | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    say: Callable[[str], None] = lambda text: None,
    progress: Progress = silent,
) -> TrainResult:
    """Train from random weights on a folder of class folders or a curate workspace; the run goes to the folder `out`.

    `resume` goes on with the run in `out`, with its own settings. `workers` are processes that decode, `progress`
    follows them; `say` gets sentences. Writes best.safetensors, last.safetensors, history.csv, settings.toml,
    provenance.json, files.csv and checkpoint.safetensors. Raises UserError for whatever the user can mend.
    """
    start = time.monotonic()
    run = Path(out)
    settings = settings_of(run, settings, resume)
    check_tensorboard(settings)
    found = find_source(source, settings.data.raw)
    with run_folder(run), Watch(run) as watch:
        session = provenance.Session(run, Path(source), watch)
        preprocessing = preprocessing_of(settings)
        data = read_dataset(
            found,
            preprocessing,
            val=settings.data.val,
            seed=settings.training.seed,
            workers=workers,
            progress=progress,
        )
        for note in data.notes:
            say(note)
        one = _Run(run, settings, preprocessing, data, start, say, session)
        with scalars(run, settings, one.state.epoch, on_epoch) as followed:
            return one.train(followed)


def preprocessing_of(settings: Settings) -> Preprocessing:
    """How the pictures of a run with these settings are prepared."""
    red, green, blue = settings.data.background
    return Preprocessing(settings.data.size, settings.data.fit, (red, green, blue))


class _Run:
    """One session of a run: everything that the loop holds."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        preprocessing: Preprocessing,
        data: Dataset,
        start: float,
        say: Callable[[str], None],
        session: provenance.Session,
    ) -> None:
        self.folder = folder
        self.session = session
        self.preprocessing = preprocessing
        self.data = data
        self.say = say
        self.device = chosen_device(settings)
        stored = checkpoints.read(folder)
        network, self.options = models.from_seed(settings, len(data.classes))
        initial = {name: value.clone() for name, value in network.state_dict().items()}
        plan, settings = self._plan(network, settings, stored)
        self.settings = settings
        self.learner = Learner(network, settings, preprocessing, plan, self.device)
        self.state = checkpoints.Progress()
        self.about = {"data": data.fingerprint, "classes": data.classes, "channels_last": plan.channels_last}
        if stored:
            self._restore(stored)
        else:
            write_whole(folder / "settings.toml", settings.to_toml().encode())
            session.begin(initial, self.options, settings, data, str(plan), self.device)
        self.clock = start - self.state.elapsed
        self.saved = time.monotonic()
        self.best: dict[str, torch.Tensor] | None = None
        self._place(data.train, data.val)

    def _plan(self, network: torch.nn.Module, settings: Settings, stored: Any) -> tuple[Plan, Settings]:
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
            )
            tried = "; ".join(f"{name} {rate:.0f}" for name, rate in rates.items())
            self.say(
                f"Computing in {plan} on {self.device.type}: "
                f"{f'the quickest here, in pictures a second: {tried}' if tried else 'as the settings say'}."
            )
        return plan, settings.replaced({"training": {"precision": plan.precision}}, "training")

    def _restore(self, stored: tuple[dict[str, torch.Tensor], checkpoints.Progress, dict[str, Any]]) -> None:
        tensors, state, about = stored
        if about != self.about:
            raise UserError(
                f"{self.folder}: the pictures are no longer those that this run started with.",
                "Start a new run with another --out.",
            )
        self.learner.restore(tensors)
        self.state = state
        self.session.first = state.epoch
        self.say(f"Going on after epoch {state.epoch} ({state.elapsed / 60:.1f} minutes done).")

    def _place(self, train: Part, val: Part) -> None:
        """Put both parts on the device, and work out how they are drawn and weighed."""
        balance = self.settings.data.balance
        self.images = torch.from_numpy(train.images).to(self.device)
        self.labels = torch.from_numpy(train.labels).to(self.device)
        weighed = train.weights if balance == "loss" else np.ones(len(train), np.float32)
        self.weights = torch.from_numpy(weighed).to(self.device)
        self.val_images = torch.from_numpy(val.images).to(self.device)
        rates = train.copies.astype(np.float64)
        self.rates = rates * train.weights if balance == "sample" else rates
        batch = self.settings.training.batch_size
        self.steps = max(1, round(float(rates.sum()) / batch))
        self.budget = Budget(self.settings.training.epochs * self.steps, 60 * self.settings.training.minutes)

    @property
    def elapsed(self) -> float:
        """Seconds that the run has taken, over all sessions."""
        return time.monotonic() - self.clock

    def train(self, on_epoch: Callable[[Epoch], None]) -> TrainResult:
        """Epochs until the budget is used or patience is over; see `classify.training.train`."""
        while not self.state.finished:
            epoch = self._epoch()
            self._judge(epoch)
            on_epoch(epoch)
            if self.state.finished or time.monotonic() - self.saved > _SAVE_SECONDS:
                self._save()
        kept = self.state.history[self.state.best_epoch - 1]
        score = kept["macro_f1"]
        return TrainResult(
            run=str(self.folder),
            best=str(self.folder / "best.safetensors"),
            last=str(self.folder / "last.safetensors"),
            epochs=self.state.epoch,
            best_epoch=self.state.best_epoch,
            macro_f1=None if math.isnan(score) else score,
            seconds=self.elapsed,
            pictures=self.state.step * self.settings.training.batch_size,
            classes=self.data.classes,
        )

    def _epoch(self) -> Epoch:
        """One pass over the training part, or as much of it as the budget allows, and its evaluation."""
        training = self.settings.training
        begun, done = time.monotonic(), 0
        drawn = draw_epoch(self.rates, self.steps * training.batch_size, training.seed, self.state.epoch)
        losses = []
        for indices in drawn.reshape(self.steps, -1):
            used = self.budget.used(self.state.step, self.elapsed)
            if used >= 1 and self.state.step:
                break
            losses.append(self._step(indices, used))
            self.state.step += 1
            done += 1
        loss = float(torch.stack(losses).mean()) if losses else math.nan
        trained = time.monotonic()
        macro_f1, accuracy = scores(self.data.val.labels, self.learner.predict(self.val_images))
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
            used=used,
            left=self.elapsed * (1 - used) / max(used, 1e-9),
        )

    def _step(self, indices: NDArray[np.int64], used: float) -> torch.Tensor:
        chosen = torch.from_numpy(indices).to(self.device, non_blocking=True)
        targets = self.learner.targets(self.labels[chosen], self.weights[chosen], len(self.data.classes))
        return self.learner.step(self.images[chosen], targets, self._rate(used), self.state.step)

    def _rate(self, used: float) -> float:
        optimizer = self.settings.optimizer
        scale = self.settings.training.batch_size / 64
        if optimizer.name == "adamw":
            scale = math.sqrt(scale)
        return learning_rate(optimizer, optimizer.lr * scale, used)

    def _judge(self, epoch: Epoch) -> None:
        """Enter the epoch into the history, keep its weights where they are the best so far, and see whether to end."""
        state = self.state
        state.history.append(asdict(epoch))
        smoothed = float(np.mean([row["macro_f1"] for row in state.history[-_SMOOTH:]]))
        if smoothed > state.highest:
            state.highest, state.highest_epoch = smoothed, epoch.epoch
        if not smoothed < state.highest - standard_error(state.highest, len(self.data.val)):
            state.best_epoch = epoch.epoch
            self.best = {name: value.clone() for name, value in self.learner.averaged.state_dict().items()}
        patience = self.settings.training.patience
        bored = patience > 0 and epoch.epoch - state.highest_epoch >= patience
        state.finished = bored or epoch.used >= 1

    def _save(self) -> None:
        """Write the weights, the history and the checkpoint."""
        begun = time.monotonic()
        if self.best is not None:
            self._write_weights("best.safetensors", self.best, self.state.best_epoch)
            self.best = None
        self._write_weights("last.safetensors", self.learner.averaged.state_dict(), self.state.epoch)
        write_whole(self.folder / "history.csv", _table(self.state.history).encode())
        self.state.elapsed = self.elapsed
        self.session.save(self.state.epoch, self.state.finished)
        checkpoints.write(self.folder, self.learner.state(), self.state, self.about)
        self.saved = time.monotonic()
        seconds = self.saved - begun + self.state.history[-1]["evaluation_seconds"]
        self.budget.closing = max(self.budget.closing, seconds)

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
            extra={"epoch": epoch, "val_macro_f1": None if math.isnan(row["macro_f1"]) else row["macro_f1"]},
        )


def chosen_device(settings: Settings) -> torch.device:
    """Where a run with these settings computes here. Raises UserError where there is no GPU and one is asked for."""
    name = settings.training.device
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "training.device is cuda, but no GPU can be used here.", "Use --set training.device=auto."
        )
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _table(history: list[dict[str, float]]) -> str:
    """The history as CSV, a row an epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: round(value, 6) if isinstance(value, float) else value for key, value in row.items()}
        for row in history
    )
    return text.getvalue()


def scores(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> tuple[float, float]:
    """Macro-F1 over the classes that occur in `labels`, and accuracy: 0..1; NaN where there are no pictures."""
    if not len(labels):
        return math.nan, math.nan
    from sklearn.metrics import f1_score

    present = np.unique(labels)
    macro = float(f1_score(labels, predicted, labels=present, average="macro", zero_division=0))
    return macro, float(np.mean(labels == predicted))


def standard_error(score: float, pictures: int) -> float:
    """How far chance alone moves a score: that of a share `score` among so many pictures (binomial).

    `best` is the latest epoch whose smoothed macro-F1 is within one standard error of the highest (the rule of
    Breiman et al., 1984): with a falling learning rate the later weights are the better ones in doubt.
    """
    share = min(max(score, 0.0), 1.0)
    return math.sqrt(share * (1 - share) / max(pictures, 1))
