"""The look learned from a video's own cuts: on patches that tell object from ground, and what teaches nothing."""

import math

import pytest
import torch
from torch import Tensor

from lib.errors import ShapeError, SpecError
from lib.features import PatchFeatures
from lib.fodvid import own_look
from lib.fodvid.affinity import patch_affinity
from lib.fodvid.cut import graph_cut
from lib.fodvid.discover import Discoverer, discover_with, look_of
from lib.fodvid.evaluate import cut_masks, otsu_look_masks, otsu_masks, scene_look, see
from lib.fodvid.motion import motion_descriptor
from lib.fodvid.own_look import OwnLook, evidence, learn_look, patches_a_frame, taught_by
from lib.metrics import jaccard
from tests.fodvid.discovery_scene import colours, discoverer, still, truth, video
from tests.fodvid.test_evaluate import COUNT, SETTINGS, scene, seen

GRID = (12, 16)
PICTURE = torch.full((3, 96, 128), 0.5)


def object_of(idx: int) -> Tensor:
    """Patches (rows, columns) of an object that moves to the right."""
    mask = torch.zeros(GRID, dtype=torch.bool)
    mask[3:9, 1 + idx : 7 + idx] = True
    return mask


def features_of(idx: int, *, length: float = 1.0, noise: float = 0.5) -> PatchFeatures:
    """Two kinds of patches, and so much noise that one patch alone is often taken for the other kind."""
    kinds = torch.tensor([[1.0, 0.2, 0.0, 0.3, 0.0, 0.0], [0.2, 1.0, 0.0, 0.3, 0.0, 0.0]])
    drawn = torch.randn(GRID[0] * GRID[1], 6, generator=torch.Generator().manual_seed(idx))
    tokens = kinds[(~object_of(idx)).long().flatten()] + noise * drawn
    return PatchFeatures(length * tokens[None], GRID)


def learned(*, count: int = 5, length: float = 1.0) -> OwnLook:
    look = learn_look(
        taught_by(features_of(idx, length=length), PICTURE, object_of(idx), count=1000) for idx in range(count)
    )
    assert look is not None
    return look


def test_share_tells_object_from_ground_in_a_frame_that_did_not_teach(device: torch.device) -> None:
    features = features_of(6)
    share = learned().share(PatchFeatures(features.tokens.to(device), GRID), PICTURE.to(device)).cpu()
    assert share.shape == (GRID[0] * GRID[1],)
    wrong = (share > 0.5) != object_of(6).flatten()
    assert float(wrong.float().mean()) < 0.08


def test_surroundings_help_where_a_patch_alone_is_doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistakes() -> int:
        return int(((learned().share(features_of(6), PICTURE) > 0.5) != object_of(6).flatten()).sum())

    with_surroundings = mistakes()
    monkeypatch.setattr(own_look, "SCALES", (1,))
    assert with_surroundings < 0.7 * mistakes()


def test_colour_alone_can_tell() -> None:
    plain = PatchFeatures(torch.ones(1, GRID[0] * GRID[1], 4), GRID)
    size = (PICTURE.shape[1], PICTURE.shape[2])

    def picture(idx: int) -> Tensor:
        grown = torch.nn.functional.interpolate(object_of(idx)[None, None].float(), size=size)[0]
        return 0.3 + 0.4 * grown * torch.tensor([1.0, 0.5, 0.0]).view(3, 1, 1)

    look = learn_look(taught_by(plain, picture(idx), object_of(idx), count=1000) for idx in range(4))
    assert look is not None
    share = look.share(plain, picture(6))
    assert torch.equal(share > 0.5, object_of(6).flatten())


def test_length_of_features_does_not_matter() -> None:
    one, other = learned(), learned(length=7.0)
    assert torch.allclose(one.share(features_of(6), PICTURE), other.share(features_of(6), PICTURE), atol=1e-2)


def test_border_does_not_teach_and_no_frame_more_than_its_count() -> None:
    mask = object_of(0)
    taught = taught_by(features_of(0), PICTURE, mask, count=10_000)
    assert int(taught.labels.sum()) == 4 * 4  # 6 x 6 without its border
    around = torch.nn.functional.max_pool2d(mask[None, None].float(), 5, stride=1, padding=2)[0, 0].bool()
    assert int((~taught.labels).sum()) >= int((~around).sum())
    assert len(taught.labels) < GRID[0] * GRID[1] - 16
    few = taught_by(features_of(0), PICTURE, mask, count=7)
    assert few.means.shape == (7, 3, 6 + 3)
    assert few.labels.shape == (7,)
    assert patches_a_frame(80) * 80 <= own_look.MAX_PATCHES
    assert patches_a_frame(10**6) == 1


def test_nothing_is_learned_without_object_or_ground() -> None:
    empty = torch.zeros(GRID, dtype=torch.bool)
    for masks in ([], [empty], [~empty]):
        assert learn_look(taught_by(features_of(0), PICTURE, mask, count=100) for mask in masks) is None
    with pytest.raises(ShapeError, match=r"same patches: got \(12, 16\) and \(3, 3\)"):
        taught_by(features_of(0), PICTURE, torch.zeros(3, 3, dtype=torch.bool), count=9)


def test_evidence_wants_motion_and_look() -> None:
    flow = torch.zeros(1, 2, 1, 4)
    flow[0, 0] = torch.tensor([[0.0, 8.0, -8.0, 2.0]])
    found = evidence(torch.tensor([1.0, 1.0, 0.25, 1.0]), flow, (1, 4))
    angle = torch.atan2(found[:, 1], found[:, 0]) / (math.pi / 2)
    assert torch.allclose(angle, torch.tensor([0.0, 1.0, 0.5, 0.5]), atol=1e-6)
    slow = evidence(torch.ones(4), flow / 80, (1, 4), still_px=0.4)
    assert torch.allclose(torch.atan2(slow[:, 1], slow[:, 0]).max(), torch.tensor(math.pi / 4))


def test_second_cuts_leave_out_what_moves_along_but_does_not_look_alike() -> None:
    """In one frame a piece of ground moves too: the first cut takes it in, the second knows better."""
    wrong, shadow = 3, torch.zeros(GRID, dtype=torch.bool)
    shadow[9:11, 1 + wrong : 7 + wrong] = True
    first = [object_of(idx) | (shadow if idx == wrong else False) for idx in range(6)]
    look = learn_look(
        taught_by(features_of(idx, noise=0.2), PICTURE, mask, count=1000) for idx, mask in enumerate(first)
    )
    assert look is not None
    features, flow = features_of(wrong, noise=0.2), torch.zeros(1, 2, *GRID)
    flow[0, 0] = 4.0 * first[wrong]
    of_motion = {
        "first": motion_descriptor(flow, GRID),
        "second": evidence(look.share(features, PICTURE), flow, GRID),
    }
    found = {
        name: graph_cut(patch_affinity(features.tokens[0], moved, alpha=0.1, tau=0.5), GRID).mask
        for name, moved in of_motion.items()
    }
    assert torch.equal(found["first"], first[wrong])
    # the surroundings speak for patches next to the object; of 12 that the first cut has too much, most go
    assert int((found["second"] & shadow).sum()) < 6
    assert not (object_of(wrong) & ~found["second"]).any()


def test_masks_of_a_scene_stay_right() -> None:
    held = seen()
    found = [cut_masks(held, SETTINGS.but(own_look=True)), otsu_look_masks(held)]
    assert not all(torch.equal(*pair) for pair in zip(found[1], otsu_masks(held), strict=True))
    for masks in found:
        assert len(masks) == COUNT
        # the last frame keeps the motion of the one before, in which the block lay elsewhere
        for idx in range(COUNT - 1):
            assert jaccard(masks[idx], truth(idx)) > 0.9


def test_without_own_look_nothing_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("no look was asked for")

    monkeypatch.setattr("lib.fodvid.evaluate.learn_look", refused)
    held = seen()
    cut_masks(held, SETTINGS)
    cut_masks(held, SETTINGS.but(own_look=True, alpha=1.0))  # without motion there is nothing to weigh


def test_a_frame_at_rest_teaches_nothing_and_stays_empty() -> None:
    held = see(Discoverer(SETTINGS, extractor=colours, estimator=still), scene())
    assert scene_look(held, SETTINGS) is None
    assert not any(mask.any() for mask in cut_masks(held, SETTINGS.but(own_look=True)))
    assert not any(mask.any() for mask in otsu_look_masks(held))


def test_a_video_in_passing_gets_the_same_look() -> None:
    settings = SETTINGS.but(own_look=True)
    look = look_of(discoverer(tau=0.6, alpha=0.5), video(COUNT), num_frames=COUNT)
    assert look is not None
    with pytest.raises(SpecError, match="own_look cuts a video twice"):
        next(discover_with(discoverer(own_look=True), video(COUNT)))
    found = [one.mask for one in discover_with(discoverer(own_look=True, tau=0.6, alpha=0.5), video(COUNT), look=look)]
    assert all(torch.equal(*pair) for pair in zip(found, cut_masks(seen(), settings), strict=True))
