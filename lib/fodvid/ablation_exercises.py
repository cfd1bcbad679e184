"""Checks of the ablation's exercises: each takes a student's function and says in one sentence how far it is."""

from collections.abc import Callable
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from lib.fodvid.ablation_bench import Bench
from lib.fodvid.evaluate import cut_masks, percent, score, see
from lib.fodvid.scenes import simulated_scene
from lib.fodvid.settings import Settings
from lib.metrics import jaccard
from lib.show.answers import Answer, NotYetError, called, graded, number_from

SIDE = 24
PATCH_PX = 8
UNSEEN_SEEDS = (21, 22)
NUM_FRAMES, HEIGHT_PX = 5, 120
GAIN = 5.0  # points of mean J


def check_joined(answer: Callable[[Tensor, float], object]) -> Answer:
    """Exercise 1: joined(similarity, tau) -> share of the pairs of different patches that tau joins, (N, N), 0..1."""

    def examine() -> str:
        vectors = F.normalize(torch.randn(40, 6, generator=Generator().manual_seed(0)), dim=1)
        similarity = vectors @ vectors.T
        count = len(similarity)
        for tau in (-1.0, 0.0, 0.25, 0.5):
            edges = similarity >= tau
            wanted = (int(edges.sum()) - count) / (count * (count - 1))
            ours = number_from(answer, similarity, tau)
            if abs(ours - int(edges.sum()) / count**2) < 1e-6 and tau > -1:
                raise NotYetError("each patch is joined to itself; leave the diagonal out")
            if abs(ours - wanted) > 1e-6:
                raise NotYetError(f"tau = {tau:g}: {wanted:.3f} of the pairs are at least as similar, yours {ours:.3f}")
        return "a graph that joins nearly all has nothing to cut, one that joins nearly none falls apart by itself"

    return graded(examine)


def check_ceiling(answer: Callable[[Tensor], object]) -> Answer:
    """Exercise 2: ceiling(truth) -> J of the mask of whole patches of 8x8 pixels, each where most of it is object."""

    def examine() -> str:
        rows, columns = torch.meshgrid(torch.arange(64), torch.arange(96), indexing="ij")
        truths = {
            "a thin bar": (columns > 40) & (columns < 46),
            "a disc": (rows - 30) ** 2 + (columns - 50) ** 2 < SIDE**2,
            "a square of whole patches": (rows // 8 > 2) & (rows // 8 < 6) & (columns // 8 > 3) & (columns // 8 < 8),
        }
        for name, truth in truths.items():
            ours, wanted = number_from(answer, truth), _of_patches(truth)
            if abs(ours - wanted) > 1e-4:
                raise NotYetError(f"{name}: whole patches reach {wanted:.2f}, yours says {ours:.2f}")
        return "a cut of patches cannot do better: what post-processing adds in small pictures is what patches leave"

    return graded(examine)


def check_better(answer: Callable[[], object], bench: Bench) -> Answer:
    """Exercise 3: better() -> Settings whose masks have a mean J higher by GAIN points than those of the bench's base.

    Asked for on two clips that the bench has not seen, with its backbone and flow.
    """

    def examine() -> str:
        settings = called(answer)
        if not isinstance(settings, Settings):
            raise NotYetError(f"return Settings, such as base.but(tau=0.6): got {type(settings).__name__}")
        if (settings.backbone, settings.flow) != (bench.base.backbone, bench.base.flow):
            raise NotYetError(f"keep {bench.base.backbone} and {bench.base.flow}; only the other settings may change")
        ours, theirs = _mean_j(bench, settings), _mean_j(bench, bench.base)
        says = f"mean J {ours - theirs:+.1f} points against the default"
        if ours - theirs < GAIN:
            raise NotYetError(f"{says}; {GAIN:+.0f} is asked for: what did the tables above say?")
        return says

    return graded(examine)


def _of_patches(truth: Tensor) -> float:
    share = F.avg_pool2d(truth[None, None].float(), PATCH_PX)
    mask = F.interpolate((share > 0.5).float(), scale_factor=PATCH_PX, mode="nearest")[0, 0].bool()
    return jaccard(mask, truth)


def _mean_j(bench: Bench, settings: Settings) -> float:
    """Mean J, per cent, over the unseen clips; `finish` of the settings counts."""
    found = []
    for seed in UNSEEN_SEEDS:
        scene = simulated_scene("horse", seed=seed, num_frames=NUM_FRAMES, height_px=HEIGHT_PX)
        seen = see(bench.discoverer(settings), scene)
        found.append(percent(score(seen, cut_masks(seen, settings), boundaries=False))["j"])
    return fmean(found)
