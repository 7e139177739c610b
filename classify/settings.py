"""Settings of a training run: dataclasses, from a TOML file and `--set section.key=value`, and back to TOML.

Each key says its meaning, unit and limits where it is declared.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classify import keys
from classify.keys import key, share
from classify.toml import read_toml
from curate.errors import UserError, known_names
from curate.images import WHITE


@dataclass(frozen=True)
class DataSettings:
    """What is learnt from."""

    size: int = key(
        64,
        "side of the network's input, pixels; 0: the own size of lite0, timm:, hf: or of model.weights",
        low=8,
        high=1024,
        zero=True,
    )
    fit: str = key(
        "pad", "how a picture becomes square: pad, crop or stretch", choices=("pad", "crop", "stretch")
    )
    background: tuple[int, ...] = key(
        WHITE, "colour of borders and behind transparency, 0..255", low=0, high=255
    )
    cache: str = key(
        "auto",
        "where decoded pictures lie: memory, disk, or auto: disk where they would take over half of the free memory",
        choices=("auto", "memory", "disk"),
    )
    fingerprints: str = key(
        "auto",
        "what fingerprints.parquet keeps of the pictures, by which copies of them in a test set are found: full (with a copy "
        "of at most 192 pixels), hashes (of bytes and pixels), none, or auto: full up to 10,000 pictures",
        choices=("auto", "full", "hashes", "none"),
    )
    raw: bool = key(False, "take the folder as it is, even where a curate workspace lies beside it")
    extra: tuple[str, ...] = key((), "folders of class folders whose pictures are added for training only")
    val: float = key(
        0.1,
        "share held out for validation where neither curate nor the set itself made that part",
        low=0.01,
        high=0.9,
    )
    balance: str = key(
        "sample",
        "sample: draw pictures by their balance weight; loss: weigh the loss by it; logits: add the classes' log shares to "
        "the logits while training; none: as they come",
        choices=("sample", "loss", "logits", "none"),
    )
    tau: float = key(
        1.0, "how much of the log shares balance = logits adds; 1: balanced softmax", low=0, high=4
    )


@dataclass(frozen=True)
class ModelSettings:
    """The network; it starts from random weights unless `weights` says otherwise."""

    name: str = key(
        "small-resnet",
        "the network; `classify models` lists them; or lite0, timm:NAME, hf:FOLDER_OR_ID",
    )
    weights: str = key(
        "",
        "empty: random; pretrained: those published for the network (may be downloaded); or a local checkpoint",
    )
    width: int = key(0, "channels of the first stage; 0: the model's own usual", low=0, high=1024)
    dropout: float = key(0.0, "share of features dropped before the head", low=0, high=0.9)
    members: int = key(
        1,
        "networks that learn side by side, each from its own part of every batch, and answer together; judging costs as many "
        "times more",
        low=1,
        high=16,
    )


@dataclass(frozen=True)
class TransferSettings:
    """How a network learns that starts from `model.weights`."""

    mode: str = key(
        "full",
        "full: all weights learn; head: the last layer only; head-first: it alone, then all",
        choices=("full", "head", "head-first"),
    )
    head_share: float = share(0.2, "share of the budget in which head-first moves the head alone")
    layer_decay: float = share(
        1.0, "factor on the learning rate for each layer further from the head; 1: none"
    )


@dataclass(frozen=True)
class AugmentationSettings:
    """What may happen to a picture each time it is drawn; each probability counts on its own.

    A key whose meaning begins with "probability" switches an operation; the keys below it are that one's strength.
    """

    affine: float = share(0.8, "probability of one turn, scaling, shift and shear together")
    rotate: float = key(15.0, "largest turn, degrees", low=0, high=180)
    scale: float = key(0.25, "largest scaling s: by a factor from 1 / (1 + s) to 1 + s", low=0, high=4)
    stretch: float = key(0.15, "largest change of the aspect ratio, like scale", low=0, high=4)
    translate: float = share(0.1, "largest shift, share of the side")
    shear: float = key(8.0, "largest shear, degrees", low=0, high=60)
    flip: float = share(0.5, "probability of mirroring left and right")
    mix: float = share(0.3, "probability of mixing the colour channels by a random matrix")
    hue: float = share(0.3, "probability of turning the hue by any angle")
    tone: float = share(0.5, "probability of another brightness and contrast")
    tint: float = share(0.0, "probability of multiplying each channel by 0.4 to 1: paper of another colour")
    grey: float = share(0.1, "probability of taking the colour away")
    invert: float = share(0.1, "probability of the negative")
    lines: float = share(0.0, "probability of dark lines thicker or thinner by a pixel")
    blur: float = share(0.0, "probability of a mean over 3 x 3 pixels")
    erase: float = share(0.25, "probability of painting over a rectangle")
    mixup: float = share(0.3, "probability that a batch is blended with itself in another order")
    mixup_alpha: float = key(0.4, "parameter of mixup's Beta distribution", low=0.01, high=10)
    cutmix: float = share(0.0, "probability that a batch gets rectangles of itself in another order")


@dataclass(frozen=True)
class OptimizerSettings:
    """How the weights move."""

    name: str = key(
        "auto",
        "muon (AdamW for what is no kernel), adamw, sgd (with Nesterov momentum); auto: muon from random weights, else adamw",
        choices=("auto", "muon", "adamw", "sgd"),
    )
    lr: float = key(
        0.0,
        "highest learning rate, for a batch of 64; scaled with the batch size; 0: the optimiser's usual",
        low=0,
        high=100,
    )
    momentum: float = key(0.9, "momentum of sgd; first beta of adamw, also beside muon", low=0, high=0.9999)
    weight_decay: float = key(
        -1.0,
        "weight decay of kernels; biases and normalisation have none; -1: the optimiser's usual",
        low=-1,
        high=10,
    )
    warmup: float = key(0.05, "share of the budget in which the rate rises from 0", low=0, high=0.9)
    decay: str = key(
        "cosine",
        "shape of the fall: cosine, linear, polynomial, exponential, step, trapezoid or constant",
        choices=("cosine", "linear", "polynomial", "exponential", "step", "trapezoid", "constant"),
    )
    focal: float = key(
        0.0, "gamma of the focal loss, which counts easy pictures less; 0: cross-entropy", low=0, high=10
    )
    label_smoothing: float = key(0.1, "share of the target spread over all classes", low=0, high=0.9)
    ema: float = key(
        0.998, "decay of the moving average of the weights, a step; 0: none", low=0, high=0.99999
    )


_LEAST_SIZE = 8
"""Pixels at which training may begin at the least."""

_LEAST_USUAL_SIZE = 24
"""Pixels below which training does not begin by itself: such a picture hardly tells what it shows."""

_USUAL = {"adamw": (0.002, 0.05), "sgd": (0.1, 5e-4), "muon": (0.003, 0.05)}
"""Learning rate and weight decay of each optimiser."""


@dataclass(frozen=True)
class TrainingSettings:
    """How long, and what decides."""

    minutes: float = key(15.0, "time that the run may take in all; 0: no limit", low=0)
    epochs: int = key(
        300, "passes over the training part; what ends first, minutes, epochs or pictures, counts", low=1
    )
    pictures: int = key(
        0, "pictures to learn from, each time one is drawn counted, in whole batches; 0: no limit", low=0
    )
    seed: int = key(
        0, "of the split, the first weights, the order and the augmentation", low=0, high=2**31 - 1
    )
    batch_size: int = key(64, "pictures a step", low=2, high=65536)
    first_size: int = key(
        -1,
        "side at which training begins, pixels; it grows to data.size; 0: data.size all along; -1: from random weights, without "
        "patience, half of data.size (in steps of 8) where that is 24 or more and the network takes any size",
        low=-1,
        high=1024,
    )
    grown: float = share(0.7, "share of the budget after which first_size has grown to data.size")
    patience: int = key(
        0, "epochs at the full size without a better macro-F1 before training stops; 0: never", low=0
    )
    device: str = key(
        "auto", "auto: a GPU where there is one, else the processor", choices=("auto", "cpu", "cuda")
    )
    precision: str = key("auto", "auto: the faster of both, measured", choices=("auto", "fp32", "bf16"))
    tensorboard: bool = key(False, "also write each epoch's scalars to RUN/tensorboard")


@dataclass(frozen=True)
class EvaluationSettings:
    """How the finished weights are used."""

    flip: bool = key(True, "average over each picture and its mirror image")
    turn: float = key(
        0.0,
        "degrees: average also over the picture turned so far to either side, at three times the cost",
        low=0,
        high=45,
    )
    shift: int = key(
        0,
        "pixels: average also over the picture moved so far up and left, and down and right, at three times the cost",
        low=0,
        high=16,
    )


@dataclass(frozen=True)
class Settings:
    """All settings of a run, by section."""

    data: DataSettings = dataclasses.field(default_factory=DataSettings)
    model: ModelSettings = dataclasses.field(default_factory=ModelSettings)
    transfer: TransferSettings = dataclasses.field(default_factory=TransferSettings)
    augmentation: AugmentationSettings = dataclasses.field(default_factory=AugmentationSettings)
    optimizer: OptimizerSettings = dataclasses.field(default_factory=OptimizerSettings)
    training: TrainingSettings = dataclasses.field(default_factory=TrainingSettings)
    evaluation: EvaluationSettings = dataclasses.field(default_factory=EvaluationSettings)

    def resolved(self) -> Settings:
        """The same with what is usual filled in where nothing was given: optimiser, its rate and decay, first size.

        Raises UserError where training would begin with pictures larger than they are, and where mixup and cutmix together
        are more than certain.
        """
        optimizer = self.optimizer
        name = optimizer.name
        if name == "auto":
            name = "adamw" if self.model.weights else "muon"
        rate, decay = _USUAL[name]
        optimizer = dataclasses.replace(
            optimizer,
            name=name,
            lr=optimizer.lr or rate,
            weight_decay=optimizer.weight_decay if optimizer.weight_decay >= 0 else decay,
        )
        drawn = self.augmentation
        if drawn.mixup + drawn.cutmix > 1:
            raise UserError(
                f"augmentation.mixup is {drawn.mixup:g} and augmentation.cutmix {drawn.cutmix:g}: a batch gets one of them or "
                "none, so together they cannot be more than 1.",
                "Lower one of them.",
            )
        training = self.training
        if training.first_size < 0:
            training = dataclasses.replace(training, first_size=self._usual_first_size())
        first, full = training.first_size, self.data.size
        if first and full and not _LEAST_SIZE <= first <= full:
            raise UserError(
                f"training.first_size is {first}; it must be from {_LEAST_SIZE} to data.size, which is {full}.",
                "Correct it, or take 0 for the full size all along.",
            )
        return dataclasses.replace(self, optimizer=optimizer, training=training)

    def _usual_first_size(self) -> int:
        from classify.models import takes_any_size

        half = self.data.size // 16 * 8
        fixed = bool(self.model.weights) or self.training.patience or not takes_any_size(self.model.name)
        return 0 if fixed or half < _LEAST_USUAL_SIZE else half

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Plain data, for JSON: section -> key -> value."""
        return {
            section: {
                key: list(value) if isinstance(value, tuple) else value for key, value in values.items()
            }
            for section, values in dataclasses.asdict(self).items()
        }

    def to_toml(self) -> str:
        """The text of a TOML file that `read_settings` takes back to the same settings, each key with its meaning."""
        lines: list[str] = []
        for section, values in self.to_dict().items():
            lines += ["", f"[{section}]"]
            for field in dataclasses.fields(getattr(self, section)):
                # JSON's texts, numbers, booleans and lists are TOML's too.
                value = json.dumps(values[field.name], ensure_ascii=False)
                lines.append(f"{field.name} = {value}  # {field.metadata['meaning']}")
        return "\n".join(lines).lstrip() + "\n"

    def replaced(self, changes: Mapping[str, Mapping[str, Any]], origin: str) -> Settings:
        """These settings with some keys changed, checked. `origin` names the file or option in errors (UserError)."""
        sections = [field.name for field in dataclasses.fields(self)]
        new: dict[str, Any] = {}
        for section, given in changes.items():
            if section not in sections:
                raise UserError(f"{origin}: there is no section '{section}'.", known_names(section, sections))
            if not isinstance(given, Mapping):
                raise UserError(
                    f"{origin}: '{section}' is a section.", f"Write {section}.KEY, or [{section}] in TOML."
                )
            own = getattr(self, section)
            for name in given:
                if not hasattr(own, name) and (elsewhere := _whole_names(name)):
                    raise UserError(
                        f"{origin}: there is no key '{section}.{name}'.", f"Did you mean {elsewhere}?"
                    )
            new[section] = keys.replaced(own, section, given, origin)
        return dataclasses.replace(self, **new)


def read_settings(path: str | Path | None = None, overrides: Sequence[str] = ()) -> Settings:
    """Default settings, changed by a TOML file, then by texts `section.key=value`. Raises UserError."""
    settings = Settings()
    if path is not None:
        content = read_toml(Path(path), "settings")
        content.pop("recipe", None)  # describes a known task, see recipes/
        settings = settings.replaced(content, str(path))
    for text in overrides:
        name, separator, value = text.partition("=")
        section, dot, own = name.strip().partition(".")
        if not separator or not dot:
            whole = _whole_names(name.strip())
            raise UserError(
                f"--set {text}: is not of the form section.key=value.",
                f"Did you mean {whole}?" if whole else "For example --set training.minutes=5.",
            )
        settings = settings.replaced({section: {own: keys.from_text(value.strip())}}, f"--set {text}")
    return settings


def _whole_names(name: str) -> str:
    """The keys of that name with their sections, as in a sentence."""
    return " or ".join(f"{section}.{name}" for section, own in Settings().to_dict().items() if name in own)
