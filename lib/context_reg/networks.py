"""The hosts by name: which network, how wide, for which input, and its weights as a file."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from lib.context_reg.fcn import FCN32s, FusedFCN32s, Padding
from lib.context_reg.segnet import SegNet
from lib.context_reg.vgg import IMAGENET_MEAN, IMAGENET_STD, check_pictures, check_width, read_trunk
from lib.data.atomic import appears_whole
from lib.data.checkpoint import fill, read_checkpoint
from lib.data.weights import weights_file
from lib.errors import DataMissing, LabError, SpecError

Host = Literal["fcn32s", "segnet", "deeplabv3"]
Channels = Literal["rgb", "hha", "rgb+hha"]
HEADER = "segmentation_network"
SHIPPED = "context_rooms"  # of the weights manifest: four super-classes of rooms, made by lib.context_reg.pretrain


@dataclass(frozen=True)
class NetworkSettings:
    """What a network is built from; it travels with the weights."""

    host: Host = "fcn32s"
    num_classes: int = 40
    width: int = 64  # channels of the first block; 64 is the paper's
    channels: Channels = "rgb"  # "rgb+hha": late fusion of two FCN-32s
    padding: Padding = "input"  # of FCN-32s: 100 zeros around the picture as published, or around fc6
    class_names: tuple[str, ...] = ()
    seen_px: int = 0  # height of the pictures that it learnt from; 0: not said

    def __post_init__(self) -> None:
        for name, choices in (("host", Host), ("channels", Channels), ("padding", Padding)):
            if getattr(self, name) not in get_args(choices):
                raise SpecError(f"{name} must be one of {', '.join(get_args(choices))}: got {getattr(self, name)!r}")
        check_width(self.num_classes, self.width)
        if not isinstance(self.seen_px, int) or isinstance(self.seen_px, bool) or self.seen_px < 0:
            raise SpecError(f"seen_px must be a whole number of at least 0: got {self.seen_px!r}")
        if self.channels == "rgb+hha" and self.host != "fcn32s":
            raise SpecError(f"late fusion of RGB and HHA is for fcn32s: got {self.host}; take channels rgb or hha")
        if self.host == "deeplabv3" and self.channels != "rgb":
            raise SpecError(f"deeplabv3 reads RGB alone: got channels {self.channels!r}")
        if self.class_names and len(self.class_names) != self.num_classes:
            raise SpecError(f"class_names must be {self.num_classes} names: got {len(self.class_names)}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Settings of `asdict` after JSON; SpecError for fields that don't exist."""
        if unknown := set(values) - {field.name for field in fields(cls)}:
            raise SpecError(f"network settings don't know {', '.join(sorted(unknown))}")
        return cls(**{**values, "class_names": tuple(values.get("class_names", ()))})


class DeepLabV3(nn.Module):
    """torchvision's DeepLabV3 on MobileNetV3-Large: pictures (B, 3, H, W), 0..1, RGB, to scores at the same size.

    A host of another family than the paper's, to show that the regulariser asks for nothing but probabilities. Starts
    from random weights. While it trains it needs two pictures at least, because of a normalisation over one pixel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large

        self.model = deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=num_classes)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        check_pictures(image)
        return self.model((image - self.mean) / self.std)["out"]


def build_network(settings: NetworkSettings, *, vgg: str | Path | None = None) -> nn.Module:
    """Network with random first weights of torch's global generator, or with VGG-16 as its start.

    vgg: source of `read_trunk`, "auto" or a file; None starts from He's random numbers. Raises SpecError for a host
    without a VGG-16.
    """
    classes, width = settings.num_classes, settings.width
    if settings.host == "deeplabv3":
        if vgg is not None:
            raise SpecError("deeplabv3 has no VGG-16 to start from: leave vgg out")
        return DeepLabV3(classes)
    if settings.channels == "rgb+hha":
        fused = FusedFCN32s(classes, width=width, padding=settings.padding)
        if vgg is not None:
            fused.start_from(read_trunk(vgg), read_trunk(vgg, modality="hha"))
        return fused
    if settings.host == "segnet":
        network: FCN32s | SegNet = SegNet(classes, width=width, modality=settings.channels)
    else:
        network = FCN32s(classes, width=width, padding=settings.padding, modality=settings.channels)
    if vgg is not None:
        network.start_from(read_trunk(vgg, modality=settings.channels))
    return network


def save_network(network: nn.Module, settings: NetworkSettings, path: str | Path) -> None:
    """Writes weights and settings as .safetensors; appears whole or not at all."""
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    with appears_whole(Path(path)) as part:
        part.write_bytes(save(weights, metadata={HEADER: json.dumps(asdict(settings))}))


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A network in evaluation mode, and the settings that it was built from."""

    network: nn.Module
    settings: NetworkSettings


def load_network(source: str | Path = SHIPPED) -> LoadedNetwork:
    """The trained network of a file, on the CPU.

    source: "context_rooms", which is shipped, another name of the weights manifest, or a .safetensors file of
    `save_network`.
    Raises Unavailable or DataMissing when it is not there, LabError when it is of something else.
    """
    path = weights_file(str(source)).path if str(source).isidentifier() else Path(source)
    weights = read_checkpoint(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise DataMissing(f"{path} is not a readable safetensors file ({error}); fetch it again") from error
    if HEADER not in header:
        raise LabError(f"{path} must be a segmentation network of this project: its header has no {HEADER}")
    settings = NetworkSettings.from_dict(json.loads(header[HEADER]))
    network = build_network(settings)
    fill(network, weights, source=str(path))
    return LoadedNetwork(network.eval(), settings)
