"""What a process reaches for while a run trains: addresses on a network, and files of weights.

Python tells audit hooks (PEP 578) of each connection and each file that its own code opens. Code in C, C++ or Rust
can do both unseen, and worker processes are not watched; `docs/provenance.md` says what follows from that.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import os
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".onnx")
"""Endings of the files that pretrained networks come in."""

_SENDING = frozenset(("socket.connect", "socket.sendto", "socket.sendmsg"))
_NAMING = frozenset(("socket.getaddrinfo", "socket.gethostbyname"))


class Watch:
    """Counts what this process reaches for between entering and leaving; threads are included.

    Parameters
    ----------
    own : the run's folder; its own weights and checkpoint are not counted.

    Attributes
    ----------
    network : address -> how often it was connected to, sent to or looked up. Loopback and local sockets do not count.
    weight_files : absolute path -> how often it was opened for reading.
    """

    def __init__(self, own: Path) -> None:
        self.own = own.absolute()
        self.network: Counter[str] = Counter()
        self.weight_files: Counter[str] = Counter()
        self._readers = contextlib.ExitStack()

    def __enter__(self) -> Watch:
        _install()
        self._readers.enter_context(_watched_safetensors(self))
        _ACTIVE.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _ACTIVE.remove(self)
        self._readers.close()

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Count one audit event, where it is of the kinds that are watched."""
        if event == "open":
            path, mode, flags = arguments
            if isinstance(path, str | bytes | os.PathLike) and _reads(mode, flags):
                self.note_file(path)
        elif (address := reached(event, arguments)) is not None:
            self.network[address] += 1

    def note_file(self, path: str | bytes | os.PathLike[Any]) -> None:
        """Count a file that is read, where it is one of weights and not the run's own."""
        name = os.fsdecode(path)
        if name.lower().endswith(WEIGHT_SUFFIXES):
            full = Path(name).absolute()
            if full.parent != self.own:
                self.weight_files[str(full)] += 1


_ACTIVE: list[Watch] = []


@functools.cache
def _install() -> None:
    """Add the hook, once: Python has no way to take one out again."""
    sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _ACTIVE and (event == "open" or event in _SENDING or event in _NAMING):
        for watch in _ACTIVE:
            # What a hook raises would be raised in the code that is watched.
            with contextlib.suppress(Exception):
                watch.note(event, arguments)


def reached(event: str, arguments: tuple[Any, ...]) -> str | None:
    """The address on a network, as text, that a socket's audit event is about; None where it stays on this machine."""
    if event in _SENDING:
        sender, address = arguments
        if sender.family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
            return None
        host, port = address[:2]
        return None if _local(host) else f"{host}:{port}"
    if event in _NAMING:
        host = os.fsdecode(arguments[0] or "")
        return None if _local(host) else f"{host} (name looked up)"
    return None


def _local(host: str) -> bool:
    if host in ("", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _reads(mode: str | None, flags: int) -> bool:
    """Whether a file is opened to be read; `os.open` gives no mode, only flags."""
    if mode is not None:
        return "r" in mode or "+" in mode
    return flags & (os.O_WRONLY | os.O_RDWR) != os.O_WRONLY


@contextlib.contextmanager
def _watched_safetensors(watch: Watch) -> Iterator[None]:
    """Put a counter before `safetensors.safe_open`, which reads in Rust and so raises no audit event."""
    import safetensors
    import safetensors.torch

    original = safetensors.safe_open

    def safe_open(filename: Any, *arguments: Any, **options: Any) -> Any:
        watch.note_file(filename)
        return original(filename, *arguments, **options)

    def put(old: Any, new: Any) -> None:
        for module in list(sys.modules.values()):
            if isinstance(module, ModuleType) and vars(module).get("safe_open") is old:
                vars(module)["safe_open"] = new

    put(original, safe_open)
    try:
        yield
    finally:
        put(safe_open, original)
