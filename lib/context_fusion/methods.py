"""The methods of the comparison by name, and the case they are compared on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from lib.checks import check_image, check_same_grid
from lib.context_fusion.background import median_background
from lib.context_fusion.baselines import average, gradient_maximum, importance_blend, maximum, seamless_clone
from lib.context_fusion.importance import strong_gradient_or_light
from lib.context_fusion.reconstruct import Fusion
from lib.context_fusion.settings import ImageSettings, Rule, VideoSettings
from lib.context_fusion.still import fuse_image
from lib.context_fusion.video import fuse_video
from lib.data.images import resized
from lib.data.samples import Sample, sample_image
from lib.data.simulate import NightScene, night

# W above which the clone takes the night: a mover that crosses a pixel in one of the 11 frames has 1/11
CLONE_LEVEL = 0.05

Method = Callable[["Case"], Tensor]


@dataclass(frozen=True)
class Case:
    """A night clip and a day picture of one view, and what is known about them; a still is a clip of one frame.

    night: (T, 3, H, W), day: (3, H, W), 0..1. reference: (3, H, W), the empty night, or None.
    movers: bool (T, H, W), where the night is wanted. truth: (T, 3, H, W) what an ideal fusion shows, or None.
    night_background: (3, H, W), the night without what moves: the clip's median, or the still itself.
    fusion: ours at its defaults, Algorithm 2 for a clip and Algorithm 1 for a still; its importance also weighs the
        pixel blend and cuts out the clone, so that these methods differ from ours in nothing but how they join.
    """

    night: Tensor
    day: Tensor
    reference: Tensor | None
    movers: Tensor
    truth: Tensor | None
    night_background: Tensor
    fusion: Fusion


def simulated_night(
    picture: str, *, seed: int, num_frames: int, height_px: int, device: torch.device | str = "cpu"
) -> NightScene:
    """A night with traffic over the embedded picture of that name, at most `height_px` high.

    The randomness is drawn on the CPU, so that every device sees the same night. The origin names the picture.
    """
    sample = _day_sample(picture, height_px)
    scene = night(sample.image, num_frames=num_frames, generator=torch.Generator().manual_seed(seed))
    source = f"lib.data.simulate over the sample {picture}"
    origin = replace(scene.origin, name=f"night over {picture}", licence=sample.origin.licence, source=source)
    return replace(on_device(scene, device), origin=origin)


# the picture of the street is a median over a film, which takes longer than a night
@lru_cache(maxsize=8)
def _day_sample(picture: str, height_px: int) -> Sample:
    sample = sample_image(picture)
    return replace(sample, image=resized(sample.image, height_px))


def on_device(scene: NightScene, device: torch.device | str) -> NightScene:
    """The scene with all its tensors on a device."""
    names = ("video", "clean", "reference", "day", "movers", "matte", "truth")
    return replace(scene, **{name: getattr(scene, name).to(device) for name in names})


def case_of_scene(scene: NightScene) -> Case:
    """The case of a simulated night, with its truth."""
    return Case(
        night=scene.video,
        day=scene.day,
        reference=scene.reference,
        movers=scene.movers,
        truth=scene.truth,
        night_background=median_background(scene.video),
        fusion=fuse_video(scene.video, scene.day),
    )


def case_of_still(night: Tensor, day: Tensor) -> Case:
    """The case of one real night picture and a day picture, both (3, H, W), 0..1; nothing is known to move.

    Choice: the night is wanted where its gradient or light is strong (rule `threshold` without feather), for no mask
    by hand exists; measures along and inside that mask favour methods that use it, and all but average, maximum and
    gradient maximum do.
    """
    check_image("night", night)
    check_image("day", day)
    check_same_grid("night", night, "day", day)
    wanted = strong_gradient_or_light(night, ImageSettings()) > 0
    fusion = fuse_image(night, day)
    stacked = Fusion(fusion.image[None], fusion.importance[None], fusion.target[None])
    return Case(night[None], day, None, wanted[None], None, night, stacked)


def algorithm_1(case: Case, settings: ImageSettings) -> Tensor:
    """Algorithm 1 on each frame alone, (T, 3, H, W)."""
    return torch.stack(
        [fuse_image(frame, case.day, reference=case.reference, settings=settings).image for frame in case.night]
    )


def algorithm_2(case: Case, settings: VideoSettings) -> Tensor:
    """Algorithm 2 on the clip, (T, 3, H, W)."""
    return fuse_video(case.night, case.day, settings=settings).image


def methods_for(case: Case) -> dict[str, Method]:
    """The methods that this case has all inputs for, by name: ours first, then what ours is compared with.

    A still has no motion for Algorithm 2, and the rule `reference` needs an empty night.
    """
    names = [name for name in METHODS if name != "Algorithm 2" or len(case.night) > 1]
    return {name: METHODS[name] for name in names if name != "rule reference" or case.reference is not None}


def _rule(rule: Rule) -> Method:
    return lambda case: algorithm_1(case, ImageSettings(rule=rule))


def _clone_each(case: Case) -> Tensor:
    frames = zip(case.night, case.fusion.importance > CLONE_LEVEL, strict=True)
    return torch.stack([seamless_clone(frame, case.day, mask) for frame, mask in frames])


METHODS: dict[str, Method] = {
    "Algorithm 2": lambda case: case.fusion.image,
    "rule max": _rule("max"),
    "rule threshold": _rule("threshold"),
    "rule reference": _rule("reference"),
    "average": lambda case: average(case.night, case.day.expand_as(case.night)),
    "maximum": lambda case: maximum(case.night, case.day.expand_as(case.night)),
    "pixel blend": lambda case: importance_blend(case.night, case.day, case.fusion.importance),
    "gradient maximum": lambda case: gradient_maximum(case.night, case.day),
    "seamless clone": _clone_each,
}
