"""Training: it learns, goes on as if nothing had happened, names what diverges, keeps the kernels in their group."""

import math
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lib.context_reg.batches import Batches, augment, class_weights
from lib.context_reg.evaluate import count
from lib.context_reg.networks import NetworkSettings
from lib.context_reg.objective import Losses, make_optimizer
from lib.context_reg.recipes import TrainingSettings
from lib.context_reg.settings import RegularizationSettings
from lib.context_reg.train import Trained, Trainer, train
from lib.data.labels import LabelledPicture
from lib.data.origin import Origin
from lib.errors import DataMissing, ShapeError, SpecError
from lib.training import Diverged, make_fabric

ORIGIN = Origin("squares", "simulated", "MIT", "", "this test")
COLOURS = torch.tensor([[0.1, 0.2, 0.8], [0.8, 0.2, 0.1], [0.2, 0.8, 0.1]])


def picture(idx: int, size: tuple[int, int] = (32, 40)) -> LabelledPicture:
    """A square of one of two colours on a ground of a third, with noise; classes 1, 2 and 0, void at one edge."""
    generator = torch.Generator().manual_seed(idx)
    labels = torch.zeros(size, dtype=torch.long)
    top, left = (int(torch.randint(2, side - 18, (1,), generator=generator)) for side in size)
    labels[top : top + 16, left : left + 16] = 1 + idx % 2
    image = COLOURS[labels].permute(2, 0, 1) + 0.05 * torch.randn(3, *size, generator=generator)
    labels[0] = 255
    return LabelledPicture(f"square {idx}", image.clamp(0, 1), labels, ORIGIN)


def pictures(num: int = 6) -> list[LabelledPicture]:
    return [picture(idx) for idx in range(num)]


SEGNET = NetworkSettings(host="segnet", num_classes=3, width=2)
FCN = NetworkSettings(host="fcn32s", num_classes=3, width=1, padding="head")
SETTINGS = TrainingSettings(
    num_steps=4, batch_size=2, learning_rate=5e-3, scale=(1.0, 1.0), device="cpu",
    regularization=RegularizationSettings(weight=0.1), ramp_steps=2, checkpoint_every=2,
)  # fmt: skip


def weights_of(trained: Trained) -> list[Tensor]:
    return list(trained.network.state_dict().values())


def assert_same(first: Trained, second: Trained) -> None:
    for ours, theirs in zip(weights_of(first), weights_of(second), strict=True):
        assert torch.equal(ours, theirs)
    assert first.kernels is None or second.kernels is None or torch.equal(first.kernels, second.kernels)


@pytest.mark.parametrize("regularization", [None, RegularizationSettings(weight=0.01)])
def test_a_network_learns_the_squares(
    regularization: RegularizationSettings | None, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One 1x1 convolution suffices to tell the three colours apart."""
    monkeypatch.setattr("lib.context_reg.train.build_network", lambda _settings, vgg: nn.Conv2d(3, 3, 1))
    settings = SETTINGS.but(
        num_steps=60, learning_rate=0.3, regularization=regularization, ramp_steps=6, device=str(device)
    )
    trained = train(pictures(), network=FCN, settings=settings)
    assert count(trained.network, FCN, pictures()).scores()["mean IU"] > 95
    assert trained.steps[-1].loss_by_name["softmax"] < 0.2 * trained.steps[0].loss_by_name["softmax"]
    assert (trained.kernels is None) == (regularization is None)
    assert not trained.network.training


@pytest.mark.parametrize("network", [SEGNET, FCN])
def test_both_hosts_get_better(network: NetworkSettings) -> None:
    settings = SETTINGS.but(num_steps=20, regularization=None)
    steps = train(pictures(), network=network, settings=settings).steps
    assert sum(step.total for step in steps[-5:]) < 0.9 * sum(step.total for step in steps[:5])


@pytest.mark.parametrize("network", [SEGNET, FCN])
def test_a_break_changes_nothing(network: NetworkSettings, tmp_path: Path) -> None:
    whole = train(pictures(), network=network, settings=SETTINGS)
    path = tmp_path / "training.pt"
    fabric = make_fabric(device="cpu")
    first = Trainer(pictures(), network=network, settings=SETTINGS, fabric=fabric)
    for batch, _ in zip(first.batches(), range(2), strict=False):
        first.step(batch)
    first.save(path)
    resumed = train(pictures(), network=network, settings=SETTINGS, checkpoint=path)
    assert [step.number for step in resumed.steps] == [3, 4]
    assert resumed.steps == whole.steps[2:]
    assert_same(resumed, whole)
    assert not torch.equal(resumed.kernels, first.losses.regularizer.kernels)
    again = train(pictures(), network=network, settings=SETTINGS, checkpoint=path)
    assert again.steps == ()
    assert_same(again, whole)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "training.pt"
    train(pictures(), network=FCN, settings=SETTINGS, checkpoint=path)
    with pytest.raises(SpecError, match=r"learning_rate 0\.005, not 0\.1"):
        train(pictures(), network=FCN, settings=SETTINGS.but(learning_rate=0.1), checkpoint=path)
    with pytest.raises(SpecError, match="num_pictures 6, not 4"):
        train(pictures(4), network=FCN, settings=SETTINGS, checkpoint=path)
    path.write_bytes(b"nothing")
    with pytest.raises(DataMissing, match="checkpoint"):
        train(pictures(), network=FCN, settings=SETTINGS, checkpoint=path)


def test_the_best_weights_by_mean_iu_stay() -> None:
    settings = SETTINGS.but(num_steps=8, evaluate_every=2, learning_rate=2e-2)
    trained = train(pictures(), network=FCN, settings=settings, validation=pictures(3))
    best = max(trained.evaluations, key=lambda one: one.score_by_name["mean IU"])
    assert [one.step for one in trained.evaluations] == [2, 4, 6, 8]
    assert trained.best == best.step
    found = count(trained.network, FCN, pictures(3)).scores()
    assert found["mean IU"] == pytest.approx(best.score_by_name["mean IU"])
    with pytest.raises(DataMissing, match="validation"):
        train(pictures(), network=FCN, settings=settings)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_accumulated_parts_give_the_gradient_of_the_whole(reduction: str) -> None:
    """A host without batch normalisation and dropout; pictures with equally many pixels that count."""

    def gradients(accumulate: int) -> list[Tensor]:
        settings = SETTINGS.but(
            batch_size=4, accumulate=accumulate, reduction=reduction, clip_norm=float("inf"), kernel_clip=float("inf"),
            regularization=RegularizationSettings(reduction=reduction, weight=0.5),
        )  # fmt: skip
        trainer = Trainer(pictures(), network=FCN, settings=settings, fabric=make_fabric(device="cpu"))
        trainer.network.dropout = 0.0
        nn.init.normal_(trainer.network.score_fr.weight, generator=torch.Generator().manual_seed(1))
        trainer.num_steps = 2  # after the ramp
        trainer.step(next(iter(trainer.batches())))
        return [one.grad for one in trainer.losses.parameters() if one.grad is not None]

    whole, parts = gradients(1), gradients(2)
    assert len(whole) == len(parts) > 30
    for ours, theirs in zip(parts, whole, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))


def test_groups_of_the_optimiser() -> None:
    settings = TrainingSettings.paper_fcn().but(device="cpu", kernel_rate=1e-5)
    network = torch.nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    groups = make_optimizer(Losses(network, FCN, settings), settings).param_groups
    assert [group["lr"] for group in groups] == [1e-10, 2e-10, 1e-5]
    assert [group["weight_decay"] for group in groups] == [5e-4, 0, 0]
    assert [len(group["params"]) for group in groups] == [1, 3, 1]
    assert groups[2]["params"][0].shape == (8, 3, 3)
    assert groups[0]["momentum"] == 0.99
    fixed = settings.but(regularization=RegularizationSettings.paper().but(learn_kernels=False))
    assert len(make_optimizer(Losses(network, FCN, fixed), fixed).param_groups) == 2
    assert len(make_optimizer(Losses(network, FCN, settings), settings.but(optimizer="adamw")).param_groups) == 3


def test_divergence_stops_with_step_and_parts() -> None:
    trainer = Trainer(pictures(), network=FCN, settings=SETTINGS, fabric=make_fabric(device="cpu"))
    batches = trainer.batches()
    trainer.step(next(batches))
    with torch.no_grad():
        trainer.network.conv3_1.weight[0] = float("nan")
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    with pytest.raises(Diverged, match=r"step 2: .*softmax nan, context 0, kernel 0"):
        trainer.step(next(batches))
    after = trainer.network.state_dict()
    assert all(torch.equal(value.nan_to_num(), after[name].nan_to_num()) for name, value in before.items())


def test_void_pictures_teach_nothing_and_break_nothing() -> None:
    void = replace(picture(0), labels=torch.full((32, 40), 255))
    trained = train([void, void], network=FCN, settings=SETTINGS.but(num_steps=1))
    assert trained.steps[0].loss_by_name["softmax"] == 0
    assert trained.steps[0].loss_by_name["context"] == 0


def test_bad_pictures_are_named() -> None:
    outside = replace(picture(1), labels=torch.full((32, 40), 7))
    with pytest.raises(ShapeError, match=r"square 1: labels must be 0\.\.2, 255 \(void\) or 254 \(open\): got 7"):
        train([outside], network=FCN, settings=SETTINGS)
    other = replace(picture(1), labels=torch.zeros(30, 40, dtype=torch.long))
    with pytest.raises(ShapeError, match="square 1: labels must have the picture's size"):
        train([other], network=FCN, settings=SETTINGS)
    with pytest.raises(DataMissing, match=r"square \d has no HHA"):
        train(pictures(), network=replace(FCN, channels="hha"), settings=SETTINGS)
    with pytest.raises(ShapeError, match="crop"):
        train([picture(0), picture(1, (40, 40))], network=FCN, settings=SETTINGS)
    with pytest.raises(DataMissing, match="at least one"):
        train([], network=FCN, settings=SETTINGS)


def test_rgb_and_hha_train_together() -> None:
    both = [replace(one, hha=one.image.flip(0)) for one in pictures()]
    fused = replace(FCN, channels="rgb+hha")
    trained = train(both, network=fused, settings=SETTINGS.but(num_steps=1))
    assert count(trained.network, fused, both).matrix.sum() == 6 * 31 * 40


def test_weights_may_come_from_a_lower_layer() -> None:
    features = RegularizationSettings(weight=0.1, guide="features")
    for network in (SEGNET, FCN, replace(FCN, padding="input")):
        trained = train(pictures(), network=network, settings=SETTINGS.but(num_steps=2, regularization=features))
        assert trained.steps[-1].loss_by_name["context"] > 0
    with pytest.raises(SpecError, match="guide image"):
        train(pictures(), network=NetworkSettings(host="deeplabv3", num_classes=3),
              settings=SETTINGS.but(regularization=features))  # fmt: skip


def test_the_regulariser_suits_a_host_of_another_family() -> None:
    deeplab = NetworkSettings(host="deeplabv3", num_classes=3)
    trained = train(pictures(2), network=deeplab, settings=SETTINGS.but(num_steps=2))
    assert trained.steps[1].loss_by_name["context"] > 0
    assert trained.kernels is not None


def test_draws_visit_every_picture_once_a_turn() -> None:
    settings = SETTINGS.but(num_steps=6, flip=False)
    batches = Batches(pictures(), settings=settings, channels="rgb", num_classes=3)
    seen = [image for idx in range(3) for image in batches[idx].images]
    for one in pictures():
        assert sum(torch.equal(one.image, image) for image in seen) == 1
    shared = [
        Batches(pictures(), settings=settings, channels="rgb", num_classes=3, rank=rank, world=2)[1].images[0]
        for rank in (0, 1)
    ]
    assert torch.equal(torch.stack(shared), batches[1].images)


def test_augmentation_moves_picture_and_labels_together() -> None:
    one = picture(3, (40, 40))
    plain = replace(one, image=COLOURS[one.labels.clamp(max=2)].permute(2, 0, 1))
    settings = SETTINGS.but(scale=(0.5, 2.0), crop=(32, 48))
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        image, labels = augment(plain.image, plain.labels, settings, generator)
        assert image.shape == (3, 32, 48)
        assert labels.shape == (32, 48)
        nearest = (image[None] - COLOURS[..., None, None]).square().sum(1).argmin(0)
        counted = labels != 255
        assert (nearest == labels)[counted].float().mean() > 0.9  # all but mixed pixels at edges


def test_class_weights_by_hand() -> None:
    labels = torch.zeros(2, 4, dtype=torch.long)
    labels[0, :2] = 1
    first = replace(picture(0), image=torch.zeros(3, 2, 4), labels=labels)
    second = replace(first, labels=torch.zeros(2, 4, dtype=torch.long))
    # class 0: 14 of 16 pixels, class 1: 2 of the 8 of its picture; class 2 nowhere
    weights = class_weights([first, second], 3)
    middle = (14 / 16 + 2 / 8) / 2
    torch.testing.assert_close(weights, torch.tensor([middle / (14 / 16), middle / (2 / 8), 0]))
    settings = SETTINGS.but(balance="median", num_steps=1)
    assert train(pictures(), network=FCN, settings=settings).steps[0].total > 0


def test_the_paper_recipes_run() -> None:
    for base, network in ((TrainingSettings.paper_fcn(), FCN), (TrainingSettings.paper_segnet(), SEGNET)):
        trained = train(pictures(), network=network, settings=base.but(num_steps=2, device="cpu"))
        assert len(trained.steps) == 2
    assert TrainingSettings.modern(num_steps=100, regularized=False).regularization is None


def test_rates_and_ramp() -> None:
    settings = SETTINGS.but(num_steps=100, warm_up=10, ramp_steps=20)
    assert settings.rate(0) == pytest.approx(0.1)
    assert settings.rate(50) == pytest.approx(0.5**0.9)
    assert [settings.ramp(step) for step in (0, 10, 50)] == [0, 0.5, 1]
    assert TrainingSettings.paper_fcn().rate(99_999) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"optimizer": "adam"}, "sgd, adamw"),
        ({"batch_size": 3, "accumulate": 2}, "multiple"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"reduction": "sum"}, "one reduction"),
        ({"scale": (2.0, 1.0)}, "scale"),
        ({"num_steps": -1}, "num_steps"),
    ],
)
def test_bad_settings_get_one_sentence(change: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        SETTINGS.but(**change)


def test_bf16_trains() -> None:
    trained = train(pictures(), network=SEGNET, settings=SETTINGS.but(precision="bf16", num_steps=2))
    assert all(value.dtype != torch.bfloat16 for value in weights_of(trained))
    assert trained.steps[1].total > 0


@pytest.mark.slow
def test_two_processes_share_a_training() -> None:
    """Dropout differs between processes, so one process has other steps; the scores are over all pictures, though."""
    settings = SETTINGS.but(num_steps=2, batch_size=4, num_devices=2, evaluate_every=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trained = train(pictures(), network=FCN, settings=settings, validation=pictures(5))
    assert [step.number for step in trained.steps] == [1, 2]
    # a new FCN scores nothing: the first softmax loss is ln 3, on the 31 of 32 rows that count
    assert trained.steps[0].loss_by_name["softmax"] == pytest.approx(math.log(3), rel=1e-5)
    found = count(trained.network, FCN, pictures(5), details=False).scores()
    assert trained.evaluations[-1].score_by_name == pytest.approx(found)
    assert trained.kernels is not None
    assert trained.best == 2
