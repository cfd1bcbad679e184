"""Algorithm 1: half of the time a frame's prediction is compared with its own mask, else, warped, with a neighbour's.

A coarse mask is wrong in other places than its neighbours' are. A network that has to answer to several of them, and
sees one frame only, learns what they agree on.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lib.errors import SpecError
from lib.flow import occlusion, warp

OFFSETS = (-2, -1, 1, 2)  # Algorithm 1
SAME_FRAME = 0
# the logarithms of the warped probabilities stay finite; float32 cannot tell 1 - 1e-8 from 1
PROBABILITY_FLOOR = 1e-6


def targets_of(frame: int, trusted: Sequence[bool], *, offsets: Sequence[int] = OFFSETS) -> list[int]:
    """Offsets of the neighbours of `frame` that lie inside the clip and whose mask is trusted."""
    return [offset for offset in offsets if 0 <= frame + offset < len(trusted) and trusted[frame + offset]]


def draw_offset(
    frame: int,
    trusted: Sequence[bool],
    *,
    generator: Generator,
    warp_probability: float = 0.5,
    offsets: Sequence[int] = OFFSETS,
) -> int | None:
    """Whose mask this frame's prediction answers to: 0 for its own, else the neighbour's offset (Algorithm 1).

    trusted: one truth value per frame of the clip: whether its mask may teach. warp_probability: of a neighbour; the
    paper's p < 0.5 takes the frame itself, 0 is direct distillation without any warp.
    Choice: the neighbour is drawn evenly from those inside the clip, which equals drawing again at the clip's ends. A
    frame whose own mask is not trusted always answers to a neighbour, and one without neighbours always to itself.
    Returns None where nothing can teach this frame. Takes two numbers from the generator in every case.
    """
    chance, place = torch.rand(2, generator=generator).tolist()
    neighbours = targets_of(frame, trusted, offsets=offsets) if warp_probability > 0 else []
    if trusted[frame] and (chance < 1 - warp_probability or not neighbours):
        return SAME_FRAME
    return neighbours[int(place * len(neighbours))] if neighbours else None


def visible(flow_there: Tensor, flow_back: Tensor) -> Tensor:
    """Mask (B, 1, H, W), 1 where the neighbour's pixel is seen in the frame too; by going there and back.

    flow_there: (B, 2, H, W), from the neighbour to the frame; flow_back: from the frame to the neighbour.
    Choice: the rule of `lib.flow.occlusion`; the paper has no such mask.
    """
    return (~occlusion(flow_there, flow_back)).unsqueeze(1).to(flow_there.dtype)


def same_frame_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Binary cross-entropy per sample (B,) of logits against masks (B, 1, H, W), 0..1; mean over the pixels.

    Choice: cross-entropy, as the authors' later work has it; the paper names no loss.
    """
    return F.binary_cross_entropy_with_logits(logits, masks, reduction="none").mean((1, 2, 3))


def warped_loss(logits: Tensor, masks: Tensor, flow: Tensor, *, valid: Tensor | None = None) -> Tensor:
    """Cross-entropy per sample (B,) of the prediction, seen from the neighbour's grid, against the neighbour's masks.

    logits: (B, 1, H, W) of frame f1. masks: (B, 1, H, W) of frame f2. flow: (B, 2, H, W), pixels, from f2 to f1: the
    prediction is sampled backwards, at x + flow(x). valid: (B, 1, H, W), 1 where a pixel counts; all without it.
    Choice: probabilities are warped, not logits, and the gradient passes through the bilinear samples; outside the
    picture the outermost pixels repeat.
    """
    probabilities = warp(logits.sigmoid(), flow, padding="border")
    probabilities = probabilities.clamp(PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    # written out: torch's function stops at NaN with a message of its own, before the training can tell the step
    loss = -(masks * probabilities.log() + (1 - masks) * (1 - probabilities).log())
    if valid is None:
        return loss.mean((1, 2, 3))
    return (loss * valid).sum((1, 2, 3)) / valid.sum((1, 2, 3)).clamp_min(1)


def temporal_loss(
    logits: Tensor, masks: Tensor, offsets: Tensor, flow: Tensor | None = None, *, valid: Tensor | None = None
) -> dict[str, Tensor]:
    """Both parts of Algorithm 1's loss for a batch, `same` and `warped`; their sum is the mean over the samples.

    logits: (B, 1, H, W) of frames f1. masks: (B, 1, H, W), of f1 where the offset is 0, else of f2 = f1 + offset.
    offsets: (B,) whole numbers. flow: (K, 2, H, W), f2 to f1, of the K samples whose offset is not 0, in their order;
    valid: (K, 1, H, W) likewise. Raises SpecError where the flow of a warped sample is missing.
    """
    warped = offsets != SAME_FRAME
    parts = {"same": logits.new_zeros(()), "warped": logits.new_zeros(())}
    if not warped.all():
        parts["same"] = same_frame_loss(logits[~warped], masks[~warped]).sum() / len(logits)
    if warped.any():
        if flow is None or len(flow) != int(warped.sum()):
            raise SpecError(
                f"{int(warped.sum())} warped samples need as many flows: got {0 if flow is None else len(flow)}"
            )
        parts["warped"] = warped_loss(logits[warped], masks[warped], flow, valid=valid).sum() / len(logits)
    return parts
