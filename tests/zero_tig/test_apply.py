"""`nocturne apply zero_tig`: files in, files out, bad input answered in one sentence with nothing half-written."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lib.data.images import read_image, write_image
from lib.data.video import read_clip
from lib.errors import DataMissing, LabError, SpecError, Unavailable
from lib.zero_tig import Settings, ZeroTIG, load_weights
from lib.zero_tig.apply import apply


def dark_frame(idx: int) -> torch.Tensor:
    """A smooth picture in little light with noise, (3, 31, 45)."""
    generator = torch.Generator().manual_seed(7)
    still = torch.nn.functional.interpolate(torch.rand(1, 3, 5, 7, generator=generator), size=(31, 45), mode="bicubic")
    noise = 0.01 * torch.randn(3, 31, 45, generator=generator.manual_seed(idx))
    return (0.15 * still[0].clamp(0, 1) + noise).clamp(0, 1)


@pytest.fixture
def dark(tmp_path: Path) -> Path:
    """A folder of three dark pictures."""
    folder = tmp_path / "dark"
    folder.mkdir()
    for idx in range(3):
        write_image(folder / f"{idx:03d}.png", dark_frame(idx))
    return folder


def test_video_and_its_weights(dark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    apply(dark, tmp_path / "out.mp4", epochs=1, crop=24, save=tmp_path / "w.safetensors")
    assert "trained on 3 frames, the central 24 pixels" in capsys.readouterr().err
    clip = read_clip(tmp_path / "out.mp4", max_frames=9)
    assert clip.shape == (3, 3, 32, 46)  # odd sides are filled up for the codec
    assert clip.mean() > 2 * dark_frame(0).mean()
    assert type(load_weights(tmp_path / "w.safetensors")) is ZeroTIG
    apply(dark, tmp_path / "again", epochs=0, weights=str(tmp_path / "w.safetensors"), underwater=True)
    assert len(list((tmp_path / "again").iterdir())) == 3


def test_picture(dark: Path, tmp_path: Path) -> None:
    apply(dark / "000.png", tmp_path / "bright.png", epochs=1)
    assert read_image(tmp_path / "bright.png").mean() > 2 * read_image(dark / "000.png").mean()


@pytest.mark.parametrize("underwater", [False, True])
def test_a_picture_follows_its_own_recipe_and_a_video_that_of_videos(
    underwater: bool, dark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Settings] = []

    def start(settings: Settings, *, weights: str) -> ZeroTIG:
        asked.append(settings)
        raise LabError("seen enough")

    monkeypatch.setattr("lib.zero_tig.apply.fine_tuning_start", start)
    for source, options in (
        (dark / "000.png", {}),
        (dark / "000.png", {"epochs": 3, "learning_rate": 1e-5}),
        (dark, {}),
    ):
        with pytest.raises(LabError, match="seen enough"):
            apply(source, tmp_path / "out.png", underwater=underwater, training_frames=0, crop=0, **options)  # type: ignore[arg-type]
    recipe = Settings.single_picture(underwater=underwater)
    precision = asked[0].precision
    assert asked[0] == replace(recipe, precision=precision)
    assert asked[1] == replace(recipe, precision=precision, epochs=3, learning_rate=1e-5)
    assert asked[2] == Settings(underwater=underwater, precision=precision)


@pytest.mark.parametrize(
    ("source", "out", "options", "error", "sentence"),
    [
        ("dark", "dark", {}, SpecError, "would replace the input"),
        ("absent.mp4", "out.mp4", {}, DataMissing, "absent.mp4"),
        ("dark", "out.xyz", {}, SpecError, ".xyz"),
        ("dark", "out.mp4", {"flow": "spynet"}, SpecError, "flow must be one of"),
        ("dark", "out.mp4", {"weights": "no/such.safetensors"}, DataMissing, "no weights file"),
        ("dark", "out.mp4", {"save": Path("w.pt")}, SpecError, "ends in .safetensors"),
        ("dark/000.png", "out.mp4", {}, SpecError, "a picture's result is a picture"),
        ("dark", "out.mp4", {"flow": "raft", "epochs": 0}, Unavailable, "nocturne weights raft"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    source: str, out: str, options: dict[str, object], error: type[LabError], sentence: str, dark: Path, tmp_path: Path
) -> None:
    before = set(tmp_path.rglob("*"))
    with pytest.raises(error, match=sentence):
        apply(tmp_path / source, tmp_path / out, **options)  # type: ignore[arg-type]
    assert set(tmp_path.rglob("*")) == before
