"""The `classify` command: arguments in, calls out.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

from __future__ import annotations

import typer

from classify.cli import comparing, errors, explaining, exporting, impact, judging, training

app = typer.Typer(
    name="classify",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Train a classifier on a folder of pictures, from scratch, and judge it honestly.",
)

for _name, _command in {
    "train": training.train_command,
    "evaluate": judging.evaluate_command,
    "compare": comparing.compare_command,
    "errors": errors.errors_command,
    "label-errors": errors.label_errors_command,
    "explain": explaining.explain_command,
    "predict": judging.predict_command,
    "export": exporting.export_command,
    "impact": impact.impact_command,
    "sweep": training.sweep_command,
    "models": training.models_command,
    "settings": training.settings_command,
    "augmentations": training.augmentations_command,
    "verify": training.verify_command,
}.items():
    app.command(_name)(_command)


def main() -> None:
    """The console script `classify`."""
    app()
