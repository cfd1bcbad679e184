"""Zero-IG and Zero-TIG: one frame taken apart into illumination and reflectance (sec. III-A, Figure 1).

Order of operations: noise removal, temporal context, illumination, division, refinement.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.checks import check_image
from lib.errors import ShapeError
from lib.zero_tig.downsample import pair_downsample
from lib.zero_tig.networks import IlluminationNet, NoiseNet
from lib.zero_tig.settings import Settings

FLOOR = 1e-4  # of every picture that is divided by, and what is added to the frame


@dataclass(frozen=True)
class State:
    """What a frame hands to the next one: reflectance R and illumination S', (B, 3, H, W) each, without gradient."""

    reflectance: Tensor
    illumination: Tensor


Align = Callable[[State, Tensor], State]


@dataclass(frozen=True)
class Enhancement:
    """One frame taken apart, each field (B, 3, H, W) within 1e-4..1."""

    denoised: Tensor  # L, after LD-Net
    illumination: Tensor  # S, after IE-Net
    rough: Tensor  # H = I / S, still noisy
    reflectance: Tensor  # R, after RD-Net: the result
    illumination_refined: Tensor  # S', after RD-Net

    @property
    def state(self) -> State:
        """What the next frame gets."""
        return State(self.reflectance.detach(), self.illumination_refined.detach())


@dataclass(frozen=True)
class TrainingPass:
    """A frame and its two half-size versions, with gradients: what the losses compare.

    Halves are stacked on the batch axis, (2 B, C, H // 2, W // 2): G1 of each picture, then G2.
    """

    full: Enhancement
    half_frames: Tensor  # G1(I), G2(I) of the frame as it came
    half_denoised: Tensor  # I1 - LD(I1), I2 - LD(I2), not clamped
    half_inputs: Tensor  # [H1, s1], [H2, s2], six channels
    half_outputs: Tensor  # P1, P2: reflectance and illumination after RD-Net


class ZeroIG(nn.Module):
    """The single-picture model (Zero-IG): each frame on its own. 86,572 parameters.

    .denoiser (LD-Net), .illuminator (IE-Net), .reflector (RD-Net). A new model has the published initialisation, from
    torch's global generator; `lib.zero_tig.weights.load_weights` loads trained ones.
    """

    context_channels = 0

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__()
        self.settings = settings or Settings()
        self.denoiser = NoiseNet(3, 3)
        self.illuminator = IlluminationNet(3 + self.context_channels, shared_statistics=self.settings.reference_quirks)
        self.reflector = NoiseNet(6 + self.context_channels, 6)

    def forward(self, frame: Tensor, state: State | None = None) -> Enhancement:
        """The frame taken apart.

        frame: (B, 3, H, W), 0..1. state: of the frame before (Zero-IG takes no notice), None at the start.
        Raises ShapeError for another form, a state of another size or values that are not finite.
        """
        check_image("frame", frame, ndim=4)
        frame = frame + FLOOR
        denoised = (frame - self.estimate(self.denoiser, frame)).clamp(FLOOR, 1)
        context = self.context(frame, denoised, state)
        illumination = self.illuminate(context, denoised)
        rough = self.divide(frame, denoised, illumination)
        if self.settings.reference_quirks and state is None and not self.training:
            context = torch.cat([rough, rough], dim=1)[:, : self.context_channels]
        refined = self.refine(context, torch.cat([rough, illumination], dim=1))
        return Enhancement(denoised, illumination, rough, refined[:, :3], refined[:, 3:])

    def training_pass(self, frame: Tensor, state: State | None = None) -> TrainingPass:
        """The frame and its halves taken apart, with the gradients that the losses need.

        Arguments and errors as in `forward`; the frame needs at least 22 pixels a side for the losses' windows.
        """
        check_image("frame", frame, ndim=4)
        shifted = frame + FLOOR
        half_shifted = torch.cat(pair_downsample(shifted))
        half_denoised = half_shifted - self.estimate(self.denoiser, half_shifted)
        denoised = (shifted - self.estimate(self.denoiser, shifted)).clamp(FLOOR, 1)
        context = self.context(frame, denoised, state)
        illumination = self.illuminate(context, denoised)
        rough = self.divide(shifted, denoised, illumination)
        refined = self.refine(context, torch.cat([rough, illumination], dim=1))
        half_illumination = torch.cat(pair_downsample(illumination))
        half_rough = self.divide(half_shifted, half_denoised, half_illumination)
        half_inputs = torch.cat([half_rough, half_illumination], dim=1)
        half_outputs = self.refine(torch.cat(pair_downsample(context)), half_inputs)
        full = Enhancement(denoised, illumination, rough, refined[:, :3], refined[:, 3:])
        return TrainingPass(full, torch.cat(pair_downsample(frame)), half_denoised, half_inputs, half_outputs)

    def context(self, frame: Tensor, denoised: Tensor, state: State | None) -> Tensor:
        """What the networks see of the past, (B, 0, H, W) here: nothing."""
        return frame[:, :0]

    def illuminate(self, context: Tensor, denoised: Tensor) -> Tensor:
        """S of [context, L]; the whole input is detached, so that LD-Net learns from its own losses alone."""
        return self.estimate(self.illuminator, torch.cat([context, denoised.detach()], dim=1)).clamp(FLOOR, 1)

    def divide(self, frame: Tensor, denoised: Tensor, illumination: Tensor) -> Tensor:
        """H: the noisy frame over its illumination (the code), or the denoised one (as eq. 1 reads)."""
        dividend = frame if self.settings.retinex == "noisy" else denoised.detach()
        return (dividend / illumination).clamp(FLOOR, 1)

    def refine(self, context: Tensor, pictures: Tensor) -> Tensor:
        """[R, S'] of [context, H, S]: RD-Net's estimate is taken from the detached pictures, but sees live ones."""
        noise = self.estimate(self.reflector, torch.cat([context, pictures], dim=1))
        return (pictures.detach() - noise).clamp(FLOOR, 1)

    def estimate(self, network: nn.Module, image: Tensor) -> Tensor:
        """A network's output in the image's own type, whatever autocast makes the network compute in."""
        output: Tensor = network(image)
        return output.to(image.dtype)


class ZeroTIG(ZeroIG):
    """Zero-IG with temporal feedback: the previous R and S', warped onto this frame, go into IE- and RD-Net.

    92,620 parameters. align: brings a State onto the frame whose L (B, 3, H, W) it gets; None takes
    `lib.zero_tig.temporal.Alignment` with these settings.
    """

    context_channels = 6

    def __init__(self, settings: Settings | None = None, *, align: Align | None = None) -> None:
        super().__init__(settings)
        if align is None:
            from lib.zero_tig.temporal import Alignment

            align = Alignment(self.settings)
        self.align = align

    def context(self, frame: Tensor, denoised: Tensor, state: State | None) -> Tensor:
        """[R, S'] of the previous frame on this one's grid, (B, 6, H, W); zeros at the start of a sequence."""
        if state is None:
            return torch.zeros_like(frame).repeat(1, 2, 1, 1)
        if state.reflectance.shape != frame.shape or state.illumination.shape != frame.shape:
            raise ShapeError(
                f"frames of one sequence must share a size: got {tuple(frame.shape)} after "
                f"{tuple(state.reflectance.shape)}; start anew with state None"
            )
        aligned = self.align(state, denoised.detach())
        return torch.cat([aligned.reflectance, aligned.illumination], dim=1).to(frame.dtype)
