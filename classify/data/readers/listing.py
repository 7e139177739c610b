"""What a folder holds, by name."""

from __future__ import annotations

from pathlib import Path


def names_in(place: Path) -> set[str]:
    """Names of the entries of a folder; none where it is no folder, or may not be read."""
    try:
        return {path.name for path in place.iterdir()}
    except OSError:
        return set()
