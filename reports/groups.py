"""A page of pictures in groups: what `classify errors` and `classify label-errors` show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reports.document import Gallery, Section, Shot, document
from reports.saliency import overlay


def errors_page(title: str, sentences: Sequence[str], groups: Sequence[Mapping[str, Any]]) -> str:
    """The HTML of an evaluation's wrong pictures.

    `groups` have a `title`, `pictures` (each `picture` uint8 (S, S, 3) or None, `saliency` float (S, S), 0..1, or None, `tag`,
    `text` and `path`) and `more`, the number of those not shown. Where there is a saliency it stands beside its picture.
    """
    explained = "Each with the class that it was taken for, how sure the classifier was, and what it gave the true class."
    return _page(
        "classify errors", title, [*sentences, explained], groups, "go", "All of them: errors.csv, beside it."
    )


def label_errors_page(title: str, sentences: Sequence[str], groups: Sequence[Mapping[str, Any]]) -> str:
    """The HTML of suspected labels; `groups` as in `errors_page`."""
    explained = "Each with the class that it looks like, and the estimated chance that its label is wrong."
    foot = "To take or refuse them: the column verdict of label_errors.csv, beside it."
    return _page("classify label-errors", title, [*sentences, explained], groups, "review", foot)


def _page(
    kind: str,
    title: str,
    lead: Sequence[str],
    groups: Sequence[Mapping[str, Any]],
    tone: str,
    foot: str,
) -> str:
    sections = []
    for group in groups:
        paired = any(one.get("saliency") is not None for one in group["pictures"])
        shots = [shot for one in group["pictures"] for shot in _shots(one, tone, paired)]
        gallery = Gallery(shots, of=2 if paired else 1, more=group["more"])
        sections.append(Section(group["title"], [gallery]))
    return document(kind, title, lead, sections, foot)


def _shots(one: Mapping[str, Any], tone: str, paired: bool) -> Iterator[Shot]:
    yield Shot(one["picture"], one["tag"], tone, one["text"], one["path"])
    if paired:
        heat = one.get("saliency")
        yield Shot(None if heat is None else overlay(one["picture"], heat), "what spoke for it")
