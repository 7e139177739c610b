"""Which parts of a picture speak for a class: Grad-CAM (Selvaraju et al., arXiv:1610.02391), by the library grad-cam.

The layer is found by running the network, not by its name: see `find_layer`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.errors import UserError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import nn

    from classify.weights import Classifier

FIRST, LAST, TOKENS = "channels first", "channels last", "tokens"
"""How a layer's output holds its map: (N, C, H, W), (N, H, W, C), or (N, T, C) with tokens ahead of the map's."""

_AHEAD = 8
"""Tokens that may stand before those of the map: the class, a teacher's, registers."""


@dataclass(frozen=True)
class MapLayer:
    """The layer whose output is laid over the picture: its `name` in the network, and how its output is read.

    `side` is that of its map, `ahead` the number of tokens before those of the map. `others` are the same layer in the other
    members of an ensemble.
    """

    name: str
    module: nn.Module
    layout: str
    side: int
    ahead: int = 0
    others: tuple[nn.Module, ...] = ()

    def planes(self, output: torch.Tensor) -> torch.Tensor:
        """The layer's output, or its gradient, as (N, C, side, side)."""
        if self.layout == FIRST:
            return output
        if self.layout == LAST:
            return output.permute(0, 3, 1, 2)
        tokens = output[:, self.ahead :].transpose(1, 2)
        return tokens.reshape(len(output), -1, self.side, self.side)


def saliency(
    classifier: Classifier, image: NDArray[np.uint8], class_index: int, layer: MapLayer | None = None
) -> NDArray[np.float32]:
    """How much each place of a picture speaks for a class: float32 (S, S), 0..1, the most salient place at 1.

    `image` is uint8 (S, S, 3) at the network's size (`classify.prediction.read_picture`). The channels of `layer` are added
    up, each weighted by the mean gradient of the class's logit; what speaks against the class is cut off, and the rest is
    stretched to 0..1 and enlarged to S pixels. All 0 where nothing speaks for the class. `layer` is what `find_layer`
    gives, to be handed in when there are many pictures. Raises ValueError for another shape or class, and UserError
    where the library is not installed or the network has no such layer.
    """
    import torch

    build, target = _library()
    size = classifier.preprocessing.size
    if image.shape != (size, size, 3):
        raise ValueError(f"image: shape {image.shape}, not ({size}, {size}, 3)")
    if not 0 <= class_index < len(classifier.classes):
        raise ValueError(f"class_index: {class_index}, of {len(classifier.classes)} classes")
    layer = layer or find_layer(classifier)
    device = next(classifier.model.parameters()).device
    picture = torch.from_numpy(np.array(image[None])).to(device)
    # The weights are frozen, so the gradient has to flow towards the picture.
    batch = classifier.preprocessing.tensor(picture).requires_grad_()
    with torch.enable_grad():
        method = build(classifier.model, [layer.module, *layer.others], layer.planes)
        try:
            found = method(batch, [target(class_index)])
        finally:
            method.activations_and_grads.release()
    return np.asarray(found[0], dtype=np.float32)


def looker(classifier: Classifier) -> Callable[[NDArray[np.uint8], int], NDArray[np.float32]]:
    """`saliency` of one classifier, as a function of picture and class: the layer is looked for once. Raises as it does."""
    _library()
    layer = find_layer(classifier)
    return lambda image, class_index: saliency(classifier, image, class_index, layer)


def find_layer(classifier: Classifier) -> MapLayer:
    """The last layer whose output is a map of the picture, with a side above 1, that the logits depend on.

    Found with two pictures of noise. Dependence matters in a transformer that reads its answer off the class token: behind
    the last attention the other tokens have no effect any more, so the map is that of the normalisation before it. Linear
    layers do not count, nor layers that run more than once. Raises UserError where there is none.

    In an ensemble it is that of every member, and the map is the mean of theirs.
    """
    import torch

    network, size = classifier.model, classifier.preprocessing.size
    device = next(network.parameters()).device
    noise = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device)
    outputs: list[tuple[str, nn.Module, torch.Tensor]] = []
    handles = [
        module.register_forward_hook(_keep(name, outputs)) for name, module in network.named_modules() if name
    ]
    try:
        with torch.enable_grad():
            logits = network(noise.requires_grad_())
    finally:
        for handle in handles:
            handle.remove()
    runs = Counter(name for name, _, _ in outputs)
    layers = _maps([(name, module, output) for name, module, output in outputs if runs[name] == 1])
    if not layers:
        raise UserError(
            f"model '{classifier.metadata['model']['name']}': no layer's output is a map of the picture.",
            "Saliency needs a network that keeps places apart, by convolutions or patches, and pictures large enough for it.",
        )
    score = (logits * torch.arange(1, logits.shape[1] + 1, device=device)).sum()
    for layer, output in reversed(layers):
        (gradient,) = torch.autograd.grad(score, output, retain_graph=True, allow_unused=True)
        if gradient is not None and bool(layer.planes(gradient).any()):
            return _in_each_member(layer, network)
    return _in_each_member(layers[-1][0], network)


def _in_each_member(layer: MapLayer, network: nn.Module) -> MapLayer:
    """The layer with those of the same name in the other members, where `network` is an ensemble."""
    from classify.models.ensemble import Ensemble

    if not isinstance(network, Ensemble):
        return layer
    _, place, name = layer.name.split(".", 2)
    others = [member for index, member in enumerate(network.members) if index != int(place)]
    return replace(layer, others=tuple(member.get_submodule(name) for member in others))


def _keep(name: str, outputs: list[tuple[str, nn.Module, torch.Tensor]]) -> Callable[..., None]:
    """A forward hook that notes the module where its output may hold a map."""
    import torch
    from torch import nn

    def hook(module: nn.Module, given: Any, output: Any) -> None:
        del given
        linear = isinstance(module, nn.Linear)
        if isinstance(output, torch.Tensor) and output.ndim in (3, 4) and len(output) == 2 and not linear:
            outputs.append((name, module, output))

    return hook


def _maps(outputs: list[tuple[str, nn.Module, torch.Tensor]]) -> list[tuple[MapLayer, torch.Tensor]]:
    """Those of the outputs that are maps, in the order of the run, as layers."""
    tokens: set[int] = set()
    sides: set[int] = set()
    found = []
    for name, module, output in outputs:
        shape = tuple(output.shape)
        layer = None
        if output.ndim == 3:
            tokens.add(shape[1])
            layer = _token_map(name, module, shape[1], sides) if shape[2] > 1 else None
        elif shape[2] == shape[3] > 1 and shape[2] not in tokens:  # else how tokens look at one another
            layer = MapLayer(name, module, FIRST, shape[2])
        elif shape[1] == shape[2] > 1:
            layer = MapLayer(name, module, LAST, shape[1])
        if layer is not None:
            found.append((layer, output))
            sides |= {layer.side, (layer.side + 1) // 2}
    return found


def _token_map(name: str, module: nn.Module, count: int, sides: set[int]) -> MapLayer | None:
    """A layer of `count` tokens, where all but a few at the front fill a square of a side that was met before.

    Or half of it: tokens are merged by fours.
    """
    for ahead in range(min(_AHEAD, count) + 1):
        side = round((count - ahead) ** 0.5)
        if side > 1 and side * side == count - ahead and side in sides:
            return MapLayer(name, module, TOKENS, side, ahead)
    return None


def _library() -> tuple[Callable[..., Any], Callable[[int], Any]]:
    """Grad-CAM and the target that is a class's logit. Raises UserError where the library is not installed."""
    try:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError as error:
        raise UserError(
            "Saliency maps need grad-cam, which is not installed.",
            "Install it with pip install 'curate-classify[explain]'.",
        ) from error
    return GradCAM, ClassifierOutputTarget
