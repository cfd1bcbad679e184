"""RAFT (Teed and Deng 2020) by torchvision, basic and small, with weights in torchvision's or the authors' key names.

Source: zero_tig sec. 5. Both take 2 x - 1, work at 1/8 of the size and need 128 pixels a side for the four levels of
their correlation; the authors' code gives NaN below that.
"""

import re

import torch
from torch import Tensor, nn

DEFAULT_ITERATIONS = 20

# the authors' names to torchvision's, in this order; a name that fits none of them stays
RENAMES = (
    (r"^fnet\.", "feature_encoder."),
    (r"^cnet\.", "context_encoder."),
    (r"^((?:feature|context)_encoder)\.conv1\.", r"\1.convnormrelu.0."),
    (r"^((?:feature|context)_encoder)\.norm1\.", r"\1.convnormrelu.1."),
    (r"^((?:feature|context)_encoder)\.conv2\.", r"\1.conv."),
    (r"(layer\d\.\d)\.conv(\d)\.", r"\1.convnormrelu\2.0."),
    # the third norm of a block is that of its shortcut, which the authors' files hold twice
    (r"(layer\d\.\d)\.norm3\.", r"\1.downsample.1."),
    (r"(layer\d\.\d)\.norm(\d)\.", r"\1.convnormrelu\2.1."),
    (r"^update_block\.encoder\.convc(\d)\.", r"update_block.motion_encoder.convcorr\1.0."),
    (r"^update_block\.encoder\.convf(\d)\.", r"update_block.motion_encoder.convflow\1.0."),
    (r"^update_block\.encoder\.conv\.", "update_block.motion_encoder.conv.0."),
    (r"^update_block\.gru\.conv([zrq])(\d)\.", r"update_block.recurrent_block.convgru\2.conv\1."),
    (r"^update_block\.gru\.conv([zrq])\.", r"update_block.recurrent_block.convgru1.conv\1."),
    (r"^update_block\.mask\.0\.", "mask_predictor.convrelu.0."),
    (r"^update_block\.mask\.2\.", "mask_predictor.conv."),
)


class RAFT(nn.Module):
    """Flow from a to b, pictures (B, 3, H, W), RGB 0..1, sides multiples of 8 and at least 128; gives (B, 2, H, W)."""

    multiple = 8
    smallest_px = 128

    def __init__(self, *, small: bool = False, iterations: int = DEFAULT_ITERATIONS) -> None:
        from torchvision.models import optical_flow

        super().__init__()
        self.iterations = iterations
        self.network = optical_flow.raft_small() if small else optical_flow.raft_large()
        self._narrow_pyramid = self.network.corr_block.build_pyramid
        self.network.corr_block.build_pyramid = self._build_pyramid

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.network(2 * a - 1, 2 * b - 1, num_flow_updates=self.iterations)[-1]

    @staticmethod
    def checkpoint_key(key: str) -> str:
        """Our name of a tensor in a RAFT file of the authors or of torchvision."""
        return f"network.{torchvision_key(key)}"

    def _build_pyramid(self, first: Tensor, second: Tensor) -> None:
        """Correlations in float32 also under autocast, as the authors do: sums over 256 channels may overflow."""
        with torch.autocast(first.device.type, enabled=False):
            self._narrow_pyramid(first.float(), second.float())


def torchvision_key(key: str) -> str:
    """torchvision's name of a tensor in a RAFT file; its own names pass unchanged."""
    for pattern, replacement in RENAMES:
        key = re.sub(pattern, replacement, key)
    return key
