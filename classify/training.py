"""Training: from a folder to `best.safetensors`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from classify import provenance
from classify.data.dataset import read_dataset
from classify.data.items import Source
from classify.data.sources import find_source
from classify.devices import chosen_device, room
from classify.distributed import join
from classify.history import Epoch
from classify.loop import Run, TrainResult
from classify.models.ensemble import check_parts
from classify.runs import cache_folder, prints_of, run_folder, see_apart, see_text, settings_of
from classify.scalars import check_tensorboard, scalars
from classify.settings import Settings
from classify.transfer import prepare
from classify.watching import Watch
from curate.engine import Progress, silent
from curate.errors import UserError


def train(
    source: str | Path | Source,
    out: str | Path,
    settings: Settings | None = None,
    *,
    resume: bool = False,
    workers: int | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    say: Callable[[str], None] = lambda text: None,
    progress: Progress = silent,
) -> TrainResult:
    """Train on class folders, a curate workspace or a data set in a known layout (docs/data.md), or on pictures that were
    found already; the run goes to `out`.

    It starts from random weights, or from what `model.weights` names. `resume` goes on with the run in `out`, with its
    own settings. `workers` are processes that decode, `progress` follows them; `say` gets sentences. Writes
    best.safetensors, last.safetensors, history.csv, settings.toml, provenance.json, files.csv, fingerprints.parquet and
    checkpoint.safetensors. Raises UserError for whatever the user can mend.
    """
    start = time.monotonic()
    run = Path(out)
    settings = settings_of(run, settings, resume)
    for folder in settings.data.extra:
        see_text(Path(folder), "settings.toml is written in", "Give the folder of data.extra another name.")
    check_tensorboard(settings)
    if isinstance(source, Source):
        found, place = source, source.root
    else:
        found, place = find_source(source, settings.data.raw, settings.data.extra), Path(source)
    if found.kind in ("folders", "workspace"):
        see_apart(run, found.root)
    device = chosen_device(settings)
    with (
        room(settings),
        join(device, settings.training.batch_size) as group,
        contextlib.ExitStack() as stack,
    ):
        if group.first:
            stack.enter_context(run_folder(run))
        else:
            on_epoch, say, progress = lambda epoch: None, lambda text: None, silent
        check_parts(settings.model.members, settings.training.batch_size, group.size)
        session = provenance.Session(run, place, stack.enter_context(Watch(run)))
        begin = prepare(settings, run, say)
        data = read_dataset(
            found,
            begin.preprocessing,
            val=settings.data.val,
            seed=settings.training.seed,
            workers=workers,
            progress=progress,
            folder=cache_folder(settings, begin.preprocessing.size, len(found.items), run),
            prints=prints_of(settings, run, len(found.items)) if group.first else "none",
        )
        if settings.training.patience and not len(data.val):
            raise UserError(
                f"training.patience is {settings.training.patience}, but {place} has no validation part: nothing tells when to stop.",
                "Give it one, in a workspace with `curate split DIR --val 0.1`, or set training.patience=0.",
            )
        if not group.alike(data.fingerprint + data.draws):
            raise UserError(
                f"{place}: the processes that train together read different pictures there.",
                "Give all of them the same folder, or copies of it.",
            )
        for note in data.notes:
            say(note)
        one = Run(run, settings, begin, data, device, group, start, say, session, found.test)
        if group.first:
            on_epoch = stack.enter_context(scalars(run, settings, one.state.epoch, on_epoch))
        return one.train(on_epoch)
