"""Check a run against its record: that it can have started from random weights, and that nothing changed since.

The record is a file like any other, and who owns the machine can forge it; `docs/provenance.md` says what each check
shows. Training anew with the same seed (`retrain`) is the one that cannot be had cheaply.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from classify.data.dataset import Dataset, ReadFile, fingerprint, read_dataset
from classify.data.sources import find_source
from classify.devices import chosen_device
from classify.history import Epoch
from classify.learner import Plan
from classify.provenance import (
    NAME,
    RANDOM_START,
    WEIGHTS,
    computed_on,
    counts,
    digest,
    file_digest,
    read_table,
    versions,
)
from classify.runs import cache_folder
from classify.settings import Settings, read_settings
from classify.training import train
from classify.transfer import Start, prepare, preprocessing_of
from classify.weights import Preprocessing
from curate.engine import Progress, silent
from curate.errors import UserError

GOOD, BAD, UNKNOWN, NOTE = "good", "bad", "unknown", "note"

_NAMED = 5
_SHAPE: dict[str, type | tuple[type, ...]] = {
    "start": (str, dict),
    "initial_weights_sha256": str,
    "model": dict,
    "data_sha256": str,
    "data": dict,
    "files": dict,
    "arithmetic": str,
    "computed_on": dict,
    "versions": dict,
    "settings": dict,
    "sessions": list,
}


@dataclass(frozen=True)
class Check:
    """One check: `outcome` is good, bad, unknown (it could not be made here) or note (nothing to judge)."""

    name: str
    outcome: str
    detail: str

    def __str__(self) -> str:
        """One line for the terminal."""
        return f"{self.outcome:<8} {self.name}: {self.detail}"


@dataclass(frozen=True)
class Verification:
    """All checks of a run, in order."""

    run: str
    checks: list[Check]

    @property
    def bad(self) -> list[str]:
        """Names of the checks that failed."""
        return [check.name for check in self.checks if check.outcome == BAD]


def verify(
    run: str | Path,
    data: str | Path | None = None,
    *,
    retrain: bool = False,
    workers: int | None = None,
    on_check: Callable[[Check], None] = lambda check: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    progress: Progress = silent,
) -> Verification:
    """Check the run in the folder `run`; `data` is where its pictures are, by default where they were.

    `retrain` trains it anew in a temporary folder and compares the weights files byte for byte; where that cannot be
    done the check is bad. `on_check` gets each check as it is made, `progress` follows the reading of the pictures.
    A run that has not ended, and pictures that can no longer be learnt from, are bad checks. Raises UserError where there is
    no readable record, or the given `data` is not there.
    """
    made = []
    for check in _Verifier(Path(run), data, workers, progress).checks(retrain, on_epoch):
        on_check(check)
        made.append(check)
    return Verification(str(run), made)


class _Verifier:
    """What the checks share: the record, its settings, and the pictures where they are there."""

    def __init__(self, run: Path, data: str | Path | None, workers: int | None, progress: Progress) -> None:
        self.run = run
        self.record = _read_record(run)
        self.settings = Settings().replaced(self.record["settings"], str(run / NAME))
        self.place = Path(data if data is not None else self.record["data"]["source"])
        self.given = data is not None
        self.workers = workers
        self.progress = progress
        self.environment = _differences(self.record["versions"], versions())

    def checks(self, retrain: bool, on_epoch: Callable[[Epoch], None]) -> Iterator[Check]:
        """Make one check after the other."""
        yield self._initial()
        listed, check = self._list()
        yield check
        yield from self._pictures(listed)
        for name in WEIGHTS:
            yield self._weights(name)
        yield self._stored_settings()
        yield from self._sessions()
        yield Check(
            "versions",
            NOTE,
            f"differ: {'; '.join(self.environment)}" if self.environment else "the same here",
        )
        if retrain:
            yield self._retrained(on_epoch)

    def _initial(self) -> Check:
        """The first weights, drawn again by the function that training calls."""
        name, record = "first weights", self.record
        if record["start"] != RANDOM_START:
            return Check(name, BAD, f"the run did not start from random weights but from {record['start']}")
        model = record["model"]
        try:
            # The user's own stream of random numbers goes on as if nothing had been drawn.
            with torch.random.fork_rng(devices=[]):
                network, _ = self._start().network(model["classes"], self.settings.training.seed)
        except (UserError, KeyError, TypeError, ValueError) as error:
            return Check(name, BAD, f"the recorded network cannot be made ({error})")
        seed = self.settings.training.seed
        if digest(network.state_dict()) == record["initial_weights_sha256"]:
            described = f"{self.settings.model.name} for {len(model['classes'])} classes"
            same = self._start().options == model.get("options") and record.get("seed") == seed
            return (
                Check(name, GOOD, f"random, {described}: seed {seed} gives them again")
                if same
                else Check(name, BAD, "the recorded seed or options are not those of the settings")
            )
        other = [
            text
            for text in self.environment
            if text.startswith(("torch ", "machine ", "timm ", "transformers "))
        ]
        if other:
            return Check(
                name, UNKNOWN, f"they cannot be drawn again with other versions ({'; '.join(other)})"
            )
        return Check(name, BAD, f"seed {seed} does not give them")

    def _list(self) -> tuple[list[ReadFile] | None, Check]:
        """The list of files, and whether it is the recorded one and fits the recorded fingerprint."""
        about = self.record["files"]
        name = "list of files"
        try:
            data = (self.run / str(about.get("name"))).read_bytes()
            listed = read_table(data)
        except (OSError, ValueError) as error:
            return None, Check(name, BAD, f"{about.get('name')} cannot be read ({error})")
        if hashlib.sha256(data).hexdigest() != about.get("sha256"):
            return listed, Check(name, BAD, f"{about.get('name')} was changed")
        read = [file for file in listed if file.part in ("train", "val")]
        found = fingerprint(
            [file.sha256 for file in read],
            [file.label for file in read],
            [file.part == "val" for file in read],
        )
        if found != self.record["data_sha256"]:
            return listed, Check(name, BAD, "the recorded fingerprint of the data is not that of these files")
        if counts(listed) != self.record["data"].get("pictures"):
            return listed, Check(name, BAD, "the recorded numbers of pictures are not those of these files")
        return listed, Check(name, GOOD, f"{len(listed)} files, as recorded")

    def _start(self) -> Start:
        """Where the run began, by the function that training calls; as if it were new."""
        return prepare(self.settings, self.run / "none")

    def _dataset(self, preprocessing: Preprocessing) -> Dataset:
        found = find_source(self.place, self.settings.data.raw, self.settings.data.extra)
        with tempfile.TemporaryDirectory() as folder:
            return read_dataset(
                found,
                preprocessing,
                val=self.settings.data.val,
                seed=self.settings.training.seed,
                workers=self.workers,
                progress=self.progress,
                folder=cache_folder(self.settings, preprocessing.size, len(found.items), Path(folder)),
            )

    def _pictures(self, listed: list[ReadFile] | None) -> Iterator[Check]:
        """The pictures against the list, and their fingerprint as training would compute it now."""
        files, data = "pictures", "data fingerprint"
        if not self.given and not self.place.exists():
            for name in (files, data):
                yield Check(name, UNKNOWN, f"{self.place} is not there; give the folder with --data")
            return
        try:
            preprocessing = preprocessing_of(self.settings)
        except UserError as error:  # a published network's configuration that cannot be had here
            for name in (files, data):
                yield Check(name, UNKNOWN, f"what the network takes cannot be found out here ({error})")
            return
        if listed is None:
            yield Check(files, UNKNOWN, "there is no list to compare them with")
        try:
            now = self._dataset(preprocessing)
        except UserError as error:
            if self.given and not self.place.exists():
                raise
            yield Check(files, BAD, f"they can no longer be learnt from: {error}")
            return
        same = True
        if listed is not None:
            told = _compared(listed, now.files)
            same = not told
            yield Check(files, BAD, told) if told else Check(files, GOOD, f"all {len(listed)} as recorded")
        if now.fingerprint == self.record["data_sha256"]:
            yield Check(data, GOOD, "contents, classes and split as recorded")
        elif same and self.environment:
            yield Check(data, UNKNOWN, "the pictures are the same, but other versions split them otherwise")
        else:
            yield Check(data, BAD, "contents, classes or split are not as recorded")

    def _finish(self, name: str) -> str | None:
        finish = self.record.get("finish")
        hashes = finish.get("sha256") if isinstance(finish, dict) else None
        return hashes.get(name) if isinstance(hashes, dict) else None

    def _weights(self, name: str) -> Check:
        recorded, found = self._finish(name), file_digest(self.run / name)
        if recorded is None:
            return Check(name, BAD, "the run has not ended, so no hash is recorded; --resume ends it")
        if found is None:
            return Check(name, BAD, "is missing or cannot be read")
        same = found == recorded
        return Check(
            name, GOOD if same else BAD, "as recorded" if same else "was changed since the run ended"
        )

    def _stored_settings(self) -> Check:
        name = "settings.toml"
        try:
            stored = read_settings(self.run / name).to_dict()
        except UserError as error:
            return Check(name, BAD, str(error))
        recorded = self.settings.to_dict()
        wrong = [
            f"{section}.{key}"
            for section, keys in stored.items()
            for key, value in keys.items()
            if recorded[section][key] != value
        ]
        return (
            Check(name, BAD, f"not as recorded: {', '.join(wrong)}")
            if wrong
            else Check(name, GOOD, "as recorded")
        )

    def _sessions(self) -> Iterator[Check]:
        """What was reached for in training, over all sessions."""
        sessions = [session for session in self.record["sessions"] if isinstance(session, dict)]
        for name, key in (("network", "network"), ("weight files", "weight_files")):
            if not sessions or not all(isinstance(session.get(key), dict) for session in sessions):
                yield Check(name, BAD, "nothing is recorded")
                continue
            found = sorted({address for session in sessions for address in session[key]})
            what = "no connection" if key == "network" else "none but the run's own"
            yield Check(name, BAD, _some(found)) if found else Check(name, GOOD, f"{what} seen in training")
        resumed = [str(session.get("after_epoch")) for session in sessions if session.get("after_epoch")]
        told = f"resumed after epoch {', '.join(resumed)}" if resumed else "one, from the first step on"
        told += "" if isinstance(self.record.get("finish"), dict) else "; the run has not ended"
        yield Check("sessions", NOTE, told)

    def _retrained(self, on_epoch: Callable[[Epoch], None]) -> Check:
        """Train anew and compare the files; whoever forged the record would have to have trained as well."""
        name = "trained anew"
        reason = self._unrepeatable()
        if reason:
            return Check(name, BAD, f"cannot be done: {reason}")
        with tempfile.TemporaryDirectory() as folder:
            try:
                train(
                    self.place, Path(folder) / "run", self.settings, workers=self.workers, on_epoch=on_epoch
                )
            except UserError as error:
                return Check(name, BAD, f"cannot be done: {error}")
            wrong = [
                file for file in WEIGHTS if file_digest(Path(folder) / "run" / file) != self._finish(file)
            ]
        if not wrong:
            return Check(name, GOOD, f"{' and '.join(WEIGHTS)} come out the same to the byte")
        here = computed_on(chosen_device(self.settings))
        other = [*self.environment, *_differences(self.record["computed_on"], here)]
        if other:
            return Check(
                name, UNKNOWN, f"{' and '.join(wrong)} differ, but so does this machine: {'; '.join(other)}"
            )
        return Check(name, BAD, f"{' and '.join(wrong)} come out otherwise")

    def _unrepeatable(self) -> str:
        """Why training anew would not give the same bytes; empty where it should."""
        training = self.settings.training
        computed = self.record["computed_on"]
        device = computed.get("device")
        if self.record["start"] != RANDOM_START:
            return "the run did not start from random weights"
        if training.minutes > 0:
            return f"training.minutes is {training.minutes:g}, so the schedule followed the clock"
        if computed.get("processes", 1) != 1:
            return (
                f"{computed['processes']} processes trained it together (torchrun), and here it would be one"
            )
        if self.record["arithmetic"] != str(Plan(training.precision, True)):
            return f"{self.record['arithmetic']} was measured to be the fastest; training anew would take channels last"
        if not self.place.exists():
            return f"the pictures are not there ({self.place}); give the folder with --data"
        try:
            here = chosen_device(self.settings).type
        except UserError as error:
            return str(error)
        return "" if here == device else f"it was trained on {device}, and here it would be on {here}"


def _read_record(run: Path) -> dict[str, Any]:
    """The content of `provenance.json`, with the keys that the checks rest on. Raises UserError."""
    path = run / NAME
    if not run.is_dir():
        raise UserError(f"{run}: there is no such folder.", "Give the folder of a run, as --out named it.")
    try:
        record = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise UserError(
            f"{run}: is not the folder of a run: it has no {NAME}.", "Give what --out named."
        ) from error
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}).", "Nothing can be verified without it."
        ) from error
    for key, kind in _SHAPE.items():
        if not isinstance(record, dict) or not isinstance(record.get(key), kind):
            raise UserError(
                f"{path}: does not record '{key}'.",
                "It was changed, or an older version wrote it; that version's runs cannot be verified.",
            )
    if not isinstance(record["data"].get("source"), str):
        raise UserError(f"{path}: does not record where the pictures were.", "It was changed since.")
    checked: dict[str, Any] = record
    return checked


def _differences(recorded: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """What is not the same, in words."""
    return [
        f"{name} {recorded.get(name, 'absent')} recorded, {here.get(name, 'absent')} here"
        for name in sorted({*recorded, *here})
        if recorded.get(name) != here.get(name)
    ]


def _compared(listed: list[ReadFile], found: list[ReadFile]) -> str:
    """Which files are missing, changed or new, in words; empty where none is."""
    before, now = ({file.path: (file.sha256, file.label) for file in files} for files in (listed, found))
    missing = sorted(before.keys() - now.keys())
    new = sorted(now.keys() - before.keys())
    changed = sorted(path for path in before.keys() & now.keys() if before[path] != now[path])
    told = ((missing, "missing"), (changed, "changed"), (new, "new"))
    return "; ".join(f"{len(paths)} {word}: {_some(paths)}" for paths, word in told if paths)


def _some(names: list[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
