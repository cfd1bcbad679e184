"""Each fusion measure: its best value for a perfect result, a clearly worse one for the failure it is named after."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.errors import ShapeError
from lib.metrics import contrast_kept, flicker, ghosting, gradient_fidelity, psnr, seam_energy
from lib.metrics.planes import neighbour_steps

HEIGHT, WIDTH = 48, 64


@dataclass(frozen=True)
class Scene:
    """A day picture, an empty night of other structure, a lit mover, and what an ideal fusion shows."""

    day: Tensor
    empty_night: Tensor
    night: Tensor
    mask: Tensor
    truth: Tensor


def texture(seed: int, low: float, high: float, device: torch.device) -> Tensor:
    """Smooth random colours within low..high, (3, HEIGHT, WIDTH)."""
    coarse = torch.rand(1, 3, 13, 17, generator=torch.Generator().manual_seed(seed))
    fine = F.interpolate(coarse, (HEIGHT, WIDTH), mode="bicubic", align_corners=False)[0].clamp(0, 1)
    return (low + (high - low) * fine).to(device)


@pytest.fixture
def scene(device: torch.device) -> Scene:
    mask = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool, device=device)
    mask[15:33, 20:44] = True
    day, empty_night = texture(1, 0.3, 0.9, device), texture(2, 0.0, 0.3, device)
    mover = texture(3, 0.2, 0.7, device)
    return Scene(day, empty_night, torch.where(mask, mover, empty_night), mask, torch.where(mask, mover, day))


def field_of(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Forward differences on the picture's own grid, 0 in the last column and row."""
    steps_x, steps_y = neighbour_steps(picture)
    return F.pad(steps_x, (0, 1)), F.pad(steps_y, (0, 0, 0, 1))


def average(scene: Scene) -> Tensor:
    return (scene.night + scene.day) / 2


def test_gradient_fidelity_is_1_for_the_field_itself(scene: Scene) -> None:
    assert gradient_fidelity(scene.truth, *field_of(scene.truth)) == pytest.approx(1.0, abs=1e-6)
    assert gradient_fidelity(scene.truth * 0.5 + 0.2, *field_of(scene.truth)) == pytest.approx(0.8, abs=1e-6)
    assert gradient_fidelity(1 - scene.truth, *field_of(scene.truth)) == pytest.approx(-1.0, abs=1e-6)


def test_gradient_fidelity_falls_for_averaging(scene: Scene) -> None:
    assert gradient_fidelity(average(scene), *field_of(scene.truth)) < 0.85
    outside = gradient_fidelity(average(scene), *field_of(scene.truth), mask=~scene.mask)
    assert outside < 0.85
    assert gradient_fidelity(scene.truth, *field_of(scene.truth), mask=scene.mask) == pytest.approx(1.0, abs=1e-6)


def test_flat_pictures_agree(device: torch.device) -> None:
    flat = torch.full((3, 5, 7), 0.5, device=device)
    assert gradient_fidelity(flat, *field_of(flat)) == 1.0
    with pytest.raises(ShapeError, match="no contrast"):
        contrast_kept(flat, *field_of(flat))


def test_contrast_kept_is_halved_by_averaging_with_a_flat_night(scene: Scene) -> None:
    assert contrast_kept(scene.truth, *field_of(scene.truth)) == pytest.approx(1.0, abs=1e-6)
    washed_out = (scene.day + 0.05) / 2
    assert contrast_kept(washed_out, *field_of(scene.day)) == pytest.approx(0.5, abs=1e-6)
    assert contrast_kept(average(scene), *field_of(scene.truth)) < 0.7


def test_seam_energy_sees_the_seam_of_a_pixel_blend(scene: Scene) -> None:
    night, day = torch.full_like(scene.day, 0.1), torch.full_like(scene.day, 0.6)
    hard_blend = torch.where(scene.mask, night, day)
    assert seam_energy(hard_blend, night, day, scene.mask) == pytest.approx(0.5 * 255, rel=1e-5)
    assert seam_energy(day, night, day, scene.mask) == 0.0
    feathered = F.avg_pool2d(hard_blend, 9, 1, 4, count_include_pad=False)
    assert 0 < seam_energy(feathered, night, day, scene.mask) < 0.2 * seam_energy(hard_blend, night, day, scene.mask)


def test_seam_energy_forgives_edges_that_a_source_shows(scene: Scene) -> None:
    night = torch.where(scene.mask, 0.9, 0.1).expand_as(scene.day)
    assert seam_energy(night, night, scene.day, scene.mask) == 0.0


def test_ghosting_is_the_share_of_the_unwanted_picture(scene: Scene) -> None:
    outside = ~scene.mask
    for share in (0.0, 0.25, 0.5, 1.0):
        leaky = (1 - share) * scene.day + share * scene.empty_night
        found = ghosting(leaky, scene.day, scene.empty_night, mask=outside)
        assert found == pytest.approx(share, abs=1e-5)


def test_ghosting_inside_sees_the_street_through_the_car(scene: Scene) -> None:
    assert ghosting(scene.truth, scene.night, scene.day, mask=scene.mask) == pytest.approx(0.0, abs=1e-6)
    assert ghosting(average(scene), scene.night, scene.day, mask=scene.mask) == pytest.approx(0.5, abs=1e-5)


def test_ghosting_ignores_gain_offset_and_shared_structure(scene: Scene) -> None:
    darker_day = 0.2 * scene.day + 0.3 * scene.empty_night
    assert ghosting(0.7 * scene.day + 0.1, scene.day, darker_day) == pytest.approx(0.0, abs=1e-5)
    with pytest.raises(ShapeError, match="nothing that could shine through"):
        ghosting(scene.day, scene.day, 0.5 * scene.day)


def test_flicker_is_0_for_a_steady_picture_and_sees_hard_per_frame_masks(scene: Scene) -> None:
    generator = torch.Generator().manual_seed(4)
    still = ~scene.mask
    steady, flickering = [], []
    for _ in range(6):
        per_frame = (torch.rand(HEIGHT, WIDTH, generator=generator) < 0.05).to(scene.day.device) | scene.mask
        steady.append(torch.where(scene.mask, torch.rand_like(scene.day), scene.day))
        flickering.append(torch.where(per_frame, scene.night, scene.day))
    assert flicker(torch.stack(steady), still=still) == 0.0
    assert flicker(torch.stack(flickering), still=still) > 5.0


def test_flicker_by_hand_streams_and_follows_moving_masks(device: torch.device) -> None:
    video = torch.zeros(3, 3, 2, 2, device=device)
    video[1, :, 0, 0] = 0.1
    still = torch.ones(3, 2, 2, dtype=torch.bool, device=device)
    assert flicker(video, still=still[0]) == pytest.approx(255 * 0.2 / 8, rel=1e-5)
    assert flicker(iter(video), still=still) == pytest.approx(255 * 0.2 / 8, rel=1e-5)
    still[1, 0, 0] = False
    assert flicker(video, still=still) == 0.0


def test_one_picture_serves_all_frames(scene: Scene) -> None:
    video = torch.stack([scene.truth, average(scene)])
    masks = torch.stack([scene.mask, scene.mask])
    both = [seam_energy(frame, scene.night, scene.day, scene.mask) for frame in video]
    assert seam_energy(video, scene.night, scene.day, masks) == pytest.approx(sum(both) / 2, rel=1e-6)
    assert ghosting(video, scene.day, scene.night, mask=~masks) == pytest.approx(0.25, abs=0.05)


def test_precision_of_the_input_makes_no_difference(scene: Scene) -> None:
    single, double = average(scene), average(scene).double()
    fields = field_of(scene.truth)
    assert gradient_fidelity(single, *fields) == pytest.approx(
        gradient_fidelity(double, *(field.double() for field in fields)), rel=1e-5
    )
    assert psnr(single, scene.truth) == pytest.approx(psnr(double, scene.truth.double()), rel=1e-6)


def test_bad_input_is_answered_in_one_sentence(scene: Scene) -> None:
    everything = torch.ones_like(scene.mask)
    with pytest.raises(ShapeError, match="must have a border"):
        seam_energy(scene.truth, scene.night, scene.day, everything)
    with pytest.raises(ShapeError, match="empty mask"):
        ghosting(scene.truth, scene.day, scene.night, mask=~everything)
    with pytest.raises(ShapeError, match="share a grid"):
        seam_energy(scene.truth, scene.night[..., 1:], scene.day, scene.mask)
    with pytest.raises(ShapeError, match="result's shape"):
        gradient_fidelity(scene.truth, scene.day[..., 1:], scene.day)
    with pytest.raises(ShapeError, match="at least two frames"):
        flicker([scene.truth], still=scene.mask)
    with pytest.raises(ShapeError, match="bool"):
        flicker([scene.truth, scene.truth], still=scene.mask.float())
    lonely = torch.zeros_like(scene.mask)
    lonely[3, 3] = True
    with pytest.raises(ShapeError, match="neighbouring"):
        ghosting(scene.truth, scene.day, scene.night, mask=lonely)
