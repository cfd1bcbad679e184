"""Figures of the comparison: borders by colour, where small things lie, real pictures through the readers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from lib.context_reg.compare import ALONE
from lib.context_reg.comparison import WITH
from lib.context_reg.networks import NetworkSettings
from lib.context_reg.recipes import TrainingSettings
from lib.context_reg.table_figures import (
    BOTH,
    DEPTH_UNITS_PER_M,
    OURS,
    THEIRS,
    busiest_window,
    details_figure,
    drawn_borders,
    gain_figure,
    labels_of,
    real_pictures,
    results_figure,
    seen_as_hha,
    small_parts,
)
from lib.context_reg.train import Trained
from lib.data.images import write_image
from lib.data.labels import LabelledPicture
from lib.data.origin import Origin
from tests.context_reg.test_comparison import TOLD

ORIGIN = Origin("spots", "simulated", "MIT", "", "this test")
NAMES = {ALONE: "alone", WITH: "with"}


class Brightest(nn.Module):
    """Scores of two classes: dark and bright."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(threshold))

    def forward(self, image: Tensor) -> Tensor:
        grey = image.mean(1)
        return torch.stack([self.threshold - grey, grey - self.threshold], dim=1)


def host(threshold: float, channels: str = "rgb") -> Trained:
    settings = NetworkSettings("segnet", 2, 4, channels)
    return Trained(Brightest(threshold), settings, TrainingSettings(), None, (), (), 0)


def spot() -> LabelledPicture:
    """40x60, dark, one bright spot of 3x4 pixels and a bright half of the last rows."""
    labels = torch.zeros(40, 60, dtype=torch.long)
    labels[5:8, 50:54] = 1
    labels[30:] = 1
    return LabelledPicture("spot", labels.float().expand(3, 40, 60) * 0.8, labels, ORIGIN)


def test_a_host_reads_what_it_was_trained_on() -> None:
    picture = spot()
    assert torch.equal(labels_of(host(0.5), picture), picture.labels)
    negative = replace(picture, hha=0.8 - picture.image)
    assert torch.equal(labels_of(host(0.5, "hha"), negative), 1 - picture.labels)


def test_borders_have_a_colour_each() -> None:
    truth = torch.zeros(6, 8, dtype=torch.long)
    truth[:, 4:] = 1
    ours = truth.clone()
    ours[:, 4] = 0  # one column to the right
    drawn = drawn_borders(torch.full((3, 6, 8), 0.5), ours, truth)
    for column, colour in ((3, THEIRS), (4, BOTH), (5, OURS)):
        assert torch.allclose(drawn[:, :, column], torch.tensor(colour).view(3, 1).expand(3, 6))
    assert torch.allclose(drawn[:, :, [0, 1, 2, 6, 7]], torch.tensor(0.175))
    void = torch.full_like(truth, 255)
    assert torch.allclose(drawn_borders(torch.full((3, 6, 8), 0.5), void, void), torch.tensor(0.175))


def test_details_lie_where_small_things_are() -> None:
    labels = spot().labels
    small = small_parts(labels)
    assert int(small.sum()) == 12
    assert bool(small[5:8, 50:54].all())
    rows, columns = busiest_window(labels)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (18, 27)
    assert rows.start <= 5
    assert rows.stop >= 8
    assert columns.start <= 50
    assert columns.stop >= 54
    assert not small_parts(torch.full((9, 9), 255)).any()
    busiest_window(torch.zeros(1, 1, dtype=torch.long))


def test_figures_have_a_row_a_picture() -> None:
    trained = {"SegNet RGB, 40 classes": {ALONE: host(0.5), WITH: host(0.9)}}
    figure = results_figure([spot(), spot()], trained, names=NAMES)
    titles = [axes.get_title(loc="left") for axes in figure.axes[:4]]
    assert titles == ["spot", "SegNet RGB, alone", "SegNet RGB, with", "truth"]
    assert len(figure.axes) == 8
    assert len(details_figure([spot()], trained["SegNet RGB, 40 classes"], names=NAMES).axes) == 6


def test_gains_stand_beside_the_papers() -> None:
    figure = gain_figure(TOLD, "mean IU", {"FCN RGB, 40 classes": 2.0})
    assert "points" in figure.axes[0].get_xlabel()
    hollow = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "none"]
    assert [line.get_xdata()[0] for line in hollow] == [2.0]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Pictures 1 and 2 of the test split, 480x640, the first with depth: a floor and a wall, with a hole."""
    for folder in ("rgb", "label40", "depth"):
        (tmp_path / folder).mkdir()
    for number in (1, 2):
        write_image(tmp_path / "rgb" / f"{number:06d}.png", torch.full((3, 480, 640), 0.5))
        labels = np.full((480, 640), 2 * number, np.uint8)
        Image.fromarray(labels).save(tmp_path / "label40" / f"{number:06d}.png")
    down = (np.arange(480)[:, None] - 252.7) / 519.5
    metres = np.where(down > 0.2, 1.2 / np.maximum(down, 0.2), 6.0) * np.ones((1, 640))
    metres[100:120, 200:240] = 0
    Image.fromarray((metres * DEPTH_UNITS_PER_M).round().astype(np.uint16)).save(tmp_path / "depth" / "000001.png")
    return tmp_path


def test_real_pictures_come_small_with_classes_and_hha(root: Path) -> None:
    assert real_pictures("", height_px=64) == []
    first, second = real_pictures(str(root), height_px=85)
    assert first.image.shape == first.hha.shape == (3, 85, 112)
    assert second.hha is None
    assert first.labels.unique().tolist() == [2]
    (four, _) = real_pictures(str(root), height_px=85, num_classes=4)
    assert four.labels.unique().tolist() == [2]  # cabinet: furniture
    height = 255 * first.hha[1]
    assert float(height[-10:].median()) < 20 < float(height[20].median())  # cm above the floor
    (shown,) = seen_as_hha([first, second])
    assert torch.equal(shown.image, first.hha)
    assert shown.name == "000001, HHA"
