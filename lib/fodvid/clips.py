"""What the segmentation network learns from: frozen features, coarse masks and flows of a clip, each computed once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.errors import DataMissing, ShapeError, SpecError
from lib.flow import resize_flow
from lib.fodvid.network import MAX_PATCH_PX

FeatureSource = Tensor | Sequence[Tensor] | Callable[[int], Tensor]
FlowSource = Mapping[int, Tensor] | Callable[[int, int], Tensor]


@dataclass(frozen=True)
class Clip:
    """A sequence with its coarse masks. Where a source is a function, it is asked for each item once, before training.

    features: (T, D, rows, columns), or frame -> (D, rows, columns); any float type, kept as it is.
    masks: (T, H, W), bool or 0..1, any size; the coarse masks that teach.
    flows: per offset d the flow (T, 2, h, w), pixels of its own size, on frame t's grid to frame t + d; or
        (frame, offset) -> (2, h, w). Of pairs that leave the clip nothing is read. Empty: no warping.
    images: RGB frames as features' form, (T, 3, H, W) or frame -> (3, H, W), 0..1; for modulation "image".
    trusted: (T,) bool, whether a mask may teach; without it, those that have foreground and background.
    """

    features: FeatureSource
    masks: Tensor
    flows: FlowSource
    images: FeatureSource | None = None
    trusted: Tensor | None = None
    name: str = "clip"


@dataclass(frozen=True)
class PreparedClip:
    """A clip on the training grid, in CPU memory: masks (T, 1, H, W), flows per offset (T, 2, H, W) in its pixels."""

    name: str
    features: Tensor
    masks: Tensor
    flows: dict[int, Tensor]
    images: Tensor | None
    trusted: tuple[bool, ...]

    @property
    def offsets(self) -> tuple[int, ...]:
        """Offsets of neighbours whose flow back to the frame is there."""
        return tuple(-offset for offset in sorted(self.flows, reverse=True))


def prepare(
    clip: Clip,
    *,
    size: tuple[int, int],
    offsets: Sequence[int],
    needs_images: bool = False,
    upsampling: int = 0,
    both_ways: bool = False,
) -> PreparedClip:
    """The clip's sources read once and brought to the training size.

    size: (H, W) of masks and flows. offsets: of neighbours that may teach; empty where no flow is needed.
    upsampling: pixels per feature, for the images' size; 0: see `upsampling_of`. both_ways: takes only offsets whose
    flow is there in both directions.
    Raises DataMissing for a clip without frames or without the images that are needed; ShapeError for sources that
    don't fit each other or hold NaN; SpecError where no offset of the clip's flows can be used.
    """
    count = len(clip.masks) if clip.masks.ndim == 3 else 0
    if clip.masks.ndim != 3 or 0 in clip.masks.shape:
        raise DataMissing(
            f"{clip.name}: masks must be (T, H, W) with at least one frame: got {tuple(clip.masks.shape)}"
        )
    features = _read(clip.features, count, f"{clip.name}: features")
    masks = clip.masks.cpu()
    trusted = _trusted(clip, masks)
    images = None
    if needs_images:
        if clip.images is None:
            raise DataMissing(f"{clip.name}: modulation 'image' needs the frames; give Clip its images")
        factor = upsampling or upsampling_of((features.shape[-2], features.shape[-1]), size)
        grid = (features.shape[-2] * factor, features.shape[-1] * factor)
        images = _read(clip.images, count, f"{clip.name}: images", size=grid)
    return PreparedClip(
        clip.name,
        features,
        _masks(masks, size, clip.name),
        _flows(clip, trusted, size, offsets, both_ways),
        images,
        trusted,
    )


def upsampling_of(grid: tuple[int, int], size: tuple[int, int]) -> int:
    """Power of two up to 16 that brings a feature grid nearest to the training size from below, at least 1."""
    factor = 1
    while factor < MAX_PATCH_PX and grid[0] * factor * 2 <= size[0]:
        factor *= 2
    return factor


def _read(source: FeatureSource, count: int, what: str, *, size: tuple[int, int] | None = None) -> Tensor:
    """All items of a source as one tensor on the CPU, resized where a size is asked for."""
    items: list[Tensor] = []
    if isinstance(source, Tensor) and len(source) == count and source.ndim == 4 and not size:
        source = source.detach().cpu()
        if all(item.isfinite().all() for item in source):
            return source  # as it is, not copied
    if not callable(source) and len(source) != count:
        raise ShapeError(f"{what} must be there for each of the {count} masks: got {len(source)}")
    for idx in range(count):
        item = (source(idx) if callable(source) else source[idx]).detach().cpu()
        if item.ndim != 3 or (items and not size and item.shape != items[0].shape):
            expected = tuple(items[0].shape) if items else "three axes"
            raise ShapeError(f"{what} of frame {idx} must have {expected}: got shape {tuple(item.shape)}")
        if not item.isfinite().all():
            raise ShapeError(f"{what} of frame {idx} must be finite: got NaN or infinity; repair the source first")
        if size and item.shape[-2:] != size:
            item = F.interpolate(item[None], size=size, mode="bilinear", align_corners=False, antialias=True)[0]
        items.append(item)
    return torch.stack(items)


def _trusted(clip: Clip, masks: Tensor) -> tuple[bool, ...]:
    if clip.trusted is None:
        share = masks.float().mean((1, 2))
        return tuple(((share > 0) & (share < 1)).tolist())
    if clip.trusted.shape != (len(masks),):
        raise ShapeError(f"{clip.name}: trusted must be ({len(masks)},): got {tuple(clip.trusted.shape)}")
    return tuple(clip.trusted.bool().tolist())


def _masks(masks: Tensor, size: tuple[int, int], name: str) -> Tensor:
    """Masks on the training grid: bool by the nearest pixel, soft ones bilinear."""
    if masks.dtype == torch.bool:
        return F.interpolate(masks[:, None].to(torch.uint8), size=size, mode="nearest-exact").bool()
    if not (masks.is_floating_point() and masks.min() >= 0 and masks.max() <= 1):
        raise ShapeError(f"{name}: masks must be bool, or float within 0..1; compare 8-bit masks with 0 first")
    return F.interpolate(masks[:, None], size=size, mode="bilinear", align_corners=False, antialias=True)


def _flows(
    clip: Clip, trusted: tuple[bool, ...], size: tuple[int, int], offsets: Sequence[int], both_ways: bool
) -> dict[int, Tensor]:
    """Flows (T, 2, H, W) by offset, half precision, between frames of which one may teach; zeros for all others."""
    wanted = [-offset for offset in offsets]
    if isinstance(clip.flows, Mapping):
        wanted = [offset for offset in wanted if offset in clip.flows and (-offset in clip.flows or not both_ways)]
        if offsets and clip.flows and not wanted:
            raise SpecError(
                f"{clip.name}: flows must have one of the offsets {sorted(-offset for offset in offsets)}"
                f"{' and its opposite' if both_ways else ''}: got {sorted(clip.flows)}"
            )
    flows = {}
    for offset in wanted:
        # 16 bits: to 1/32 px up to 64 px, and half of the memory
        planes = torch.zeros(len(trusted), 2, *size, dtype=torch.float16)
        for frame in range(max(0, -offset), min(len(trusted), len(trusted) - offset)):
            if trusted[frame] or trusted[frame + offset]:
                planes[frame] = _flow(clip, frame, offset, size)
        flows[offset] = planes
    return flows


def _flow(clip: Clip, frame: int, offset: int, size: tuple[int, int]) -> Tensor:
    given = clip.flows[offset][frame] if isinstance(clip.flows, Mapping) else clip.flows(frame, offset)
    flow = given.detach().cpu().float()
    what = f"{clip.name}: flow of frame {frame} to {frame + offset}"
    if flow.ndim != 3 or flow.shape[0] != 2:
        raise ShapeError(f"{what} must be (2, H, W): got {tuple(flow.shape)}")
    if not flow.isfinite().all():
        raise ShapeError(f"{what} must be finite: got NaN or infinity; repair the flow first")
    return resize_flow(flow[None], size)[0]
