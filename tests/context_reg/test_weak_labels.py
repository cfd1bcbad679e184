"""Weak labels: where a stroke lies, what stays open, and which loss hears of which pixel."""

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from lib.context_reg.batches import check_labels, class_weights
from lib.context_reg.compare import run_all
from lib.context_reg.networks import NetworkSettings
from lib.context_reg.objective import Losses
from lib.context_reg.recipes import TrainingSettings
from lib.context_reg.settings import RegularizationSettings
from lib.context_reg.weak_labels import OPEN, labelled_share, stroked, with_strokes
from lib.data.labels import VOID, LabelledPicture
from lib.data.origin import Origin
from lib.errors import ShapeError

ORIGIN = Origin("rings", "simulated", "MIT", "", "this test")
NETWORK = NetworkSettings(host="fcn32s", num_classes=3, width=1, padding="head")
SETTINGS = TrainingSettings(num_steps=1, regularization=RegularizationSettings(weight=1.0))


def rings() -> Tensor:
    """Class 0 with a block of class 1 and, apart from it, two blocks of class 2; void in the first row."""
    labels = torch.zeros(24, 32, dtype=torch.long)
    labels[4:14, 4:14] = 1
    labels[4:10, 20:28] = 2
    labels[16:22, 20:28] = 2
    labels[0] = VOID
    return labels


def picture(labels: Tensor) -> LabelledPicture:
    return LabelledPicture("rings", torch.rand(3, *labels.shape, generator=Generator().manual_seed(0)), labels, ORIGIN)


@pytest.mark.parametrize("seed", range(5))
def test_every_region_has_a_stroke_of_its_class_well_inside(seed: int) -> None:
    truth = rings()
    found = stroked(truth, generator=Generator().manual_seed(seed))
    known = (found != OPEN) & (found != VOID)
    assert torch.equal(found[known], truth[known])
    assert torch.equal(found == VOID, truth == VOID)
    for here in (np.s_[4:14, 4:14], np.s_[4:10, 20:28], np.s_[16:22, 20:28]):
        assert known[here].any()
        # the border's pixels are the least deep ones
        edge = torch.ones(truth[here].shape, dtype=torch.bool)
        edge[1:-1, 1:-1] = False
        assert not known[here][edge].any()
    assert 0 < known.float().mean() < 0.15


def test_strokes_follow_the_seed_and_the_place_alone() -> None:
    pictures = [picture(rings()) for _ in range(3)]
    first, again, other = (
        with_strokes(pictures, seed=1),
        with_strokes(pictures[:2], seed=1),
        with_strokes(pictures, seed=2),
    )
    assert torch.equal(first[1].labels, again[1].labels)
    assert not torch.equal(first[0].labels, first[1].labels)
    assert not torch.equal(first[0].labels, other[0].labels)
    assert torch.equal(pictures[0].labels, rings())
    assert labelled_share(pictures) == pytest.approx(23 / 24)
    assert labelled_share(first) < 0.15


def test_specks_get_no_stroke() -> None:
    labels = torch.zeros(10, 10, dtype=torch.long)
    labels[4, 4:7] = 1
    assert not (stroked(labels, generator=Generator().manual_seed(0)) == 1).any()


def test_an_open_pixel_counts_for_the_context_loss_alone(device: torch.device) -> None:
    """Against the losses put together by hand: cross-entropy of the known pixels, context of all that aren't void."""
    losses = Losses(nn.Conv2d(3, 3, 1), NETWORK, SETTINGS).to(device)
    one = picture(stroked(rings(), generator=Generator().manual_seed(0)))
    images, labels = one.image[None].to(device), one.labels[None].to(device)
    softmax, context, _ = losses(images, labels)
    scores = losses.network(images)
    known = (labels != OPEN) & (labels != VOID)
    by_pixel = -scores.log_softmax(1).gather(1, labels.where(known, 0)[:, None])[:, 0]
    torch.testing.assert_close(softmax, by_pixel[known].mean())
    of_all = losses.regularizer(scores.softmax(1), images, ignore=labels == VOID).context
    torch.testing.assert_close(context, of_all)
    as_void = losses(images, labels.masked_fill(labels == OPEN, VOID))
    torch.testing.assert_close(as_void[0], softmax)
    assert as_void[1] < 0.5 * context * (labels != VOID).sum() / known.sum()


def test_a_batch_without_any_label_is_smoothed_all_the_same() -> None:
    losses = Losses(nn.Conv2d(3, 3, 1), NETWORK, SETTINGS)
    softmax, context, _ = losses(picture(rings()).image[None], torch.full((1, 24, 32), OPEN))
    assert softmax == 0
    assert context > 0


def test_open_is_a_label_and_no_class() -> None:
    check_labels(picture(torch.full((4, 4), OPEN)), 3)
    with pytest.raises(ShapeError, match=r"254 \(open\): got 9"):
        check_labels(picture(torch.full((4, 4), 9)), 3)
    strokes = stroked(rings(), generator=Generator().manual_seed(0))
    weights = class_weights([picture(strokes)], 3)
    known = picture(strokes.masked_fill(strokes == OPEN, VOID))
    torch.testing.assert_close(weights, class_weights([known], 3))


def test_a_host_is_trained_with_strokes_and_scored_with_full_labels() -> None:
    data = [picture(rings()) for _ in range(2)]
    settings = TrainingSettings(num_steps=1, batch_size=2, device="cpu")
    (run,) = run_all(
        with_strokes(data, seed=0), data, networks=[(NETWORK, settings)],
        variants={"with": RegularizationSettings(weight=0.1)}, seeds=[0],
    )  # fmt: skip
    assert run.score_by_name.keys() >= {"mean IU", "boundary F"}
