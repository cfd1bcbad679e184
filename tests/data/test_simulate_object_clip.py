import sys
from functools import cache

import numpy as np
import pytest
import torch

from lib.data.samples import sample_image
from lib.data.simulate import ObjectClipSettings, object_clip
from lib.data.simulate.object_clip import SCENES, _Stage, _transform
from lib.errors import SpecError
from lib.flow import warp

PURE = ObjectClipSettings(noise=0, shadow=0)


@pytest.fixture(autouse=True, scope="module")
def pictures_once():
    """The backgrounds are read once: one of them is the 242nd frame of a film."""
    with pytest.MonkeyPatch.context() as patch:
        # the package has a function of the module's name
        patch.setattr(sys.modules[_Stage.__module__], "sample_image", cache(sample_image))
        yield


def make(name, *, num_frames=6, height_px=120, seed=0, settings=PURE):
    return object_clip(
        name,
        generator=torch.Generator().manual_seed(seed),
        num_frames=num_frames,
        height_px=height_px,
        settings=settings,
    )


@pytest.fixture(scope="module", params=sorted(SCENES))
def clip(request):
    return make(request.param, num_frames=4, height_px=240)


def stay(clip):
    """Pixels that show the same thing in the next frame, (T - 1, H, W): no edge of the object passes, none leaves."""
    now, following = clip.masks[:-1, None].float(), warp(clip.masks[1:, None].float(), clip.flow, padding="zeros")
    inside = warp(torch.ones_like(now), clip.flow, padding="zeros") == 1
    same = ((following - now).abs() < 0.01) & inside
    # an edge is mixed from two layers, each of which goes its way
    return (torch.nn.functional.avg_pool2d(same.float(), 5, 1, 2) > 0.999)[:, 0]


def test_the_flow_brings_the_next_frame_back_to_this_one(clip):
    back = warp(clip.video[1:], clip.flow)
    error = (back - clip.video[:-1]).abs().amax(dim=1)
    unmoved = (clip.video[1:] - clip.video[:-1]).abs().amax(dim=1)
    moves = clip.flow.norm(dim=1) > 0.25
    for part in (stay(clip) & clip.masks[:-1], stay(clip) & ~clip.masks[:-1]):
        assert part.float().mean() > 0.01
        # what is left is fine texture, sampled at other places and twice
        assert error[part].median() <= 3 / 255
        if (part & moves).any():
            assert error[part & moves].mean() < 0.3 * unmoved[part & moves].mean()


def test_the_mask_moves_as_the_flow_says(clip):
    now = clip.masks[:-1]
    kept = warp(clip.masks[1:, None].float(), clip.flow, padding="zeros")[:, 0][now] > 0.5
    resting = clip.masks[1:][now]
    # the rest goes behind the bollard, or is a spoke or lever thinner than a pixel
    assert kept.float().mean() > 0.94
    assert kept.float().mean() > resting.float().mean()
    gained = warp(clip.masks[1:, None].float(), clip.flow)[:, 0][~now] > 0.5
    assert gained.float().mean() < 0.02


def test_forms_and_origin(clip):
    assert clip.video.shape == (4, 3, 240, 424)
    assert clip.masks.shape == (4, 240, 424)
    assert clip.flow.shape == (3, 2, 240, 424)
    assert (clip.video.dtype, clip.masks.dtype, clip.flow.dtype) == (torch.float32, torch.bool, torch.float32)
    assert 0 <= clip.video.min() < 0.1
    assert 0.8 < clip.video.max() <= 1
    levels = clip.video * 255
    assert (levels - levels.round()).abs().max() < 1e-4
    assert 0.02 < clip.masks.float().mean() < 0.3
    assert clip.masks.flatten(1).any(dim=1).all()
    assert clip.origin.kind == "simulated"
    assert "background: " in clip.origin.licence


def test_only_the_named_cameras_move():
    still = make("astronaut")
    assert still.flow.norm(dim=1)[~still.masks[:-1]].max() < 1e-3
    assert still.flow.norm(dim=1)[still.masks[:-1]].mean() > 1
    panning = make("horse")
    assert panning.flow.norm(dim=1)[~panning.masks[:-1]].median() > 0.5


def test_what_is_near_moves_against_what_is_far():
    clip = make("motorcycle", num_frames=2)
    flow = clip.flow[0].norm(dim=0)[~clip.masks[0]]
    far = flow.median()
    # the bollard, and nothing in between: two depths
    assert 0.02 < (flow > 1.5 * far).float().mean() < 0.2
    assert ((flow > 1.2 * far) & (flow < 1.5 * far)).float().mean() < 0.01


def test_nothing_moves_at_pace_zero():
    clip = make("horse", settings=ObjectClipSettings(object_pace=0, camera_pace=0, noise=0))
    assert clip.flow.abs().max() < 1e-3
    assert torch.equal(clip.video[0], clip.video[-1])
    follows = make("horse", settings=ObjectClipSettings(object_pace=0))
    own = follows.flow[0][:, follows.masks[0]].mean(dim=1)
    assert own.norm() > 0.5, "a camera that pans moves also what stands still"


def test_noise_is_as_strong_as_asked():
    clean, noisy = (make("astronaut", settings=ObjectClipSettings(noise=noise)) for noise in (0, 4 / 255))
    middle = (clean.video > 0.1) & (clean.video < 0.9)
    assert (noisy.video - clean.video)[middle].std() == pytest.approx(4 / 255, rel=0.05)
    assert torch.equal(noisy.masks, clean.masks)


def test_the_shadow_lies_on_the_ground_only():
    lit, shaded = (make("horse", settings=ObjectClipSettings(noise=0, shadow=shadow)) for shadow in (0, 0.5))
    darker = lit.video - shaded.video
    assert darker.min() >= -1 / 255
    assert darker[:, :, :40].max() <= 1 / 255
    assert darker.amax() > 0.1
    inner = torch.nn.functional.max_pool2d(1.0 - lit.masks[:, None].float(), 5, 1, 2)[:, 0] == 0
    assert darker.amax(dim=1)[inner].max() <= 1 / 255


def test_the_generator_decides():
    first, same, other = (make("horse", seed=seed, settings=None) for seed in (3, 3, 4))
    assert torch.equal(first.video, same.video)
    assert torch.equal(first.flow, same.flow)
    assert not torch.equal(first.masks, other.masks)
    assert not torch.equal(first.video, other.video)


@pytest.mark.parametrize("name", sorted(SCENES))
def test_the_camera_never_leaves_the_picture(name):
    stage = _Stage(SCENES[name], 64, PURE, torch.Generator().manual_seed(0))
    height, width = stage.far.shape[:2]
    for phase in (0.0, 0.25, 0.5, 0.75):
        stage.phases = [phase] * 5
        for time in range(0, 400, 7):
            corners = stage.grid[:, [0, 0, -1, -1], [0, -1, 0, -1]][..., None]
            x, y = _transform(stage.camera(time), corners)
            assert x.min() >= 0
            assert y.min() >= 0
            assert x.max() <= width - 1
            assert y.max() <= height - 1


def test_the_body_bends_back_and_forth_without_loss():
    stage = _Stage(SCENES["horse"], 64, PURE, torch.Generator().manual_seed(0))
    world = stage.grid.astype(np.float64)
    bent = stage.to_world(stage.to_body(world, 7), 7)
    assert np.abs(bent - world).max() < 1e-6
    assert np.abs(stage.to_world(stage.to_body(world, 7), 8) - world).max() > 0.5


def test_small_and_single_clips():
    clip = make("motorcycle", num_frames=1, height_px=65)
    assert clip.video.shape == (1, 3, 65, 112)
    assert clip.flow.shape == (0, 2, 65, 112)


def test_errors_say_what_is_valid():
    with pytest.raises(SpecError, match="astronaut, horse, motorcycle: got 'cow'"):
        make("cow")
    with pytest.raises(SpecError, match="num_frames must be at least 1: got 0"):
        make("horse", num_frames=0)
    with pytest.raises(SpecError, match="height_px must be at least 64: got 32"):
        make("horse", height_px=32)
    with pytest.raises(SpecError, match="noise must be a finite number of at least 0"):
        ObjectClipSettings(noise=float("nan"))
    with pytest.raises(SpecError, match=r"shadow must be within 0\.\.1: got 2"):
        ObjectClipSettings(shadow=2)
