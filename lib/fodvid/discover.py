"""From frames to masks: flow, features of both, graph, cut; one frame at a time, in bounded memory."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.checks import check_image
from lib.errors import SpecError
from lib.features import PatchFeatures, load_features
from lib.flow import load_flow
from lib.fodvid.affinity import patch_affinity
from lib.fodvid.camera import remove_camera
from lib.fodvid.cut import Cut, graph_cut
from lib.fodvid.finish import finish_mask
from lib.fodvid.motion import flow_picture, motion_descriptor
from lib.fodvid.own_look import OwnLook, Taught, evidence, learn_look, patches_a_frame, taught_by
from lib.fodvid.settings import Settings

# residual flow shorter than this everywhere is what estimation errors leave of a picture at rest: of DIS, on a picture
# repeated with noise of 3 grey levels, 0.1 px
REST_PX = 0.1
SIDE_MULTIPLE = 8


@dataclass(frozen=True, eq=False)
class Motion:
    """What moves between a frame and the next: flow (1, 2, h, w), pixels of its own size, without the camera's part if
    the settings say so; moves: whether any vector is longer than a tenth of a pixel and the settings' `still_px`."""

    flow: Tensor
    moves: bool


@dataclass(frozen=True, eq=False)
class Discovery:
    """One frame's object: mask (H, W) bool at the frame's size, the cut of its patches, the features and the motion.

    Choice: where flow counts (alpha below 1) and nothing moves, the mask is empty, whatever the cut: every graph has
    one, and that of a frame at rest parts the picture by appearance alone. Not in the paper, whose videos all move.
    """

    mask: Tensor
    cut: Cut
    features: PatchFeatures
    motion: Motion | None


class Discoverer:
    """The settings with their networks loaded; its methods are the paper's steps.

    extractor, estimator: features and flow to use instead of those that the settings name, e.g. already loaded.
    Raises Unavailable when weights are missing, and says which.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        device: torch.device | str | None = None,
        extractor: Callable[[Tensor], PatchFeatures] | None = None,
        estimator: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        self.settings = settings
        self.extractor = extractor or load_features(settings.backbone, weights=settings.weights, device=device)
        uses_flow = settings.alpha < 1 and estimator is None
        self.estimator = (
            load_flow(settings.flow, weights=settings.flow_weights, device=device) if uses_flow else estimator
        )

    def motion(self, frame: Tensor, following: Tensor | None, *, preceding: Tensor | None = None) -> Motion:
        """Flow from one frame (3, H, W) to the next, at the settings' height, with the camera's part taken out.

        preceding: the frame before; with the setting `both_ways` the flow to it, reversed, is averaged in: what one of
        the two flows misses, because something is hidden there or stands still for a moment, the other shows; of the
        last frame (following is None) it is all there is. Raises SpecError where alpha is 1 or no neighbour is given.
        """
        if self.estimator is None:
            raise SpecError("alpha = 1 uses appearance alone and has no flow; set alpha below 1")
        flows = [] if following is None else [self._flow(frame, following)]
        if preceding is not None and self.settings.both_ways:
            flows.append(-self._flow(frame, preceding))
        if not flows:
            raise SpecError("motion needs a neighbouring frame: give the one that follows")
        flow = torch.stack(flows).mean(dim=0)
        return Motion(flow, bool(flow.norm(dim=1).amax() > max(REST_PX, self.settings.still_px)))

    def _flow(self, frame: Tensor, neighbour: Tensor) -> Tensor:
        """Flow (1, 2, h, w) between two frames, pixels of its own size, without the camera's part if so set."""
        assert self.estimator is not None
        small = [resize_height(image[None], self.settings.flow_height_px) for image in (frame, neighbour)]
        flow = self.estimator(*small)
        return remove_camera(flow).residual if self.settings.remove_camera else flow

    def image_features(self, frame: Tensor) -> PatchFeatures:
        """Features of the frame's patches."""
        return self.extractor(resize_height(frame[None], self.settings.height_px))

    def flow_features(self, motion: Motion, frame: Tensor, grid: tuple[int, int]) -> Tensor:
        """Features (N, D) of the same patches' motion: of the flow's picture (sec. 2.1), or its descriptor."""
        if self.settings.motion_features == "descriptor":
            return motion_descriptor(motion.flow, grid, still_px=self.settings.still_px)
        picture = flow_picture(motion.flow, _size(frame), still_px=self.settings.still_px)
        return self.extractor(resize_height(picture, self.settings.height_px)).tokens[0]

    def cut(self, image_features: PatchFeatures, flow_features: Tensor | None) -> Cut:
        """The graph of similarities above tau, cut in two; the object's side."""
        chosen = self.settings
        affinity = patch_affinity(
            image_features.tokens[0], flow_features, alpha=chosen.alpha, tau=chosen.tau, epsilon=chosen.epsilon
        )
        return graph_cut(affinity, image_features.grid, corner_rule=chosen.corner_rule, component=chosen.component)

    def discover(
        self,
        frame: Tensor,
        motion: Motion | None,
        *,
        features: PatchFeatures | None = None,
        look: OwnLook | None = None,
    ) -> Discovery:
        """The object in one frame (3, H, W), RGB, 0..1, given its motion; None where alpha is 1.

        features: of the frame, where they are there already. look: what the first cuts of the video taught, for its
        second ones; without it this is a first cut. Raises SpecError where alpha needs the motion and there is none.
        """
        if motion is None and self.settings.alpha < 1:
            raise SpecError("alpha below 1 needs the frame's motion; give it, or set alpha to 1")
        features = features or self.image_features(frame)
        of_flow = None
        if motion is not None and self.settings.alpha < 1:
            if look is None:
                found = self.flow_features(motion, frame, features.grid)
            else:
                share = look.share(features, frame)
                found = evidence(share, motion.flow.to(share), features.grid, still_px=self.settings.still_px)
            of_flow = found.to(features.tokens)
        cut = self.cut(features, of_flow)
        if of_flow is not None and motion is not None and not motion.moves:
            return Discovery(frame.new_zeros(_size(frame), dtype=torch.bool), cut, features, motion)
        mask = finish_mask(self.settings.finish, to_size(cut.mask, _size(frame)), frame)
        return Discovery(mask, cut, features, motion)

    def teach(
        self, frame: Tensor, motion: Motion | None, *, count: int, features: PatchFeatures | None = None
    ) -> Taught | None:
        """What the first cut of a frame teaches of the object's look, from up to `count` patches; None where nothing
        moves."""
        if motion is None or not motion.moves:
            return None
        found = self.discover(frame, motion, features=features)
        return taught_by(found.features, frame, found.cut.mask, count=count)


def discover(
    frames: Iterable[Tensor], *, settings: Settings | None = None, device: torch.device | str | None = None
) -> Iterator[Discovery]:
    """One Discovery per frame of a video, as they come; holds two frames at a time.

    frames: (3, H, W) each, RGB, 0..1, all of one size. Flow goes from each frame to the next; the last frame keeps the
    flow of the one before (TokenCut). Raises SpecError for a single frame where alpha asks for flow, and for settings
    with `own_look`, which needs the video twice: see `look_of`.
    """
    return discover_with(Discoverer(settings or Settings(), device=device), frames)


def discover_with(
    discoverer: Discoverer, frames: Iterable[Tensor], *, look: OwnLook | None = None
) -> Iterator[Discovery]:
    """The same by a Discoverer that is loaded already; look: of these frames, for second cuts."""
    if look is None and discoverer.settings.learns_look:
        raise SpecError("own_look cuts a video twice: give the look that look_of learned from its frames")
    for frame, motion in motions(discoverer, frames):
        yield discoverer.discover(frame, motion, look=look)


def look_of(
    discoverer: Discoverer,
    frames: Iterable[Tensor],
    *,
    num_frames: int,
    chosen: Callable[[int], bool] = lambda number: True,
) -> OwnLook | None:
    """What the first cuts of a video teach of its object; None where they teach nothing, so that those cuts stay.

    frames: (3, H, W) each, read once; num_frames: how many of them are `chosen`. A frame in which nothing moves does
    not teach. Holds 40 MB whatever the video with the stand-in's features, 200 MB with those of DINO ViT-B.
    """
    count = patches_a_frame(num_frames)
    found = motions(discoverer, frames, chosen=chosen)
    taught = (discoverer.teach(frame, motion, count=count) for frame, motion in found)
    return learn_look(one for one in taught if one is not None)


def motions(
    discoverer: Discoverer, frames: Iterable[Tensor], *, chosen: Callable[[int], bool] = lambda number: True
) -> Iterator[tuple[Tensor, Motion | None]]:
    """Each frame with its motion to the next; the last with that of the one before, or, with the setting `both_ways`,
    with that from the frame before it.

    chosen: whether the frame of this number, from 0 on, is wanted; of the others no motion is computed.
    """
    if discoverer.settings.alpha == 1:
        yield from ((frame, None) for number, frame in enumerate(frames) if chosen(number))
        return
    both_ways = discoverer.settings.both_ways
    before: Tensor | None = None
    current: Tensor | None = None
    motion: Motion | None = None
    count = 0
    for frame in frames:
        check_image("frame", frame)
        if current is not None:
            if frame.shape != current.shape:
                raise SpecError(
                    f"all frames must have one size: got {tuple(current.shape)} and then {tuple(frame.shape)}"
                )
            # also that of the frame before a chosen one, which the video may end with
            if chosen(count - 1) or (chosen(count) and not both_ways):
                motion = discoverer.motion(current, frame, preceding=before)
            if chosen(count - 1):
                yield current, motion
        before, current = current, frame
        count += 1
    if current is None:
        raise SpecError("the video has no frames")
    if before is None:
        raise SpecError("one frame shows no motion: give at least two, or set alpha to 1 to cut by appearance alone")
    if chosen(count - 1):
        yield current, discoverer.motion(current, None, preceding=before) if both_ways else motion


def resize_height(image: Tensor, height_px: int) -> Tensor:
    """The picture (1, 3, H, W) at a height and the nearest width of a multiple of 8; itself for 0 or if smaller."""
    height, width = image.shape[-2:]
    if not 0 < height_px < height:
        return image
    width_px = max(round(width * height_px / height / SIDE_MULTIPLE), 1) * SIDE_MULTIPLE
    return F.interpolate(image, size=(height_px, width_px), mode="bilinear", antialias=True)


def to_size(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """A mask of patches (rows, columns) at the size of a frame, by the nearest patch."""
    return F.interpolate(mask[None, None].to(torch.uint8), size=size, mode="nearest-exact")[0, 0].bool()


def _size(frame: Tensor) -> tuple[int, int]:
    return frame.shape[-2], frame.shape[-1]
