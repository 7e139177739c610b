"""What happens to a batch of pictures before the network sees it: on the device, the whole batch at once.

Every operation is switched on for each picture by its own probability. Random numbers come from one generator on the
processor, seeded by the step, so the result depends neither on the number of workers nor on an interruption.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from classify.settings import AugmentationSettings

_LUMA = (0.299, 0.587, 0.114)


class Augmentation:
    """Changes batches of pictures, float32 (N, 3, S, S) in 0..1, and their targets, float32 (N, C)."""

    def __init__(self, settings: AugmentationSettings) -> None:
        self.settings = settings

    def pictures(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The batch with geometry, colour, strokes and erasing applied: float32 (N, 3, S, S) in 0..1, channels last.

        What no picture can be given takes no time, and no random numbers.
        """
        own = self.settings
        if own.affine or own.flip:
            images = self._geometry(images, generator)
        if own.mix or own.hue or own.grey or own.tone or own.invert or own.tint:
            images = self._colour(images, generator)
        images = self._stroke(images, generator)
        return self._erase(images, generator) if own.erase else images

    def blend(
        self, images: torch.Tensor, targets: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mixup (Zhang et al., 2018) or CutMix (Yun et al., 2019) of the batch with itself turned by one place."""
        choice = float(torch.rand((), generator=generator))
        if choice < self.settings.mixup:
            share = _beta(self.settings.mixup_alpha, generator)
            images = images.lerp(images.roll(1, 0), 1 - share)
        elif choice < self.settings.mixup + self.settings.cutmix:
            images, share = _cutmix(images, generator)
        else:
            return images, targets
        return images, targets.lerp(targets.roll(1, 0), 1 - share)

    def _geometry(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Turn, scale, stretch, shift, shear and mirror in one resampling; new corners repeat the border.

        Where pictures are shifted and mirrored only, they move by whole pixels: a shift by parts of one is a blur, which
        pictures that are judged do not have.
        """
        settings, count = self.settings, len(images)
        on = _switch(count, settings.affine, generator)
        turn = _span(count, generator) * math.radians(settings.rotate) * on
        shear = torch.tan(_span(count, generator) * math.radians(settings.shear) * on)
        scale = torch.exp(_span(count, generator) * math.log1p(settings.scale) * on)
        stretch = torch.exp(_span(count, generator) * math.log1p(settings.stretch) / 2 * on)
        shift = _span(2 * count, generator).view(count, 2) * 2 * settings.translate * on[:, None]
        if not (settings.rotate or settings.scale or settings.stretch or settings.shear):
            half = images.shape[2] / 2  # the grid's unit, pixels
            shift = (shift * half).round() / half
        mirror = 1 - 2 * _switch(count, settings.flip, generator)
        cos, sin = torch.cos(turn), torch.sin(turn)
        # affine_grid asks where each point of the result comes from: the inverse of what happens to the picture.
        wide, high = 1 / (scale * stretch), stretch / scale
        top = torch.stack([mirror * wide * cos, mirror * wide * (shear * cos - sin), shift[:, 0]], 1)
        bottom = torch.stack([high * sin, high * (shear * sin + cos), shift[:, 1]], 1)
        matrix = _moved(torch.stack([top, bottom], 1), images)
        size = [count, 3, images.shape[2], images.shape[3]]
        grid = F.affine_grid(matrix, size, align_corners=False)
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)

    def _colour(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Every colour operation is linear in the channels, so all of them together are one 3 x 4 matrix a picture."""
        count = len(images)
        matrix = torch.eye(3).expand(count, 3, 3)
        offset = torch.zeros(count, 3, 1)
        for step, shift in self._colour_steps(count, generator):
            matrix, offset = step @ matrix, step @ offset + shift
        flat = images.flatten(2)
        matrix, offset = _moved(matrix, images), _moved(offset, images)
        mixed = torch.baddbmm(offset.expand(-1, -1, flat.shape[2]), matrix, flat)
        return mixed.clamp_(0, 1).view_as(images).contiguous(memory_format=torch.channels_last)

    def _colour_steps(
        self, count: int, generator: torch.Generator
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Matrices (N, 3, 3) and offsets (N, 3, 1) of each operation; those that are off leave the colour as it is."""
        settings = self.settings
        same, none = torch.eye(3), torch.zeros(count, 3, 1)
        grey = torch.tensor(_LUMA).expand(3, 3)

        def switched(probability: float, matrix: torch.Tensor) -> torch.Tensor:
            on = _switch(count, probability, generator)[:, None, None]
            return same + on * (matrix - same)

        mix = torch.rand(count, 3, 3, generator=generator) + 0.5 * same
        contrast = torch.exp(_span(count, generator) * math.log(1.6))[:, None, None]
        tone = _switch(count, settings.tone, generator)[:, None, None]
        bright = _span(count, generator)[:, None, None] * 0.2
        negative = _switch(count, settings.invert, generator)[:, None, None]
        return [
            (switched(settings.mix, mix / mix.sum(2, keepdim=True)), none),
            (switched(settings.hue, _hue(_span(count, generator) * math.pi)), none),
            (switched(settings.grey, grey), none),
            (same + tone * (contrast - 1) * same, none + tone * (bright + (1 - contrast) / 2)),
            (same - 2 * negative * same, none + negative),
            (
                switched(
                    settings.tint, torch.diag_embed(1 - 0.6 * torch.rand(count, 3, generator=generator))
                ),
                none,
            ),
        ]

    def _stroke(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Dark lines thicker (the darkest of 3 x 3 pixels) or thinner (the lightest), and a little blur."""
        settings, count = self.settings, len(images)
        if settings.lines:
            lot = _moved(torch.rand(count, 1, 1, 1, generator=generator), images)
            images = torch.where(lot < settings.lines / 2, -F.max_pool2d(-images, 3, 1, 1), images)
            images = torch.where(lot > 1 - settings.lines / 2, F.max_pool2d(images, 3, 1, 1), images)
        if settings.blur:
            on = _moved(_switch(count, settings.blur, generator), images)[:, None, None, None]
            mean = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
            images = torch.where(on > 0, mean, images)
        return images.contiguous(memory_format=torch.channels_last)

    def _erase(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """A rectangle of 2 to 25 % of the plane in one colour (Zhong et al., 2017)."""
        count, _, height, width = images.shape
        on = _switch(count, self.settings.erase, generator)
        colour = _moved(torch.rand(count, 3, 1, 1, generator=generator), images)
        area = 0.02 + 0.23 * torch.rand(count, generator=generator)
        ratio = torch.exp(_span(count, generator) * math.log(3))
        inside = _rectangles(height, width, (area * ratio).sqrt(), (area / ratio).sqrt(), generator)
        inside &= on[:, None, None].bool()
        return torch.where(_moved(inside[:, None], images), colour, images)


def _moved(tensor: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """A tensor of the processor's memory where the pictures are. A GPU takes it when it comes to it: nothing waits for it."""
    if images.device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(images.device, non_blocking=True)


def _switch(count: int, probability: float, generator: torch.Generator) -> torch.Tensor:
    """1 with the probability, else 0: float32 (N,)."""
    return (torch.rand(count, generator=generator) < probability).float()


def _span(count: int, generator: torch.Generator) -> torch.Tensor:
    """Uniform in -1..1: float32 (N,)."""
    return torch.rand(count, generator=generator) * 2 - 1


def _hue(angle: torch.Tensor) -> torch.Tensor:
    """Rotation about the grey axis by `angle` (N,), radians: (N, 3, 3), rows sum to 1 (Rodrigues' formula)."""
    cos, sin = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    axis = math.sqrt(1 / 3) * torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    return cos * torch.eye(3) + sin * axis + (1 - cos) / 3


def _rectangles(
    height: int, width: int, high: torch.Tensor, wide: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Masks bool (N, height, width) of rectangles of the given shares of the sides, anywhere in the plane."""
    high, wide = high.clamp(max=1)[:, None], wide.clamp(max=1)[:, None]
    top = torch.rand(len(high), 1, generator=generator) * (1 - high)
    left = torch.rand(len(wide), 1, generator=generator) * (1 - wide)
    y = (torch.arange(height) + 0.5)[None] / height
    x = (torch.arange(width) + 0.5)[None] / width
    rows = (y >= top) & (y < top + high)
    columns = (x >= left) & (x < left + wide)
    return rows[:, :, None] & columns[:, None, :]


def _cutmix(images: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, float]:
    """One rectangle, the same for the whole batch; also the share of the plane that stays."""
    side = (1 - torch.rand(1, generator=generator)).sqrt()
    inside = _rectangles(images.shape[2], images.shape[3], side, side, generator)
    share = 1 - float(inside.float().mean())
    return torch.where(_moved(inside[:, None], images), images.roll(1, 0), images), share


def _beta(alpha: float, generator: torch.Generator) -> float:
    """One number from Beta(alpha, alpha), 0..1."""
    gamma = torch._standard_gamma(torch.full((2,), alpha), generator=generator)
    return float(gamma[0] / gamma.sum().clamp_min(1e-12))
