"""What a run was made from: enough to repeat it, and to show which weights it started from."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_PACKAGES = ("torch", "numpy", "pillow", "safetensors", "curate-classify")


RANDOM_START = "random weights, drawn from training.seed"
"""What a run that no one else's weights went into says of its start."""


def digest(state: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over names, types, shapes and numbers of a network's state, hexadecimal."""
    sha = hashlib.sha256()
    for name, value in sorted(state.items()):
        array = value.detach().cpu().contiguous().numpy()
        sha.update(f"{name} {array.dtype} {array.shape}\n".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the result; those not installed are left out."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def record(
    initial: Mapping[str, torch.Tensor],
    settings: Mapping[str, Any],
    data: str,
    plan: str,
    start: str = RANDOM_START,
) -> dict[str, Any]:
    """The content of a run's `provenance.json`: `initial` are the weights before the first step, `data` the set's fingerprint.

    `start` says in words where `initial` came from.
    """
    return {
        "start": start,
        "initial_weights_sha256": digest(initial),
        "data_sha256": data,
        "arithmetic": plan,
        "versions": versions(),
        "settings": dict(settings),
    }
