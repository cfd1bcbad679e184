"""Class maps in colour: one colour a class, the same in every figure, and maps drawn into their pictures."""

import torch
from torch import Tensor

from lib.checks import check_image
from lib.errors import ShapeError, SpecError

VOID = 255
MAX_CLASSES = 255


def class_colours(num_classes: int) -> Tensor:
    """RGB (num_classes, 3), 0..1: PASCAL VOC's colours without its black, which is left for void.

    Source: Everingham et al., VOC development kit: bit k of the class's number goes to bit 7 - k / 3 of a channel.
    """
    if not 1 <= num_classes <= MAX_CLASSES:
        raise SpecError(f"num_classes must be 1..{MAX_CLASSES}: got {num_classes}")
    number = torch.arange(1, num_classes + 1)
    channels = [sum((number >> (3 * turn + channel) & 1) << (7 - turn) for turn in range(8)) for channel in range(3)]
    return torch.stack([torch.as_tensor(one) for one in channels], dim=1).float() / 255


def colour_labels(labels: Tensor, num_classes: int) -> Tensor:
    """Picture (3, H, W), 0..1, of labels (H, W): the class's colour, black for void (255), on the labels' device."""
    if labels.ndim != 2 or labels.is_floating_point():
        raise ShapeError(f"labels must be (H, W) of class numbers: got {labels.dtype} {tuple(labels.shape)}")
    outside = ((labels < 0) | (labels >= num_classes)) & (labels != VOID)
    if outside.any():
        raise ShapeError(f"labels must be 0..{num_classes - 1} or {VOID} (void): got {int(labels[outside][0])}")
    table = torch.zeros(VOID + 1, 3, device=labels.device)
    table[:num_classes] = class_colours(num_classes).to(labels.device)
    return table[labels.long()].permute(2, 0, 1)


def draw_labels(image: Tensor, labels: Tensor, *, num_classes: int, strength: float = 0.6) -> Tensor:
    """The picture (3, H, W), 0..1, with its labels (H, W) blended in; void stays as it is.

    strength: share of the classes' colours, 0..1.
    """
    check_image("image", image)
    if labels.shape != image.shape[1:]:
        raise ShapeError(f"labels must have the picture's size {tuple(image.shape[1:])}: got {tuple(labels.shape)}")
    if not 0 <= strength <= 1:
        raise SpecError(f"strength must lie within 0..1: got {strength}")
    labels = labels.to(image.device)
    blended = (1 - strength) * image + strength * colour_labels(labels, num_classes).to(image.dtype)
    return torch.where(labels == VOID, image, blended)
