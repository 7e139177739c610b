"""The folder of a run: which settings hold in it, what lies in it, and that nothing is left of one that never began."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from classify import checkpoints, fingerprints
from classify.data.cache import fits
from classify.data.prints import resolved
from classify.settings import Settings, read_settings
from curate.errors import Locked, UserError
from curate.paths import path_to_text
from curate.words import listed


def settings_of(run: Path, settings: Settings | None, resume: bool) -> Settings:
    """The resolved settings: those given, or on resuming those of the run. Raises UserError where they disagree."""
    stored = run / "settings.toml"
    if not resume:
        if run.is_file():
            raise UserError(f"{run}: is a file; a run needs a folder.", "Give another place with --out.")
        see_text(run, "safetensors opens its files by", "Give another place with --out.")
        # One that ended before its first checkpoint has nothing to go on with.
        if any((run / name).exists() for name in (checkpoints.NAME, "best.safetensors", "last.safetensors")):
            raise UserError(
                f"{run}: holds a run already.",
                "Go on with it with --resume, or give another place with --out.",
            )
        return (settings or Settings()).resolved()
    if not stored.exists():
        raise UserError(f"{run}: there is no run to go on with.", "Leave --resume away to start one.")
    own = read_settings(stored)
    if settings is not None:
        theirs = settings.resolved().to_dict()
        other = [
            f"{section}.{key} = {value}, not {theirs[section][key]}"
            for section, keys in own.to_dict().items()
            for key, value in keys.items()
            if theirs[section][key] not in (value, "auto")
        ]
        if other:
            raise UserError(
                f"{run}: was started with {listed(other)}.",
                "Resume with all the settings that it was started with, or with none; or start a new run with another --out.",
            )
    return own


def see_text(path: Path, wanted: str, remedy: str) -> None:
    """Raise UserError where a path is not UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{path_to_text(str(path))}: is not UTF-8, which {wanted}.", remedy) from error


def see_apart(out: Path, pictures: Path | None) -> None:
    """Raise UserError where `out` lies inside the folder of pictures: it would be taken for some of them."""
    if pictures is not None and pictures.resolve() in (out.resolve(), *out.resolve().parents):
        raise UserError(
            f"{out}: lies inside {pictures}, among the pictures.", "Give another place with --out."
        )


@contextlib.contextmanager
def held(folder: Path, name: str) -> Iterator[None]:
    """Make the folder and hold it for the `name` of what is at work in it.

    Raises Locked where another one does; a killed one holds nothing. Raises UserError where it cannot be made.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be made ({error.strerror}).", "Give another place with --out."
        ) from error
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise Locked(
            f"{folder}: another {name} is at work in this folder.",
            "Wait for it to end, or give another place with --out.",
        ) from error
    except OSError as error:  # a time-out is one too
        raise UserError(
            f"{folder}: cannot be written ({error.strerror}).", "Give another place with --out."
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def run_folder(run: Path) -> Iterator[None]:
    """Make the run's folder and hold it; where reading the data fails, nothing is left behind. Raises as `held`."""
    made = [folder for folder in (run, *run.parents) if not folder.exists()]
    try:
        with held(run, "training"):
            yield
    except BaseException:
        with contextlib.suppress(OSError):
            if made:
                (run / ".lock").unlink(missing_ok=True)
            for folder in made:
                folder.rmdir()
        raise


def cache_folder(settings: Settings, side: int, pictures: int, run: Path) -> Path | None:
    """Where the decoded pictures are to lie on disk; None for memory."""
    where = settings.data.cache
    return run if where == "disk" or (where == "auto" and not fits(pictures, side)) else None


def prints_of(settings: Settings, run: Path, pictures: int) -> str:
    """What is kept to know the pictures by; nothing where a run that goes on has it."""
    kept = all((run / name).exists() for name in (fingerprints.NAME, checkpoints.NAME))
    return "none" if kept else resolved(settings.data.fingerprints, pictures)
