"""The model card: what a classifier is, what it was made from, how good it is, and what it is not good at.

After Mitchell et al., "Model cards for model reporting" (2019, arXiv:1810.03993), with the front matter of Hugging
Face's cards. Every figure is from the records of the run; what they do not hold is said to be not recorded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from classify.exporting.limits import limits, plain
from classify.exporting.records import Records, read_records
from curate.words import counted

CARD = "MODEL_CARD.md"
"""Name of the card's file."""

UNKNOWN = "not recorded"

_SCORES = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "weighted_f1": "weighted F1",
    "balanced_accuracy": "balanced accuracy",
    "top_5_accuracy": "top-5 accuracy",
}


def model_card(weights: str | Path) -> str:
    """The model card of a weights file as Markdown, from it and the records in its folder.

    Records that are missing leave their places as "not recorded". Raises UserError where it is no weights file.
    """
    records = read_records(weights)
    parts = [
        _front(records),
        f"# {plain(_title(records))}",
        *_details(records),
        *_use(records),
        *_limits(records),
        *_training(records),
        *_evaluation(records),
        *_settings(records),
    ]
    return "\n\n".join(parts) + "\n"


def _title(records: Records) -> str:
    name = _named(records.classifier.metadata["model"]["name"])
    return f"{name}, {counted(len(records.classifier.classes), 'class', 'classes')}"


def _front(records: Records) -> str:
    """The YAML block: JSON is YAML, so nothing in a name can break it."""
    front: dict[str, Any] = {
        "library_name": "curate-classify",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "curate-classify"],
    }
    scores = {key: records.metrics[key] for key in ("accuracy", "macro_f1") if key in records.metrics}
    if scores:
        front["metrics"] = ["accuracy", "f1"]
        kinds = {"accuracy": "accuracy", "macro_f1": "f1"}
        result = {
            "task": {"type": "image-classification"},
            "dataset": {"name": _test_name(records.metrics), "type": "imagefolder"},
            "metrics": [
                {"type": kinds[key], "name": _SCORES[key], "value": round(value, 4)}
                for key, value in scores.items()
            ],
        }
        front["model-index"] = [{"name": _title(records), "results": [result]}]
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front.items()]
    return "\n".join(["---", *lines, "---"])


def _details(records: Records) -> Iterator[str]:
    classifier, run = records.classifier, records.provenance
    own = classifier.preprocessing
    epoch, epochs = classifier.metadata.get("epoch"), run.get("finish", {}).get("epochs")
    kept = UNKNOWN if epoch is None else f"{epoch}{'' if epochs is None else f' of {epochs}'}"
    colours = f"mean {_numbers(own.mean)}, standard deviation {_numbers(own.std)} of channels scaled to 0..1"
    fitted = f"{own.size} x {own.size} pixels, {own.fit}, background {_numbers(own.background)}"
    temperature = classifier.metadata.get("temperature")
    rows = [
        ("network", _title(records).partition(",")[0]),
        ("weights", f"{records.parameters:,}"),
        ("classes", str(len(classifier.classes))),
        ("input", f"{fitted}; {colours}"),
        ("temperature", "none fitted (1)" if temperature is None else f"{temperature:.3f}"),
        ("epoch kept", kept),
        ("trained until", run.get("finish", {}).get("ended", UNKNOWN)),
        ("started from", run.get("start", UNKNOWN)),
        ("SHA-256 of the weights file", records.sha256),
        ("authors, licence, contact", UNKNOWN),
    ]
    yield "## Model details"
    yield _table(("", ""), rows)
    yield f"Classes: {', '.join(plain(name) for name in classifier.classes)}."
    for note in records.notes:
        yield plain(note)


def _use(records: Records) -> Iterator[str]:
    classes = records.classifier.classes
    yield "## Intended use"
    yield (
        f"To sort pictures of the kind that it was trained on into {counted(len(classes), 'class', 'classes')}, where "
        "every picture belongs to one of them and a mistake can be seen and put right. What its owners mean it for "
        f"beyond that is {UNKNOWN}."
    )
    yield (
        "Not for decisions about people, and not where a mistake does harm: nothing in its records shows that it is fit "
        "for that."
    )


def _limits(records: Records) -> Iterator[str]:
    yield "## Limits"
    yield "\n".join(f"- {sentence}" for sentence in limits(records))


def _training(records: Records) -> Iterator[str]:
    run, pictures = records.provenance, records.training_pictures
    yield "## Training data"
    source = run.get("data", {}).get("source")
    fingerprint = run.get("data_sha256") or records.classifier.metadata.get("data_sha256") or UNKNOWN
    seed, arithmetic = run.get("seed", UNKNOWN), run.get("arithmetic", UNKNOWN)
    rows = [
        ("folder or file", Path(source).name if source else UNKNOWN),
        ("fingerprint (SHA-256)", fingerprint),
        ("training pictures", f"{sum(pictures.values()):,}" if pictures else UNKNOWN),
        ("validation pictures", f"{records.validation_pictures:,}" if pictures else UNKNOWN),
        ("seed", str(seed)),
        ("arithmetic", str(arithmetic)),
        ("computed on", _pairs(run.get("computed_on", {}))),
        ("versions", _pairs(run.get("versions", {}))),
    ]
    yield _table(("", ""), rows)
    if pictures:
        parts = run["data"]["pictures"]
        yield _table(
            ("class", "training", "validation"),
            [(name, f"{count:,}", f"{parts[name].get('val', 0):,}") for name, count in pictures.items()],
        )
    yield "How the pictures were gathered, who labelled them and under what licence they are is not recorded."


def _evaluation(records: Records) -> Iterator[str]:
    yield "## Evaluation"
    yield _validation(records)
    metrics = records.metrics
    if not metrics:
        yield "On test pictures: not recorded. `classify evaluate TEST WEIGHTS` writes what belongs here."
        return
    yield f"On {counted(metrics['pictures'], 'test picture', 'test pictures')} of {plain(_test_name(metrics))}:"
    ends = metrics.get("intervals", {})
    level = f"{ends.get('level', 0):.0%} interval"
    scores = [
        (name, f"{metrics[key]:.4f}", _ends(ends.get(key))) for key, name in _SCORES.items() if key in metrics
    ]
    yield _table(("score", "value", level), scores, bool(ends))
    yield _believed(metrics)
    of_class = ends.get("per_class", {})
    scored = [
        (
            name,
            f"{row['support']:,}",
            *(f"{row[key]:.3f}" for key in ("precision", "recall", "f1")),
            _ends(of_class.get(name, {}).get("f1")),
        )
        for name, row in metrics.get("per_class", {}).items()
    ]
    head = ("class", "test pictures", "precision", "recall", "F1", f"{level} of F1")
    yield _table(head, scored, bool(of_class))
    yield "The averages are over the classes that have test pictures; each figure is scikit-learn's."


def _validation(records: Records) -> str:
    """The validation part's score, and why it is not a test's."""
    score = records.epoch.get("macro_f1", records.classifier.metadata.get("val_macro_f1"))
    if score is None or score != score:
        return f"On the validation part: {UNKNOWN}."
    accuracy = records.epoch.get("accuracy")
    told = "" if accuracy is None else f", accuracy {accuracy:.3f}"
    return (
        f"On the validation part: macro-F1 {score:.3f}{told}. These pictures decided which epoch was kept, so the figure "
        "is a little too good."
    )


def _believed(metrics: Mapping[str, Any]) -> str:
    """Calibration and leaks, as far as the test looked at them."""
    belief, leaks = metrics.get("calibration"), metrics.get("leaks")
    calibration = "Calibration: not recorded."
    if belief:
        calibration = (
            f"Confidence is off by {belief['ece']:.3f} on average (expected calibration error; without the temperature "
            f"{belief['ece_without_temperature']:.3f})."
        )
    if leaks is None or leaks.get("checked") == "no":
        return f"{calibration} Whether test pictures were seen in training: not recorded."
    count = leaks["count"]
    seen = "1 test picture was" if count == 1 else f"{count or 'No'} test pictures were"
    return f"{calibration} {seen} found in the training set."


def _settings(records: Records) -> Iterator[str]:
    yield "## Settings"
    yield "As `classify train --settings` takes them:"
    sections = []
    for section, keys in records.classifier.settings.items():
        lines = [f"{key} = {json.dumps(_named(value), ensure_ascii=False)}" for key, value in keys.items()]
        sections.append("\n".join([f"[{section}]", *lines]))
    text = "\n\n".join(sections).replace("```", "'''")
    yield f"```toml\n{text}\n```" if text else f"The settings are {UNKNOWN}."


def _named(value: Any) -> Any:
    """A setting without the folders above a file or folder: where they lay is nobody's business."""
    if isinstance(value, list):
        return [_named(each) for each in value]
    if not isinstance(value, str) or not ("/" in value or "\\" in value):
        return value
    kind, colon, rest = value.partition(":") if value.startswith(("hf:", "timm:")) else ("", "", value)
    return kind + colon + rest.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _table(head: Sequence[str], rows: Sequence[Sequence[object]], last: bool = True) -> str:
    """A Markdown table, its last column only where it is wanted."""
    lines = [head, ["---"] * len(head), *([plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line if last else line[:-1])} |" for line in lines)


def _test_name(metrics: Mapping[str, Any]) -> str:
    return Path(str(metrics.get("folder", ""))).name or UNKNOWN


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _ends(found: Sequence[float] | None) -> str:
    return UNKNOWN if found is None else f"{found[0]:.3f} to {found[1]:.3f}"


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or UNKNOWN
