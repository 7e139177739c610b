"""The `curate` command: arguments in, calls out.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

from __future__ import annotations

import typer

from curate.cli import folder, stages

app = typer.Typer(
    name="curate",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Find what is wrong with a folder of pictures, say why, and mend it reversibly. "
    "Nothing in the folder is changed but by `curate apply` and `curate undo`.",
)

for _name, _command in {
    "demo": folder.demo_command,
    "run": folder.run_command,
    "scan": stages.scan_command,
    "eda": stages.eda_command,
    "dedup": stages.dedup_command,
    "verdict": stages.verdict_command,
    "filter-photos": stages.filter_photos_command,
    "split": stages.split_command,
    "balance": stages.balance_command,
    "report": folder.report_command,
    "apply": folder.apply_command,
    "undo": folder.undo_command,
    "status": folder.status_command,
}.items():
    app.command(_name)(_command)


def main() -> None:
    """The console script `curate`."""
    app()
