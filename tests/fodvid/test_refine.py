"""A video's own masks train the network that then sees single frames: what is collected, and that it repairs."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from lib.errors import DataMissing, SpecError
from lib.fodvid.discover import discover_with
from lib.fodvid.refine import IMAGE_HEIGHT_PX, RUN_FRAMES, Coarse, collect, refine, segment_video, spread
from lib.fodvid.train import SegmenterSettings
from lib.metrics import jaccard
from tests.fodvid.discovery_scene import HEIGHT, SPEED, WIDTH, TrueFlow, colours, discoverer, frame, still, truth, video
from tests.fodvid.segmenter_scene import counted


def tiny(**changes: Any) -> SegmenterSettings:
    values: dict[str, Any] = {
        "size": (HEIGHT, WIDTH), "width": 2, "max_channels": 8, "modulation": "image", "modulation_width": 4,
        "spectral": False, "epochs": 1, "batch_size": 3, "learning_rate": 1e-2, "device": "cpu",
    }  # fmt: skip
    return SegmenterSettings(**{**values, **changes})


def alternating(num_frames: int) -> Iterator[Tensor]:
    """The block steps to the right and back."""
    return (frame(idx % 2) for idx in range(num_frames))


def test_features_masks_and_small_frames_are_collected_once() -> None:
    extractor, calls = counted(colours)
    made = discoverer()
    made.extractor = extractor  # type: ignore[assignment]
    coarse = collect(made, video(5), max_frames=9)
    assert len(calls) == 5
    assert (coarse.features.shape, coarse.features.dtype) == ((5, 3, 8, 12), torch.float16)
    assert torch.equal(coarse.features[1], colours(frame(1)[None]).as_map()[0].half())
    expected = torch.stack([found.mask for found in discover_with(discoverer(), video(5))])
    assert torch.equal(coarse.masks, expected)
    assert coarse.images.dtype == torch.uint8
    assert (coarse.images[2].float() / 255 - frame(2)).abs().max() <= 0.5 / 255 + 1e-6
    assert coarse.trusted.tolist() == [True] * 5
    assert coarse.starts == (0,)
    refine(made, coarse, settings=tiny(epochs=3))
    assert len(calls) == 5


def test_large_frames_are_kept_small() -> None:
    large = torch.nn.functional.interpolate(torch.stack(list(video(2))), scale_factor=8)
    coarse = collect(discoverer(), large, max_frames=2)
    assert coarse.images.shape == (2, 3, IMAGE_HEIGHT_PX, 360)
    assert coarse.masks.shape == (2, 512, 768)


def test_reading_ends_with_the_frames_that_are_wanted() -> None:
    read = []

    def endless() -> Iterator[Tensor]:
        while True:
            read.append(len(read))
            yield frame(len(read) % 2)

    assert len(collect(discoverer(), endless(), max_frames=4).masks) == 4
    assert read == [0, 1, 2, 3, 4]  # one more: the motion of the last leads there


def test_frames_at_rest_do_not_teach() -> None:
    frames = [frame(0), frame(0), frame(1), frame(1)]
    coarse = collect(discoverer(), frames, max_frames=9)
    assert coarse.trusted.tolist() == [False, True, False, False]
    assert not coarse.masks[0].any()
    with pytest.raises(DataMissing, match="no frame has an object to learn from: nothing moves"):
        collect(discoverer(still), video(3), max_frames=9)
    with pytest.raises(SpecError, match="one frame shows no motion"):
        collect(discoverer(), video(1), max_frames=9)


@pytest.mark.parametrize(("num_frames", "max_frames"), [(201, 200), (1000, 200), (95, 37), (30, 10), (12, 5), (7, 1)])
def test_runs_are_spread_from_the_first_frame_to_the_last(num_frames: int, max_frames: int) -> None:
    runs = spread(num_frames, max_frames)
    numbers = [number for run in runs for number in run]
    assert numbers == sorted(set(numbers))
    assert len(numbers) <= max_frames
    assert len(numbers) > max_frames - len(runs)
    assert len({len(run) for run in runs}) == 1
    assert len(runs[0]) >= min(RUN_FRAMES, max_frames)
    assert runs[0][0] == 0
    if len(runs) > 1:
        assert runs[-1][-1] == num_frames - 1
        gaps = [after[0] - before[-1] for before, after in pairwise(runs)]
        assert max(gaps) - min(gaps) <= 1


def test_short_videos_are_taken_whole() -> None:
    assert spread(200, 200) == spread(3, 200) == spread(0, 200) == [range(200)]
    with pytest.raises(SpecError, match="max_frames must be at least 1: got 0"):
        spread(3, 0)


def test_long_videos_are_taken_in_runs() -> None:
    whole = [found.mask for found in discover_with(discoverer(), alternating(65))]
    coarse = collect(discoverer(), alternating(65), max_frames=20, num_frames=65)
    numbers = [*range(10), *range(55, 65)]
    assert coarse.starts == (0, 10)
    assert torch.equal(coarse.masks, torch.stack([whole[number] for number in numbers]))
    # the header promised more than the file holds
    cut_off = collect(discoverer(), alternating(58), max_frames=20, num_frames=65)
    assert torch.equal(cut_off.masks[:12], coarse.masks[:12])
    assert len(cut_off.masks) == 13
    assert cut_off.starts == (0, 10)


def test_no_flow_crosses_from_run_to_run() -> None:
    """The block stands at another place in each frame, which tells the pairs of the flow's calls."""
    coarse = collect(discoverer(), video(6), max_frames=6)
    flow = TrueFlow()
    runs = Coarse(coarse.features, coarse.masks, coarse.images, coarse.trusted, starts=(0, 4))
    refine(discoverer(flow), runs, settings=tiny())
    pairs = {((a - 16) // SPEED, (b - 16) // SPEED) for a, b in flow.calls}
    inside = {(a, b) for a in range(6) for b in range(6) if a != b and abs(a - b) <= 2 and (a < 4) == (b < 4)}
    assert pairs == inside
    assert len(flow.calls) == len(pairs)


def test_wrong_masks_are_repaired_and_no_flow_is_asked_for_then() -> None:
    coarse = collect(discoverer(), video(6), max_frames=6)
    spoilt = coarse.masks.clone()
    spoilt[1] = spoilt[1].roll((-16, 32), (0, 1))
    spoilt[4, :36] = False
    flow = TrueFlow()
    made = discoverer(flow)
    wrong = Coarse(coarse.features, spoilt, coarse.images, coarse.trusted)
    trained = refine(made, wrong, settings=tiny(epochs=15, width=4, max_channels=16, final_rate=0.01))
    flow.calls.clear()
    found = [one.mask for one in segment_video(made, trained, video(6))]
    assert flow.calls == []
    before, after = ([float(jaccard(mask, truth(idx))) for idx, mask in enumerate(masks)] for masks in (spoilt, found))
    assert (before[1], before[4]) == pytest.approx((0, 0.5), abs=0.1)
    assert min(after) > 0.75


def test_appearance_alone_trains_without_flow() -> None:
    made = discoverer(alpha=1.0)
    made.estimator = None
    trained = refine(made, collect(made, video(3), max_frames=3), settings=tiny())
    assert all(step.loss_by_name["warped"] == 0 for step in trained.steps)
    assert next(segment_video(made, trained, video(1))).mask.shape == (HEIGHT, WIDTH)
