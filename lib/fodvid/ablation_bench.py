"""Ablation: settings measured on the same scenes, each scene seen once for all settings that see it alike."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, get_args

import torch
from torch import Tensor

from lib.data.origin import Origin
from lib.errors import SpecError, Unavailable
from lib.features import PatchFeatures, load_features
from lib.flow import FlowEstimator, load_flow
from lib.fodvid.ablation import PAPER_FLOWS, Variant
from lib.fodvid.discover import Discoverer, Motion, motions
from lib.fodvid.evaluate import (
    SEEN_FIELDS,
    Seen,
    cut_masks_with,
    finished_masks,
    percent,
    refined_masks,
    scene_look,
    score,
    see,
    weights_origin,
)
from lib.fodvid.scenes import Scene, with_noise
from lib.fodvid.settings import Backbone, Settings
from lib.fodvid.train import SegmenterSettings
from lib.show.progress import progress
from lib.show.scores import mean_scores
from lib.show.sweeps import Axis, Sweep

ABLATION_MEASURES = ("j", "f")
WARP_FLOW = "gmflow"  # table 4: both rows of the paper warp with it
FEATURE_FIELDS = ("backbone", "weights", "height_px")
MOTION_FIELDS = tuple(name for name in SEEN_FIELDS if name not in FEATURE_FIELDS)
Masks = list[Tensor]


class Bench:
    """Measures variants on groups of scenes; what was measured once is not run again.

    groups: of scenes with true masks; a group gives one value of each measure, the mean over its scenes: the clips of
    one seed, or one sequence of a benchmark. base: the settings that the others are set against.
    missing: networks that a variant asked for and that could not be loaded, with the reason.
    One scene is in memory at a time, as two settings see it at most; with the mask of each variant that shares what is
    seen (0.4 MB a frame of 480p). Raises Unavailable where the base's own networks are missing.
    """

    def __init__(
        self, groups: Sequence[Sequence[Scene]], base: Settings, *, device: torch.device | str | None = None
    ) -> None:
        if not groups or not all(groups):
            raise SpecError("an ablation needs at least one scene in each group: got none")
        self.groups, self.base, self.device = [list(scenes) for scenes in groups], base, device
        self.missing: dict[str, str] = {}
        self._networks: dict[tuple[str, str], Any] = {}
        self._known: dict[Variant, list[dict[str, float]]] = {}
        self._retaken: dict[Variant, list[dict[str, float]]] = {}
        self._shown: dict[Variant, Tensor] = {}
        self.frame: Tensor | None = None
        self.discoverer(base)

    @property
    def scenes(self) -> list[Scene]:
        """The scenes, each name once."""
        return list({scene.name: scene for scenes in self.groups for scene in scenes}.values())

    def measure(self, axes: Iterable[Axis[Variant]], *, floors: Sequence[Variant] = ()) -> None:
        """Scores all variants of these axes that can run, scene by scene; see `sweep` for the results.

        floors: variants that are also run on another take of each scene, with more noise, for `noise_floor`; a network
        is then also trained from another seed.
        """
        asked = dict.fromkeys(variant for axis in axes for variant in axis.settings.values())
        variants = [one for one in asked if one not in self._known and self._can_run(one)]
        retakes = [one for one in floors if one not in self._retaken and self._can_run(one)]
        for group_idx, scenes in enumerate(progress(self.groups, label="groups of scenes")):
            scored: dict[Variant, list[dict[str, float]]] = {one: [] for one in variants}
            retaken: dict[Variant, list[dict[str, float]]] = {one: [] for one in retakes}
            for scene in progress(scenes, label="scenes"):
                for one, values in self._scores(scene, variants, group_idx, shown=self.frame is None):
                    scored[one].append(values)
                again = with_noise(scene, seed=group_idx)
                for one, values in self._scores(again, retakes, len(self.groups) + group_idx) if retakes else ():
                    retaken[one].append(values)
            for held, group in ((self._known, scored), (self._retaken, retaken)):
                for one, found in group.items():
                    held.setdefault(one, []).append(mean_scores(found))

    def sweep(self, axis: Axis[Variant]) -> Sweep[Variant]:
        """ABLATION_MEASURES, per cent, of the variants of an axis that were run, one value a group."""
        held = {label: one for label, one in axis.settings.items() if one in self._known}
        if any(one not in self._known and self._can_run(one) for one in axis.settings.values()):
            raise SpecError(f"{axis.name} has not been measured: call measure first")
        scores = {
            name: {label: [group[name] for group in self._known[one]] for label, one in held.items()}
            for name in ABLATION_MEASURES
        }
        return Sweep(replace(axis, settings=held), scores)

    def noise_floor(self, variant: Variant) -> dict[str, float]:
        """Mean absolute change of each measure between the scenes and their other takes; below it a change says
        nothing."""
        if variant not in self._retaken or variant not in self._known:
            raise SpecError("no noise floor of this variant has been measured: give it to measure as one of floors")
        pairs = list(zip(self._known[variant], self._retaken[variant], strict=True))
        return {name: sum(abs(one[name] - other[name]) for one, other in pairs) / len(pairs) for name in pairs[0][0]}

    def shown(self, axis: Axis[Variant]) -> dict[str, Tensor]:
        """Masks (H, W) bool of `frame`, the middle one of the first scene, by label."""
        return {label: self._shown[one] for label, one in axis.settings.items() if one in self._shown}

    def origins(self) -> list[Origin]:
        """The pretrained networks behind every score, each set once."""
        found = [self.weights(one.settings, is_trained=one.training is not None) for one in self._known]
        return list({origin.name: origin for origin in found if origin.name}.values())

    def weights(self, settings: Settings, *, is_trained: bool) -> Origin:
        """The pretrained networks that masks of these settings rest on; is_trained: a network learnt from them, so that
        the flow that warps counts."""
        warp = self._warp_flow(settings) if is_trained else None
        return weights_origin(self.discoverer(settings, alpha=settings.alpha), warp_flow=warp)

    def _scores(
        self, scene: Scene, variants: Sequence[Variant], seed_offset: int, *, shown: bool = False
    ) -> Iterator[tuple[Variant, dict[str, float]]]:
        first = see(self.discoverer(self.base), scene)
        middle = len(first.frames) // 2
        if shown:
            self.frame = first.frame(middle)
        for sharing in _by_sight(variants):
            seen = see_again(first, self.discoverer(sharing[0].settings))
            for one, masks in self._masks(seen, sharing, seed_offset):
                if shown:
                    self._shown[one] = masks[middle].cpu()
                values = percent(score(seen, masks))
                yield one, {name: values[name] for name in ABLATION_MEASURES}

    def _masks(self, seen: Seen, variants: Sequence[Variant], seed_offset: int) -> Iterator[tuple[Variant, Masks]]:
        """Masks of variants that share what is seen; a training, and a cut, of several of them is run once."""
        settings = list(dict.fromkeys(one.settings for one in variants))
        found: dict[tuple[Settings, SegmenterSettings | None], Masks] = {
            (one, None): masks for one, masks in zip(settings, cut_masks_of(seen, settings), strict=True)
        }
        for one in variants:
            key = (one.settings, one.training)
            if one.training is not None and key not in found:
                training = replace(one.training, seed=one.training.seed + seed_offset)
                warp = self._warp_flow(one.settings)
                found[key] = refined_masks(seen, found[one.settings, None], training, warp_flow=warp).masks
            yield one, finished_masks(seen, found[key], one.finish)

    def _can_run(self, variant: Variant) -> bool:
        """Whether a variant's networks are here; else notes why not."""
        settings = variant.settings
        needed: list[tuple[str, str]] = [(settings.backbone, settings.weights), (settings.flow, settings.flow_weights)]
        if variant.training is not None and settings.flow in PAPER_FLOWS:
            needed.append((WARP_FLOW, "auto"))
        for name, weights in needed:
            try:
                self._network(name, weights)
            except Unavailable as reason:
                self.missing[name] = f"not run: {reason}"
        return not any(name in self.missing for name, _ in needed)

    def discoverer(self, settings: Settings, *, alpha: float | None = None) -> Discoverer:
        """The discoverer of these settings, with networks that are loaded once; it sees motion also for alpha 1."""
        extractor = self._network(settings.backbone, settings.weights)
        estimator = self._network(settings.flow, settings.flow_weights)
        chosen = settings.but(alpha=self.base.alpha if alpha is None else alpha)
        return Discoverer(chosen, extractor=extractor, estimator=estimator)

    def _warp_flow(self, settings: Settings) -> FlowEstimator | None:
        """The flow that warps in training: the paper's for the paper's flows, else the cut's."""
        network: FlowEstimator | None = self._network(WARP_FLOW, "auto") if settings.flow in PAPER_FLOWS else None
        return network

    def _network(self, name: Any, weights: str) -> Any:
        if (name, weights) not in self._networks:
            load: Any = load_features if name in get_args(Backbone) else load_flow
            self._networks[name, weights] = load(name, weights=weights, device=self.device)
        return self._networks[name, weights]


def see_again(seen: Seen, discoverer: Discoverer) -> Seen:
    """The same scene by another discoverer; features and motion that its settings leave as they were are kept."""
    before, now = seen.discoverer.settings, discoverer.settings
    features, moved = seen.features, seen.motions
    if any(getattr(before, name) != getattr(now, name) for name in FEATURE_FIELDS):
        found = (discoverer.image_features(seen.frame(idx)) for idx in range(len(seen.frames)))
        features = [PatchFeatures(one.tokens.half(), one.grid) for one in found]
    if any(getattr(before, name) != getattr(now, name) for name in MOTION_FIELDS):
        frames = (seen.frame(idx) for idx in range(len(seen.frames)))
        moved = [Motion(one.flow.half(), one.moves) for _, one in motions(discoverer, frames) if one is not None]
    return replace(seen, discoverer=discoverer, features=features, motions=moved)


def cut_masks_of(seen: Seen, settings: Sequence[Settings]) -> list[Masks]:
    """The graph cut's masks (H, W) bool of each frame by each of several settings, in their order.

    Frame by frame, so that the features of a flow's picture, which the settings share, are computed once.
    """
    once = replace(
        seen,
        discoverer=Discoverer(
            seen.discoverer.settings, extractor=_Last(seen.discoverer.extractor), estimator=seen.discoverer.estimator
        ),
    )
    looks = [scene_look(once, chosen) if chosen.learns_look else None for chosen in settings]
    masks: list[Masks] = [[] for _ in settings]
    for idx, frame in enumerate(seen.frames):
        one = replace(once, frames=[frame], features=[seen.features[idx]], motions=[seen.motions[idx]])
        for held, chosen, look in zip(masks, settings, looks, strict=True):
            held += cut_masks_with(one, chosen, look)
    return masks


class _Last:
    """An extractor that remembers the last picture."""

    def __init__(self, extractor: Any) -> None:
        self.extractor = extractor
        self.image: Tensor | None = None
        self.features: PatchFeatures | None = None

    def __call__(self, image: Tensor) -> PatchFeatures:
        if self.features is None or self.image is None or not torch.equal(self.image, image):
            self.image, self.features = image, self.extractor(image)
        return self.features


def _by_sight(variants: Sequence[Variant]) -> list[list[Variant]]:
    """Variants in groups that see a scene alike."""
    groups: dict[tuple[Any, ...], list[Variant]] = {}
    for one in variants:
        groups.setdefault(tuple(getattr(one.settings, name) for name in SEEN_FIELDS), []).append(one)
    return list(groups.values())
