"""Errors that a user can mend: each names the thing, the reason and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


class UserError(Exception):
    """Wrong usage or input. Exit code 2.

    `message` says what was wrong with what (a path, an option); `remedy` says what mends it, as a sentence
    or a command.
    """

    exit_code = 2

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.message = message
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str]]:
        """Let the error cross from a worker process whole."""
        return type(self), (self.message, self.remedy)


class Refused(UserError):  # noqa: N818  a refusal is an outcome, and the word of the design
    """A step that would not be safe. Nothing was changed. Exit code 4."""

    exit_code = 4


class Locked(UserError):  # noqa: N818  likewise
    """Another run holds the workspace. Exit code 5."""

    exit_code = 5


def known_names(name: str, known: Sequence[str]) -> str:
    """The remedy for a `name` that is none of those `known`: the closest one, and all there are."""
    close = difflib.get_close_matches(name, known, 1, 0.4)
    return (f"Did you mean '{close[0]}'? " if close else "") + f"Known: {', '.join(known)}."
