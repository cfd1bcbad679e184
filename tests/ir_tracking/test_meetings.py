"""How a meeting of two targets ends, read off their last boxes, and a meeting that the shipped network follows."""

import pytest
import torch

from lib.ir_tracking.meetings import Meeting, ending, meeting_table, meetings
from lib.ir_tracking.walkthrough import Follow, scan_settings
from lib.ir_tracking.weights import load_network

OWN, OTHER, NOWHERE = (10.0, 10.0), (40.0, 20.0), (70.0, 50.0)


@pytest.mark.parametrize(
    ("centres", "kept", "swapped"),
    [
        ((OWN, OTHER), True, False),
        ((OTHER, OWN), False, True),
        ((OWN, OWN), False, False),
        ((OWN, NOWHERE), False, False),
    ],
    ids=["kept", "swapped", "both on one", "one lost"],
)
def test_the_last_boxes_say_how_it_ended(centres: tuple[tuple[float, float], ...], kept: bool, swapped: bool) -> None:
    truths = torch.tensor([[[x - 1.5, y - 1.5, 3.0, 3.0] for x, y in (OWN, OTHER)]] * 2)
    last = torch.tensor([[x - 0.5, y - 2.0, 3.0, 3.0] for x, y in centres])
    flags, nothing = torch.ones(2, 2, dtype=torch.bool), torch.zeros(2, 2)
    boxes = torch.stack([truths[0], last])
    followed = Follow(boxes, truths, flags, flags, nothing, torch.zeros(2, 2, 2), nothing)
    assert ending(followed, 7) == Meeting(7, kept, swapped)


def test_bright_targets_that_meet_are_kept_and_counted() -> None:
    settings = scan_settings("sky", scr=8.0, oversampling=(2, 2), height_px=96, num_frames=40)
    found = meetings(load_network(), settings, [0])
    assert found == [Meeting(0, True, False)]
    assert [text.strip() for text in str(meeting_table({"ours": found})).splitlines()[-1].split()] == ["ours", *"110"]
