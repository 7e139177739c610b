"""Combinations that a search proposes, one after the other, each in the light of what came before.

The sampler is Optuna's tree-structured Parzen estimator (Bergstra et al., 2011). It is seeded, so a search that is begun
anew proposes the same again as long as it is told the same: finished cells answer at once, and no database is needed.
"""

from __future__ import annotations

from typing import Any

from classify.plan import Combination, Plan, Range
from curate.errors import UserError


class Proposals:
    """The combinations of a plan's search. Raises UserError where Optuna is not installed."""

    def __init__(self, plan: Plan) -> None:
        try:
            import optuna
        except ImportError as error:
            raise UserError(
                f"{plan.path}: [search] needs optuna, which is not installed.",
                "Install it with pip install 'curate-classify[search]', or write [factors] instead.",
            ) from error
        if plan.search is None:
            raise ValueError("the plan has no search")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._plan = plan
        self._ranges = plan.search.ranges
        sampler = optuna.samplers.TPESampler(seed=plan.search.seed)
        self._study: Any = optuna.create_study(direction="maximize", sampler=sampler)
        self._failed = optuna.trial.TrialState.FAIL
        self._trial: Any = None

    def ask(self) -> Combination:
        """The next combination to try; `tell` comes before the next `ask`."""
        self._trial = self._study.ask()
        return self._plan.combination({key: self._value(key, limits) for key, limits in self._ranges.items()})

    def tell(self, value: float | None) -> None:
        """What the last combination came to, the higher the better; None: it failed."""
        if value is None:
            self._study.tell(self._trial, state=self._failed)
        else:
            self._study.tell(self._trial, value)

    def _value(self, key: str, limits: Range) -> Any:
        if limits.choices:
            # By number: Optuna's categories cannot be lists.
            return limits.choices[self._trial.suggest_categorical(key, list(range(len(limits.choices))))]
        if isinstance(limits.low, int):
            return self._trial.suggest_int(key, limits.low, limits.high, log=limits.log)
        return self._trial.suggest_float(key, limits.low, limits.high, log=limits.log)
