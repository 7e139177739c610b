"""Train a classifier on a folder of pictures and judge it honestly.

import classify
classify.train("pictures", out="run")
result = classify.evaluate("test", "run/best.safetensors")
result.predictions, result.metrics
classify.answer(["new.png", "folder"], "run/best.safetensors", top=3)
classify.compare("run1/evaluation", "run2/evaluation").sentences
classify.explain("run/best.safetensors", ["test/cat"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from classify.ablation import impact
    from classify.answers import answer
    from classify.errors import find_errors
    from classify.evaluation import evaluate
    from classify.evaluation.comparing import compare
    from classify.explaining import explain
    from classify.exporting import export, write_card
    from classify.label_errors import find_label_errors
    from classify.settings import read_settings
    from classify.training import train
    from classify.verification import verify

__all__ = [
    "answer",
    "compare",
    "evaluate",
    "explain",
    "export",
    "find_errors",
    "find_label_errors",
    "impact",
    "read_settings",
    "train",
    "verify",
    "write_card",
]

_HOMES = {
    "answer": "classify.answers",
    "compare": "classify.evaluation.comparing",
    "evaluate": "classify.evaluation",
    "explain": "classify.explaining",
    "export": "classify.exporting",
    "find_errors": "classify.errors",
    "find_label_errors": "classify.label_errors",
    "impact": "classify.ablation",
    "read_settings": "classify.settings",
    "train": "classify.training",
    "verify": "classify.verification",
    "write_card": "classify.exporting",
}


def __getattr__(name: str) -> Any:
    """Import a function when it is first used: `import classify` and `classify --help` stay fast."""
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'classify' has no attribute '{name}'")
