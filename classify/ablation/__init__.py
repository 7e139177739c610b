"""What each step of curation was worth: the same training with it and without it."""

from classify.ablation.running import ImpactResult, impact

__all__ = ["ImpactResult", "impact"]
