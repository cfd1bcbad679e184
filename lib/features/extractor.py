"""One call for all patch features: `load_features(name)` gives an extractor, `extractor(image)` a vector a patch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lib
from lib.checks import check_image
from lib.data.checkpoint import fill, read_checkpoint
from lib.data.origin import file_sha256
from lib.data.weights import WeightsFile, weights_file
from lib.errors import ShapeError, SpecError

FeatureName = Literal["dino_vits16", "dino_vits8", "dino_vitb16", "dino_vitb8", "efficientnet_lite0", "vgg16"]
Facet = Literal["key", "token"]
NAMES: tuple[str, ...] = get_args(FeatureName)
STAND_INS = ("efficientnet_lite0", "vgg16")
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, eq=False)
class PatchFeatures:
    """tokens: (B, N, D) float32, row by row; grid: rows and columns, N = rows * columns."""

    tokens: Tensor
    grid: tuple[int, int]

    def as_map(self) -> Tensor:
        """The same as (B, D, rows, columns)."""
        return self.tokens.transpose(1, 2).unflatten(2, self.grid)


@dataclass(frozen=True, eq=False)
class FeatureExtractor:
    """Features of any picture by one network.

    network: takes normalised pictures (B, 3, H, W) whose sides are multiples of `multiple` and gives (B, N, D) for a
        grid of one patch in `patch_px` pixels.
    patch_px: side of a patch; dim: length of a vector; is_stand_in: not the paper's features.
    weights: what it runs with, for records: name, licence and first digits of the checksum.
    """

    name: str
    network: nn.Module
    patch_px: int
    multiple: int
    dim: int
    weights: str
    is_stand_in: bool
    device: torch.device | None = None

    def __call__(self, image: Tensor) -> PatchFeatures:
        """The same as `compute`."""
        return self.compute(image)

    @torch.no_grad()
    def compute(self, image: Tensor) -> PatchFeatures:
        """Features of pictures (B, 3, H, W), RGB, 0..1, on their device; half precision on CUDA, else float32.

        Sides are brought to the nearest multiple that the network takes (bicubic with antialiasing; Choice: the
        authors resize with Lanczos, by at most half a patch). Raises ShapeError for another form, or pictures below
        half a patch.
        """
        check_image("image", image, ndim=4)
        height, width = image.shape[-2:]
        size = tuple(round(length / self.multiple) * self.multiple for length in (height, width))
        if 0 in size:
            raise ShapeError(f"{self.name} needs pictures of at least {self.multiple} pixels a side: {height}x{width}")
        device = self.device or image.device
        self.network.to(device)
        sized = image.to(device, torch.float32)
        if size != (height, width):
            sized = F.interpolate(sized, size=size, mode="bicubic", antialias=True).clamp(0, 1)
        with torch.autocast(device.type, dtype=torch.float16, enabled=device.type == "cuda"):
            tokens = self.network(sized)
        return PatchFeatures(tokens.float().to(image.device), (size[0] // self.patch_px, size[1] // self.patch_px))

    @property
    def identity(self) -> str:
        """What makes two extractors give the same features: for the key of a cache."""
        return f"{self.name} {self.patch_px} {self.dim} {self.network.identity} {self.weights}"


def load_features(
    name: FeatureName,
    *,
    weights: str | Path | None = "auto",
    device: torch.device | str | None = None,
    facet: Facet = "key",
    layers: Sequence[int] | None = None,
    patch_px: int = 8,
) -> FeatureExtractor:
    """The named network, ready to be called with pictures.

    name: dino_vits16, dino_vits8, dino_vitb16, dino_vitb8; or a stand-in: efficientnet_lite0, whose ImageNet weights
        come with the installation, or vgg16.
    weights: "auto" takes the file that lib.data.weights knows, or the installed one; a path takes that file, for DINO
        in the original's key names; None starts at random, for tests.
    facet: of DINO: `key`, the last block's keys (sec. 2.1), or `token`, the final normalised tokens.
    layers, patch_px: of a stand-in: which stages are joined (None: the two that did best), and the side of a patch, 8
        or 16 pixels. DINO's is part of its name.
    Raises SpecError for an unknown name or an option that does not fit it; Unavailable, with the cure, where weights
    are missing; LabError for a file that does not fit.
    """
    if name not in NAMES:
        raise SpecError(f"features must be one of {', '.join(NAMES)}: got {name!r}")
    if facet not in get_args(Facet):
        raise SpecError(f"facet must be key or token: got {facet!r}")
    if name in STAND_INS and (facet != "key" or patch_px not in (8, 16)):
        raise SpecError(f"{name} has patches of 8 or 16 pixels and no tokens: got {patch_px} pixels, {facet}")
    if name not in STAND_INS and (layers is not None or patch_px != 8):
        raise SpecError(f"{name} has its patch size in its name and no layers to choose")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network: Any = _build(name, facet, layers, patch_px)
    described = _load(network, name, weights)
    chosen = None if device is None else lib.device(str(device))
    network.eval().requires_grad_(False).to(chosen)
    return FeatureExtractor(
        name, network, network.patch_px, network.multiple, network.dim, described, name in STAND_INS, chosen
    )


def _build(name: str, facet: Facet, layers: Sequence[int] | None, patch_px: int) -> nn.Module:
    if name not in STAND_INS:
        from lib.features.dino import DINO

        return DINO(name, facet)
    from lib.features.imagenet import VGG16, EfficientNetLite0

    return (EfficientNetLite0 if name == "efficientnet_lite0" else VGG16)(layers, patch_px)


def _load(network: Any, name: str, weights: str | Path | None) -> str:
    """Fills the network; gives what a record says about the weights."""
    if weights is None:
        return "random weights"
    if weights != "auto":
        path = Path(weights)
        state = read_checkpoint(path)
        described = f"{path.name} (sha256 {file_sha256(path)[:8]})"
    else:
        file = network.installed() if name == "efficientnet_lite0" else weights_file(name)
        state = read_checkpoint(file.path)
        described = _described(file)
    network.expect(state)
    fill(network.trunk, state, source=described, rename=network.rename)
    return described


def _described(file: WeightsFile) -> str:
    return f"{file.name} ({file.licence}, sha256 {file.sha256[:8]})"
