"""Where a run starts: which architecture, with which input, and from which weights."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from classify import checkpoints, models, weights
from classify.models.family import Family, Look, Source
from classify.provenance import RANDOM_START, file_digest
from classify.settings import Settings, TransferSettings
from classify.weights import Preprocessing
from curate.encoders import cause, load_checkpoint
from curate.errors import UserError

if TYPE_CHECKING:
    from torch import nn

_NAMED = 3
"""Tensors of a checkpoint that does not fit that are named."""


@dataclass(frozen=True)
class Start:
    """How a run's network is made: `name` and `options` are what `classify.models.create` takes.

    `preprocessing` is what the network's input looks like; `source` the weights to start from, None for random ones, and
    for those of a run that is gone on with. `borrowed`: the run as a whole did not start from random weights.
    """

    name: str
    options: dict[str, Any]
    preprocessing: Preprocessing
    source: Source | None = None
    borrowed: bool = False

    def network(self, classes: Sequence[str], seed: int) -> tuple[nn.Module, frozenset[str]]:
        """The network before its first step, and the names of its head's tensors (none where it starts from random weights).

        The head is drawn from `seed`, unless the source's tells the same classes apart. Raises UserError where the
        source does not fit the network, or the network not the size of the pictures.
        """
        torch.manual_seed(seed)
        network = models.create(self.name, len(classes), self.options)
        family = models.family_of(self.name)
        if family is not None or self.borrowed:  # else it was made for the size
            check_size(network, self.name, self.preprocessing.size, "data.size, or 0 for the model's own")
        head = self._head(network, len(classes)) if self.borrowed else frozenset()
        if self.source is None:
            return network, head
        state = family.fitted(network, self.source.state) if family else self.source.state
        kept = self.source.classes == tuple(classes)
        load_into(network, state, frozenset() if kept else head, self.source.title)
        if not kept:
            _redraw(network, head)
        return network, head

    def describe(self, classes: Sequence[str]) -> str:
        """Where the weights before the first step come from, for people and for `provenance.json`."""
        if self.source is None:
            return RANDOM_START
        head = (
            "with its head" if self.source.classes == tuple(classes) else "the head drawn from training.seed"
        )
        return f"{self.source.title} (SHA-256 {self.source.sha256}), {head}"

    def _head(self, network: nn.Module, classes: int) -> frozenset[str]:
        """The tensors whose shape follows the number of classes: whatever the network calls them."""
        with torch.random.fork_rng(devices=[]):
            other = models.create(self.name, classes + 1, self.options).state_dict()
        return frozenset(
            name for name, value in network.state_dict().items() if value.shape != other[name].shape
        )


def prepare(settings: Settings, run: Path, say: Callable[[str], None] = lambda text: None) -> Start:
    """What `settings` ask for; weights that have to be downloaded are. Raises UserError for whatever will not do.

    `say` is told before a download, which without a network may take up to a minute to give up.

    Where a run in the folder `run` is gone on with, it is as its weights say: the checkpoint that it started from is
    not needed any more.
    """
    _check(settings)
    name, chosen = settings.model.name, settings.model.weights
    last = run / "last.safetensors"
    if last.exists() and (run / checkpoints.NAME).exists():
        own = weights.load(last)
        return Start(name, own.metadata["model"]["options"], own.preprocessing, borrowed=bool(chosen))
    family = models.family_of(name)
    if chosen not in ("", "pretrained") and _is_ours(Path(chosen)):
        return _go_on(settings, Path(chosen))
    models.check_name(name)
    look = family.look() if family else None
    preprocessing = _preprocessing(settings, look)
    options = _options(settings, family, preprocessing.size)
    if settings.model.members > 1:
        options["members"] = settings.model.members
    if not chosen:
        return Start(name, options, preprocessing)
    if chosen != "pretrained":
        return Start(name, options, preprocessing, _read(Path(chosen)), borrowed=True)
    if family is None:
        raise UserError(
            f"model '{name}' has no published weights.",
            "Take lite0 or timm:NAME as model.name, or give a checkpoint as model.weights.",
        )
    if ":" in name:  # the names of libraries, whose weights are not installed
        say(f"Getting the weights of {name}; what is not on this machine yet is downloaded.")
    return Start(name, options, preprocessing, family.published(options), borrowed=True)


def preprocessing_of(settings: Settings) -> Preprocessing:
    """What the network's input looks like in a new run with these settings. No published weights are fetched for it.

    Raises UserError for settings that will not do.
    """
    _check(settings)
    name, chosen = settings.model.name, settings.model.weights
    if chosen not in ("", "pretrained") and _is_ours(Path(chosen)):
        return _go_on(settings, Path(chosen)).preprocessing
    models.check_name(name)
    family = models.family_of(name)
    return _preprocessing(settings, family.look() if family else None)


def _check(settings: Settings) -> None:
    """Settings that nothing would follow are a mistake."""
    if settings.model.weights:
        if (members := settings.model.members) > 1:
            raise UserError(
                f"model.members is {members}, but all of them would start from the same weights, {settings.model.weights}.",
                "Set model.members=1, or leave model.weights away.",
            )
        return
    for key, value in vars(settings.transfer).items():
        if value != getattr(TransferSettings(), key):
            raise UserError(
                f"transfer.{key} is {value}, but the network starts from random weights.",
                "Set model.weights to pretrained or to a checkpoint, or leave the section transfer away.",
            )


def _preprocessing(settings: Settings, look: Look | None) -> Preprocessing:
    """The user's size, fit and background with the network's own colours, and its own size where data.size is 0."""
    red, green, blue = settings.data.background
    size = settings.data.size or (look.size if look else 0)
    if not size:
        raise UserError(
            f"data.size is 0, but model '{settings.model.name}' has no size of its own.",
            "Give the side of the pictures in pixels, for example --set data.size=64.",
        )
    if look is None:
        return Preprocessing(size, settings.data.fit, (red, green, blue))
    return Preprocessing(size, settings.data.fit, (red, green, blue), look.mean, look.std)


def _options(settings: Settings, family: Family | None, size: int) -> dict[str, Any]:
    if family is not None:
        if settings.model.width:
            raise UserError(
                f"model.width is {settings.model.width}, but '{family.name}' has the width that it was published with.",
                "Leave model.width at 0.",
            )
        return family.options(size, settings.model.dropout)
    return {"size": size, "width": settings.model.width, "dropout": settings.model.dropout}


def _is_ours(file: Path) -> bool:
    """Whether a file is one that `classify train` wrote, so that it knows its architecture and classes."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as opened:
            return bool((opened.metadata() or {}).get("format") == weights.FORMAT)
    except (OSError, SafetensorError):
        return False


def _go_on(settings: Settings, file: Path) -> Start:
    """From a weights file of ours: its architecture and colours; size, dropout and the rest from the settings."""
    earlier = weights.load(file)
    found = earlier.metadata["model"]
    if found["options"].get("members", 1) > 1:
        raise UserError(
            f"{file}: holds {found['options']['members']} networks that answer together; training goes on from one only.",
            "Give the weights of a run with model.members=1.",
        )
    name = settings.model.name
    if name != found["name"] and not (name.startswith("hf:") and found["name"].startswith("hf:")):
        raise UserError(
            f"{file}: holds weights of the model '{found['name']}', not of '{name}'.",
            f"Set model.name={found['name']}.",
        )
    look = Look(earlier.preprocessing.size, earlier.preprocessing.mean, earlier.preprocessing.std)
    preprocessing = _preprocessing(settings, look)
    options = dict(found["options"])
    if settings.model.width not in (0, options.get("width", 0)):
        raise UserError(
            f"model.width = {settings.model.width} has no effect on the network that {file} holds.",
            "Leave model.width at 0.",
        )
    if "dropout" in options:
        options["dropout"] = settings.model.dropout
    if name.startswith("timm:"):
        options |= _options(settings, models.family_of(name), preprocessing.size)
    elif name.startswith("hf:"):
        options["size"] = preprocessing.size
    source = Source(earlier.model.state_dict(), file.name, file_digest(file) or "", tuple(earlier.classes))
    return Start(name, options, preprocessing, source, borrowed=True)


def _read(file: Path) -> Source:
    """A checkpoint that another program wrote, safetensors or torch's own. Raises UserError."""
    if not file.exists() and difflib.get_close_matches(str(file), ["pretrained"], 1, 0.7):
        raise UserError(f"model.weights: there is no file '{file}'.", "Did you mean 'pretrained'?")
    found: Mapping[str, Any] = load_checkpoint(file)
    nested = found.get("model")
    found = nested if isinstance(nested, Mapping) else found
    # Training on several GPUs puts this before every name.
    state = {
        name.removeprefix("module."): value
        for name, value in found.items()
        if isinstance(value, torch.Tensor)
    }
    return Source(state, file.name, file_digest(file) or "")


def load_into(
    network: nn.Module, state: Mapping[str, torch.Tensor], leave: frozenset[str], title: str
) -> None:
    """Put `state` into `network`, all but the tensors `leave`. Tensors that the network has not are passed over.

    Raises UserError, naming them, where tensors are missing or of another shape; then nothing was changed.
    """
    own = {name: value for name, value in network.state_dict().items() if name not in leave}
    # Checkpoints of before 2018 do not count batches, and nothing here reads the count.
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    unlike = [
        f"{name} {_shape(state[name])} instead of {_shape(value)}"
        for name, value in own.items()
        if name in state and state[name].shape != value.shape
    ]
    reasons = [
        f"{len(names)} of {len(own)} tensors {what}: {', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''}"
        for names, what in ((missing, "are missing"), (unlike, "are of another shape"))
        if names
    ]
    if reasons:
        raise UserError(
            f"{title}: does not fit the model; {'; '.join(reasons)}.",
            "Give the checkpoint of the model that model.name says, in its size.",
        )
    network.load_state_dict({name: state[name] for name in own if name in state}, strict=False)


@torch.no_grad()
def _redraw(network: nn.Module, head: frozenset[str]) -> None:
    """Start the head small: some libraries draw it for a thousand classes, and their loss for two starts at several times chance's.

    Normal with deviation 0.01, biases 0 (He et al., "Masked autoencoders are scalable vision learners", 2022).
    """
    for name, value in network.named_parameters():
        if name in head:
            torch.nn.init.normal_(value, std=0.01) if value.ndim > 1 else torch.nn.init.zeros_(value)


def _shape(value: torch.Tensor) -> str:
    return json.dumps(list(value.shape))


def check_size(network: nn.Module, name: str, size: int, setting: str) -> None:
    """See whether the network takes pictures of that size. Raises UserError, which says to choose another `setting`."""
    network.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            network(torch.zeros(1, 3, size, size))
    except Exception as error:  # each library has its own way to refuse
        raise UserError(
            f"model '{name}' cannot take pictures of {size} pixels ({cause(error)}).",
            f"Choose another {setting}.",
        ) from error
    network.train()
