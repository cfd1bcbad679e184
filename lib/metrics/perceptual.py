"""LPIPS: distance of two pictures as a trained network sees it. Source: Zhang et al. 2018; Zero-TIG fact sheet 9.

Written here on torchvision's trunks and the linear layers that torchmetrics ships, because torchmetrics itself
downloads the trunk unasked, builds the network anew for every call, and holds all layers of both pictures at once
(gigabytes at full HD). The two agree when they are given the same trunk; a test says so.
"""

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from lib.data.weights import weights_file
from lib.errors import ShapeError, SpecError, Unavailable
from lib.metrics.eight_bit import MATCHED
from lib.metrics.measure import Measure
from lib.metrics.planes import check_pictures

Backbone = Literal["vgg", "alex"]

LPIPS = Measure("LPIPS", "1", "lower", 0.0, "VGG backbone, full HD, inputs in -1..1, mean over all test frames")
LPIPS_HM = Measure("LPIPS HM", "1", "lower", 0.0, MATCHED + LPIPS.protocol)
LPIPS_ALEX = Measure("LPIPS (AlexNet)", "1", "lower", 0.0, "AlexNet backbone, inputs in -1..1, mean over frames")

WEIGHTS = {"vgg": "vgg16", "alex": "alexnet"}
STAGE_ENDS = {"vgg": (4, 9, 16, 23, 30), "alex": (2, 5, 8, 10, 12)}  # each stage ends with a ReLU
CHANNELS = {"vgg": (64, 128, 256, 512, 512), "alex": (64, 192, 384, 256, 256)}
MIN_SIDE_PX = {"vgg": 16, "alex": 31}  # below, a pooling has nothing left
# ImageNet's mean and deviation, for input -1..1
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
EPSILON = 1e-8  # inside the root, so that features of a black area divide


class PerceptualNetwork(nn.Module):
    """A torchvision trunk in five stages and one linear layer a stage, without weights; `load_lpips` fills them.

    trunk: the modules of VGG-16's or AlexNet's `features` up to the last ReLU, torchvision's names and order.
    head0 .. head4: (C,), how much a squared difference in each channel of that stage counts.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        from torchvision import models

        if backbone not in get_args(Backbone):
            raise SpecError(f"backbone must be one of {', '.join(get_args(Backbone))}: got {backbone!r}")
        self.backbone = backbone
        self.stage_ends = STAGE_ENDS[backbone]
        with torch.device("meta"):  # without memory and numbers for the classifier, which is half a gigabyte
            classifier = models.vgg16(weights=None) if backbone == "vgg" else models.alexnet(weights=None)
        self.trunk = classifier.features[: self.stage_ends[-1]].to_empty(device="cpu")
        for parameter in self.trunk.parameters():
            nn.init.zeros_(parameter)
        for stage, channels in enumerate(CHANNELS[backbone]):
            self.register_buffer(f"head{stage}", torch.zeros(channels))
        self.requires_grad_(False).eval()

    def forward(self, result: Tensor, reference: Tensor) -> Tensor:
        """Distance of each stage: two pictures (3, H, W), 0..1, to (5,); LPIPS is their sum."""
        pair = 2 * torch.stack([result, reference]) - 1
        pair = (pair - pair.new_tensor(SHIFT).view(3, 1, 1)) / pair.new_tensor(SCALE).view(3, 1, 1)
        distances = []
        start = 0
        for stage, end in enumerate(self.stage_ends):
            pair = self.trunk[start:end](pair)
            lengths = (pair.square().sum(1) + EPSILON).sqrt()
            difference = (pair[0] / lengths[0]).sub_(pair[1] / lengths[1]).square_()
            distances.append(torch.einsum("chw,c->hw", difference, self.get_buffer(f"head{stage}")).mean())
            start = end
        return torch.stack(distances)


@torch.no_grad()
def lpips(result: Tensor, reference: Tensor, *, backbone: Backbone | PerceptualNetwork = "vgg") -> float:
    """Learned perceptual distance, 0 for equal pictures; the layers' deep features, weighted as people judged.

    result, reference: (3, H, W) or (T, 3, H, W), not rounded, clipped to 0..1; at least 16 pixels a side (VGG) or 31
        (AlexNet). For "LPIPS HM" give match_histogram(result, reference).
    backbone: `vgg`, as Table I takes it, `alex`, smaller and faster, or a network with weights of your own.
    Protocol: version 0.1 of the linear layers, input scaled to -1..1, no resizing, mean over pixels, sum over five
    stages, mean over frames.
    Raises ShapeError when shapes differ or the picture is too small, SpecError for another backbone; Unavailable, with
    the cure, when the ImageNet weights of the backbone or the package with the linear layers are missing.
    """
    check_pictures(result=result, reference=reference)
    name = backbone.backbone if isinstance(backbone, PerceptualNetwork) else backbone
    if name not in get_args(Backbone):
        raise SpecError(f"backbone must be one of {', '.join(get_args(Backbone))}: got {backbone!r}")
    if min(result.shape[-2:]) < MIN_SIDE_PX[name]:
        raise ShapeError(
            f"LPIPS ({name}) needs at least {MIN_SIDE_PX[name]} pixels a side: got {tuple(result.shape[-2:])}"
        )
    network = backbone if isinstance(backbone, PerceptualNetwork) else _network_on(backbone, result.device)
    dtype = next(network.parameters()).dtype
    frames = result.reshape(-1, *result.shape[-3:])
    wanted = reference.expand_as(result).reshape(frames.shape)
    pairs = zip(frames, wanted, strict=True)
    scores = [network(a.clamp(0, 1).to(dtype), b.clamp(0, 1).to(dtype)).sum() for a, b in pairs]
    return float(torch.stack(scores).mean())


def load_lpips(backbone: Backbone = "vgg") -> PerceptualNetwork:
    """The network of LPIPS with its published weights, on the CPU.

    The trunk comes from the weights store (`vgg16` or `alexnet`), the linear layers from the torchmetrics package.
    Raises SpecError for another backbone and Unavailable, with the cure, when one of both is missing.
    """
    network = PerceptualNetwork(backbone)
    trunk = _load(weights_file(WEIGHTS[backbone]).path)
    wanted = network.trunk.state_dict()
    network.trunk.load_state_dict({name: trunk[f"features.{name}"] for name in wanted})
    load_heads(network)
    return network


def load_heads(network: PerceptualNetwork) -> None:
    """Fills the linear layers from the files inside the torchmetrics package, which is not imported.

    Raises Unavailable when the package is not installed or does not hold them.
    """
    package = importlib.util.find_spec("torchmetrics")
    folder = Path(package.origin).parent if package and package.origin else Path()
    file = folder / "functional" / "image" / "lpips_models" / f"{network.backbone}.pth"
    if not file.is_file():
        raise Unavailable("LPIPS takes its linear layers from the package torchmetrics: pip install torchmetrics")
    heads = _load(file)
    for stage in range(len(network.stage_ends)):
        network.get_buffer(f"head{stage}").copy_(heads[f"lin{stage}.model.1.weight"].flatten())


@lru_cache(maxsize=2)
def _network_on(backbone: Backbone, device: torch.device) -> PerceptualNetwork:
    return load_lpips(backbone).to(device)


def _load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return loaded
