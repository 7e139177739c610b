"""Which columns of an Arrow schema hold the pictures and their classes, and how a class is called.

The library `datasets` leaves its own description of the columns in the schema's metadata, as JSON under the key
`huggingface`; where there is none, names and types decide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from curate.errors import UserError

_IMAGE_NAMES = ("image", "img", "picture")
_LABEL_NAMES = ("label", "labels", "fine_label", "class", "target")


@dataclass(frozen=True)
class Columns:
    """Names of the two columns; `image_type` is Arrow's; `classes` the names that whole-number labels count, if any."""

    image: str
    image_type: Any
    label: str
    classes: list[str] | None


def has_images(schema: Any) -> bool:
    """Whether a column of an Arrow schema holds pictures by its description, its fields or its name; bytes alone may not."""
    import pyarrow.types as types

    features = _features(schema)
    return any(
        name in features or name in _IMAGE_NAMES or types.is_struct(schema.field(name).type)
        for name in _image_columns(schema, features)
    )


def find_columns(schema: Any, where: str) -> Columns:
    """The columns of an Arrow schema. `where` names the file in errors. Raises UserError where it is not clear."""
    features = _features(schema)
    shown = ", ".join(f"{field.name} ({field.type})" for field in schema)
    images = _image_columns(schema, features)
    image = _one(images, _IMAGE_NAMES)
    if image is None:
        what = (
            f"{len(images)} columns of pictures ({', '.join(images)})" if images else "no column of pictures"
        )
        raise UserError(
            f"{where}: has {what}; its columns: {shown}.",
            "Pictures stand in one column, `image`: a struct of bytes and path, or the bytes of a picture file.",
        )
    labels = _label_columns(schema, features)
    label = _one(labels, _LABEL_NAMES)
    if label is None:
        what = f"{len(labels)} columns of labels ({', '.join(labels)})" if labels else "no column of labels"
        raise UserError(
            f"{where}: has {what}; its columns: {shown}.",
            "Classes stand in one column, `label`: names, or whole numbers with their names in the metadata.",
        )
    names = features.get(label, {}).get("names")
    classes = [str(name) for name in names] if isinstance(names, list) else None
    return Columns(image, schema.field(image).type, label, classes)


def _features(schema: Any) -> dict[str, Mapping[str, Any]]:
    """What the metadata say of each column; empty where they say nothing that can be understood."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: value for name, value in features.items() if isinstance(value, dict)}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _image_columns(schema: Any, features: Mapping[str, Mapping[str, Any]]) -> list[str]:
    import pyarrow.types as types

    def encoded(kind: Any) -> bool:
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    found = []
    for field in schema:
        struct = types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0
        if (struct and encoded(field.type.field("bytes").type)) or encoded(field.type):
            found.append(field.name)
    named = [name for name in found if features.get(name, {}).get("_type") == "Image"]
    return named or found


def _label_columns(schema: Any, features: Mapping[str, Mapping[str, Any]]) -> list[str]:
    import pyarrow.types as types

    named = [name for name, feature in features.items() if feature.get("_type") == "ClassLabel"]
    if named:
        return [name for name in named if schema.get_field_index(name) >= 0]
    return [
        field.name
        for field in schema
        if field.name in _LABEL_NAMES
        and (types.is_integer(field.type) or types.is_string(field.type) or types.is_large_string(field.type)
             or types.is_dictionary(field.type) or types.is_boolean(field.type))
    ]  # fmt: skip


def _one(found: list[str], usual: tuple[str, ...]) -> str | None:
    """The only one, or the one with the most usual name."""
    if len(found) == 1:
        return found[0]
    return next((name for name in usual if name in found), None)
