"""Learnable contextual regularisation (eqs 1 to 9): a loss beside that of any segmentation network.

Where the picture is smooth, neighbouring pixels should have the same class probabilities; where it has an edge, they
need not. What counts as a difference, small kernels learn, which picture and probabilities share.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.checks import RANGE_SLACK, check_form
from lib.context_reg.context_loss import context_loss
from lib.context_reg.directional import initial_kernels, kernel_loss
from lib.context_reg.settings import RegularizationSettings
from lib.errors import ShapeError, SpecError

SAMPLE_STEP = 8  # every so many rows and columns are looked at: enough to tell logits from probabilities
PROBABILITY_SLACK = 1e-2  # in half precision they overshoot by rounding
# of each feature map; three channels of a picture within 0..1 have about that standard deviation together
FEATURE_DEVIATION = 0.25


@dataclass(frozen=True)
class ContextTerms:
    """What is added to the softmax loss: scalars, float32 (float64 for float64 probabilities)."""

    context: Tensor  # l_c, eq. 7, lambda and ramp included
    kernel: Tensor  # l_k, eq. 9

    @property
    def total(self) -> Tensor:
        """l_c + l_k. Choice: eq. 8 omits l_k, without which the kernels vanish."""
        return self.context + self.kernel


class ContextualRegularization(nn.Module):
    """Context and kernel loss of class probabilities, given the picture.

        regularizer = ContextualRegularization()
        terms = regularizer(logits.softmax(dim=1), image, ignore=label == 255)
        (F.cross_entropy(logits, label, ignore_index=255) + terms.total).backward()

    `kernels` is a parameter (J, 3, 3), to be trained in a group of its own; with tied=False `guide_kernels` is a second
    one, for the weights. Beside a mean softmax loss the reduction is "mean", beside a summed one "sum".
    Choice: the kernel loss is no sum over pixels and is the same in both.
    Inference doesn't need this module at all.
    """

    def __init__(self, settings: RegularizationSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or RegularizationSettings()
        self._ramp = 1.0
        kernels = initial_kernels(
            self.settings.initialisation, num_kernels=self.settings.num_kernels, seed=self.settings.seed
        ).float()
        self.kernels = nn.Parameter(kernels, requires_grad=self.settings.learn_kernels)
        if not self.settings.tied:
            self.guide_kernels = nn.Parameter(kernels.clone(), requires_grad=self.settings.learn_kernels)

    @property
    def ramp(self) -> float:
        """Share of lambda in effect, 0..1."""
        return self._ramp

    def set_ramp(self, fraction: float) -> None:
        """Sets the share of lambda in effect: call it before each step with 0..1 over the first epoch.

        Choice: the paper starts with the whole lambda, beside which the softmax loss of the first steps is small.
        """
        if not 0 <= fraction <= 1:
            raise SpecError(f"the ramp's fraction must lie within 0..1: got {fraction!r}")
        self._ramp = float(fraction)

    def forward(self, probabilities: Tensor, image: Tensor, ignore: Tensor | None = None) -> ContextTerms:
        """Both terms for a batch.

        probabilities: (N, C, H, W), after the softmax; half precision is summed up in float32.
        image: (N, 3, H, W) within 0..1, RGB or HHA / 255, on the same grid. With guide="features": the feature maps of
        a lower layer (N, F, at least H, at least W), whose middle is taken and scaled (`scale_features`).
        ignore: bool (N, H, W), True where the label is void (see `context_loss`); in "mean" the others are counted.
        If all is ignored, the context term is 0.
        Raises ShapeError for other shapes, devices and ranges, and for values that are not finite.
        """
        settings = self.settings
        _check(probabilities, image, ignore, settings)
        guide = scale_features(image, probabilities.shape[-2:]) if settings.guide == "features" else image
        guide_kernels: Tensor = self.kernels if settings.tied else self.guide_kernels
        terms = self._kernel_loss(self.kernels)
        if not settings.tied:
            terms = terms + self._kernel_loss(guide_kernels)
        if settings.detach_weights:
            guide, guide_kernels = guide.detach(), guide_kernels.detach()
        context = context_loss(
            probabilities,
            guide,
            self.kernels,
            guide_kernels,
            sigma=settings.sigma,
            scale=settings.weight * self._ramp / self._divisor(probabilities, ignore),
            ignore=ignore,
        )
        _check_values(context, probabilities, image, settings)
        return ContextTerms(context, terms)

    def _kernel_loss(self, kernels: Tensor) -> Tensor:
        settings = self.settings
        return kernel_loss(
            kernels, form=settings.kernel_loss, norm_weight=settings.norm_weight, sum_weight=settings.sum_weight
        )

    def _divisor(self, probabilities: Tensor, ignore: Tensor | None) -> int:
        if self.settings.reduction == "sum":
            return 1
        if ignore is None:
            return probabilities.shape[0] * probabilities.shape[2] * probabilities.shape[3]
        return max(1, ignore.numel() - int(ignore.sum().item()))

    def extra_repr(self) -> str:
        return f"{len(self.kernels)} kernels, {self.settings}"


def scale_features(features: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """The middle (N, F, H, W) of a lower layer's features, each channel scaled by its standard deviation.

    features: (N, F, at least H, at least W). size: H, W. FCN-32s pads by 100, so that conv1_2 (F = 64) is 198 pixels
    larger: 99 go on each side, and the rest lies on the picture pixel by pixel (Choice: the paper resizes instead,
    which moves it). A channel that is constant becomes 0; the scale is a constant for the gradient.
    Choice: F channels together vary as much as the three of a picture, so that sigma keeps its meaning.
    """
    height, width = size
    top, left = ((have - need) // 2 for have, need in zip(features.shape[-2:], size, strict=True))
    if top < 0 or left < 0:
        raise ShapeError(
            f"features must be at least as large as the probabilities, {height}x{width}: got "
            f"{features.shape[-2]}x{features.shape[-1]}; take a layer of full resolution, or resize it"
        )
    middle = features[..., top : top + height, left : left + width].float()
    deviation = middle.detach().std(dim=(-2, -1), keepdim=True, correction=0)
    scale = FEATURE_DEVIATION * (3 / features.shape[1]) ** 0.5
    return middle * torch.where(deviation > 0, scale / deviation, 0)


def _check(probabilities: Tensor, image: Tensor, ignore: Tensor | None, settings: RegularizationSettings) -> None:
    check_form("probabilities", probabilities, ndim=4)
    check_form("image", image, ndim=4)
    if settings.guide == "image":
        if image.shape[1] != 3:
            raise ShapeError(
                f"image must have 3 channels, RGB or HHA: got {image.shape[1]}; "
                'for feature maps take RegularizationSettings(guide="features")'
            )
        if image.shape[-2:] != probabilities.shape[-2:]:
            raise ShapeError(
                f"image and probabilities must share a grid: got {tuple(image.shape)} and "
                f"{tuple(probabilities.shape)}; resize one of them first"
            )
    if len(image) != len(probabilities) or image.device != probabilities.device:
        raise ShapeError(
            f"image and probabilities must be as many and on one device: got {len(image)} on {image.device} and "
            f"{len(probabilities)} on {probabilities.device}"
        )
    if ignore is None:
        return
    if not isinstance(ignore, Tensor) or ignore.dtype != torch.bool:
        came = ignore.dtype if isinstance(ignore, Tensor) else type(ignore).__name__
        raise ShapeError(f"ignore must be a bool tensor, True where the label is void: got {came}; pass label == 255")
    expected = probabilities.shape[0], *probabilities.shape[2:]
    if tuple(ignore.shape) != expected or ignore.device != probabilities.device:
        raise ShapeError(
            f"ignore must have the shape (N, H, W) of the probabilities, {expected}, on {probabilities.device}: "
            f"got {tuple(ignore.shape)} on {ignore.device}"
        )


def _check_values(context: Tensor, probabilities: Tensor, image: Tensor, settings: RegularizationSettings) -> None:
    """Finite values and ranges, after the work and all at once, so that a GPU is waited for only once."""
    sample = probabilities.detach()[..., ::SAMPLE_STEP, ::SAMPLE_STEP]
    bounds = [*torch.aminmax(sample), *torch.aminmax(image.detach())]
    loss, low, high, darkest, brightest = torch.stack([each.float() for each in (context.detach(), *bounds)]).tolist()
    if not (math.isfinite(darkest) and math.isfinite(brightest)):
        raise ShapeError("image must hold finite numbers: got NaN or infinity; repair the input first")
    if settings.guide == "image" and (darkest < -RANGE_SLACK or brightest > 1 + RANGE_SLACK):
        raise ShapeError(
            f"image must lie within 0..1: got {darkest:.3g}..{brightest:.3g}; divide 8-bit pictures by 255, "
            "and take the picture before the network's mean is subtracted"
        )
    if low < -PROBABILITY_SLACK or high > 1 + PROBABILITY_SLACK:
        raise ShapeError(f"probabilities must lie within 0..1: got {low:.3g}..{high:.3g}; apply softmax(dim=1) first")
    if not math.isfinite(loss):
        raise ShapeError(
            "probabilities and kernels must hold finite numbers: got NaN or infinity; if the network runs in half "
            "precision its scores overflowed: lower the learning rate, or take bfloat16 or float32"
        )
