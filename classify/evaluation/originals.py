"""The pictures that a table of predictions speaks of, where they are still there."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from classify.data.items import Item
from classify.labelled import LabelledPictures
from curate.errors import UserError
from curate.paths import path_from_text


def originals(
    metrics: Mapping[str, Any], paths: Sequence[str], classes: Sequence[str]
) -> tuple[dict[str, Item], str]:
    """The pictures at `paths`, and "" or a sentence why they cannot be had.

    `metrics` are those of the evaluation, `classes` those of its weights. The pictures are files below the folder
    that was judged on, or those of a data set in a known layout; paths at which there is nothing any more are left out.
    """
    folder = Path(path_from_text(metrics["folder"]))
    files: dict[str, Item] = {
        path: file
        for path in paths
        if os.path.isfile(file := os.path.join(folder, path_from_text(path)))  # noqa: PTH113, PTH118  bytes-safe
    }
    if files:
        return files, ""
    try:
        mapped = metrics.get("folders", {}).get("mapped") or None  # as --classes said
        found = LabelledPictures.open(folder, classes, mapping=mapped)
    except UserError as error:
        return {}, f"The pictures are not shown: {error.message}"
    return dict(zip(found.paths, found.items, strict=True)), ""
