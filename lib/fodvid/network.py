"""Segmentation network: SPADE's decoder on the frozen features of one frame, without flow (sec. 3.1)."""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.checks import check_form
from lib.errors import ShapeError, SpecError
from lib.fodvid.spade import Norm, SpadeDecoder

Modulation = Literal["features", "image"]
MODULATIONS = get_args(Modulation)
# blocks that double the size, from the coarsest on: one for each factor of two in the patch
DOUBLING = ("up_0", "up_1", "up_2", "up_3")
MAX_PATCH_PX = 2 ** len(DOUBLING)
EPSILON = 1e-6


class SegmentationNetwork(nn.Module):
    """Logits of the foreground from a feature map; its trunk works on the grid of patches, its head on pixels.

    feature_dim: channels of the features. patch_px: pixels per feature, a power of two up to 16: how much the decoder
    enlarges. width: channels of the last block (paper: not said; SPADE: 64). modulation: what guides SPADE's norms,
    the feature map or the RGB image, whose edges the features lack; the paper doesn't say.
    Choice: the decoder starts on the patch grid, so that SPADE's five doublings become log2(patch_px) of them, and the
    features are standardised by the statistics of the training frames (`standardise`).
    Raises SpecError for a patch that is no such power of two, another modulation or a size below one.
    """

    feature_mean: Tensor
    feature_deviation: Tensor

    def __init__(
        self,
        feature_dim: int,
        *,
        patch_px: int,
        width: int = 64,
        modulation: Modulation = "features",
        max_channels: int = 1024,
        modulation_width: int = 128,
        norm: Norm = "batch",
        spectral: bool = False,
    ) -> None:
        super().__init__()
        doublings = patch_px.bit_length() - 1
        if not 1 <= patch_px <= MAX_PATCH_PX or 2**doublings != patch_px:
            raise SpecError(f"patch_px must be a power of two from 1 to {MAX_PATCH_PX}: got {patch_px}")
        if modulation not in MODULATIONS:
            raise SpecError(f"modulation must be one of {', '.join(MODULATIONS)}: got {modulation!r}")
        self.feature_dim, self.patch_px, self.modulation = feature_dim, patch_px, modulation
        self.register_buffer("feature_mean", torch.zeros(feature_dim))
        self.register_buffer("feature_deviation", torch.ones(feature_dim))
        self.decoder = SpadeDecoder(
            feature_dim,
            feature_dim if modulation == "features" else 3,
            1,
            doubled=DOUBLING[:doublings],
            width=width,
            max_channels=max_channels,
            norm=norm,
            spectral=spectral,
            hidden=modulation_width,
        )

    def standardise(self, mean: Tensor, deviation: Tensor) -> None:
        """Sets what is taken off the features and what they are divided by; both (feature_dim,)."""
        self.feature_mean.copy_(mean)
        self.feature_deviation.copy_(deviation.clamp_min(EPSILON))

    def forward(self, features: Tensor, size: tuple[int, int], image: Tensor | None = None) -> Tensor:
        """Logits (B, 1, H, W) at `size` (H, W), above 0 where the object is more likely than not.

        features: (B, feature_dim, rows, columns). image: RGB (B, 3, any size), 0..1, needed for modulation "image".
        Where `size` isn't the grid times patch_px, the logits are resized to it, bilinear with half-pixel centres.
        Raises ShapeError for features or an image of another form.
        """
        check_form("features", features, 4)
        if features.shape[1] != self.feature_dim:
            raise ShapeError(
                f"features must be (B, {self.feature_dim}, rows, columns) for this network: "
                f"got {tuple(features.shape)}; take the extractor that it was trained with"
            )
        shape = (-1, 1, 1)
        features = (features - self.feature_mean.view(shape)) / self.feature_deviation.view(shape)
        logits = self.decoder(features, self._guide(features, size, image))
        if logits.shape[-2:] != tuple(size):
            logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        return logits

    def _guide(self, features: Tensor, size: tuple[int, int], image: Tensor | None) -> Tensor:
        if self.modulation == "features":
            return features
        if image is None:
            raise ShapeError("image must be given to a network with modulation 'image': got none")
        check_form("image", image, 4)
        if image.shape[1] != 3 or len(image) != len(features):
            raise ShapeError(f"image must be ({len(features)}, 3, H, W) as the features: got {tuple(image.shape)}")
        # every block then finds its own grid by the nearest pixel
        full = tuple(side * self.patch_px for side in features.shape[-2:])
        if image.shape[-2:] != full:
            image = F.interpolate(image, size=full, mode="bilinear", align_corners=False, antialias=True)
        return 2 * image - 1
