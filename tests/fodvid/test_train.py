"""Training: resumes to the same result, asks for features once, repairs masks, stops at what is not finite."""

import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import lib
from lib.errors import DataMissing, ShapeError, SpecError, Unavailable
from lib.fodvid.clips import Clip
from lib.fodvid.segment import segment
from lib.fodvid.train import (
    Diverged,
    SegmenterSettings,
    SegmenterTrainer,
    Trained,
    make_fabric,
    prepare_all,
    train_segmenter,
)
from tests.fodvid.segmenter_scene import SPEED, counted, features, flow, frames, scene, tiny, true_masks


def trainer(settings: SegmenterSettings | None = None, clips: list[Clip] | None = None) -> SegmenterTrainer:
    settings = settings or tiny()
    return SegmenterTrainer(prepare_all(clips or [scene()], settings), settings=settings, fabric=make_fabric(settings))


def weights_of(network: torch.nn.Module) -> Tensor:
    """Parameters and buffers."""
    return torch.cat([value.detach().float().flatten() for value in network.state_dict().values()])


def jaccard(masks: list[Tensor], truth: Tensor) -> float:
    found = torch.stack(masks)
    return ((found & truth).sum((1, 2)) / (found | truth).sum((1, 2))).mean().item()


def played(trained: Trained) -> list[Tensor]:
    return [found.mask for found in segment(trained.network, frames(), features(), size=trained.settings.size)]


def test_coarse_masks_are_repaired() -> None:
    """Masks off by 2 px to all sides, one that lies elsewhere, one that has lost half: they agree on the truth."""
    coarse = true_masks()
    for idx, shift in enumerate([(-2, 0), (2, 0), (14, -20), (0, -2), (0, 0), (0, 2)]):
        coarse[idx] = coarse[idx].roll(shift, (0, 1))
    coarse[4, :, 20:] = False
    settings = tiny(epochs=30, modulation="image", width=4, max_channels=16, final_rate=0.01)
    trained = train_segmenter([scene(masks=coarse)], settings=settings)
    before, after = jaccard(list(coarse), true_masks()), jaccard(played(trained), true_masks())
    assert before < 0.6
    # three seeds give 0.86 to 0.93; no coarse mask is above 0.72
    assert after > 0.85
    assert trained.steps[-1].total < 0.5 * trained.steps[0].total


def test_step_warps_by_the_flow_from_the_neighbour() -> None:
    """A prediction that is right in its own frame meets the neighbour's mask only along the right flow."""
    masks = true_masks().float()[:, None]

    def total_of_first_step(flows: object) -> float:
        made = trainer(tiny(warp_probability=1.0, batch_size=6), [scene(flows=flows)])
        (batch,) = made.batches()
        assert all(draw.offset != 0 for draw in batch)
        right = torch.stack([20 * masks[draw.frame] - 10 for draw in batch])
        made.network.register_forward_hook(lambda module, given, logits: right + 0 * logits)
        return made.step(batch).loss_by_name["warped"]

    assert total_of_first_step(flow) < 1e-3
    assert total_of_first_step(lambda frame, offset: -flow(frame, offset)) > 0.3
    assert total_of_first_step(lambda frame, offset: torch.zeros(2, 32, 48)) > 0.3


def test_parts_sum_to_the_loss_and_both_are_there() -> None:
    steps = train_segmenter([scene()], settings=tiny(epochs=3)).steps
    assert [step.number for step in steps] == list(range(1, 7))
    for step in steps:
        assert sum(step.loss_by_name.values()) == pytest.approx(step.total)
    assert all(any(step.loss_by_name[name] > 0 for step in steps) for name in ("same", "warped"))


def test_direct_distillation_neither_reads_nor_warps() -> None:
    of_flow, calls = counted(flow)
    settings = tiny(warp_probability=0.0)
    without = train_segmenter([scene(flows=of_flow)], settings=settings)
    assert calls == []
    assert all(step.loss_by_name["warped"] == 0 for step in without.steps)
    other = train_segmenter([scene(flows=lambda t, o: 5 * flow(t, o))], settings=settings)
    assert torch.equal(weights_of(without.network), weights_of(other.network))


def test_features_are_computed_once_for_all_epochs() -> None:
    of_features, calls = counted(features().__getitem__)
    of_flow, flow_calls = counted(flow)
    of_images, image_calls = counted(frames().__getitem__)
    clip = scene(features=of_features, flows=of_flow, images=of_images)
    train_segmenter([clip], settings=tiny(epochs=5, modulation="image"))
    assert len(calls) == len(image_calls) == 6
    assert len(flow_calls) == len(set(flow_calls))


def test_an_epoch_takes_each_frame_once_in_another_order() -> None:
    made = trainer(clips=[scene(), scene(4)])
    first = [draw for batch in made.batches() for draw in batch]
    made.num_epochs = 1
    second = [draw for batch in made.batches() for draw in batch]
    expected = {(0, idx) for idx in range(6)} | {(1, idx) for idx in range(4)}
    for draws in (first, second):
        assert len(draws) == 10
        assert {(draw.clip_idx, draw.frame) for draw in draws} == expected
    assert first != second
    assert [len(batch) for batch in made.batches()] == [3, 3, 3, 1]


def test_same_seed_same_network_and_nobody_elses_numbers_are_touched() -> None:
    before = torch.random.get_rng_state()
    first, again = (train_segmenter([scene()], settings=tiny()) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(3)
    assert torch.equal(weights_of(first.network), weights_of(again.network))
    other = train_segmenter([scene()], settings=tiny(seed=1))
    assert not torch.equal(weights_of(first.network), weights_of(other.network))


@pytest.mark.parametrize("num_steps", [3, 4])
def test_resumed_training_ends_where_the_whole_one_does(num_steps: int, tmp_path: Path) -> None:
    settings = tiny(epochs=4, modulation="image", spectral=True, final_rate=0.1)
    whole = train_segmenter([scene()], settings=settings)
    broken = trainer(settings)
    steps = (step for _ in range(4) for step in broken.epoch())
    for _ in range(num_steps):  # within the second epoch, and at its end
        next(steps)
    broken.save(tmp_path / "training.pt")
    resumed = train_segmenter([scene()], settings=settings, checkpoint=tmp_path / "training.pt")
    assert [step.number for step in resumed.steps] == list(range(num_steps + 1, 9))
    assert resumed.steps == whole.steps[num_steps:]
    assert torch.equal(weights_of(resumed.network), weights_of(whole.network))
    again = train_segmenter([scene()], settings=settings, checkpoint=tmp_path / "training.pt")
    assert again.steps == ()
    assert torch.equal(weights_of(again.network), weights_of(whole.network))


def test_checkpoints_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "training.pt"
    train_segmenter([scene()], settings=tiny(), checkpoint=path)
    assert [file.name for file in tmp_path.iterdir()] == ["training.pt"]
    with pytest.raises(SpecError, match="of another training: it has seed 0, not 1"):
        train_segmenter([scene()], settings=tiny(seed=1), checkpoint=path)
    with pytest.raises(SpecError, match=r"it has frames \[6\], not \[5\]"):
        train_segmenter([scene(5)], settings=tiny(), checkpoint=path)
    falling = tiny(final_rate=0.5)
    train_segmenter([scene()], settings=falling, checkpoint=tmp_path / "falling.pt")
    with pytest.raises(SpecError, match="it has epochs 2, not 3"):
        train_segmenter([scene()], settings=replace(falling, epochs=3), checkpoint=tmp_path / "falling.pt")
    torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(SpecError, match="holds something else"):
        train_segmenter([scene()], settings=tiny(), checkpoint=path)
    path.write_text("nothing")
    with pytest.raises(DataMissing, match="no readable training checkpoint"):
        train_segmenter([scene()], settings=tiny(), checkpoint=path)


def test_divergence_stops_with_step_and_parts_and_keeps_the_weights() -> None:
    made = trainer()
    made.step(made.batches()[0])
    before = [value.detach().clone() for value in made.network.parameters()]
    made.network.feature_mean[0] = float("nan")
    with pytest.raises(Diverged, match=r"step 2: total loss nan, gradient norm nan \(same .*warped .*smaller learning"):
        made.step(made.batches()[1])
    assert all(torch.equal(value, kept) for value, kept in zip(made.network.parameters(), before, strict=True))


def test_frames_without_a_mask_learn_from_their_neighbours() -> None:
    masks = true_masks()
    masks[[0, 3]] = False
    draws = [draw for batch in trainer(clips=[scene(masks=masks)]).batches() for draw in batch]
    assert {draw.frame for draw in draws} == set(range(6))
    assert all(draw.frame + draw.offset not in (0, 3) for draw in draws)
    plain = trainer(tiny(warp_probability=0.0), [scene(masks=masks)])
    assert {draw.frame for batch in plain.batches() for draw in batch} == {1, 2, 4, 5}
    with pytest.raises(DataMissing, match="all masks are empty, full or not trusted"):
        trainer(clips=[scene(masks=torch.zeros_like(masks))])


def test_one_frame_trains_on_itself() -> None:
    steps = train_segmenter([scene(1)], settings=tiny(epochs=3)).steps
    assert len(steps) == 3
    assert all(step.loss_by_name["warped"] == 0 for step in steps)


def test_hidden_pixels_do_not_count() -> None:
    """The last columns of a frame leave the picture: their wrong masks teach nothing in the warped half."""
    wrong = true_masks()
    wrong[..., -SPEED:] = True
    plain = tiny(warp_probability=1.0, offsets=(-1, 1), epochs=4)
    seen = train_segmenter([scene(masks=wrong)], settings=replace(plain, occlusion_mask=True))
    all_of_it = train_segmenter([scene(masks=wrong)], settings=plain)
    assert seen.steps[0].total < all_of_it.steps[0].total + 1e-3
    assert not torch.equal(weights_of(seen.network), weights_of(all_of_it.network))


def test_set_of_clips_must_share_a_grid() -> None:
    assert len(train_segmenter([scene(), scene(4)], settings=tiny(epochs=1)).steps) == 4
    with pytest.raises(ShapeError, match="clips must have features of one shape"):
        train_segmenter([scene(), scene(features=features()[..., :-1])], settings=tiny())
    with pytest.raises(DataMissing, match="at least one clip"):
        train_segmenter([], settings=tiny())


def test_sixteen_bits_train_too(device: torch.device) -> None:
    settings = tiny(precision="bf16", device=device.type, epochs=4)
    steps = train_segmenter([scene()], settings=settings).steps
    full = train_segmenter([scene()], settings=replace(settings, precision="full")).steps
    assert steps[-1].total == pytest.approx(full[-1].total, rel=0.1)
    assert steps[0].total != full[0].total or steps[-1].total != full[-1].total


def test_gpu_and_cpu_agree_on_the_first_step(device: torch.device) -> None:
    first = train_segmenter([scene()], settings=tiny(device=device.type, epochs=1)).steps[0]
    assert first.total == pytest.approx(train_segmenter([scene()], settings=tiny(epochs=1)).steps[0].total, rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modulation": "flow"}, "modulation must be one of features, image: got 'flow'"),
        ({"precision": "half"}, "precision must be one of full, bf16"),
        ({"epochs": -1}, "epochs must be a whole number of at least 0: got -1"),
        ({"width": 2.5}, "width must be a whole number of at least 1: got 2.5"),
        ({"warp_probability": 1.5}, r"warp_probability must lie within 0\.\.1: got 1.5"),
        ({"offsets": (0, 1)}, "offsets must be different whole numbers without 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"final_rate": 2.0}, "final_rate must lie within"),
        ({"size": (0, 5)}, "size must be"),
        ({"num_devices": 2}, "batch_size must be a multiple of num_devices, 2: got 3"),
    ],
)
def test_settings_out_of_range_are_told(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        tiny(**changes)


def test_paper_values() -> None:
    paper = SegmenterSettings.paper()
    assert (paper.size, paper.learning_rate, paper.epochs, paper.batch_size) == ((256, 512), 1e-4, 200, 16)
    assert (paper.warp_probability, paper.offsets, paper.num_devices) == (0.5, (-2, -1, 1, 2), 4)


@pytest.mark.skipif(torch.cuda.is_available(), reason="tells what a machine without a GPU says")
def test_missing_gpus_are_told() -> None:
    with pytest.raises(Unavailable, match="'cuda' is not on this machine"):
        train_segmenter([scene()], settings=tiny(device="cuda"))
    assert lib.device().type != "cuda"


@pytest.mark.slow
def test_two_processes_train_as_one() -> None:
    """Instance norm, because batch norm on the CPU has each process's own statistics."""
    settings = tiny(norm="instance", epochs=1, batch_size=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shared = train_segmenter([scene(8)], settings=replace(settings, num_devices=2))
    alone = train_segmenter([scene(8)], settings=settings)
    assert [step.total for step in shared.steps] == pytest.approx([step.total for step in alone.steps], rel=1e-4)
    torch.testing.assert_close(weights_of(shared.network), weights_of(alone.network), rtol=0, atol=2e-3)
