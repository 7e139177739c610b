"""Train a classifier on a folder of pictures and judge it honestly.

import classify
classify.train("pictures", out="run")
result = classify.evaluate("test", "run/best.safetensors")
result.predictions, result.metrics
classify.answer(["new.png", "folder"], "run/best.safetensors", top=3)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from classify.ablation import impact
    from classify.answers import answer
    from classify.evaluation import evaluate
    from classify.training import train
    from classify.verification import verify

__all__ = ["answer", "evaluate", "impact", "train", "verify"]

_HOMES = {
    "answer": "classify.answers",
    "evaluate": "classify.evaluation",
    "impact": "classify.ablation",
    "train": "classify.training",
    "verify": "classify.verification",
}


def __getattr__(name: str) -> Any:
    """Import a function when it is first used: `import classify` and `classify --help` stay fast."""
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'classify' has no attribute '{name}'")
