"""What a command prints: one object with the modes human, `--json` and `--quiet`, and the way errors end.

Exit codes: 0 done, 2 wrong usage or input, 4 refused for safety, 5 locked by another run, 130 interrupted, 143
ended from outside (SIGTERM), 1 a bug.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any, NoReturn, get_args

if TYPE_CHECKING:
    from rich.console import Console


_ENDING = (signal.SIGINT, signal.SIGTERM)
"""Signals that end a command as an interrupt does."""

_UNFOLDED = 10_000
"""Characters: wider than any row of a table; a table takes no more than it needs."""


class Terminal:
    """Prints a command's words and results.

    Human mode: sentences and tables on stdout, progress on stderr while it is a terminal. JSON mode: nothing but one
    object on stdout at the end. Quiet: nothing but errors.
    """

    def __init__(self, *, json: bool = False, quiet: bool = False, yes: bool = False) -> None:
        self.json = json
        self.quiet = quiet
        self.yes = yes
        self._result: dict[str, Any] = {}
        self._interrupted = 0
        """Number of the signal that asked to end, 0 for none."""
        self.again = "Run the same command again: nothing is left half-done."
        """What is said after an interrupt."""

    @functools.cached_property
    def _out(self) -> Console:
        return _console(stderr=False)

    @functools.cached_property
    def _err(self) -> Console:
        return _console(stderr=True)

    @property
    def human(self) -> bool:
        """Whether sentences are wanted."""
        return not (self.json or self.quiet)

    def say(self, text: str = "", *, style: str | None = None) -> None:
        """A line for a person. The text is printed as it is: file names cannot carry markup."""
        if self.human:
            self._out.print(printable(text), style=style, markup=False)

    def lines(self, lines: Iterable[tuple[str, str | None]]) -> None:
        """Several lines for a person, each with its style."""
        for text, style in lines:
            self.say(text, style=style)

    def text(self, text: str) -> None:
        """Lines for programs on stdout, as they are: what was asked for, so in quiet mode too; not in JSON mode."""
        if not self.json:
            sys.stdout.write(text)
            sys.stdout.flush()

    @staticmethod
    def names() -> list[str]:
        """Names of files from stdin, one a line, of whatever bytes."""
        return [os.fsdecode(line) for line in sys.stdin.buffer.read().splitlines() if line]

    def warn(self, text: str) -> None:
        """A line for a person about something unexpected, on stderr."""
        if not self.quiet:
            self._err.print(f"warning: {printable(text)}", style="yellow", markup=False)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> None:
        """A table for a person; columns whose cells are all numbers are set to the right."""
        if not self.human:
            return
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        table = Table(
            title=title or None, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False
        )
        for i, name in enumerate(columns):
            numbers = all(isinstance(row[i], int | float) for row in rows)
            table.add_column(name, justify="right" if numbers else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(printable(_cell(value))) for value in row))
        self._out.print(table, soft_wrap=False)

    def result(self, **values: Any) -> None:
        """Add to the object that `--json` prints."""
        self._result.update(values)

    def finish(self) -> None:
        """Print the JSON object, in JSON mode."""
        if self.json:
            print(json.dumps(self._result, indent=2, ensure_ascii=False, default=str))

    @contextlib.contextmanager
    def progress(self, doing: str) -> Iterator[Callable[[int, int], None]]:
        """A progress bar on stderr, gone when done; yields a callback that takes (done, total).

        Nothing is shown where stderr is no terminal, or in JSON and quiet modes.
        """
        if not self.human or not self._err.is_terminal:
            yield lambda done, total: self.go_on()
            return
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        bar = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=self._err, transient=True, redirect_stdout=sys.stdout.isatty(),
        )  # fmt: skip

        def show(done: int, total: int) -> None:
            self.go_on()
            bar.update(task, completed=done, total=total)
            if done >= total:
                bar.stop()  # what is printed after the last item must not fight with the bar

        with bar:
            task = bar.add_task(doing, total=None)
            yield show

    @property
    def answers(self) -> bool:
        """Whether `confirm` can be answered: by `--yes`, or by somebody at a terminal."""
        return self.yes or (self.human and sys.stdin.isatty())

    def confirm(self, question: str) -> bool:
        """Ask before a step that changes files. `--yes` answers yes; where nobody can answer it is no."""
        if self.yes or not self.answers:
            return self.yes
        self._out.print(f"{printable(question)} [y/N] ", end="", markup=False)
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def _interrupt(self, number: int, frame: object) -> NoReturn:
        """Handle SIGINT as Python does, SIGTERM alike so that everything is tidied up, and remember it."""
        self._interrupted = number
        raise KeyboardInterrupt

    def go_on(self) -> None:
        """Raise KeyboardInterrupt where one came and was lost: Python drops what is raised in a destructor."""
        if self._interrupted:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def guard(self) -> Iterator[Terminal]:
        """Run a command's body: what it raises ends the process as `fail` says, else the result is printed."""
        main = threading.current_thread() is threading.main_thread()
        before = {one: signal.signal(one, self._interrupt) for one in _ENDING} if main else {}
        try:
            yield self
            self.go_on()
            self.finish()
        except BrokenPipeError:
            _into_nothing(sys.stdout)
            raise SystemExit(0) from None
        except (Exception, KeyboardInterrupt) as error:
            self.fail(error)
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def fail(self, error: BaseException) -> NoReturn:
        """Print an error and leave with its exit code.

        An error that a user can mend has the attributes `message`, `remedy` and `exit_code`; anything else is a bug.
        """
        message, remedy = getattr(error, "message", None), getattr(error, "remedy", "")
        code = getattr(error, "exit_code", 1)
        if isinstance(error, KeyboardInterrupt):
            # CPython remembers an interrupt that came inside exec() of a text, as dataclasses use it during imports,
            # and would die by the signal instead of leaving with our code; the next exec() forgets it.
            exec("")
            code = 128 + (self._interrupted or signal.SIGINT)
            message, remedy = "interrupted.", self.again
        if message is None:
            code = 1
            message = f"this is a bug: {type(error).__name__}: {error}"
            remedy = "Please report it, with the lines above, in the issue tracker of curate-classify."
            traceback.print_exception(error, file=sys.stderr)
        if self.json:
            print(
                json.dumps(
                    {**self._result, "error": {"message": message, "remedy": remedy, "exit_code": code}},
                    ensure_ascii=False,
                    default=str,
                )
            )
        self._err.print(f"error: {printable(message)}", style="bold red", markup=False)
        if remedy:
            self._err.print(f"  {printable(remedy)}", markup=False)
        raise SystemExit(code)


def _console(stderr: bool) -> Console:
    """A console that prints texts as they are. Where the reader of its pipe goes, as `head` does, the work still goes on:
    results are more than what is printed. Into a file or a pipe each row of a table is one line, however long its names:
    `grep` finds them whole there, unless the variable COLUMNS asks for a width.
    """
    from rich.console import Console, ConsoleDimensions

    class Lasting(Console):
        def on_broken_pipe(self) -> None:
            _into_nothing(self.file)

    console = Lasting(stderr=stderr, highlight=False, emoji=False, soft_wrap=True)
    if not (console.is_terminal or "COLUMNS" in os.environ):
        console.size = ConsoleDimensions(_UNFOLDED, 25)
    return console


def _into_nothing(stream: IO[str]) -> None:
    """Let what is still written to a stream vanish; Python flushes into it at exit, too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def printable(text: str) -> str:
    """Text without control characters: a file name must not move the cursor, nor break a line."""
    return "".join(
        c if c in "\n\t" or (c.isprintable() and not "\ud800" <= c <= "\udfff") else repr(c)[1:-1]
        for c in text
    )


def size_in_words(size: float) -> str:
    """A number of bytes as people write it: 512 bytes, 3.4 MB (decimal units)."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def command(
    common: Callable[..., Any], start: Callable[..., Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a decorator that gives a command the options that all commands share.

    `common` is a function whose parameters are those options. A command is a function whose first parameter is
    `start(**those options)`, followed by its own arguments and options; on the command line the arguments that all
    share come before its own. An error ends it as `Terminal.fail` says.
    """
    from typer.models import ArgumentInfo

    shared = list(inspect.signature(common, eval_str=True).parameters.values())
    first = [p for p in shared if any(isinstance(a, ArgumentInfo) for a in get_args(p.annotation))]

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

        def call(**given: Any) -> None:
            options = {p.name: given.pop(p.name) for p in shared}
            flags = {name: options[name] for name in ("json", "quiet", "yes") if name in options}
            with Terminal(**flags).guard() as terminal:
                function(start(terminal=terminal, **options), **given)

        ordered = (*first, *own, *(p for p in shared if p not in first))
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in ordered]
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
        call.__annotations__ = {p.name: p.annotation for p in parameters}
        call.__name__, call.__doc__ = function.__name__, function.__doc__
        return call

    return decorate
