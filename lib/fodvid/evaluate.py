"""Masks of every method on a scene, and their scores by DAVIS-2016's protocol; a scene is seen once for all of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.data.origin import Origin
from lib.errors import SpecError
from lib.features import PatchFeatures
from lib.flow import FlowEstimator
from lib.fodvid.camera import motion_length
from lib.fodvid.discover import Discoverer, Motion, motions
from lib.fodvid.finish import finish_mask
from lib.fodvid.own_look import OwnLook, learn_look, patches_a_frame, taught_by
from lib.fodvid.refine import Coarse, refine, small_image
from lib.fodvid.scenes import Scene, coverage
from lib.fodvid.segment import segment
from lib.fodvid.settings import Settings
from lib.fodvid.train import SegmenterSettings, Trained
from lib.metrics import DECAY_J, MEAN_F, MEAN_J, RECALL_J, Measure
from lib.metrics.davis import SequenceScores, davis_scores

MEASURES: dict[str, Measure] = {"j": MEAN_J, "recall": RECALL_J, "decay": DECAY_J, "f": MEAN_F}
DIGITS = {"%": 1}
GREY_LEVELS = 255
Flow = Callable[[Tensor, Tensor], Tensor]
# as data/papers/fodvid names them
NETWORK_NAMES = {
    "dino_vitb8": "DINO ViT-B/8",
    "dino_vits8": "DINO ViT-S/8",
    "dino_vitb16": "DINO ViT-B/16",
    "dino_vits16": "DINO ViT-S/16",
    "efficientnet_lite0": "EfficientNet-Lite0 of ImageNet",
    "vgg16": "VGG-16 of ImageNet",
    "arflow": "ARFlow",
    "gmflow": "GMFlow",
    "gmflow_refine": "GMFlow with refinement",
    "raft": "RAFT",
    "raft_small": "RAFT-small",
}
# settings that decide what is seen of a scene; the others may differ between cuts of the same Seen
SEEN_FIELDS = (
    "backbone",
    "weights",
    "height_px",
    "flow",
    "flow_weights",
    "flow_height_px",
    "remove_camera",
    "both_ways",
    "still_px",
)


@dataclass(frozen=True, eq=False)
class Seen:
    """What every method shares of a scene: frames (3, H, W) uint8, true masks (H, W) bool, the frames' features in half
    precision, their motion, and the discoverer that saw it."""

    scene: Scene
    discoverer: Discoverer
    frames: list[Tensor]
    truths: list[Tensor]
    features: list[PatchFeatures]
    motions: list[Motion]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the frames."""
        return self.frames[0].shape[-2], self.frames[0].shape[-1]

    def frame(self, idx: int) -> Tensor:
        """One frame (3, H, W), RGB, 0..1."""
        return self.frames[idx].float() / GREY_LEVELS

    def with_settings(self, settings: Settings) -> Discoverer:
        """The discoverer of other settings. Raises SpecError where they would have seen the scene differently."""
        for name in SEEN_FIELDS:
            if getattr(settings, name) != getattr(self.discoverer.settings, name):
                raise SpecError(f"{name} must be as the scene was seen: see it again with {getattr(settings, name)!r}")
        return Discoverer(settings, extractor=self.discoverer.extractor, estimator=self.discoverer.estimator)


def see(discoverer: Discoverer, scene: Scene) -> Seen:
    """Reads a scene and computes features and motion of each frame, once. Needs settings with alpha below 1.

    Memory: a frame of 480p takes 3 MB with the stand-in's features, 12 MB with those of DINO ViT-B/8.
    """
    frames, features, moved = [], [], []
    for frame, motion in motions(discoverer, scene.frames()):
        if motion is None:
            raise SpecError("a scene is seen with its motion: give settings with alpha below 1; cuts may set it to 1")
        found = discoverer.image_features(frame)
        frames.append((frame * GREY_LEVELS).round().byte())
        features.append(PatchFeatures(found.tokens.half(), found.grid))
        moved.append(Motion(motion.flow.half(), motion.moves))
    truths = [] if scene.truths is None else list(scene.truths())
    return Seen(scene, discoverer, frames, truths, features, moved)


def cut_masks(seen: Seen, settings: Settings) -> list[Tensor]:
    """The graph cut's mask (H, W) bool of each frame; with `own_look`, of the second cut."""
    return cut_masks_with(seen, settings, scene_look(seen, settings) if settings.learns_look else None)


def cut_masks_with(seen: Seen, settings: Settings, look: OwnLook | None) -> list[Tensor]:
    """The same with a look that has been learned; None: first cuts."""
    discoverer = seen.with_settings(settings)
    return [
        discoverer.discover(seen.frame(idx), _full(motion), features=_full_features(found), look=look).mask
        for idx, (found, motion) in enumerate(zip(seen.features, seen.motions, strict=True))
    ]


def scene_look(seen: Seen, settings: Settings) -> OwnLook | None:
    """What the first cuts of a scene teach of its object's look."""
    discoverer = seen.with_settings(settings)
    count = patches_a_frame(len(seen.frames))
    taught = (
        discoverer.teach(seen.frame(idx), _full(motion), count=count, features=_full_features(found))
        for idx, (found, motion) in enumerate(zip(seen.features, seen.motions, strict=True))
    )
    return learn_look(one for one in taught if one is not None)


def otsu_masks(seen: Seen) -> list[Tensor]:
    """What a plain programmer would do: Otsu's threshold on the length of the motion, (H, W) bool a frame.

    The motion is the same as the cut's: without the camera's part where the settings take it out.
    """
    return [_otsu(motion_length(_full(motion).flow, seen.size)) for motion in seen.motions]


def otsu_look_masks(seen: Seen) -> list[Tensor]:
    """The same with the second cut's evidence: Otsu on the geometric mean of the motion's length and a look that its
    own masks taught. Beside `own_look` it says what the look is worth without a graph."""
    plain = otsu_masks(seen)
    count = patches_a_frame(len(plain))
    taught = []
    for idx, (found, mask) in enumerate(zip(seen.features, plain, strict=True)):
        if seen.motions[idx].moves:
            patches = F.interpolate(mask[None, None].float(), size=found.grid, mode="area")[0, 0] > 0.5
            taught.append(taught_by(_full_features(found), seen.frame(idx), patches, count=count))
    look = learn_look(taught)
    if look is None:
        return plain
    masks = []
    for idx, (found, motion) in enumerate(zip(seen.features, seen.motions, strict=True)):
        share = look.share(_full_features(found), seen.frame(idx)).reshape(1, 1, *found.grid)
        weighed = F.interpolate(share, size=seen.size, mode="bilinear")[0, 0]
        masks.append(_otsu((weighed * motion_length(_full(motion).flow, seen.size).to(weighed)).sqrt()))
    return masks


@dataclass(frozen=True, eq=False)
class Refinement:
    """The network that a scene's own masks trained, and its masks (H, W) bool of all frames."""

    trained: Trained
    masks: list[Tensor]


def refined_masks(
    seen: Seen, masks: Sequence[Tensor], training: SegmenterSettings, *, warp_flow: Flow | None = None
) -> Refinement:
    """Trains on a scene's coarse masks (Algorithm 1), then segments each frame alone, without flow.

    warp_flow: estimator of the flow that warps in training (paper: GMFlow); None takes the cut's.
    """
    coarse = Coarse(
        torch.stack([found.as_map()[0] for found in seen.features]).cpu(),
        torch.stack(list(masks)).cpu(),
        torch.stack([small_image(seen.frame(idx)) for idx in range(len(masks))]),
        torch.tensor([bool(mask.any() and not mask.all()) for mask in masks]),
    )
    trained = refine(seen.discoverer, coarse, settings=training, name=seen.scene.name, warp_flow=warp_flow)
    frames = (seen.frame(idx) for idx in range(len(masks)))
    features = (found.as_map()[0].float() for found in seen.features)
    found = segment(trained.network, frames, features, size=trained.settings.size)
    return Refinement(trained, [one.mask for one in found])


def finished_masks(seen: Seen, masks: Iterable[Tensor], finish: str) -> list[Tensor]:
    """Masks with their edges drawn to those of the frames, see `finish_mask`."""
    return [finish_mask(finish, mask, seen.frame(idx)) for idx, mask in enumerate(masks)]


def score(seen: Seen, masks: Sequence[Tensor], *, boundaries: bool = True) -> SequenceScores:
    """Scores of one scene's masks. Raises SpecError for a scene without truth."""
    if not seen.truths:
        raise SpecError(f"{seen.scene.name} has no true masks to score against; look at the masks instead")
    return davis_scores([mask.cpu() for mask in masks], seen.truths, boundaries=boundaries)


def percent(scores: SequenceScores) -> dict[str, float]:
    """Measures by name, in per cent; without F where it was not computed."""
    values = {"j": scores.j.mean, "recall": scores.j.recall, "decay": scores.j.decay}
    if scores.f is not None:
        values["f"] = scores.f.mean
    return {name: 100 * value for name, value in values.items()}


def measures_for(scenes: Sequence[Scene]) -> dict[str, Measure]:
    """The measures with a protocol that says on how much of what they are taken."""
    note = coverage(scenes)
    if not note:
        return MEASURES
    return {name: replace(one, protocol=f"{one.protocol}; {note}") for name, one in MEASURES.items()}


def weights_origin(discoverer: Discoverer, *, warp_flow: FlowEstimator | None = None) -> Origin:
    """The pretrained networks behind a discoverer's scores, as a table names them, with what is known of each file."""
    settings = discoverer.settings
    used: list[tuple[str, Any]] = [(settings.backbone, discoverer.extractor)]
    if settings.alpha < 1:
        used.append((settings.flow, discoverer.estimator))
    if warp_flow is not None:
        used.append((warp_flow.name, warp_flow))
    held = {NETWORK_NAMES[name]: getattr(network, "weights", "") for name, network in used if name in NETWORK_NAMES}
    source = "; ".join(f"{name}: {weights}" for name, weights in held.items())
    return Origin(", ".join(held), "sample", "of each network's publisher", "", source)


def _otsu(plane: Tensor) -> Tensor:
    import cv2

    length = plane.cpu().numpy()
    longest = float(length.max())
    if longest == 0:
        return torch.zeros(length.shape, dtype=torch.bool)
    levels = (length * (GREY_LEVELS / longest)).round().astype(np.uint8)
    _, mask = cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return torch.from_numpy(mask.astype(bool))


def _full(motion: Motion) -> Motion:
    return Motion(motion.flow.float(), motion.moves)


def _full_features(found: PatchFeatures) -> PatchFeatures:
    return PatchFeatures(found.tokens.float(), found.grid)
