"""Dense inverse search (Kroeger et al. 2016) by OpenCV: the CPU flow that needs no weights.

Measured with the preset `medium`, mean end-point error in pixels (that of zero flow in brackets): RubberWhale 0.226
(1.256), FlyingChairs 00001 2.703 (4.306) and 00002 0.641 (2.113); RubberWhale shifted by (5, 3) px 0.06, the same at
12 % brightness with noise of 3 grey levels 0.18.
"""

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lib.errors import SpecError

Preset = Literal["ultrafast", "fast", "medium"]
PRESETS = ("ultrafast", "fast", "medium")


class DIS(nn.Module):
    """Flow from a to b, pictures (B, 3, H, W), RGB 0..1, at least 32 pixels a side; gives (B, 2, H, W) float32.

    The luma of both is rounded to 8 bits, as OpenCV wants it. The result is on the device of `a`.
    Raises SpecError for an unknown preset.
    """

    multiple = 1
    smallest_px = 32  # OpenCV reads outside its arrays where a side is shorter and the other one long

    def __init__(self, preset: Preset = "medium") -> None:
        super().__init__()
        if preset not in PRESETS:
            raise SpecError(f"preset must be one of {', '.join(PRESETS)}: got {preset!r}")
        self.preset = preset

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        pairs = zip(_luma(a), _luma(b), strict=True)
        flow = np.stack([self._flow_of_pair(first, second) for first, second in pairs])
        return torch.from_numpy(flow).permute(0, 3, 1, 2).contiguous().to(a.device)

    def _flow_of_pair(self, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float32]:
        # a fresh object each time: one is neither safe in two threads nor can it be copied with this module
        return _search(self.preset).calc(a, b, None)


def _search(preset: Preset) -> Any:
    import cv2

    presets = {
        "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
        "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
        "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
    }
    return cv2.DISOpticalFlow.create(presets[preset])


def _luma(image: Tensor) -> NDArray[np.uint8]:
    """(B, H, W) in grey levels, Rec. 601, in memory of its own."""
    weights = image.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return ((image * weights).sum(dim=1) * 255).round().clamp(0, 255).byte().cpu().numpy()
