"""What a reader of the walkthrough moves: thresholds of the importance, and what lies beyond the picture's border."""

from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

import torch.nn.functional as F
from torch import Tensor

from lib.context_fusion.settings import ImageSettings, Padding
from lib.context_fusion.still import fuse_image
from lib.data.images import resized
from lib.show.panel import Slider, captioned

HEIGHT_PX = 240  # at most, so that a move stays quick
BORDER_GAIN = 8
CUT_AWAY = 0.85
BORDERS: dict[Padding, str] = {"none": "nothing flows (Neumann)", "black": "black padding", "replicate": "repeated rim"}


def explorer_sliders(settings: ImageSettings) -> list[Slider]:
    """T_g, T_i, softness of W, where the picture is cut off, and the border, by its number in `Padding`."""
    border = get_args(Padding).index(settings.padding)
    return [
        Slider("threshold", "T_g, levels", 0, 100, round(settings.gradient_threshold)),
        Slider("intensity", "T_i, levels", 0, 255, round(settings.intensity_threshold)),
        Slider("feather", "softness, px", 0, 8, settings.feather_px, step=0.5),
        Slider("width", "width, %", 20, 100, 100),
        Slider("border", "border", 0, len(BORDERS) - 1, border),
    ]


def explored(night: Tensor, day: Tensor, values: Mapping[str, float]) -> bytes:
    """W, the enhanced picture, and what the border does to it, for the sliders' values: the bytes of a JPEG file.

    night, day: (3, H, W), 0..1; higher ones are shrunk to 240 pixels. values: those of `explorer_sliders`. A width
    below 100 cuts the right of the picture away before anything is computed, so that the border can run through a car;
    what it does is the difference to the whole picture, fused with nothing flowing through its own border.
    """
    padding = get_args(Padding)[int(values["border"])]
    settings = ImageSettings(
        gradient_threshold=float(values["threshold"]),
        intensity_threshold=float(values["intensity"]),
        feather_px=float(values["feather"]),
        padding=padding,
    )
    night, day = resized(night, HEIGHT_PX), resized(day, HEIGHT_PX)
    width = max(2, round(values["width"] / 100 * night.shape[-1]))
    fusion = fuse_image(night[..., :width], day[..., :width], settings=settings)
    whole = fuse_image(night, day, settings=replace(settings, padding="none")).image[..., :width]
    shown = {
        f"W: {100 * float(fusion.importance.mean()):.0f} % of the night": fusion.importance,
        f"enhanced, {BORDERS[padding]}": fusion.image,
        f"what the border changes, x{BORDER_GAIN}": BORDER_GAIN * (fusion.image - whole).abs().mean(0),
    }
    # what was cut away stays grey, so that the page does not jump
    rim = (0, night.shape[-1] - width)
    return captioned({title: F.pad(picture, rim, value=CUT_AWAY) for title, picture in shown.items()})
