"""The halo profile and the distance that it is binned by."""

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_cdt
from torch import Tensor

from lib.errors import ShapeError, SpecError
from lib.metrics import halo_profile
from lib.metrics.halo import signed_distance


def disc(device: torch.device, size: int = 96, radius: int = 14) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return ((rows - size // 2) ** 2 + (columns - size // 2) ** 2 < radius**2).to(device)


def test_distance_agrees_with_scipy(device: torch.device) -> None:
    mask = disc(device)
    found = signed_distance(mask, max_distance_px=20).cpu().numpy()
    solid = mask.cpu().numpy()
    outside = np.minimum(distance_transform_cdt(~solid, "chessboard"), 21)
    inside = 1 - distance_transform_cdt(solid, "chessboard")
    np.testing.assert_array_equal(found, np.where(solid, np.maximum(inside, -20), outside))


def test_perfect_result_has_no_halo_and_an_offset_is_none(device: torch.device) -> None:
    wanted = torch.rand(3, 96, 96, generator=torch.Generator().manual_seed(0)).to(device) * 0.5
    profile = halo_profile(wanted, wanted, disc(device))
    assert not profile.deviation.any()
    assert profile.strength == 0.0
    lifted = halo_profile(wanted + 0.1, wanted, disc(device))
    torch.testing.assert_close(lifted.deviation, torch.full_like(lifted.deviation, 25.5), atol=1e-4, rtol=0)
    assert lifted.strength == pytest.approx(0.0, abs=1e-4)


def test_decaying_glow_is_recovered_with_its_sign(device: torch.device) -> None:
    mask = disc(device)
    distance = signed_distance(mask, max_distance_px=24)
    glow = torch.where(mask, 0.0, 0.2 * torch.exp(-distance / 4))
    wanted = torch.full((3, 96, 96), 0.4, device=device)
    profile = halo_profile(wanted + glow, wanted, mask)
    near = profile.deviation[profile.distance_px == 2]
    assert float(near) == pytest.approx(255 * 0.2 * np.exp(-0.5), rel=1e-5)
    assert not profile.deviation[profile.distance_px <= 0].any()
    assert profile.strength > 10
    assert float(halo_profile(wanted - glow, wanted, mask).deviation.min()) < -30


def test_a_video_is_binned_with_each_frames_own_mask(device: torch.device) -> None:
    masks = torch.stack([disc(device), disc(device, radius=8)])
    wanted = torch.full((3, 96, 96), 0.4, device=device)
    video = torch.where(masks.unsqueeze(1), 0.6, wanted)
    profile = halo_profile(video, wanted, masks)
    inside = profile.distance_px <= 0
    torch.testing.assert_close(
        profile.deviation[inside], torch.full_like(profile.deviation[inside], 51.0), atol=1e-3, rtol=0
    )
    assert not profile.deviation[~inside].any()


def test_distances_without_pixels_are_left_out(device: torch.device) -> None:
    mask = torch.zeros(9, 9, dtype=torch.bool, device=device)
    mask[4, 4] = True
    picture = torch.full((3, 9, 9), 0.5, device=device)
    assert halo_profile(picture, picture, mask).distance_px.tolist() == [0, 1, 2, 3, 4]


def test_bad_input_is_answered_in_one_sentence(device: torch.device) -> None:
    picture = torch.full((3, 9, 9), 0.5, device=device)
    mask = torch.ones(9, 9, dtype=torch.bool, device=device)
    with pytest.raises(ShapeError, match="must have a border"):
        halo_profile(picture, picture, mask)
    with pytest.raises(ShapeError, match="empty mask"):
        halo_profile(picture, picture, ~mask)
    with pytest.raises(SpecError, match="at least 2"):
        halo_profile(picture, picture, mask, max_distance_px=1)
    mask[0] = False
    with pytest.raises(ShapeError, match="2 pixels outside"):
        _ = halo_profile(picture, picture, mask).strength
