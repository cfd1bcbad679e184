"""What both hosts share: the plan of VGG-16's convolutions, its input, and its weights as a start (sec. 3.2, 3.3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from lib.checks import check_form
from lib.data.checkpoint import read_checkpoint
from lib.data.weights import weights_file
from lib.errors import LabError, ShapeError, SpecError

FULL_WIDTH = 64
# per block: number of 3x3 convolutions, and channels in units of the width
BLOCKS = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))
# torchvision's index in `features` of each convolution
TORCHVISION = dict(
    zip(
        (f"{block + 1}_{conv + 1}" for block, (count, _) in enumerate(BLOCKS) for conv in range(count)),
        (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
        strict=True,
    )
)
TORCHVISION_FC = {"fc6": ("classifier.0", 7), "fc7": ("classifier.3", 1)}

Modality = Literal["rgb", "hha"]
LEVELS = 255.0
# on levels 0..255; RGB is turned to BGR first, HHA keeps its order. FCN repository, NYUDv2
MEANS: dict[Modality, tuple[float, float, float]] = {
    "rgb": (116.190, 97.203, 92.318),
    "hha": (132.431, 94.076, 118.477),
}
HED_MEAN_BGR = (104.00699, 116.66877, 122.67892)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
INPUT_SPREAD = 60.0  # rough standard deviation of what `Input` gives


class Input(nn.Module):
    """Pictures (B, 3, H, W), 0..1, as VGG-16 of Caffe sees them: levels 0..255, BGR, minus the mean.

    modality: "rgb", or "hha" (HHA levels / 255), whose channels keep their order. Source: FCN repository.
    """

    mean: Tensor

    def __init__(self, modality: Modality = "rgb") -> None:
        super().__init__()
        if modality not in get_args(Modality):
            raise SpecError(f"modality must be one of {', '.join(get_args(Modality))}: got {modality!r}")
        self.modality = modality
        self.register_buffer("mean", torch.tensor(MEANS[modality]).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        check_pictures(image)
        ordered = image.flip(1) if self.modality == "rgb" else image
        return ordered * LEVELS - self.mean.to(image.dtype)


def check_pictures(image: Tensor, channels: int = 3) -> None:
    """Passes a float batch (B, channels, H, W)."""
    check_form("image", image, 4)
    if image.shape[1] != channels:
        raise ShapeError(f"image must be (B, {channels}, H, W): got {tuple(image.shape)}")


def check_width(num_classes: int, width: int) -> None:
    """Passes whole numbers of at least 1."""
    for name, value in (("num_classes", num_classes), ("width", width)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise SpecError(f"{name} must be a whole number of at least 1: got {value!r}")


def convolutions(width: int) -> list[list[tuple[str, int, int]]]:
    """VGG-16's convolutions by block, each as (name "block_number", input channels, output channels)."""
    plan, before = [], 3
    for block, (count, factor) in enumerate(BLOCKS, start=1):
        layers = []
        for number in range(1, count + 1):
            layers.append((f"{block}_{number}", before, factor * width))
            before = factor * width
        plan.append(layers)
    return plan


def start_he(module: nn.Module) -> None:
    """He's start (2015) for every convolution: normal numbers of variance 2 / inputs, biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


@dataclass(frozen=True, eq=False)
class Trunk:
    """VGG-16's convolutions for the input of `Input`, by their place: "1_1" to "5_3", and "fc6", "fc7" where known."""

    weight: dict[str, Tensor]
    bias: dict[str, Tensor]


def read_trunk(source: str | Path = "auto", *, modality: Modality = "rgb") -> Trunk:
    """VGG-16's weights at full width, made to fit the input of `Input`.

    source: "auto" for torchvision's ImageNet weights of the manifest (`vgg16`), or a file: torchvision's state dict, or
    the trunk of HED (told by its `dsn1`), whose input is BGR minus another mean and which has no fc6 and fc7.
    Choice: HHA starts from the same weights as RGB, as in the FCN repository.
    Raises Unavailable or DataMissing when it isn't there, LabError when it is no VGG-16.
    """
    path = weights_file("vgg16").path if source == "auto" else Path(source)
    state = {name: value.float() for name, value in read_checkpoint(path).items()}
    names = {place: f"features.{idx}" for place, idx in TORCHVISION.items()}
    missing = [name for name in names.values() if f"{name}.weight" not in state or f"{name}.bias" not in state]
    if missing:
        raise LabError(f"{path} must hold VGG-16 in torchvision's names: {', '.join(missing)} is missing")
    weight = {place: state[f"{name}.weight"] for place, name in names.items()}
    bias = {place: state[f"{name}.bias"] for place, name in names.items()}
    for place, (name, side) in TORCHVISION_FC.items():
        if f"{name}.weight" in state:
            matrix = state[f"{name}.weight"]
            weight[place] = matrix.view(matrix.shape[0], -1, side, side)
            bias[place] = state[f"{name}.bias"]
    weight["1_1"], bias["1_1"] = _for_input(weight["1_1"], bias["1_1"], is_hed="dsn1.weight" in state, to=modality)
    return Trunk(weight, bias)


def _for_input(weight: Tensor, bias: Tensor, *, is_hed: bool, to: Modality) -> tuple[Tensor, Tensor]:
    """First convolution for the input of `Input`: order, scale and mean of the source's input folded into it."""
    mean = weight.new_tensor(HED_MEAN_BGR)
    if not is_hed:
        std = weight.new_tensor(IMAGENET_STD).view(1, 3, 1, 1)
        weight = (weight / (std * LEVELS)).flip(1)
        mean = weight.new_tensor(IMAGENET_MEAN).flip(0) * LEVELS
    shift = weight.new_tensor(MEANS[to]) - mean
    return weight, bias + (weight.sum((2, 3)) * shift).sum(1)


def narrowed(trunk: Trunk, width: int) -> Trunk:
    """The trunk with `width` instead of 64 channels in its first block, the others in proportion.

    Choice: of each layer the channels stay whose outgoing weights in the next layer have the largest norm, in their
    order; each filter is scaled so that its norm is that of the whole one. fc6 and fc7 are left out below full width.
    """
    if width == FULL_WIDTH:
        return trunk
    if width > FULL_WIDTH:
        raise SpecError(f"weights of VGG-16 reach up to a width of {FULL_WIDTH}: got {width}; train from He's start")
    places = list(TORCHVISION)
    counts = [after for block in convolutions(width) for _, _, after in block]
    kept_before = torch.arange(3)
    weight, bias = {}, {}
    for idx, (place, num_kept) in enumerate(zip(places, counts, strict=True)):
        whole = trunk.weight[place]
        following = trunk.weight.get(places[idx + 1] if idx + 1 < len(places) else "fc6")
        norms = whole.flatten(1).norm(dim=1) if following is None else following.transpose(0, 1).flatten(1).norm(dim=1)
        kept = norms.topk(num_kept).indices.sort().values
        part = whole[kept][:, kept_before]
        lost = whole[kept].flatten(1).norm(dim=1) / part.flatten(1).norm(dim=1).clamp_min(1e-12)
        weight[place], bias[place] = part * lost.view(-1, 1, 1, 1), trunk.bias[place][kept]
        kept_before = kept
    return Trunk(weight, bias)


@torch.no_grad()
def copy_trunk(layers: Mapping[str, nn.Conv2d], trunk: Trunk) -> list[str]:
    """Copies a trunk into convolutions by their places; gives back the places that it doesn't have or fit."""
    left = []
    for place, layer in layers.items():
        if place in trunk.weight and trunk.weight[place].shape == layer.weight.shape and layer.bias is not None:
            layer.weight.copy_(trunk.weight[place])
            layer.bias.copy_(trunk.bias[place])
        else:
            left.append(place)
    return left
