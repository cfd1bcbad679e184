"""The five papers' `apply` on tiny footage with fast settings, and how to stop a run where one likes."""

import importlib
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.data.images import write_image
from lib.data.video import open_video
from lib.footage import Run

NUM_FRAMES = 5
PART_FRAMES = 2


@dataclass(frozen=True)
class Paper:
    """One paper's command: options that its footage needs, and results beside OUT by option."""

    name: str
    frame: Callable[[int], Tensor]
    options: dict[str, Any] = field(default_factory=dict)
    beside: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[Path], dict[str, Any]] = lambda folder: {}

    def __str__(self) -> str:
        return self.name

    @property
    def apply(self) -> Callable[..., None]:
        """The command as a function."""
        apply: Callable[..., None] = importlib.import_module(f"lib.{self.name}.apply").apply
        return apply

    def footage(self, folder: Path, *, num_frames: int = NUM_FRAMES) -> Path:
        """A folder of pictures."""
        folder.mkdir()
        for idx in range(num_frames):
            write_image(folder / f"{idx}.png", self.frame(idx))
        return folder

    def results(self, folder: Path) -> dict[str, Path]:
        """Where results beside OUT go, in a folder."""
        return {option: folder / name for option, name in self.beside.items()}


def _random(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def night(idx: int) -> Tensor:
    """A dark view of 24x32 with a light that moves."""
    frame = 0.1 * day()
    frame[:, 8:14, 3 * idx : 3 * idx + 6] = 0.8
    return frame


def day() -> Tensor:
    """The same view by day."""
    return 0.3 + 0.5 * _random(0, 3, 24, 32)


def dark(idx: int) -> Tensor:
    """A smooth picture of 31x45 in little light, with noise."""
    still = F.interpolate(_random(7, 1, 3, 5, 7), size=(31, 45), mode="bicubic")[0].clamp(0, 1)
    return (0.15 * still + 0.02 * _random(idx, 3, 31, 45)).clamp(0, 1)


def moving(idx: int) -> Tensor:
    """A textured block that moves by 3 pixels a frame over a textured ground, 65x97."""
    ground, block = (_random(seed, 3, 65, 97).round() for seed in (0, 1))
    inside = torch.zeros(65, 97, dtype=torch.bool)
    inside[16:48, 24 + 3 * idx : 56 + 3 * idx] = True
    return torch.where(inside, 0.4 + 0.6 * block.roll(3 * idx, 2), 0.5 * ground)


def spots(idx: int) -> Tensor:
    """Two spots that pass one another, on noise, 96x112."""
    rows, columns = torch.arange(96)[:, None] + 0.5, torch.arange(112) + 0.5
    picture = 0.4 + 0.01 * _random(idx, 96, 112)
    for x, y in ((30 + 1.3 * idx, 40 - 0.7 * idx), (44 - 1.1 * idx, 36.0)):
        picture = picture + 0.2 * torch.exp(-((columns - x).square() + (rows - y).square()) / 2)
    return picture.expand(3, -1, -1)


def _day_picture(folder: Path) -> dict[str, Any]:
    write_image(folder / "day.png", day())
    return {"day": folder / "day.png"}


def _segmenter(folder: Path) -> dict[str, Any]:
    from lib.context_reg.networks import NetworkSettings, build_network, save_network

    settings = NetworkSettings(host="fcn32s", num_classes=3, width=1, padding="head", class_names=("a", "b", "c"))
    torch.manual_seed(0)
    save_network(build_network(settings), settings, folder / "network.safetensors")
    return {"weights": str(folder / "network.safetensors")}


PAPERS = [
    Paper("context_fusion", night, {"passes": 1, "half_window": 1}, prepare=_day_picture),
    Paper("zero_tig", dark, {"epochs": 1, "crop": 24}, {"save": "w.safetensors"}),
    Paper("fodvid", moving, {}, {"masks": "masks"}),
    Paper("fodvid", moving, {"refine_masks": True, "epochs": 2}, {"masks": "masks"}),
    Paper("ir_tracking", spots, {"find": 2}, {"tracks": "tracks.csv"}),
    Paper("context_reg", spots, {}, {"labels": "labels"}, _segmenter),
    Paper("context_reg", spots, {"clean": True}, {"labels": "labels"}, _segmenter),
]
ONE_EACH = [paper for paper in PAPERS if not {"refine_masks", "clean"} & paper.options.keys()]


@contextmanager
def stopped(monkeypatch: pytest.MonkeyPatch, *, before_result: int) -> Iterator[None]:
    """SIGINT, as of Ctrl-C, before the result of this number, from 0 on, is taken."""
    real = Run.write

    def write(run: Run, *arguments: Any, **options: Any) -> None:
        if run.idx == before_result:
            signal.raise_signal(signal.SIGINT)
        real(run, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "write", write)
        with pytest.raises(KeyboardInterrupt):
            yield


def frames_of(path: Path) -> list[tuple[float, torch.Tensor]]:
    with open_video(path) as reader:
        return list(reader.timed())


def assert_same(one: Path, two: Path, paper: Paper) -> None:
    """OUT and what is beside it, in two folders."""
    for name in ("out.mp4", *paper.beside.values()):
        first, second = ([path / name, *sorted((path / name).glob("*"))] for path in (one, two))
        assert [path.name for path in first] == [path.name for path in second]
        assert [path.read_bytes() for path in first if path.is_file()] == [
            path.read_bytes() for path in second if path.is_file()
        ]
    first_frames, second_frames = frames_of(one / "out.mp4"), frames_of(two / "out.mp4")
    assert len(first_frames) == NUM_FRAMES
    for (time_s, frame), (other_s, other) in zip(first_frames, second_frames, strict=True):
        assert time_s == other_s
        assert torch.equal(frame, other)
