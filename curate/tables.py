"""The schema of every table of a workspace, column by column, with units.

A path in a table is relative to the folder's root, with `/` between its parts, as text that is safe whatever bytes
the file system holds (see `curate.paths`). A `content` is the SHA-256 of a file's bytes in hexadecimal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

TEXT, BOOL, INT32, INT64, FLOAT32 = "string", "bool", "int32", "int64", "float32"
VECTOR = "list<float32>"
BINARY = "binary"


@dataclass(frozen=True)
class Column:
    """One column: its Arrow type and what it holds, with the unit."""

    type: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """One table: its name (also the file's, `NAME.parquet`), the version of its schema, its columns and sort order."""

    name: str
    version: int
    columns: dict[str, Column]
    key: tuple[str, ...]

    def arrow_schema(self) -> pa.Schema:
        """The table's Arrow schema, without metadata."""
        import pyarrow as pa

        types = {
            TEXT: pa.string(),
            BOOL: pa.bool_(),
            INT32: pa.int32(),
            INT64: pa.int64(),
            FLOAT32: pa.float32(),
            VECTOR: pa.list_(pa.float32()),
            BINARY: pa.binary(),
        }
        return pa.schema([(name, types[column.type]) for name, column in self.columns.items()])

    def empty(self) -> pd.DataFrame:
        """A frame of no rows with the table's columns and types."""
        frame: pd.DataFrame = self.arrow_schema().empty_table().to_pandas()
        return frame


_PATH = Column(TEXT, "path below the root")
_CONTENT = Column(TEXT, "SHA-256 of the bytes, hexadecimal; empty where the file could not be read at all")
_LABEL = Column(TEXT, "class folder: the first part of the path; empty for a file at the root")
_CLASS = Column(TEXT, "class: that which a person gave the picture, else its class folder")
_ACTION = Column(TEXT, "keep, remove or review (a person should look; nothing happens by itself)")
_REASON = Column(TEXT, "why, in words with a number")

FILES = Table(
    "files",
    1,
    {
        "path": _PATH,
        "content": _CONTENT,
        "size": Column(INT64, "bytes"),
        "mtime_ns": Column(INT64, "time of last change, nanoseconds since 1970"),
        "label": _LABEL,
        "status": Column(TEXT, "ok or unreadable"),
        "reason": Column(TEXT, "reason code where unreadable (see curate.images.REASONS), else empty"),
        "detail": Column(TEXT, "what the decoder said"),
        "width": Column(INT32, "pixels, after the EXIF turn; 0 where unreadable"),
        "height": Column(INT32, "pixels, after the EXIF turn; 0 where unreadable"),
        "mode": Column(TEXT, "Pillow's mode of the stored picture: RGB, L, P, RGBA, ..."),
        "format": Column(TEXT, "format found in the bytes, not in the name: JPEG, PNG, ..."),
        "frames": Column(INT32, "number of frames; 1 for a still picture"),
        "orientation": Column(INT32, "EXIF orientation 1..8; 1 where there is none"),
        "transparency": Column(FLOAT32, "share of pixels with alpha below one half, 0..1"),
        "brightness": Column(FLOAT32, "mean luma, 0 (black) .. 1 (white)"),
        "contrast": Column(FLOAT32, "standard deviation of luma, 0..0.5"),
        "sharpness": Column(
            FLOAT32, "variance of the Laplacian of luma, luma in 0..1, at the measuring size"
        ),
        "colorfulness": Column(FLOAT32, "Hasler & Suesstrunk's M3 on 8-bit RGB: 0 grey, above 60 vivid"),
        "saturation": Column(FLOAT32, "mean of (max - min) / max over the channels, 0..1"),
        "entropy": Column(FLOAT32, "entropy of the luma histogram of 64 bins, bits, 0..6"),
        "flatness": Column(
            FLOAT32, "share of pixels that equal their right and lower neighbours within 2/255, 0..1"
        ),
        "ink": Column(
            FLOAT32, "share of pixels that differ from the most common colour by over 16/255, 0..1"
        ),
    },
    ("path",),
)

AGAINST = Table("against", 1, FILES.columns, ("path",))
"""The files of another folder that `curate dedup --against` compares with; paths are relative to that folder."""

FINGERPRINTS = Table(
    "fingerprints",
    1,
    {
        "content": _CONTENT,
        "pixels": Column(
            TEXT, "SHA-256 of the decoded RGB picture (turned, alpha on white) and its size, hexadecimal"
        ),
        "hash": Column(
            BINARY, "perceptual hashes, 2 x 32 bytes: of the whole picture, of the picture inside its border"
        ),
        "boxes": Column(
            VECTOR, "left, top, right, bottom, 0..1: inside the outermost border, then inside all borders"
        ),
        "quality": Column(FLOAT32, "information in the picture, 0 (blank page) .. 1"),
        "real_side": Column(FLOAT32, "pixels along the mean side that carry real detail"),
        "thumb": Column(BINARY, "grey copy that the second look compares, uint8 96 x 96, row by row"),
        "points": Column(
            BINARY,
            "local features, float32 n x 4: x, y (0..1), size (pixels), angle (degrees); missing after a fast search",
        ),
        "descriptors": Column(
            BINARY, "RootSIFT descriptors x 255 of the local features, uint8 n x 128; missing likewise"
        ),
    },
    ("content",),
)

JUDGED = Table(
    "judged",
    1,
    {
        "content_a": _CONTENT,
        "content_b": Column(TEXT, "the other content; content_a < content_b"),
        "distance": Column(
            INT32, "bits in which their nearest hashes differ, 0..256; 257: they were not near"
        ),
        "orientation": Column(
            INT32, "how the second picture is turned by that, 0..7: see candidates.orientations"
        ),
        "kind_a": Column(INT32, "which hash of the first is meant: 0 whole, 1 inside the border"),
        "kind_b": Column(INT32, "which hash of the second"),
        "score": Column(FLOAT32, "belief that both are the same picture, 0..1"),
        "evidence": Column(TEXT, "what was measured, in words with numbers"),
    },
    ("content_a", "content_b"),
)

CASES = Table(
    "cases",
    1,
    {
        "content_a": _CONTENT,
        "content_b": Column(TEXT, "the other content; content_a < content_b"),
        "from_a": Column(FLOAT32, "cost of explaining b as an edit of a: see curate.duplicates.provenance"),
        "from_b": Column(FLOAT32, "cost of explaining a as an edit of b"),
        "b_is_copy": Column(TEXT, "in words why b is the copy where a is kept"),
        "a_is_copy": Column(TEXT, "in words why a is the copy where b is kept"),
    },
    ("content_a", "content_b"),
)

PLANTED = Table(
    "planted",
    1,
    {
        "content": Column(TEXT, "SHA-256 of the picture that a copy was made of, hexadecimal"),
        "edit": Column(TEXT, "what was done to the copy"),
        "score": Column(FLOAT32, "belief that picture and copy are the same picture, 0..1"),
    },
    ("content",),
)
"""Copies that `compare` makes of a sample of the pictures, to see how many it finds; they are not kept."""

ERROR = Table(
    "error",
    1,
    {
        "measure": Column(
            TEXT, "precision: share of the near pairs that are right; recall: share of planted copies found"
        ),
        "value": Column(FLOAT32, "estimate, 0..1"),
        "low": Column(FLOAT32, "lower end of the 95 % interval, 0..1"),
        "high": Column(FLOAT32, "upper end, 0..1"),
        "of": Column(INT64, "number of pairs or copies that it rests on"),
    },
    ("measure",),
)

VERDICTS = Table(
    "verdicts",
    1,
    {
        "content": _CONTENT,
        "other": Column(
            TEXT, "the other content, content < other, where the verdict is on a pair; else empty"
        ),
        "verdict": Column(
            TEXT,
            "same or different (of two pictures); photo, drawing, label:CLASS or no-class (of one)",
        ),
        "path": Column(TEXT, "path of a file that held `content` when it was said, for people"),
        "other_path": Column(TEXT, "path of a file that held `other`"),
        "said": Column(TEXT, "when it was said: ISO 8601, UTC"),
    },
    ("content", "other", "verdict"),
)
"""What people decided, by content: it survives renames, moves and rescans. No stage ever writes it."""

LEAKS = Table(
    "leaks",
    1,
    {
        "path": _PATH,
        "content": _CONTENT,
        "label": _CLASS,
        "other": Column(TEXT, "path in the other folder of the same picture"),
        "other_label": Column(TEXT, "its class folder there"),
        "tier": Column(TEXT, "exact, pixel, verdict or near: how the two are alike"),
        "score": Column(FLOAT32, "belief that both are the same picture, 0..1"),
        "action": _ACTION,
        "reason": _REASON,
    },
    ("path",),
)

PAIRS = Table(
    "pairs",
    1,
    {
        "content_a": _CONTENT,
        "content_b": Column(TEXT, "the other content; content_a < content_b"),
        "tier": Column(TEXT, "pixel, verdict or near"),
        "score": Column(FLOAT32, "belief that both are the same picture, 0..1"),
        "evidence": Column(TEXT, "what was measured, in words with numbers"),
    },
    ("content_a", "content_b"),
)

DUPLICATES = Table(
    "duplicates",
    1,
    {
        "path": _PATH,
        "content": _CONTENT,
        "label": _CLASS,
        "group": Column(INT32, "number of the group, from 0, by the keeper's path"),
        "tier": Column(
            TEXT,
            "exact, pixel, verdict or near: how the file is alike to the keeper (the keeper: its closest member's)",
        ),
        "score": Column(
            FLOAT32, "belief that the file is the same picture as the keeper, 0..1; 1 for the keeper"
        ),
        "keeper": Column(TEXT, "path of the file that the group keeps"),
        "conflict": Column(BOOL, "the group stands under more than one label"),
        "action": _ACTION,
        "reason": _REASON,
    },
    ("group", "path"),
)

SIMILAR = Table(
    "similar",
    1,
    {
        "path": _PATH,
        "other": Column(TEXT, "path of the picture that the encoder finds nearest; path < other"),
        "label": _LABEL,
        "other_label": Column(TEXT, "its class folder"),
        "tier": Column(TEXT, "similar"),
        "score": Column(FLOAT32, "cosine of the two embeddings, -1..1"),
    },
    ("path", "other"),
)
"""Pictures that look alike to an encoder and were not found to be copies: to be seen, never removed by themselves."""

EMBEDDINGS = Table(
    "embeddings",
    1,
    {
        "content": _CONTENT,
        "vector": Column(VECTOR, "embedding of the encoder named in the settings, unit length"),
        "cues": Column(VECTOR, "what the photo filter's head reads: see curate.photos"),
    },
    ("content",),
)

SHARE = Table(
    "share",
    2,
    {
        "wanted": Column(TEXT, "what was looked for: photos or illustrations"),
        "value": Column(FLOAT32, "estimated share of it among the pictures, 0..1"),
        "low": Column(FLOAT32, "lower end of the 95 % interval"),
        "high": Column(FLOAT32, "upper end of the 95 % interval"),
        "painted": Column(FLOAT32, "estimated share of paintings, of which the filter is less sure"),
        "present": Column(BOOL, "whether the folder cannot be explained without any"),
        "threshold": Column(FLOAT32, "probability of it from which a picture is called so, 0..1"),
        "sentence": Column(TEXT, "the same in words"),
    },
    ("wanted",),
)
"""What the photo filter thinks of the folder as a whole: one row."""

PHOTOS = Table(
    "photos",
    1,
    {
        "path": _PATH,
        "content": _CONTENT,
        "label": _LABEL,
        "photo_score": Column(FLOAT32, "probability that the picture is a photograph, 0..1"),
        "photo_verdict": Column(TEXT, "drawing, photo or unsure"),
        "action": _ACTION,
        "reason": _REASON,
        "cluster": Column(
            TEXT, "the backend `cluster`'s number and name of the picture's cluster; else empty"
        ),
    },
    ("path",),
)

SPLITS = Table(
    "splits",
    1,
    {
        "path": _PATH,
        "content": _CONTENT,
        "label": _CLASS,
        "split": Column(TEXT, "train, val, test; out: not used (removed, unreadable, or waiting for review)"),
        "group": Column(INT32, "pictures that must stay on one side share a number"),
        "reason": Column(TEXT, "why it is out, else empty"),
    },
    ("path",),
)

BALANCE = Table(
    "balance",
    1,
    {
        "path": _PATH,
        "label": _CLASS,
        "weight": Column(FLOAT32, "weight of the picture's class in the loss; mean 1 over the training part"),
        "copies": Column(
            INT32, "times the picture is drawn an epoch: 0 left out, 1 once, n > 1 augmented copies"
        ),
        "reason": _REASON,
    },
    ("path",),
)

PROBLEMS = Table(
    "problems",
    1,
    {
        "problem": Column(TEXT, "short name: imbalance, unreadable, exact_duplicates, ..."),
        "severity": Column(TEXT, "high, medium or low"),
        "count": Column(INT64, "files concerned"),
        "value": Column(FLOAT32, "the number of the sentence"),
        "sentence": Column(TEXT, "what is wrong, in words with its number"),
        "command": Column(TEXT, "the command that deals with it; empty where none does"),
        "examples": Column(TEXT, "up to 12 paths, one a line"),
    },
    ("problem",),
)

PLAN = Table(
    "plan",
    1,
    {
        "path": _PATH,
        "content": _CONTENT,
        "size": Column(INT64, "bytes"),
        "mtime_ns": Column(INT64, "time of last change when it was scanned, nanoseconds since 1970"),
        "label": _CLASS,
        "action": _ACTION,
        "stage": Column(
            TEXT,
            "who decided: scan, against, dedup, filter-photos, verdict; empty for keep but where a person gave the class",
        ),
        "reason": _REASON,
        "score": Column(FLOAT32, "the decision's score, 0..1"),
        "other": Column(TEXT, "for a duplicate: the path of the file kept for it, else empty"),
    },
    ("path",),
)

TABLES = {
    table.name: table
    for table in (
        FILES, AGAINST, FINGERPRINTS, JUDGED, CASES, PLANTED, VERDICTS, PAIRS, ERROR, LEAKS, DUPLICATES, EMBEDDINGS, SHARE, PHOTOS, SIMILAR, SPLITS,
        BALANCE, PROBLEMS, PLAN,
    )
}  # fmt: skip
