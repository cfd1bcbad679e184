"""From frames to masks: what moves is found, what rests is not, in one pass and in bounded memory."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from lib.errors import ShapeError, SpecError, Unavailable
from lib.fodvid.discover import REST_PX, Discoverer, discover, discover_with, motions, resize_height, to_size
from lib.fodvid.settings import Settings, for_backbone
from tests.fodvid.discovery_scene import HEIGHT, SPEED, WIDTH, TrueFlow, colours, discoverer, frame, still, truth, video


@pytest.mark.parametrize("motion_features", ["descriptor", "picture"])
def test_moving_block_is_found_in_every_frame(motion_features: str) -> None:
    found = list(discover_with(discoverer(motion_features=motion_features), video(4)))
    assert len(found) == 4
    # the last frame keeps the flow of the one before, so that its mask is only near
    for idx, one in enumerate(found[:3]):
        assert torch.equal(one.mask, truth(idx))
        assert one.mask[:: HEIGHT // 8, :: WIDTH // 12].shape == one.cut.mask.shape == (8, 12)
        assert one.features.grid == (8, 12)
        assert one.motion is not None and one.motion.moves  # noqa: PT018
    assert (found[3].mask & truth(3)).any()


def test_flow_finds_what_appearance_hides() -> None:
    """A block of nearly the ground's colour: only its motion tells."""
    hidden = list(video(2, contrast=0.003))

    def flow(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(truth(0), float(SPEED), 0.0).expand(1, 2, -1, -1)

    (found, _) = discover_with(discoverer(flow, alpha=0.2), hidden)
    assert torch.equal(found.mask, truth(0))


def test_each_motion_leads_to_the_next_frame_and_the_last_is_kept() -> None:
    flow = TrueFlow()
    found = list(discover_with(discoverer(flow), video(4)))
    assert flow.calls == [(16 + SPEED * idx, 24 + SPEED * idx) for idx in range(3)]
    for idx in range(3):
        motion = found[idx].motion
        assert motion is not None
        assert motion.flow[0, :, truth(idx)].unique(dim=1).tolist() == [[SPEED], [0]]
    assert found[3].motion is found[2].motion


def test_motion_of_both_ways_is_the_mean_and_the_last_frame_looks_back() -> None:
    """The block rests between the first two frames, then moves: the second frame sees half of it."""
    flow = TrueFlow()
    found = list(discover_with(discoverer(flow, both_ways=True), [frame(0), frame(0), frame(1)]))
    assert flow.calls == [(16, 16), (16, 24), (16, 16), (24, 16)]
    lengths = [one.motion.flow[0, 0].amax().item() for one in found if one.motion]
    assert lengths == [0, SPEED / 2, SPEED]
    assert [bool(one.mask.any()) for one in found] == [False, True, True]
    assert torch.equal(found[2].mask, truth(1))


def test_three_frames_are_held() -> None:
    read = []

    def endless() -> Iterator[Tensor]:
        while True:
            read.append(len(read))
            yield frame(len(read) % 4)

    stream = discover_with(discoverer(), endless())
    next(stream)
    next(stream)
    assert read == [0, 1, 2]


def test_nothing_moves_no_object() -> None:
    """The cut is there, and would show a part of the picture; the mask does not."""
    found = list(discover_with(discoverer(still), [frame(0)] * 3))
    assert len(found) == 3
    for one in found:
        assert one.motion is not None
        assert not one.motion.moves
        assert one.cut.mask.any()
        assert one.mask.shape == (HEIGHT, WIDTH)
        assert one.mask.dtype == torch.bool
        assert not one.mask.any()


@pytest.mark.parametrize(("still_px", "least"), [(0.0, REST_PX), (0.5, 0.5)])
def test_flow_that_counts_as_rest(still_px: float, least: float) -> None:
    for length, moves in ((0.99 * least, False), (1.01 * least, True)):

        def flow(a: Tensor, b: Tensor, length: float = length) -> Tensor:
            return torch.where(truth(0), length, 0.0).expand(1, 1, -1, -1) * torch.tensor([0.6, 0.8]).view(1, 2, 1, 1)

        (found, _) = discover_with(discoverer(flow, still_px=still_px), video(2))
        assert found.motion is not None
        assert found.motion.moves is moves
        assert bool(found.mask.any()) is moves


def test_camera_that_moves_alone_is_rest_once_its_part_is_taken_out() -> None:
    def pan(a: Tensor, b: Tensor) -> Tensor:
        return torch.tensor([3.0, -1.0]).view(1, 2, 1, 1).expand(1, 2, HEIGHT, WIDTH)

    plain, _ = discover_with(discoverer(pan), video(2))
    taken_out, _ = discover_with(discoverer(pan, remove_camera=True), video(2))
    assert plain.motion is not None
    assert taken_out.motion is not None
    assert plain.motion.moves
    assert not taken_out.motion.moves
    assert not taken_out.mask.any()


def test_appearance_alone_asks_for_no_flow_and_takes_one_frame() -> None:
    flow = TrueFlow()
    (found,) = discover_with(discoverer(flow, alpha=1.0), video(1))
    assert flow.calls == []
    assert found.motion is None
    assert torch.equal(found.mask, truth(0))
    assert Discoverer(Settings(alpha=1.0), extractor=colours).estimator is None  # type: ignore[arg-type]


def test_only_chosen_frames_have_their_motion_computed() -> None:
    flow = TrueFlow()
    found = list(motions(discoverer(flow), video(6), chosen={1, 5}.__contains__))
    assert [torch.equal(given, frame(idx)) for (given, _), idx in zip(found, (1, 5), strict=True)] == [True, True]
    # that of frame 4 stands for the last frame's, that of 0 could have
    assert [(call[0] - 16) // SPEED for call in flow.calls] == [0, 1, 4]
    assert [motion.flow[0, 0].nonzero()[0, 1].item() for _, motion in found if motion] == [24, 48]
    alone = motions(discoverer(alpha=1.0), video(6), chosen={2}.__contains__)
    assert [torch.equal(given, frame(2)) for given, _ in alone] == [True]


def test_finish_is_applied() -> None:
    """The CRF draws the mask of a block that lies between patches to its edge."""
    moved = [one.roll((3, 2), (1, 2)) for one in video(2)]
    plain, _ = discover_with(discoverer(), moved)
    finished, _ = discover_with(discoverer(finish="crf"), moved)
    expected = truth(0).roll((3, 2), (0, 1))
    assert (finished.mask != expected).sum() < 0.1 * (plain.mask != expected).sum()


def test_pictures_are_seen_at_the_settings_heights() -> None:
    sizes: dict[str, list[tuple[int, ...]]] = {"features": [], "flow": []}

    def features(image: Tensor) -> object:
        sizes["features"].append(tuple(image.shape))
        return colours(image)

    def flow(a: Tensor, b: Tensor) -> Tensor:
        sizes["flow"].append(tuple(a.shape))
        return still(a, b)

    settings = discoverer().settings.but(height_px=32, flow_height_px=16)
    made = Discoverer(settings, extractor=features, estimator=flow)  # type: ignore[arg-type]
    found = list(discover_with(made, video(2)))
    assert sizes == {"features": [(1, 3, 32, 48)] * 2, "flow": [(1, 3, 16, 24)]}
    assert found[0].cut.mask.shape == (4, 6)
    assert found[0].mask.shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("size", "height_px", "expected"),
    [
        ((480, 854), 240, (240, 424)),
        ((480, 854), 0, (480, 854)),
        ((480, 854), 480, (480, 854)),
        ((200, 300), 240, (200, 300)),
        ((1920, 1080), 480, (480, 272)),
        ((999, 3), 100, (100, 8)),
    ],
)
def test_height_and_width_of_resized_pictures(size: tuple[int, int], height_px: int, expected: tuple[int, int]) -> None:
    image = torch.full((1, 3, *size), 0.25)
    resized = resize_height(image, height_px)
    assert tuple(resized.shape[-2:]) == expected
    torch.testing.assert_close(resized, torch.full_like(resized, 0.25))


def test_masks_of_patches_grow_by_the_nearest() -> None:
    mask = torch.tensor([[True, False, False], [False, True, True]])
    grown = to_size(mask, (6, 9))
    assert torch.equal(grown, mask.repeat_interleave(3, 0).repeat_interleave(3, 1))
    assert to_size(mask, (5, 7)).shape == (5, 7)


def test_frames_that_do_not_fit_are_told() -> None:
    with pytest.raises(SpecError, match="one frame shows no motion: give at least two, or set alpha to 1"):
        list(discover_with(discoverer(), video(1)))
    with pytest.raises(SpecError, match="the video has no frames"):
        list(discover_with(discoverer(), []))
    with pytest.raises(SpecError, match=r"one size: got \(3, 64, 96\) and then \(3, 64, 95\)"):
        list(discover_with(discoverer(), [frame(0), frame(1)[..., 1:]]))
    with pytest.raises(ShapeError, match=r"frame must lie within 0\.\.1"):
        list(discover_with(discoverer(), [frame(0), 255 * frame(1)]))
    with pytest.raises(SpecError, match="alpha below 1 needs the frame's motion"):
        discoverer().discover(frame(0), None)
    with pytest.raises(SpecError, match="alpha = 1 uses appearance alone and has no flow"):
        Discoverer(Settings(alpha=1.0), extractor=colours).motion(frame(0), frame(1))  # type: ignore[arg-type]


def test_missing_weights_are_told() -> None:
    with pytest.raises(Unavailable, match="nocturne weights raft"):
        Discoverer(Settings(flow="raft"), extractor=colours)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(65, 97), (64, 96)])
def test_shipped_features_and_dis_flow(size: tuple[int, int], device: torch.device) -> None:
    """The command's own networks: a textured block that moves over textured ground; then black frames."""
    generator = torch.Generator().manual_seed(0)
    ground, block = (torch.rand(3, *size, generator=generator).round() for _ in range(2))
    frames = []
    for idx in range(2):
        mask = torch.zeros(size, dtype=torch.bool)
        mask[16:48, 24 + 3 * idx : 56 + 3 * idx] = True
        frames.append(torch.where(mask, 0.4 + 0.6 * block.roll(3 * idx, 2), 0.5 * ground).to(device))
    settings = for_backbone("efficientnet_lite0").but(flow="dis")
    found = list(discover(frames, settings=settings, device=device))
    assert found[0].mask.shape == size
    assert found[0].mask.device.type == device.type
    truth = torch.zeros(size, dtype=torch.bool, device=device)
    truth[16:48, 24:56] = True
    assert (found[0].mask & truth).sum() > 0.6 * (found[0].mask | truth).sum()
    black = list(discover([torch.zeros(3, *size, device=device)] * 2, settings=settings, device=device))
    assert not any(one.mask.any() for one in black)
