"""A trained classifier for use elsewhere: an ONNX file that needs nothing of this project, and a model card."""

from classify.exporting.writing import Exported, export, write_card

__all__ = ["Exported", "export", "write_card"]
