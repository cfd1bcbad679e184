"""What the walkthrough says of rooms, predictions and kernels whose answers are known."""

import math

import pytest
import torch

from lib.context_reg import RegularizationSettings
from lib.context_reg import walkthrough as walk
from lib.context_reg.context_loss import context_loss
from lib.context_reg.directional import initial_kernels
from lib.context_reg.minimum import free_minimum
from lib.context_reg.train import Step
from lib.data.labels import LabelledPicture
from lib.data.origin import Origin

ORIGIN = Origin("halves", "simulated", "MIT", "", "drawn by the test")
HEIGHT, WIDTH = 24, 32


def halves(*, share=0.5):
    """A room of two flat halves, the left one class 0 and dark, the right one class 1 and light."""
    labels = torch.zeros(HEIGHT, WIDTH, dtype=torch.int64)
    labels[:, round(share * WIDTH) :] = 1
    image = (0.2 + 0.6 * labels.float()).expand(3, -1, -1).clone()
    return LabelledPicture("halves", image, labels, ORIGIN)


KERNELS = initial_kernels("differences").float()


def test_responses_are_differences_and_0_across_the_border():
    plane = torch.arange(float(HEIGHT * WIDTH)).view(1, HEIGHT, WIDTH)
    found = walk.responses(plane, KERNELS)
    assert found.shape == (8, 1, HEIGHT, WIDTH)
    east, south = found[4, 0] * 2**0.5, found[6, 0] * 2**0.5
    assert torch.allclose(east[:, :-1], torch.tensor(-1.0), atol=1e-3)
    assert torch.allclose(south[:-1], torch.tensor(-float(WIDTH)), atol=1e-3)
    assert east[:, -1].abs().max() < 1e-3
    assert south[-1].abs().max() < 1e-3


def test_loss_map_adds_up_to_the_loss():
    room = halves()
    rough = walk.rough_prediction(room.labels, 3, num_blobs=4, seed=0)
    mapped = walk.loss_map(rough, room.image, KERNELS, sigma=0.25)
    loss = context_loss(rough[None], room.image[None], KERNELS, KERNELS, sigma=0.25)
    assert mapped.shape == (HEIGHT, WIDTH)
    assert float(mapped.sum()) == pytest.approx(float(loss), rel=1e-4)


def test_rough_prediction_is_the_truth_but_for_its_squares():
    room = halves()
    right = walk.rough_prediction(room.labels, 4, num_blobs=0, seed=0)
    assert torch.equal(right.argmax(0), room.labels)
    assert torch.allclose(right.sum(0), torch.ones(HEIGHT, WIDTH))
    wrong = (walk.rough_prediction(room.labels, 4, num_blobs=3, seed=0).argmax(0) != room.labels).sum()
    assert 0 < int(wrong) <= 3 * walk.BLOB_PX**2


def test_the_free_minimum_cleans_up_and_keeps_a_border_that_the_picture_has():
    room = halves()
    rough = walk.rough_prediction(room.labels, 2, num_blobs=3, seed=1)
    free = free_minimum(rough, room.image, weight=1.0, sigma=0.05)
    before, after = (walk.prediction_scores(one, room.labels)["pixel accuracy"] for one in (rough, free))
    assert before < 97
    assert after > 99.5
    assert torch.allclose(free.sum(0), torch.ones(HEIGHT, WIDTH), atol=1e-5)


def test_without_weight_the_free_minimum_is_what_it_started_from():
    room = halves()
    rough = walk.rough_prediction(room.labels, 2, num_blobs=3, seed=1)
    assert torch.allclose(free_minimum(rough, room.image, weight=0.0, sigma=0.25), rough, atol=1e-3)


def test_an_island_is_pushed_down_and_its_surroundings_up():
    flat = halves().image.new_full((3, HEIGHT, WIDTH), 0.5)
    island = torch.full((2, HEIGHT, WIDTH), 0.1)
    island[0, 10:15, 10:15] = 0.9
    island[1] = 1 - island[0]
    push = walk.push_on(island, flat, 0, sigma=0.25)
    assert (push[10, 10:15] < 0).all()
    assert (push[9, 10:15] > 0).all()
    assert push[12, 12] == 0
    assert push[0].abs().max() == 0


def test_weights_see_nothing_in_8_bits():
    noisy = 0.5 + 0.1 * torch.rand(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    text = repr(walk.scaling_table(noisy, KERNELS, sigma=0.25))
    within, eight_bit, halved = (line.split() for line in text.splitlines()[2:])
    assert float(within[-2]) > 0.9
    assert float(eight_bit[-2]) < 0.1
    assert float(halved[-2]) > float(within[-2])


def test_the_printed_kernel_loss_is_least_at_one_half():
    lines = walk.norm_lines()
    lowest = {name: s[values.index(min(values))] for name, (s, values) in lines.items()}
    assert lowest == {"printed": pytest.approx(0.5), "recommended": pytest.approx(1.0)}


def test_size_table_of_a_prediction_that_knows_nothing():
    room = halves()
    uniform = torch.full((4, HEIGHT, WIDTH), 0.25)
    line = repr(walk.size_table({"uniform": uniform}, room.image, room.labels)).splitlines()[-1].split()
    assert float(line[1]) == pytest.approx(math.log(4), abs=5e-3)
    assert float(line[2]) == 0


def test_the_telling_room_has_its_classes_spread():
    rooms = [halves(share=0.1), halves(share=0.5), halves(share=0.9)]
    assert walk.telling_room(rooms) is rooms[1]


def test_kernel_table_tells_how_far_a_kernel_has_turned():
    turned = KERNELS.clone()
    turned[0] = turned[1]
    lines = repr(walk.kernel_table(turned)).splitlines()[2:]
    assert lines[0].split()[-1] == "60.00"
    assert lines[1].split()[-3:] == ["1.00", "0.00", "0.00"]


def test_loss_lines_are_means_over_some_steps():
    steps = [
        Step(number, 3.0, {"softmax": float(number), "context": 1.0, "kernel": 0.0})
        for number in range(1, 2 * walk.SMOOTHING_STEPS + 1)
    ]
    numbers, values = walk.loss_lines(steps)["softmax"]
    assert numbers == values
    assert len(numbers) == 2
    assert walk.loss_lines(steps)["context"][1] == [1.0, 1.0]


def test_training_with_and_without_differs_in_the_regulariser_alone():
    settings = {"num_steps": 20, "seed": 3, "device": "cpu"}
    alone = walk.training_for(None, **settings)
    regularised = walk.training_for(RegularizationSettings(weight=0.1), **settings)
    assert regularised.but(regularization=None, ramp_steps=0) == alone
    assert regularised.ramp_steps == 10


def test_scored_gives_a_row_a_host_and_says_that_rooms_are_simulated():
    scored = walk.Scored({"alone": dict.fromkeys(walk.MEASURES, 50.0)})
    assert "50.0" in repr(scored.as_table("a caption"))
    findings = scored.findings()
    assert len(findings) == len(walk.MEASURES)
    assert all("simulated" in one.measure.protocol for one in findings)
