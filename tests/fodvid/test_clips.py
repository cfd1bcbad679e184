"""Sources of a clip: read once, only where they are needed, brought to one grid, and refused when they don't fit."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from lib.errors import DataMissing, ShapeError, SpecError
from lib.fodvid.clips import Clip, PreparedClip, prepare, upsampling_of
from lib.fodvid.temporal import OFFSETS
from tests.fodvid.segmenter_scene import counted, features, flow, frames, scene, true_masks

SIZE = (32, 48)


def prepared(clip: Clip, **settings: object) -> PreparedClip:
    return prepare(clip, **{"size": SIZE, "offsets": OFFSETS, **settings})  # type: ignore[arg-type]


def flows(num_frames: int = 6, offsets: tuple[int, ...] = OFFSETS) -> Mapping[int, Tensor]:
    """As estimators leave them: NaN where the other frame lies outside the clip."""
    found = {}
    for offset in offsets:
        planes = torch.stack([flow(idx, offset) for idx in range(num_frames)])
        outside = [idx for idx in range(num_frames) if not 0 <= idx + offset < num_frames]
        planes[outside] = float("nan")
        found[offset] = planes
    return found


def test_functions_and_tensors_give_the_same() -> None:
    stored = prepared(scene(flows=flows()), needs_images=True)
    called = prepared(
        scene(features=features().__getitem__, images=frames().__getitem__, flows=flow), needs_images=True
    )
    assert torch.equal(stored.features, called.features)
    assert stored.images is not None
    assert called.images is not None
    assert torch.equal(stored.images, called.images)
    assert stored.offsets == called.offsets == OFFSETS
    assert all(torch.equal(stored.flows[offset], called.flows[offset]) for offset in OFFSETS)


def test_features_in_memory_are_not_copied() -> None:
    given = features().half()
    found = prepared(scene(features=given)).features
    assert (found.data_ptr(), found.dtype) == (given.data_ptr(), torch.float16)


def test_each_item_is_asked_for_once_and_none_outside_the_clip() -> None:
    of_features, feature_calls = counted(features().__getitem__)
    of_flow, flow_calls = counted(flow)
    prepared(scene(features=of_features, flows=of_flow))
    assert feature_calls == [(idx,) for idx in range(6)]
    assert sorted(flow_calls) == sorted((t, o) for t in range(6) for o in OFFSETS if 0 <= t + o < 6)


def test_nothing_is_read_of_flows_and_images_that_are_not_needed() -> None:
    of_flow, calls = counted(flow)
    of_images, image_calls = counted(frames().__getitem__)
    clip = prepared(scene(flows=of_flow, images=of_images), offsets=())
    assert (calls, image_calls, clip.flows, clip.images) == ([], [], {}, None)


def test_offsets_are_those_whose_flow_leads_back() -> None:
    assert prepared(scene(flows=flows(offsets=(-1, 1, 5)))).offsets == (-1, 1)
    assert prepared(scene(flows=flows(offsets=(1,)))).offsets == (-1,)
    assert prepared(scene(flows={})).offsets == ()
    with pytest.raises(SpecError, match=r"square: flows must have one of the offsets \[-2, -1, 1, 2\]: got \[5\]"):
        prepared(scene(flows=flows(offsets=(5,))))
    with pytest.raises(SpecError, match="and its opposite"):
        prepared(scene(flows=flows(offsets=(1,))), both_ways=True)


def test_flows_of_another_size_are_scaled_with_it() -> None:
    small = {1: torch.full((6, 2, 16, 16), 1.0)}
    found = prepared(scene(flows=small)).flows[1][0]
    assert found.shape == (2, *SIZE)
    assert found[0].unique().tolist() == [3.0]
    assert found[1].unique().tolist() == [2.0]


def test_masks_keep_their_kind() -> None:
    coarse = true_masks()[:, ::4, ::4]
    assert torch.equal(
        prepared(scene(masks=coarse)).masks[:, 0], coarse.repeat_interleave(4, 1).repeat_interleave(4, 2)
    )
    soft = prepared(scene(masks=coarse.float())).masks
    assert soft.dtype == torch.float32
    assert ((soft > 0) & (soft < 1)).any()


def test_masks_without_foreground_or_background_are_not_trusted() -> None:
    masks = true_masks()
    masks[1], masks[4] = False, True
    assert prepared(scene(masks=masks)).trusted == (True, False, True, True, False, True)
    given = torch.tensor([True, True, False, False, False, False])
    assert prepared(scene(masks=masks, trusted=given)).trusted == tuple(given.tolist())


@pytest.mark.parametrize(
    ("grid", "size", "factor"),
    [((32, 64), (256, 512), 8), ((16, 32), (256, 512), 16), ((30, 54), (240, 432), 8), ((60, 107), (240, 432), 4),
     ((5, 5), (240, 432), 16), ((100, 100), (60, 60), 1)],
)  # fmt: skip
def test_decoder_enlarges_up_to_the_training_size(grid: tuple[int, int], size: tuple[int, int], factor: int) -> None:
    assert upsampling_of(grid, size) == factor


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"masks": torch.zeros(0, 4, 4, dtype=torch.bool)}, DataMissing, "at least one frame"),
        ({"masks": torch.zeros(6, 4, 4, dtype=torch.uint8)}, ShapeError, "must be bool, or float within 0..1"),
        ({"masks": torch.full((6, 4, 4), 2.0)}, ShapeError, "must be bool, or float within 0..1"),
        ({"features": features(5)}, ShapeError, "for each of the 6 masks: got 5"),
        ({"features": features().fill_(float("nan"))}, ShapeError, "features of frame 0 must be finite"),
        ({"features": lambda idx: torch.zeros(3, 2 + idx, 2)}, ShapeError, r"frame 1 must have \(3, 2, 2\)"),
        ({"trusted": torch.ones(5, dtype=torch.bool)}, ShapeError, r"trusted must be \(6,\)"),
        (
            {"flows": lambda t, o: torch.full((2, 32, 48), float("nan"))},
            ShapeError,
            "flow of frame . to . must be finite",
        ),
        ({"flows": lambda t, o: torch.zeros(32, 48)}, ShapeError, r"must be \(2, H, W\): got \(32, 48\)"),
    ],
)
def test_sources_that_do_not_fit_are_told(changes: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        prepared(scene(**changes))


def test_missing_images_are_told() -> None:
    with pytest.raises(DataMissing, match="modulation 'image' needs the frames"):
        prepared(scene(images=None), needs_images=True)
