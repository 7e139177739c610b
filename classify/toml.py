"""Files that people write: settings and plans."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from curate.errors import UserError


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The tables and values of a TOML file, UTF-8; `what` it is, for errors. Raises UserError where it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such {what} file.", "Check the path.") from error
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}).", "Give a TOML file that you may read."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is not valid TOML ({error}).", "Correct the file.") from error
