"""The training pictures' fingerprints, kept beside the weights: `fingerprints.parquet`.

With them an evaluation knows which test pictures the network has seen, though the training pictures are gone. The
weights carry the fingerprint of their data (`data_sha256`), and the file must give it again: one that was left over
from another run is not believed.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from classify.data.dataset import Seen, fingerprint
from classify.weights import Classifier
from curate.lookalikes import Print, told_apart

NAME = "fingerprints.parquet"

VERSION = 1
"""Version of the file's layout."""

_KEY = b"curate-classify-fingerprints"
_TEXTS = ("path", "label", "part")
_BYTES = ("content", "pixels", "copy")


@dataclass(frozen=True)
class Known:
    """What is known of the training pictures: `seen`, or in `missing` why there is nothing."""

    seen: list[Seen]
    missing: str = ""

    @property
    def copies(self) -> bool:
        """Whether edited copies can be told, and not the same bytes and pixels alone."""
        return any(told_apart(one.print) for one in self.seen)


def pack(seen: Sequence[Seen]) -> bytes:
    """The bytes of `fingerprints.parquet`: one row a picture, `path`, `label`, `part` (train or val), `content` and
    `pixels` (SHA-256), `copy` (WebP, may be empty)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: pa.array([getattr(one, name) for one in seen], pa.string()) for name in _TEXTS}
    columns |= {name: pa.array([getattr(one.print, name) for one in seen], pa.binary()) for name in _BYTES}
    about = {_KEY: json.dumps({"version": VERSION}).encode()}
    stream = io.BytesIO()
    pq.write_table(
        pa.table(columns).replace_schema_metadata(about),
        stream,
        compression={name: "NONE" if name in _BYTES else "ZSTD" for name in columns},
        use_dictionary=["label", "part"],
        write_statistics=False,
    )
    return stream.getvalue()


def unpack(data: bytes) -> list[Seen]:
    """What `pack` was given. Raises ValueError for anything else."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(data))
        about = json.loads((table.schema.metadata or {})[_KEY])
        if about["version"] != VERSION:
            raise ValueError(f"it is of layout {about['version']}, this version reads layout {VERSION}")
        columns = [table[name].to_pylist() for name in (*_TEXTS, *_BYTES)]
    except (pa.ArrowException, OSError, KeyError, TypeError) as error:
        raise ValueError(f"it is no file of fingerprints, or was damaged: {error}") from error
    return [
        Seen(path, label, part, Print(content, pixels, copy))
        for path, label, part, content, pixels, copy in zip(*columns, strict=True)
    ]


def beside(weights: Path, classifier: Classifier) -> Known:
    """The fingerprints of the pictures that `classifier`, of the file `weights`, was trained on."""
    wanted = classifier.metadata.get("data_sha256")
    if wanted is None:
        return Known([], f"{weights} was written by a version that kept nothing of the training pictures")
    if classifier.settings.get("data", {}).get("fingerprints") == "none":
        return Known([], f"{weights} was trained with data.fingerprints = none")
    file = weights.absolute().parent / NAME
    try:
        seen = unpack(file.read_bytes())
    except FileNotFoundError:
        return Known([], f"{file} is missing; copy it along with the weights")
    except OSError as error:
        return Known([], f"{file} cannot be read ({error.strerror or error})")
    except ValueError as error:
        return Known([], f"{file} cannot be read ({error})")
    found = fingerprint(
        [one.print.content.hex() for one in seen],
        [one.label for one in seen],
        [one.part == "val" for one in seen],
    )
    if found != wanted:
        return Known([], f"{file} belongs to other weights; copy along the one that lay beside these")
    return Known(seen)
