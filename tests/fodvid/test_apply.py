"""`nocturne apply fodvid`: files in, files out, bad input answered in one sentence with nothing half-written."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from torch import Tensor
from typer.testing import CliRunner

import lib.fodvid.apply as module
from lib.data.images import read_image, write_image
from lib.data.masks import read_mask
from lib.data.video import VideoWriter, open_video, read_clip
from lib.errors import DataMissing, LabError, SpecError, Unavailable
from lib.fodvid.apply import apply
from lib.fodvid.discover import look_of
from lib.fodvid.settings import for_backbone

HEIGHT, WIDTH = 65, 97  # odd on purpose


def truth(idx: int) -> Tensor:
    mask = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    mask[16:48, 24 + 3 * idx : 56 + 3 * idx] = True
    return mask


def frame(idx: int) -> Tensor:
    """A textured block that moves by 3 pixels a frame over a textured ground, (3, 65, 97)."""
    generator = torch.Generator().manual_seed(0)
    ground, block = (torch.rand(3, HEIGHT, WIDTH, generator=generator).round() for _ in range(2))
    return torch.where(truth(idx), 0.4 + 0.6 * block.roll(3 * idx, 2), 0.5 * ground)


def folder_of(path: Path, frames: list[Tensor]) -> Path:
    path.mkdir()
    for idx, image in enumerate(frames):
        write_image(path / f"{idx}.png", image)
    return path


@pytest.fixture
def moving(tmp_path: Path) -> Path:
    """A folder of four pictures in which the block moves."""
    return folder_of(tmp_path / "moving", [frame(idx) for idx in range(4)])


def masks_of(folder: Path) -> list[Tensor]:
    return [read_mask(path) for path in sorted(folder.iterdir())]


def test_mask_is_drawn_and_written(moving: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    apply(moving, tmp_path / "drawn", masks=tmp_path / "masks")
    said = capsys.readouterr()
    assert said.out == f"{tmp_path / 'drawn'}\n"
    assert "nothing moves" not in said.err
    assert [path.name for path in sorted((tmp_path / "masks").iterdir())] == [f"{idx:05d}.png" for idx in range(4)]
    drawn = read_clip(tmp_path / "drawn", max_frames=9)
    assert drawn.shape == (4, 3, HEIGHT, WIDTH)
    for idx, mask in enumerate(masks_of(tmp_path / "masks")):
        assert mask.shape == (HEIGHT, WIDTH)
        assert (mask & truth(idx)).sum() > 0.5 * (mask | truth(idx)).sum()
        differs = (drawn[idx] - frame(idx)).abs().amax(0) > 1 / 255
        assert differs[mask].float().mean() > 0.9
        assert differs[~mask].float().mean() < 0.15  # the outline


def test_video_keeps_its_times(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.4]
    with VideoWriter(tmp_path / "in.mp4", fps=10) as writer:
        for idx, time_s in enumerate(times):
            writer.write(frame(idx), time_s)
    for name, options in (("cut.mp4", {}), ("refined.webm", {"refine_masks": True, "epochs": 1})):
        apply(tmp_path / "in.mp4", tmp_path / name, **options)  # type: ignore[arg-type]
        with open_video(tmp_path / name) as reader:
            assert [time_s for time_s, _ in reader.timed()] == pytest.approx(times, abs=2e-3)
            assert reader.size == (66, 98)  # the codec wants even sides


def test_own_look_is_learned_once_and_cuts_the_video_again(
    moving: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[int] = []

    def counted(*inputs: Any, **options: Any) -> Any:
        learned.append(options["num_frames"])
        return look_of(*inputs, **options)

    monkeypatch.setattr(module, "look_of", counted)
    apply(moving, tmp_path / "first", masks=tmp_path / "first_masks")
    assert learned == []
    apply(moving, tmp_path / "second", masks=tmp_path / "second_masks", own_look=True)
    assert learned == [4]
    found = [masks_of(tmp_path / name) for name in ("first_masks", "second_masks")]
    assert not all(torch.equal(*pair) for pair in zip(*found, strict=True))
    for idx, mask in enumerate(found[1][:-1]):
        assert (mask & truth(idx)).sum() > 0.4 * (mask | truth(idx)).sum()


def test_refinement_trains_on_the_video_and_masks_every_frame(
    moving: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRAINING_STEPS", 40)
    apply(moving, tmp_path / "out", masks=tmp_path / "masks", refine_masks=True)
    assert "training epochs: 40" in capsys.readouterr().err
    found = masks_of(tmp_path / "masks")
    assert len(found) == 4
    for idx, mask in enumerate(found):
        assert (mask & truth(idx)).sum() > 0.5 * (mask | truth(idx)).sum()


def test_training_is_repeatable(moving: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"refine_masks": True, "epochs": 12}
    apply(moving, tmp_path / "first", masks=tmp_path / "masks", **options)
    found = masks_of(tmp_path / "masks")
    apply(moving, tmp_path / "again", masks=tmp_path / "again_masks", **options)
    assert all(torch.equal(one, two) for one, two in zip(found, masks_of(tmp_path / "again_masks"), strict=True))


def test_long_video_trains_on_a_part_and_masks_all(
    moving: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_TRAINING_FRAMES", 2)
    trained = []
    real = module.refine
    monkeypatch.setattr(module, "refine", lambda *a, **k: trained.append(a[1]) or real(*a, **k))
    apply(moving, tmp_path / "out", masks=tmp_path / "masks", refine_masks=True, epochs=1)
    assert len(trained[0].masks) == 2
    assert len(masks_of(tmp_path / "masks")) == 4


@pytest.mark.parametrize("picture", [frame(0), torch.zeros(3, HEIGHT, WIDTH)], ids=["static", "black"])
def test_nothing_moves(picture: Tensor, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = folder_of(tmp_path / "still", [picture] * 3)
    apply(source, tmp_path / "out", masks=tmp_path / "masks")
    expected = f"{source}: nothing moves in all 3 frames; their masks are empty"
    assert expected in capsys.readouterr().err.splitlines()
    assert not any(mask.any() for mask in masks_of(tmp_path / "masks"))
    assert torch.equal(read_image(tmp_path / "out" / "frame_000001.png"), read_image(source / "0.png"))
    with pytest.raises(DataMissing, match="no frame has an object to learn from: nothing moves"):
        apply(source, tmp_path / "refined", masks=tmp_path / "no_masks", refine_masks=True)
    assert not (tmp_path / "refined").exists()
    assert not (tmp_path / "no_masks").exists()


def test_some_frames_at_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = folder_of(tmp_path / "stops", [frame(0), frame(1), frame(1), frame(1)])
    apply(source, tmp_path / "out", masks=tmp_path / "masks")
    assert f"{source}: nothing moves in 3 of 4 frames; their masks are empty" in capsys.readouterr().err
    assert [bool(mask.any()) for mask in masks_of(tmp_path / "masks")] == [True, False, False, False]


@pytest.mark.parametrize("refined", [False, True])
@pytest.mark.parametrize("kind", ["cut off", "other size"])
def test_video_that_breaks_off_keeps_what_was_before(
    kind: str, refined: bool, moving: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if kind == "cut off":
        (moving / "3.png").write_bytes((moving / "3.png").read_bytes()[:80])
    else:
        write_image(moving / "3.png", frame(3)[:, :-8])
    apply(moving, tmp_path / "out", masks=tmp_path / "masks", refine_masks=refined, epochs=1)
    said = capsys.readouterr().err
    assert f"{moving}: stopped after 3 frames: " in said
    assert "3.png" in said
    assert said.rstrip().endswith("the frames before are in the result")
    assert len(list((tmp_path / "out").iterdir())) == len(masks_of(tmp_path / "masks")) == 3


def test_one_picture_has_no_motion_but_appearance(moving: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="one frame shows no motion: give at least two, or set alpha to 1"):
        apply(moving / "0.png", tmp_path / "out", masks=tmp_path / "masks")
    assert not (tmp_path / "out").exists()
    apply(moving / "0.png", tmp_path / "out", masks=tmp_path / "masks", alpha=1.0)
    (mask,) = masks_of(tmp_path / "masks")
    assert mask.shape == (HEIGHT, WIDTH)


def test_settings_reach_the_networks(moving: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = module.Discoverer
    monkeypatch.setattr(module, "Discoverer", lambda *a, **k: made.append(a[0]) or real(*a, **k))
    apply(moving, tmp_path / "plain")
    apply(moving, tmp_path / "set", alpha=0.0, tau=0.9, height=48, finish="bilateral")
    assert made[0] == for_backbone("efficientnet_lite0").but(flow="dis", height_px=480)
    assert (made[1].alpha, made[1].tau, made[1].height_px, made[1].finish) == (0.0, 0.9, 48, "bilateral")


def test_large_frames_are_seen_small_and_masked_at_their_own_size(tmp_path: Path) -> None:
    large = [frame(idx).repeat_interleave(3, 1).repeat_interleave(3, 2) for idx in range(2)]
    for name, frames in (("large", large), ("small", [frame(0), frame(1)])):
        options: dict[str, Any] = {"height": HEIGHT, "finish": "bilateral"}
        apply(folder_of(tmp_path / name, frames), tmp_path / f"{name}_out", masks=tmp_path / f"{name}_masks", **options)
    for mask, expected in zip(masks_of(tmp_path / "large_masks"), masks_of(tmp_path / "small_masks"), strict=True):
        assert mask.shape == (3 * HEIGHT, 3 * WIDTH)
        grown = expected.repeat_interleave(3, 0).repeat_interleave(3, 1)
        # the small frames' width is a multiple of 8 and the others' is not
        assert (mask & grown).sum() > 0.8 * (mask | grown).sum()


@pytest.mark.parametrize("refined", [False, True])
def test_interruption_leaves_what_was_trained_and_nothing_else(
    refined: bool, moving: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    def interrupted(*_: Tensor) -> Tensor:
        drawn.append(1)
        if len(drawn) == 3:
            raise KeyboardInterrupt
        return frame(0)

    monkeypatch.setattr(module, "draw_mask", interrupted)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(KeyboardInterrupt):
        apply(moving, tmp_path / "out.mp4", masks=tmp_path / "masks", refine_masks=refined, epochs=1)
    assert len(drawn) == 3
    kept = {path.relative_to(tmp_path).parts[0] for path in set(tmp_path.rglob("*")) - before}
    assert kept == ({"out.mp4.part"} if refined else set())


@pytest.mark.parametrize(
    ("source", "out", "options", "error", "sentence"),
    [
        ("moving", "moving", {}, SpecError, "would replace the input"),
        ("absent.mp4", "out.mp4", {}, DataMissing, "absent.mp4"),
        ("text.mp4", "out.mp4", {}, DataMissing, "cannot read"),
        ("moving", "out.xyz", {}, SpecError, r"\.xyz"),
        ("moving", "nowhere/out.mp4", {}, DataMissing, "nowhere does not exist; create it first"),
        ("moving", "moving/0.png/out.mp4", {}, LabError, "0.png"),
        ("moving", "out.mp4", {"masks": "nowhere/masks"}, DataMissing, "nowhere does not exist; create it first"),
        ("moving", "out.mp4", {"masks": "moving"}, SpecError, "the masks would replace the input"),
        ("moving", "out.mp4", {"masks": "full"}, SpecError, "exists already; give --masks a folder that does not"),
        ("moving", "out", {"masks": "out"}, SpecError, "the masks would replace the result"),
        ("moving", "out.mp4", {"flow": "spynet"}, SpecError, "flow must be one of"),
        ("moving", "out.mp4", {"flow": "raft"}, Unavailable, "nocturne weights raft"),
        ("moving", "out.mp4", {"backbone": "resnet"}, SpecError, "backbone must be one of dino_vitb8"),
        ("moving", "out.mp4", {"weights": "no.pth"}, DataMissing, "no.pth"),
        ("moving", "out.mp4", {"finish": "median"}, SpecError, "finish must be one of none, crf, bilateral"),
        ("moving", "out.mp4", {"alpha": 1.2}, SpecError, "alpha must be within 0"),
        ("moving", "out.mp4", {"height": -1}, SpecError, "height_px must be at least 0"),
        ("moving", "out.mp4", {"device": "tpu"}, SpecError, "auto, cpu, cuda"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    source: str, out: str, options: dict[str, Any], error: type[LabError], sentence: str, moving: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    folder_of(tmp_path / "full", [frame(0)])
    options = {key: tmp_path / value if key == "masks" else value for key, value in options.items()}
    before = set(tmp_path.rglob("*"))
    with pytest.raises(error, match=sentence) as caught:
        apply(tmp_path / source, tmp_path / out, **options)
    assert "\n" not in str(caught.value)
    assert set(tmp_path.rglob("*")) == before


def test_command_line(moving: Path, tmp_path: Path) -> None:
    command = typer.Typer()
    command.command()(apply)
    text = re.sub(r"\x1b\[[0-9;]*m", "", CliRunner().invoke(command, ["--help"]).output)
    for option in ("--masks", "--refine", "--backbone", "--flow", "--height", "--epochs"):
        assert option in text
    arguments = [str(moving), str(tmp_path / "out.mp4"), "--masks", str(tmp_path / "masks"), "--alpha", "0.3"]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out.mp4").is_file()
    assert len(masks_of(tmp_path / "masks")) == 4
    assert CliRunner().invoke(command, [*arguments[:2], "--epochs", "0"]).exit_code == 2
