"""What the Siamese network is built of and trained for; weights belong to one such setting."""

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self, get_args

from lib.errors import SpecError

Head = Literal["up_channel", "depthwise", "correlation"]
Inputs = Literal["filtered", "all", "frame"]
Scaling = Literal["frame", "crop"]
CHOICES = {"head": get_args(Head), "inputs": get_args(Inputs), "scaling": get_args(Scaling)}
NUM_LAYERS = 5
FIRST_STRIDE = 2  # of conv1


@dataclass(frozen=True)
class NetworkSettings:
    """Layers, anchors, crops and inputs. Defaults: the published widths, adapted to targets of a few pixels."""

    channels: tuple[int, ...] = (96, 256, 384, 384, 256)  # conv1 to conv5; SiamRPN's AlexNet (the paper names none)
    pool_strides: tuple[int, int] = (2, 2)  # after conv1 and conv2; the total stride is twice their product
    fusion: bool = True  # eqs 5-7: conv3 to conv5 together; False: conv5 alone
    fused_width: int = 256  # channels after eq. 7's convolution
    head: Head = "up_channel"  # eqs 8-9; "depthwise" as in SiamRPN++; "correlation" is SiamFC, no region selection
    head_width: int = 256  # channels that are correlated

    ratios: tuple[float, ...] = (0.33, 0.5, 1, 2, 3)  # anchors' height over width; the paper says "m anchors"
    scales: tuple[float, ...] = (3,)  # anchors' side in strides. Choice: SiamRPN's 8 suits no target of 3 pixels

    template_px: int = 127  # SiamRPN
    search_px: int = 287  # while tracking; SiamRPN
    training_search_px: int = 255  # SiamRPN
    context_floor_px: float = 24.0  # least side of the template's window in the frame; 0: none, as in SiamRPN
    subpixel: bool = True  # windows at fractions of a pixel; False: rounded, as in the published code

    inputs: Inputs = "all"  # frame, eq. 3 and eq. 4 as three planes; "filtered": eq. 4 three times; "frame": eq. 1's
    scaling: Scaling = "crop"  # each crop to mean 0, deviation 1; "frame": 0..255 by the frame's 99.9 % quantile

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise SpecError(f"{name} must be one of {', '.join(choices)}: got {getattr(self, name)!r}")
        if len(self.channels) != NUM_LAYERS or min(self.channels) < 1:
            raise SpecError(f"channels must be {NUM_LAYERS} whole numbers above 0: got {self.channels!r}")
        if len(self.pool_strides) != 2 or not set(self.pool_strides) <= {1, 2}:
            raise SpecError(f"pool_strides must be two of 1 and 2: got {self.pool_strides!r}")
        for name in ("fused_width", "head_width"):
            if getattr(self, name) < 1:
                raise SpecError(f"{name} must be at least 1: got {getattr(self, name)!r}")
        for name in ("ratios", "scales"):
            values = getattr(self, name)
            if not values or not all(0 < value < math.inf for value in values):
                raise SpecError(f"{name} must be numbers above 0: got {values!r}")
        if not 0 <= self.context_floor_px < math.inf:
            raise SpecError(f"context_floor_px must be at least 0 pixels: got {self.context_floor_px!r}")
        for name in ("template_px", "search_px", "training_search_px"):
            self.trunk_size(getattr(self, name))
        if min(self.map_size(self.search_px), self.map_size(self.training_search_px)) < 1:
            raise SpecError(
                f"the search crop must be larger than the template: got {self.search_px} and "
                f"{self.training_search_px} for {self.template_px}"
            )

    @classmethod
    def paper(cls) -> Self:
        """The method read literally: SiamRPN's anchors and crops, the filtered frame alone, no adaptation."""
        return cls(scales=(8,), context_floor_px=0.0, subpixel=False, inputs="filtered", scaling="frame")

    @classmethod
    def small(cls) -> Self:
        """The shipped network: the same layers, about an eighth as wide, on small crops at half the stride.

        Against `wide`, both after 6400 pairs (seed 0), it loses nothing; after more is not measured: see the notebook
        ir_tracking/3_table.
        """
        return cls(
            channels=(16, 32, 48, 48, 32), pool_strides=(2, 1), fused_width=48, head="depthwise", head_width=48,
            ratios=(0.5, 1, 2), scales=(2.5, 8), template_px=79, search_px=143, training_search_px=143,
        )  # fmt: skip

    @classmethod
    def wide(cls) -> Self:
        """What the small one stands for: AlexNet's widths and SiamRPN's crops, with the small one's head and anchors.

        Choice: anchors of 3 pixels and of bodies, as the small one has them; in these crops that is 16 and 64 pixels.
        """
        return cls(head="depthwise", ratios=(0.5, 1, 2), scales=(2, 8))

    @property
    def stride(self) -> int:
        """Pixels of a crop from one cell of the maps to the next."""
        return FIRST_STRIDE * self.pool_strides[0] * self.pool_strides[1]

    @property
    def num_anchors(self) -> int:
        """The paper's m."""
        return len(self.ratios) * len(self.scales)

    @property
    def head_kernel(self) -> int:
        """Side of the head's first convolutions; SiamFC correlates the trunk's features themselves."""
        return 1 if self.head == "correlation" else 3

    def trunk_size(self, crop_px: int) -> int:
        """Side of conv5's map for a crop of that side; SpecError where a layer would drop a margin of the crop."""
        size = self._trunk_size(crop_px)
        if size is None:
            valid = [side for side in range(max(crop_px, 64) + 64) if self._trunk_size(side) is not None]
            near = sorted(valid, key=lambda side: abs(side - crop_px))[:4]
            raise SpecError(
                f"a crop's side must fit the layers, such as {', '.join(map(str, sorted(near)))}: got {crop_px}"
            )
        return size

    def _trunk_size(self, crop_px: int) -> int | None:
        size = crop_px
        for kernel, stride in ((11, FIRST_STRIDE), (3, self.pool_strides[0]), (5, 1), (3, self.pool_strides[1])):
            size, lost = divmod(size - kernel, stride)
            size += 1
            if lost or size < 1:
                return None
        size -= 3 * 2  # conv3 to conv5
        return size if size >= self.head_kernel else None

    def map_size(self, search_px: int) -> int:
        """Side of the class and offset maps for a search crop of that side."""
        return self.trunk_size(search_px) - self.trunk_size(self.template_px) + 1

    def but(self, **changes: Any) -> Self:
        """The same with some fields changed."""
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """For a checkpoint; `from_dict` reads it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, held: dict[str, Any]) -> Self:
        """Settings of `as_dict`, also after JSON has made lists of the tuples."""
        known = {field.name for field in fields(cls)}
        if unknown := set(held) - known:
            raise SpecError(f"network settings have no field {', '.join(sorted(unknown))}")
        given: Any = {name: tuple(value) if isinstance(value, list) else value for name, value in held.items()}
        return cls(**given)
