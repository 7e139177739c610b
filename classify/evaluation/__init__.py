"""How good a classifier is on a folder of pictures: predictions to scores, and what is handed in."""

from classify.evaluation.judging import SCHEMA, Evaluation, evaluate
from classify.evaluation.scores import TOP, classification_report, confusion, measure, summary, uncertainty

__all__ = [
    "SCHEMA",
    "TOP",
    "Evaluation",
    "classification_report",
    "confusion",
    "evaluate",
    "measure",
    "summary",
    "uncertainty",
]
