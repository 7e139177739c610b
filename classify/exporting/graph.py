"""A trained network as one ONNX graph: pictures of any size in, logits and probabilities out."""

from __future__ import annotations

import json
import logging
import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from classify.exporting.pictures import IR_VERSION, OPSET, fitting
from classify.weights import Classifier
from curate.errors import UserError

if TYPE_CHECKING:
    import onnx

FORMAT = "curate-classify-onnx"
"""Value of the metadata's `format`."""

_BATCH = 2
"""Pictures that the network is traced with; more than one, since a one would be taken for a constant."""


class Answers(nn.Module):
    """A classifier behind `fit`: uint8 (N, S, S, 3) to logits and probabilities, both float32 (N, C).

    With one view the logits are the network's own, else the logarithm of the mean over the views' softmax. The
    probabilities are softmax(logits / temperature), which is what `Classifier.probabilities` gives.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.network = classifier.model
        self.preprocessing = classifier.preprocessing
        self.views = classifier.views
        self.temperature = classifier.temperature

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See the class."""
        seen = list(self.views(self.preprocessing.tensor(pictures)))
        logits = self.network(torch.cat(seen)).float()  # all at once: the graph holds the network once
        if len(seen) > 1:
            # By way of logarithms: a softmax that underflows to 0 has none.
            beliefs = logits.log_softmax(1).reshape(len(seen), -1, logits.shape[1])
            logits = beliefs.logsumexp(0) - math.log(len(seen))
        return logits, (logits / self.temperature).softmax(1)


def graph(classifier: Classifier, more: Mapping[str, Any]) -> onnx.ModelProto:
    """The graph of a classifier: `pictures` uint8 (N, H, W, 3) to `logits` and `probabilities` float32 (N, C).

    The metadata hold what `metadata` gives. Raises UserError for a network that torch.onnx cannot export.
    """
    import onnx.compose

    own = classifier.preprocessing
    network = onnx.compose.add_prefix(
        _network(classifier), "network/", rename_inputs=False, rename_outputs=False
    )
    found: onnx.ModelProto = onnx.compose.merge_models(
        fitting(own.size, own.fit, own.background), network, [("fitted", "network_input")]
    )
    del found.opset_import[1:]  # both halves name the same one
    found.graph.name = "classifier"
    found.producer_name = "curate-classify"
    onnx.helper.set_model_props(found, metadata(classifier, more))
    onnx.checker.check_model(found)
    return found


def metadata(classifier: Classifier, more: Mapping[str, Any]) -> dict[str, str]:
    """What the file says of itself: JSON texts by name, `classes` in the order of the outputs; `more` is added."""
    answers = Answers(classifier)
    own = {
        "classes": classifier.classes,
        "model": classifier.metadata["model"]["name"],
        "preprocessing": classifier.preprocessing.to_dict(),
        "views": asdict(answers.views),
        "temperature": answers.temperature,
    }
    texts = {name: json.dumps(value, ensure_ascii=False) for name, value in {**own, **more}.items()}
    return {"format": FORMAT, **texts}


def _network(classifier: Classifier) -> onnx.ModelProto:
    """What stands behind `fit`, by torch's exporter. Raises UserError where it does not know the network."""
    answers = Answers(classifier).eval()
    size = classifier.preprocessing.size
    example = torch.zeros(_BATCH, size, size, 3, dtype=torch.uint8)
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)  # each of its hundred decompositions may warn; the check decides
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                answers,
                (example,),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=["network_input"],
                output_names=["logits", "probabilities"],
                dynamic_shapes={"pictures": {0: torch.export.Dim("N")}},
            )
    except Exception as error:  # the exporter wraps whatever the network's code raises
        reason = str(error).strip().splitlines()
        raise UserError(
            f"model '{classifier.metadata['model']['name']}' cannot be exported to ONNX ({type(error).__name__}: "
            f"{reason[-1] if reason else ''}).",
            "Train another network, or a newer torch may know it: see docs/export.md.",
        ) from error
    finally:
        logging.disable(before)
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    _strip(model.graph)
    model.ir_version = IR_VERSION
    return model


def _strip(graph: onnx.GraphProto) -> None:
    """Take out the notes of the exporter: the stack of calls behind each node, with the paths of this machine."""
    for part in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("metadata_props")
