"""Trained networks as files, what they say about a picture, and `nocturne apply context_reg`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

import lib.footage.run
from lib.context_reg.apply import apply
from lib.context_reg.networks import LoadedNetwork, NetworkSettings, build_network, load_network, save_network
from lib.context_reg.segment import segment_image, segment_video
from lib.data.images import read_image, write_image
from lib.errors import DataMissing, LabError, ShapeError, SpecError
from lib.show.labels import class_colours
from tests.footage.papers import stopped

SETTINGS = NetworkSettings(
    host="fcn32s", num_classes=3, width=1, padding="head", class_names=("ground", "square", "sky")
)


class Brightest(nn.Module):
    """A network whose best class is the largest of the three colours."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(10.0))

    def forward(self, image: Tensor) -> Tensor:
        return self.scale * image


@pytest.fixture
def brightest(monkeypatch: pytest.MonkeyPatch) -> LoadedNetwork:
    """That network in place of a file's."""
    loaded = LoadedNetwork(Brightest(), SETTINGS)
    monkeypatch.setattr("lib.context_reg.apply.load_network", lambda _source: loaded)
    return loaded


def coloured(labels: Tensor) -> Tensor:
    """Picture (3, H, W) whose largest colour at each pixel is the label's."""
    return torch.nn.functional.one_hot(labels, 3).permute(2, 0, 1) * 0.6 + 0.2


LABELS = torch.arange(33)[:, None].div(11, rounding_mode="floor").expand(33, 47)


@pytest.mark.parametrize(
    "settings",
    [
        SETTINGS,
        NetworkSettings(host="segnet", num_classes=2, width=1, channels="hha"),
        NetworkSettings(host="fcn32s", num_classes=2, width=1, channels="rgb+hha", padding="head"),
        NetworkSettings(host="deeplabv3", num_classes=4),
    ],
)
def test_a_file_gives_the_network_back(settings: NetworkSettings, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_network(settings).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.05)
    save_network(network, settings, tmp_path / "network.safetensors")
    loaded = load_network(tmp_path / "network.safetensors")
    assert loaded.settings == settings
    assert not loaded.network.training
    picture = torch.rand(1, 6 if settings.channels == "rgb+hha" else 3, 40, 48)
    with torch.no_grad():
        assert torch.equal(loaded.network(picture), network(picture))


def test_files_of_something_else_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"features.0.weight": torch.zeros(1)}, tmp_path / "vgg.safetensors")
    with pytest.raises(LabError, match="segmentation network"):
        load_network(tmp_path / "vgg.safetensors")
    with pytest.raises(DataMissing, match="no weights file"):
        load_network(tmp_path / "absent.safetensors")


def test_segmenting_pictures_and_videos(brightest: LoadedNetwork, device: torch.device) -> None:
    image = coloured(LABELS).to(device)
    found = segment_image(brightest, image)
    assert torch.equal(found.labels.cpu(), LABELS)
    # softmax of 10 x (0.8, 0.2, 0.2)
    expected = torch.tensor([8.0, 2.0, 2.0]).softmax(0)[0].item()
    torch.testing.assert_close(found.confidence.cpu(), torch.full((33, 47), expected), rtol=1e-4, atol=0)
    videos = list(segment_video(brightest, [image, image.flip(-2)]))
    assert torch.equal(videos[1].labels.cpu(), LABELS.flip(0))


def test_a_network_for_hha_asks_for_it() -> None:
    for channels, width in (("hha", 3), ("rgb+hha", 6)):
        settings = NetworkSettings(host="fcn32s", num_classes=2, width=1, padding="head", channels=channels)
        loaded = LoadedNetwork(build_network(settings), settings)
        image = torch.rand(3, 20, 30)
        with pytest.raises(DataMissing, match="hha"):
            segment_image(loaded, image)
        with pytest.raises(ShapeError, match="hha"):
            segment_image(loaded, image, hha=image[:, 1:])
        assert segment_image(loaded, image, hha=image).labels.shape == (20, 30), width
    with pytest.raises(ShapeError, match=r"0\.\.1"):
        segment_image(LoadedNetwork(build_network(SETTINGS), SETTINGS), 255 * image)


def test_apply_draws_a_picture(brightest: LoadedNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / "in.png", coloured(LABELS))
    apply(tmp_path / "in.png", tmp_path / "out.png", weights="any", strength=1.0)
    drawn = read_image(tmp_path / "out.png")
    torch.testing.assert_close(drawn, class_colours(3)[LABELS].permute(2, 0, 1), rtol=0, atol=0.5 / 255)
    said = capsys.readouterr().out.splitlines()
    assert said == [str(tmp_path / "out.png"), "ground 33 %, square 33 %, sky 33 %"]


def test_apply_writes_labels_of_each_frame_at_its_size(brightest: LoadedNetwork, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for idx in range(3):
        write_image(folder / f"{idx}.png", coloured(LABELS.roll(11 * idx, 0)))
    apply(folder, tmp_path / "out", weights="any", labels=tmp_path / "labels", height=11)
    paths = sorted((tmp_path / "labels").iterdir())
    assert [path.name for path in paths] == ["00000.png", "00001.png", "00002.png"]
    for idx, path in enumerate(paths):
        labels = torch.from_numpy(np.array(Image.open(path)).astype(np.int64))
        assert (labels == LABELS.roll(11 * idx, 0)).float().mean() > 0.9  # three rows became one and three again
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_apply_sees_frames_as_high_as_what_the_network_learnt_from(
    brightest: LoadedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless a height is said; 0 is the picture's own."""
    loaded = LoadedNetwork(brightest.network, replace(SETTINGS, seen_px=11))
    monkeypatch.setattr("lib.context_reg.apply.load_network", lambda _source: loaded)
    seen: list[int] = []
    monkeypatch.setattr(
        "lib.context_reg.apply.segment_image",
        lambda one, image, **options: seen.append(image.shape[1]) or segment_image(one, image, **options),
    )
    write_image(tmp_path / "in.png", coloured(LABELS))
    for number, height in enumerate((None, 22, 0)):
        apply(tmp_path / "in.png", tmp_path / f"{number}.png", weights="any", height=height)
    assert seen == [11, 22, 33]


@pytest.fixture
def crumbed(brightest: LoadedNetwork) -> tuple[Tensor, Tensor]:
    """Picture and labels as found in it: a row of crumbs in the middle band, whose colour the picture hardly tells."""
    nn.init.constant_(brightest.network.scale, 100)
    image, found = coloured(LABELS).contiguous(), LABELS.clone()
    image[2, LABELS == 1] = 0.79
    image[2, 16, 10:30] = 0.81
    found[16, 10:30] = 2
    return image, found


def test_cleaning_takes_crumbs_and_keeps_what_the_picture_shows(
    brightest: LoadedNetwork, crumbed: tuple[Tensor, Tensor], device: torch.device
) -> None:
    image, found = crumbed
    before = segment_image(brightest, image.to(device))
    after = segment_image(brightest, image.to(device), clean=True)
    assert torch.equal(before.labels.cpu(), found)
    assert torch.equal(after.labels.cpu(), LABELS)
    assert after.confidence.device == after.labels.device == before.labels.device
    assert after.confidence[16, 20] > before.confidence[16, 20]


def test_apply_cleans_what_it_draws_writes_counts_and_shows_ahead(
    crumbed: tuple[Tensor, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, found = crumbed
    folder = tmp_path / "in"
    folder.mkdir()
    write_image(folder / "0.png", image)
    for clean, expected in ((False, found), (True, LABELS)):
        name = f"clean {clean}"
        apply(folder, tmp_path / name, weights="any", strength=1.0, labels=tmp_path / f"{name} labels", clean=clean)
        drawn = read_image(tmp_path / name / "frame_000001.png")
        colours = class_colours(3)[expected].permute(2, 0, 1)
        torch.testing.assert_close(drawn, colours, rtol=0, atol=0.5 / 255)
        labels = np.array(Image.open(tmp_path / f"{name} labels" / "00000.png"))
        assert np.array_equal(labels, expected.numpy())
        apply(folder, tmp_path / f"{name}.png", weights="any", strength=1.0, preview=True, clean=clean)
        shown = read_image(tmp_path / f"{name}.preview.png")[:, -33:, -47:]
        torch.testing.assert_close(shown, colours, rtol=0, atol=0.5 / 255)
        share = 100 * (expected == 2).float().mean()
        assert f"sky {share:.0f} %" in capsys.readouterr().out


def test_an_interrupted_run_is_not_gone_on_with_when_only_one_of_them_cleans(
    crumbed: tuple[Tensor, Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(lib.footage.run, "PART_FRAMES", 1)
    folder = tmp_path / "in"
    folder.mkdir()
    for idx in range(2):
        write_image(folder / f"{idx}.png", crumbed[0])
    with stopped(monkeypatch, before_result=1):
        apply(folder, tmp_path / "out", weights="any")
    apply(folder, tmp_path / "out", weights="any", labels=tmp_path / "labels", clean=True)
    assert "clean is now True, was False" in capsys.readouterr().err
    for path in (tmp_path / "labels").iterdir():
        assert np.array_equal(np.array(Image.open(path)), LABELS.numpy())


def test_apply_through_the_command_line(tmp_path: Path) -> None:
    network = build_network(SETTINGS)
    save_network(network, SETTINGS, tmp_path / "network.safetensors")
    write_image(tmp_path / "in.png", torch.rand(3, 20, 30))
    app = typer.Typer()
    app.command()(apply)
    weights = str(tmp_path / "network.safetensors")
    result = CliRunner().invoke(app, [str(tmp_path / "in.png"), str(tmp_path / "out.jpg"), "--weights", weights])
    assert result.exit_code == 0, result.output
    assert read_image(tmp_path / "out.jpg").shape == (3, 20, 30)
    shipped = CliRunner().invoke(app, [str(tmp_path / "in.png"), str(tmp_path / "two.jpg")])
    assert shipped.exit_code == 0, shipped.output
    assert "%" in shipped.output


def test_apply_answers_bad_input_and_leaves_nothing(brightest: LoadedNetwork, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for idx in range(2):
        write_image(folder / f"{idx}.png", torch.rand(3, 8, 9))
    calls: list[tuple[dict[str, Any], str]] = [
        ({"out": folder}, "replace the input"),
        ({"out": tmp_path / "out.png"}, "one picture"),
        ({"out": tmp_path / "out", "labels": folder}, "replace the input"),
        ({"out": tmp_path / "out", "labels": tmp_path / "out"}, "replace the result"),
        ({"out": tmp_path / "out.txt"}, "ends in"),
    ]
    for arguments, said in calls:
        with pytest.raises(SpecError, match=said):
            apply(folder, weights="any", **arguments)
    with pytest.raises(DataMissing, match="does not exist"):
        apply(tmp_path / "absent.mp4", tmp_path / "out.mp4", weights="any")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"host": "unet"}, "fcn32s, segnet, deeplabv3"),
        ({"host": "segnet", "channels": "rgb+hha"}, "fusion"),
        ({"host": "deeplabv3", "channels": "hha"}, "RGB alone"),
        ({"class_names": ("a",)}, "3 names"),
    ],
)
def test_bad_network_settings(change: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        NetworkSettings(**{"num_classes": 3, **change})


def test_deeplab_has_no_vgg() -> None:
    with pytest.raises(SpecError, match="VGG-16"):
        build_network(NetworkSettings(host="deeplabv3", num_classes=3), vgg="auto")
