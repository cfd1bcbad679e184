"""Masks in files: every kind of PNG reads as the same mask, and bad ones are named."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lib.data.masks import read_mask, write_mask
from lib.errors import DataMissing, ShapeError


@pytest.fixture
def mask() -> torch.Tensor:
    mask = torch.zeros(5, 7, dtype=torch.bool)
    mask[1:3, 2:6] = True
    return mask


def test_written_mask_is_read_again(mask: torch.Tensor, tmp_path: Path) -> None:
    write_mask(tmp_path / "m.png", mask)
    assert set(np.unique(np.asarray(Image.open(tmp_path / "m.png")))) == {0, 255}
    assert torch.equal(read_mask(tmp_path / "m.png", size=(5, 7)), mask)


@pytest.mark.parametrize("kind", ["0/1", "bits", "palette", "rgb"])
def test_other_kinds_of_files(mask: torch.Tensor, tmp_path: Path, kind: str) -> None:
    values = mask.numpy().astype(np.uint8)
    picture = Image.fromarray(values)
    if kind == "bits":
        picture = Image.fromarray(values * 255).convert("1")
    elif kind == "palette":  # two objects in two colours
        values[2] *= 2
        picture = Image.fromarray(values, mode="P")
        picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    elif kind == "rgb":
        picture = Image.fromarray(np.stack([values * 9, values * 0, values * 0], axis=-1))
    picture.save(tmp_path / "m.png")
    assert torch.equal(read_mask(tmp_path / "m.png"), mask)


def test_bad_files(mask: torch.Tensor, tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="no mask"):
        read_mask(tmp_path / "absent.png")
    write_mask(tmp_path / "m.png", mask)
    with pytest.raises(ShapeError, match="frame's size 5x8: got 5x7"):
        read_mask(tmp_path / "m.png", size=(5, 8))
    (tmp_path / "cut.png").write_bytes((tmp_path / "m.png").read_bytes()[:50])
    with pytest.raises(DataMissing, match="cut off or no picture"):
        read_mask(tmp_path / "cut.png")
    with pytest.raises(ShapeError, match="must be"):
        write_mask(tmp_path / "f.png", mask.float())
    assert not (tmp_path / "f.png").exists()
