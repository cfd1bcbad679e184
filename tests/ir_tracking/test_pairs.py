"""Training pairs: the target is where the labels say, draws repeat, and what can't teach is refused."""

from dataclasses import replace

import pytest
import torch

from lib.errors import DataMissing, ShapeError, SpecError
from lib.ir_tracking.anchors import anchor_grid
from lib.ir_tracking.network_settings import NetworkSettings
from lib.ir_tracking.pairs import PairMaker, PairSettings, usable_frames
from tests.ir_tracking.moving_spots import Clip, spot_clip, straight

SMALL = NetworkSettings.small()
QUIET = PairSettings(negative_share=0.0, noise_share=0.0)


def clips(number: int = 2) -> list[Clip]:
    return [spot_clip(straight(12, start=(30.0 + 9 * idx, 40.0)), noise=0.01, seed=idx) for idx in range(number)]


def maker(settings: PairSettings = QUIET, network: NetworkSettings = SMALL, number: int = 2) -> PairMaker:
    return PairMaker(clips(number), network=network, settings=settings)


@pytest.mark.parametrize("network", [SMALL, SMALL.but(inputs="frame")])
def test_the_target_is_where_the_labels_say(network: NetworkSettings) -> None:
    made = maker(network=network)
    anchors = anchor_grid(network, made.num_cells)
    for seed in range(12):
        batch = made.batch([seed])
        positive = (batch.targets.classes[0] == 1).nonzero()[0]
        offset, anchor = (value[(slice(None), *positive)] for value in (batch.targets.offsets[0], anchors))
        expected = offset[:2] * anchor[2:] + anchor[:2] + network.training_search_px / 2
        crop = batch.searches[0, 0]
        bright = (crop - crop.amin()).square()
        middle = torch.arange(len(crop)) + 0.5
        found = torch.stack([(bright.sum(0) * middle).sum(), (bright.sum(1) * middle).sum()]) / bright.sum()
        peak = torch.tensor([int(crop.argmax()) % len(crop), int(crop.argmax()) // len(crop)]) + 0.5
        assert float((peak - expected).abs().max()) < 2, seed
        assert float((found - expected).abs().max()) < 6
        size = offset[2:].exp() * anchor[2:]
        zoom = network.template_px / network.context_floor_px
        assert 0.8 * 3 * zoom < float(size[0]) < 1.25 * 3 * zoom
        template = batch.templates[0, 0]
        peak = torch.tensor([int(template.argmax()) % len(template), int(template.argmax()) // len(template)]) + 0.5
        assert float((peak - network.template_px / 2).abs().max()) < 6.5


def test_same_seed_same_pair() -> None:
    first, again, other = maker().batch([4, 7]), maker().batch([4, 7]), maker().batch([5, 8])
    assert torch.equal(first.searches, again.searches)
    assert torch.equal(first.targets.classes, again.targets.classes)
    assert not torch.equal(first.searches, other.searches)
    assert torch.equal(maker().batch([7]).searches, first.searches[1:])


def test_negative_pairs_teach_background_alone() -> None:
    batch = maker(PairSettings(negative_share=0.9)).batch(range(20))
    per_pair = (batch.targets.classes == 1).sum(dim=(1, 2, 3))
    weights = batch.targets.weights.sum(dim=(1, 2, 3))
    assert int((per_pair == 0).sum()) > 10
    assert torch.equal(per_pair == 0, weights == 0)


def test_every_cell_teaches_when_asked() -> None:
    classes = maker(QUIET.but(sampled=False)).batch([1]).targets.classes
    assert int((classes == 0).sum()) > 1000
    assert int((maker().batch([1]).targets.classes == 0).sum()) == 48


def test_gap_and_allowed_frames_are_kept() -> None:
    counted = clips(1)[0]
    counted = replace(counted, frames=counted.frames * 0 + torch.arange(12.0).view(-1, 1, 1, 1) * 100)
    network = SMALL.but(inputs="frame", scaling="frame")
    made = PairMaker([counted], network=network, settings=QUIET.but(max_gap=2, contrast=0.0), frames=[range(3, 9)])
    seen = set()
    for seed in range(30):
        first, second = [], []
        original = made._planes

        def spy(plane: torch.Tensor, *args: object, into: list[int], original=original) -> object:  # type: ignore[no-untyped-def]
            into.append(int(plane.mean()) // 100)
            return original(plane, *args)

        numbers: list[int] = []
        made._planes = lambda plane, *args, into=numbers, spy=spy: spy(plane, *args, into=into)  # type: ignore[assignment, misc]
        made.batch([seed])
        made._planes = original  # type: ignore[method-assign]
        first, second = numbers
        assert abs(first - second) <= 2
        seen |= {first, second}
    assert seen == set(range(3, 9))


def test_frames_that_cannot_teach_are_left_out() -> None:
    clip = clips(1)[0]
    visible = clip.visible.clone()
    visible[3] = False
    boxes = clip.boxes.clone()
    boxes[5, 0] = -50
    boxes[6, 2] = 0
    assert usable_frames(replace(clip, visible=visible, boxes=boxes)) == [0, 1, 2, 4, 7, 8, 9, 10, 11]
    assert usable_frames(clip, [2, 4]) == [2, 4]
    with pytest.raises(ShapeError, match="a sequence must have frames"):
        usable_frames(replace(clip, boxes=clip.boxes[:3]))


def test_what_cannot_teach_is_refused() -> None:
    with pytest.raises(DataMissing, match="at least one sequence"):
        PairMaker([], network=SMALL)
    hidden = replace(clips(1)[0], visible=torch.zeros(12, dtype=torch.bool))
    with pytest.raises(DataMissing, match="shows its target"):
        PairMaker([hidden], network=SMALL).batch([0])
    with pytest.raises(ShapeError, match="one list a sequence"):
        PairMaker(clips(2), network=SMALL, frames=[[0]])
    with pytest.raises(SpecError, match="negative_share"):
        PairSettings(negative_share=1.0)


def test_siamfc_labels_and_paper_crops() -> None:
    network = SMALL.but(head="correlation", subpixel=False, scaling="frame", inputs="filtered")
    batch = maker(network=network).batch([0, 1])
    assert batch.targets.classes.shape == (2, 1, 17, 17)
    assert 8 <= int((batch.targets.classes[0] == 1).sum()) <= 13
    assert float(batch.searches.amin()) >= 0
    assert float(batch.searches.amax()) <= 255.001
