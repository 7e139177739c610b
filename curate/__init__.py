"""Find what is wrong with a folder of pictures, say why, and mend it reversibly.

    import curate
    files = curate.scan("pictures")
    duplicates = curate.dedup("pictures")

Every function is listed in `__all__` and returns a pandas DataFrame; the tables' columns are in `curate.tables`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curate.api import apply, balance, dedup, eda, filter_photos, run, scan, split, undo

__all__ = ["apply", "balance", "dedup", "eda", "filter_photos", "run", "scan", "split", "undo"]


def __getattr__(name: str) -> Any:
    """Import a function when it is first used: `import curate` and `curate --help` stay fast."""
    if name in __all__:
        from curate import api

        return getattr(api, name)
    raise AttributeError(f"module 'curate' has no attribute '{name}'")
