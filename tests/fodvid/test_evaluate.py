"""What a scene's methods share is computed once; masks and scores of a scene whose truth is known."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from lib.data.origin import Origin
from lib.errors import SpecError
from lib.flow import FlowEstimator
from lib.fodvid import evaluate
from lib.fodvid.discover import Discoverer, Motion, discover_with
from lib.fodvid.evaluate import (
    SEEN_FIELDS,
    Seen,
    cut_masks,
    finished_masks,
    measures_for,
    otsu_masks,
    percent,
    refined_masks,
    score,
    see,
    weights_origin,
)
from lib.fodvid.scenes import Scene, scene_of
from lib.fodvid.settings import Settings, stand_in
from lib.fodvid.train import SegmenterSettings
from lib.metrics import MEAN_J
from tests.fodvid.discovery_scene import HEIGHT, WIDTH, TrueFlow, colours, truth, video

SETTINGS = stand_in().but(flow="dis", tau=0.6, alpha=0.5, flow_height_px=0, remove_camera=False)
TRAINING = SegmenterSettings(
    size=(HEIGHT, WIDTH), width=2, max_channels=8, modulation="image", modulation_width=4, spectral=False, epochs=2,
    batch_size=3, learning_rate=1e-2, device="cpu",
)  # fmt: skip
COUNT = 5


def scene(origin_kind: Any = "simulated") -> Scene:
    masks = torch.stack([truth(idx) for idx in range(COUNT)])
    return scene_of("block", torch.stack(list(video(COUNT))), masks, Origin("block", origin_kind, "MIT", "", "a test"))


def counted(function: Callable[..., Any]) -> tuple[Callable[..., Any], list[int]]:
    calls: list[int] = []

    def wrapped(*inputs: Tensor) -> Any:
        calls.append(1)
        return function(*inputs)

    return wrapped, calls


def seen(settings: Settings = SETTINGS) -> Seen:
    return see(Discoverer(settings, extractor=colours, estimator=TrueFlow()), scene())


def test_a_scene_is_seen_once_whatever_is_cut_from_it() -> None:
    extractor, pictures = counted(colours)
    estimator, pairs = counted(TrueFlow())
    held = see(Discoverer(SETTINGS, extractor=extractor, estimator=estimator), scene())
    assert (len(pictures), len(pairs)) == (COUNT, COUNT - 1)
    for changes in ({}, {"alpha": 1.0}, {"alpha": 0.0}, {"tau": 0.3}):
        cut_masks(held, SETTINGS.but(**changes))
    assert (len(pictures), len(pairs)) == (COUNT, COUNT - 1)


def test_cuts_of_what_was_seen_are_those_of_the_video() -> None:
    discoverer = Discoverer(SETTINGS, extractor=colours, estimator=TrueFlow())
    plain = [found.mask for found in discover_with(discoverer, video(COUNT))]
    assert all(torch.equal(one, two) for one, two in zip(cut_masks(seen(), SETTINGS), plain, strict=True))


@pytest.mark.parametrize("name", SEEN_FIELDS)
def test_settings_that_see_differently_are_refused(name: str) -> None:
    other: dict[str, Any] = {
        "backbone": "vgg16", "weights": "file", "height_px": 8.0, "flow": "raft", "flow_weights": "file",
        "flow_height_px": 8.0, "remove_camera": True, "both_ways": True, "still_px": 2.0,
    }  # fmt: skip
    with pytest.raises(SpecError, match=f"{name} must be as the scene was seen"):
        cut_masks(seen(), SETTINGS.but(**{name: other[name]}))


def test_otsu_parts_what_moves_from_what_rests() -> None:
    held = seen()
    flow = torch.zeros(1, 2, 16, 24)
    flow[:, 0, 4:12, 6:18] = 3.0
    moving = Seen(held.scene, held.discoverer, [torch.zeros(3, 16, 24).byte()], [], [], [Motion(flow, True)])
    wanted = torch.zeros(16, 24, dtype=torch.bool)
    wanted[4:12, 6:18] = True
    assert torch.equal(otsu_masks(moving)[0], wanted)
    still = Seen(held.scene, held.discoverer, moving.frames, [], [], [Motion(torch.zeros(1, 2, 16, 24), False)])
    assert not otsu_masks(still)[0].any()


def test_training_on_masks_keeps_the_object() -> None:
    held = seen()
    found = refined_masks(held, held.truths, replace(TRAINING, epochs=40))
    assert len(found.masks) == COUNT
    assert score(held, found.masks).j.mean > 0.7
    assert found.trained.steps[-1].total < found.trained.steps[0].total / 2


def test_the_warp_may_have_a_flow_of_its_own() -> None:
    held = seen()
    warp, pairs = counted(TrueFlow())
    refined_masks(held, held.truths, TRAINING, warp_flow=warp)
    assert pairs


def test_finishing_takes_each_mask_with_its_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    held = seen()
    calls: list[tuple[str, Tensor]] = []

    def finish(name: str, mask: Tensor, frame: Tensor) -> Tensor:
        calls.append((name, frame))
        return ~mask

    monkeypatch.setattr(evaluate, "finish_mask", finish)
    finished = finished_masks(held, held.truths, "crf")
    assert all(torch.equal(one, ~two) for one, two in zip(finished, held.truths, strict=True))
    assert all(torch.equal(frame, held.frame(idx)) for idx, (_, frame) in enumerate(calls))


def test_scores_are_per_cent_by_the_protocol() -> None:
    held = seen()
    perfect = percent(score(held, held.truths))
    assert perfect == {"j": 100.0, "recall": 100.0, "decay": 0.0, "f": 100.0}
    # the first and the last frame don't count
    ends = [mask if 0 < idx < COUNT - 1 else ~mask for idx, mask in enumerate(held.truths)]
    assert percent(score(held, ends, boundaries=False)) == {"j": 100.0, "recall": 100.0, "decay": 0.0}
    blind = Seen(held.scene, held.discoverer, held.frames, [], held.features, held.motions)
    with pytest.raises(SpecError, match="no true masks"):
        score(blind, held.truths)


def test_protocol_says_that_the_data_are_others() -> None:
    assert measures_for([scene()])["j"].protocol == f"{MEAN_J.protocol}; but on other clips: block"


def test_a_scene_is_seen_with_its_motion() -> None:
    with pytest.raises(SpecError, match="alpha below 1"):
        see(Discoverer(SETTINGS.but(alpha=1.0), extractor=colours), scene())


def test_weights_are_named_as_the_tables_name_them() -> None:
    settings = Settings(flow="arflow")
    discoverer = Discoverer(settings, extractor=colours, estimator=TrueFlow())
    warp = FlowEstimator("gmflow", torch.nn.Identity(), "some file")
    assert weights_origin(discoverer, warp_flow=warp).name == "DINO ViT-B/8, ARFlow, GMFlow"
    assert weights_origin(Discoverer(SETTINGS, extractor=colours, estimator=TrueFlow())).name == (
        "EfficientNet-Lite0 of ImageNet"
    )
