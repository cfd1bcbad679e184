"""Cleaning of finished predictions: grains go, borders on the picture's edges stay, and what is reported of it."""

import pytest
import torch
from torch import Tensor, nn

from lib.context_reg.cleaning import GROUPS, cleaned, cleaning_table, gains, gains_of_hosts, main, predictions, scores
from lib.context_reg.walkthrough import rough_prediction
from lib.data.labels import LabelledPicture
from lib.data.origin import Origin

ORIGIN = Origin("halves", "simulated", "MIT", "", "this test")


def halves(border: int = 20) -> LabelledPicture:
    """Dark with class 0 up to a column, light with class 1 from there on."""
    labels = (torch.arange(40) >= border).long().expand(32, 40)
    return LabelledPicture("halves", 0.2 + 0.6 * labels.float().expand(3, 32, 40), labels, ORIGIN)


class Known(nn.Module):
    """A network whose scores are those of one grainy prediction, whatever the picture."""

    def __init__(self, prediction: Tensor) -> None:
        super().__init__()
        self.scores = nn.Parameter(prediction.log())

    def forward(self, image: Tensor) -> Tensor:
        return self.scores[None].expand(len(image), -1, -1, -1)


@pytest.fixture
def grainy() -> Known:
    return Known(rough_prediction(halves().labels, 2, num_blobs=4, seed=1))


def test_grains_go_and_the_border_stays(grainy: Known) -> None:
    picture = halves()
    found = predictions(grainy, [picture])
    assert (found[0].argmax(0) != picture.labels).sum() > 20
    (after,) = cleaned(found, [picture])
    assert (after.argmax(0) != picture.labels).sum() == 0
    assert scores([after], [picture])["mean IU"] == 100


def test_without_an_edge_in_the_picture_the_border_gets_no_help(grainy: Known) -> None:
    """What the picture doesn't show may be moved: the same prediction over a picture of one grey."""
    picture = halves()
    plain = LabelledPicture("plain", torch.full((3, 32, 40), 0.5), picture.labels, ORIGIN)
    found = predictions(grainy, [plain])
    with_edge, without = cleaned(found, [picture])[0], cleaned(found, [plain])[0]
    across = (with_edge[1, :, 20] - with_edge[1, :, 19]).mean(), (without[1, :, 20] - without[1, :, 19]).mean()
    assert across[0] > across[1] + 0.1


def test_what_is_said_of_it(grainy: Known) -> None:
    pictures = [halves() for _ in range(GROUPS)]
    changes = gains(grainy, pictures)
    before = scores(predictions(grainy, pictures[:1]), pictures[:1])
    assert changes["mean IU"] == pytest.approx([100 - before["mean IU"]] * GROUPS)
    rows = cleaning_table({"host": grainy}, pictures[:1]).rows
    assert [row[0] for row in rows] == ["host", "host, cleaned"]
    assert float(rows[1][1]) == 100


def test_hosts_are_trained_and_cleaned_seed_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.context_reg.train.build_network", lambda one, vgg: nn.Conv2d(3, one.num_classes, 1))
    pictures = [halves(border) for border in (12, 20, 28, 20)]
    changes = gains_of_hosts(pictures, pictures[:1], host="segnet", width=1, num_steps=1, seeds=[0, 1, 2])
    assert len(changes["pixel accuracy"]) == 3
    assert all(-100 <= value <= 100 for value in changes["pixel accuracy"])


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("lib.context_reg.minimum.NUM_STEPS", 2)
    main(num_rooms=GROUPS)
    said = capsys.readouterr().out
    assert "pixel accuracy: " in said
    assert "boundary F: " in said
