"""Peaks and centres of mass: by hand, to a tenth of a pixel, at borders, where there is nothing."""

import pytest
import torch

from lib.ir_tracking.peaks import centre_of_mass, detect, peaks
from tests.ir_tracking.moving_spots import spot_clip


def test_peaks_come_highest_first_with_their_place() -> None:
    response = torch.zeros(20, 30)
    response[4, 7], response[15, 22], response[0, 29] = 3.0, 5.0, 1.0
    response[4, 8] = 2.0  # on the slope of a higher one
    found = peaks(response, number=5)
    assert found.tolist() == [[22.5, 15.5, 5.0], [7.5, 4.5, 3.0], [29.5, 0.5, 1.0]]
    assert peaks(response, number=1).tolist() == [[22.5, 15.5, 5.0]]


def test_flat_frames_have_no_peak_and_plateaus_one() -> None:
    assert len(peaks(torch.full((9, 9), 2.0), number=3)) == 0
    plateau = torch.zeros(12, 12)
    plateau[5:7, 5:7] = 1
    assert peaks(plateau, number=3).tolist() == [[5.5, 5.5, 1.0]]


@pytest.mark.parametrize("place", [(20.0, 15.0), (20.3, 15.8), (3.1, 27.4)])
def test_centre_of_mass_of_a_spot(place: tuple[float, float], device: torch.device) -> None:
    plane = spot_clip(torch.tensor([place]), size=(30, 40), noise=0.0).frames[0, 0].to(device)
    start = torch.tensor([place], device=device) + torch.tensor([[0.6, -0.5]], device=device)
    found = centre_of_mass(plane, start).cpu()
    assert float((found - torch.tensor([place])).abs().max()) < 0.2
    still = centre_of_mass(plane, torch.tensor([place], device=device)).cpu()
    assert float((still - torch.tensor([place])).abs().max()) < 0.1


def test_where_nothing_is_bright_a_centre_stays() -> None:
    centres = torch.tensor([[5.2, 6.7], [0.0, 0.0], [20.0, 12.0]])
    assert torch.equal(centre_of_mass(torch.zeros(12, 20), centres), centres)


def test_detected_boxes_lie_around_spots() -> None:
    path = torch.tensor([[30.2, 40.6]])
    frame = spot_clip(path, height=30.0).frames[0] + spot_clip(torch.tensor([[80.0, 20.5]]), height=20.0).frames[0]
    boxes = detect(frame, number=2)
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    torch.testing.assert_close(centres, torch.tensor([[30.2, 40.6], [80.0, 20.5]]), atol=0.3, rtol=0)
    assert detect(torch.zeros(1, 10, 10), number=2).shape == (0, 4)
