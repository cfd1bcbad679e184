"""Finishing a mask: which way, holes, and the coarse mask where finishing failed."""

import pytest
import torch
from torch import Tensor

import lib.fodvid.finish as finish
from lib.errors import SpecError
from lib.fodvid.finish import finish_mask


def scene() -> tuple[Tensor, Tensor, Tensor]:
    """Frame (3, 40, 56) of a bright block, its true mask, and one of patches of 8 pixels."""
    truth = torch.zeros(40, 56, dtype=torch.bool)
    truth[11:30, 13:44] = True
    frame = torch.where(truth, 0.85, 0.2).expand(3, -1, -1).clone()
    coarse = torch.zeros_like(truth)
    coarse[8:32, 8:40] = True
    return frame, truth, coarse


def test_none_is_the_mask_itself() -> None:
    frame, _, coarse = scene()
    assert finish_mask("none", coarse, frame) is coarse


@pytest.mark.parametrize("name", ["crf", "bilateral"])
def test_edges_are_drawn_to_those_of_the_frame(name: str, device: torch.device) -> None:
    frame, truth, coarse = (part.to(device) for part in scene())
    found = finish_mask(name, coarse, frame)
    assert (found.dtype, found.device.type) == (torch.bool, device.type)
    assert (found != truth).sum() < 0.1 * (coarse != truth).sum()


def test_holes_of_the_crf_are_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, truth, coarse = scene()
    holed = truth.float()
    holed[15:20, 20:25] = 0
    monkeypatch.setattr(finish, "dense_crf", lambda image, mask: holed)
    assert torch.equal(finish_mask("crf", coarse, frame), truth)


@pytest.mark.parametrize(("columns", "is_kept"), [(16, True), (15, False)])
def test_half_in_common_is_needed(columns: int, is_kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The coarse mask is 32 columns wide: a finished one of 16 of them has an IoU of 0.5."""
    frame, _, coarse = scene()
    narrow = coarse.clone()
    narrow[:, 8 + columns :] = False
    monkeypatch.setattr(finish, "dense_crf", lambda image, mask: narrow.float())
    assert torch.equal(finish_mask("crf", coarse, frame), narrow if is_kept else coarse)


def test_lost_mask_stays_coarse() -> None:
    """One pixel on even ground is smoothed away."""
    frame = torch.full((3, 40, 56), 0.5)
    coarse = torch.zeros(40, 56, dtype=torch.bool)
    coarse[20, 20] = True
    assert torch.equal(finish_mask("crf", coarse, frame), coarse)
    empty = torch.zeros_like(coarse)
    assert torch.equal(finish_mask("bilateral", empty, frame), empty)


def test_unknown_name() -> None:
    frame, _, coarse = scene()
    with pytest.raises(SpecError, match="finish must be none, crf or bilateral: got 'median'"):
        finish_mask("median", coarse, frame)
