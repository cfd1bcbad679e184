"""The race's peer computes the same step: total loss and gradients of the plain form and of ours."""

import torch

from lib.zero_tig import losses
from lib.zero_tig.settings import Settings
from lib.zero_tig.speed import PlainStep, dark_picture, make_trainer, races


def compared_gradients(frame, threads):
    """Ours and the plain form's gradient by parameter, and both totals, from the same initial weights."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        model = make_trainer(Settings()).model
        plain = PlainStep(model)
        total = torch.stack(list(losses(model.training_pass(frame[None]), model.settings).values())).sum()
        total.backward()
        plain_total = plain.total_loss(frame[None])
        plain_total.backward()
    finally:
        torch.set_num_threads(before)
    ours = {name: value.grad for name, value in model.named_parameters()}
    return ours, {name: value.grad for name, value in plain.model.named_parameters()}, total, plain_total


def test_total_loss_and_gradients_are_those_of_the_plain_form():
    ours, plain, total, plain_total = compared_gradients(dark_picture(90, 121), threads=1)
    torch.testing.assert_close(total, plain_total, rtol=1e-4, atol=0)
    for name, gradient in plain.items():
        # batch norm cancels the bias of the layer before it: what is left there is rounding
        if name != "illuminator.conv.0.bias":
            error = (ours[name] - gradient).norm() / gradient.norm()
            assert error < 1e-3, f"{name}: {error:.1e}"


def test_float64_leaves_no_difference_but_rounding():
    model = make_trainer(Settings()).model.double()
    frame = dark_picture(48, 54).double()[None]
    total = torch.stack(list(losses(model.training_pass(frame), model.settings).values())).sum()
    torch.testing.assert_close(total, PlainStep(model).total_loss(frame), rtol=1e-12, atol=0)


def test_training_goes_the_same_way_for_some_steps():
    frame = dark_picture(48, 64)
    trainer = make_trainer(Settings(cut_detection=False))
    plain = PlainStep(trainer.model)
    for _ in range(3):
        assert abs(trainer.step(frame).total / plain.step(frame) - 1) < 1e-3


def test_every_row_has_its_peer_or_says_what_is_missing():
    rows = races()
    assert rows[0].work == "Zero-IG training step, 180x320"
    assert rows[0].goal == 1.8
    assert all(callable(row.ours) or isinstance(row.ours, str) for row in rows)
    if not torch.cuda.is_available():
        assert [row.ours for row in rows if "GPU" in row.work] == ["needs a GPU", "needs a GPU"]
