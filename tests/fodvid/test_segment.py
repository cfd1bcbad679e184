"""Inference: one frame after the other, at the frame's own size, without flow."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.errors import ShapeError, SpecError
from lib.fodvid.network import SegmentationNetwork
from lib.fodvid.segment import segment
from tests.fodvid.segmenter_scene import PATCH, features, frames

SIZE = (32, 48)


def network(modulation: str = "features") -> SegmentationNetwork:
    torch.manual_seed(0)
    made = SegmentationNetwork(3, patch_px=PATCH, width=2, modulation_width=3, modulation=modulation)  # type: ignore[arg-type]
    for value in made.parameters():
        torch.nn.init.normal_(value, std=0.2)
    return made.train()


@pytest.mark.parametrize("modulation", ["features", "image"])
def test_probability_is_that_of_the_network_and_the_mask_its_half(modulation: str, device: torch.device) -> None:
    made = network(modulation).to(device)
    (found,) = segment(made, frames(1), features(1), size=SIZE)
    with torch.no_grad():
        image = frames(1).to(device) if modulation == "image" else None
        expected = made.eval()(features(1).to(device), SIZE, image).sigmoid()[0, 0]
    torch.testing.assert_close(found.probability, expected)
    assert torch.equal(found.mask, expected > 0.5)
    assert found.mask.device.type == device.type
    assert 0 < found.mask.float().mean() < 1


def test_results_have_each_frames_own_size() -> None:
    sizes = [(32, 48), (31, 17), (90, 60)]
    images = [F.interpolate(frames(1), size=size)[0] for size in sizes]
    made = network("image")
    found = list(segment(made, images, lambda frame: features(1)[0], size=SIZE))
    assert [tuple(one.mask.shape) for one in found] == sizes
    with torch.no_grad():
        own = made.eval()(features(1), SIZE, images[1][None]).sigmoid()
    torch.testing.assert_close(found[1].probability, F.interpolate(own, size=(31, 17), mode="bilinear")[0, 0])


def test_frames_stream() -> None:
    read = []

    def endless() -> Iterator[Tensor]:
        while True:
            read.append(len(read))
            yield frames(1)[0]

    stream = segment(network(), endless(), lambda frame: F.avg_pool2d(frame[None], PATCH)[0], size=SIZE)
    next(stream)
    next(stream)
    assert read == [0, 1]


def test_each_frame_stands_alone_and_training_goes_on() -> None:
    made = network()
    together = list(segment(made, frames(3), features(3), size=SIZE))
    assert made.training
    (last,) = segment(made, frames(3)[2:], features(3)[2:], size=SIZE)
    assert torch.equal(together[2].probability, last.probability)


def test_threshold_can_be_set() -> None:
    (found,) = segment(network(), frames(1), features(1), size=SIZE, threshold=0.2)
    assert torch.equal(found.mask, found.probability > 0.2)
    with pytest.raises(SpecError, match="threshold must lie between 0 and 1: got 1"):
        next(segment(network(), frames(1), features(1), size=SIZE, threshold=1))


def test_bad_frames_and_missing_features_are_told() -> None:
    with pytest.raises(SpecError, match="features must be given for each frame: got 2, and another frame follows"):
        list(segment(network(), frames(3), features(2), size=SIZE))
    with pytest.raises(ShapeError, match=r"frame must lie within 0\.\.1"):
        next(segment(network(), 255 * frames(1), features(1), size=SIZE))
    assert list(segment(network(), [], features(1), size=SIZE)) == []
