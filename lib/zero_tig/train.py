"""Training on the frames of one video, in order, one optimiser step a frame, with the state carried (sec. IV)."""

import math
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from lib.data.atomic import appears_whole
from lib.data.cuts import CutDetector
from lib.errors import DataMissing, LabError, SpecError, Unavailable
from lib.show.progress import progress
from lib.zero_tig.losses import losses
from lib.zero_tig.model import State, ZeroIG

ADAM_BETAS = (0.9, 0.999)
SAVE_EVERY_S = 60.0
RUN = 8  # consecutive frames of a video of which only some train


class Diverged(LabError):
    """A loss or a gradient is no longer finite; the message has the step, the total and its parts."""


@dataclass(frozen=True)
class Step:
    """One optimiser step: the weighted losses by name, their sum, and the gradient's norm before clipping."""

    number: int
    total: float
    loss_by_name: dict[str, float]
    gradient_norm: float


class Trainer:
    """Trains a model frame by frame; `save` and `resume` go on as if nothing had happened.

    model: its settings are the trainer's; it is put into training mode and stays on its device.
    """

    def __init__(self, model: ZeroIG) -> None:
        self.model = model.train()
        self.settings = model.settings
        self.optimizer = torch.optim.Adam(
            model.parameters(),
            lr=self.settings.learning_rate,
            betas=ADAM_BETAS,
            weight_decay=self.settings.weight_decay,
        )
        self.state: State | None = None
        self.num_steps = 0
        self.num_epochs = 0
        self.frame_idx = 0  # of the next frame in this epoch
        self.last_frame: Tensor | None = None
        self.cuts = CutDetector()
        self.device = next(model.parameters()).device
        if self.settings.precision == "mixed" and self.device.type != "cuda":
            raise Unavailable(f"mixed precision needs a GPU: the model is on {self.device}; take precision='full'")
        if self.settings.compile_networks:
            for network in (model.denoiser, model.illuminator, model.reflector):
                network.compile()
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.settings.precision == "mixed")

    def fit(self, frames: Iterable[Tensor], *, total: int | None = None, checkpoint: Path | None = None) -> list[Step]:
        """All epochs of the settings over the frames, with progress; after `resume` those that are left.

        frames: images (3, H, W), 0..1, iterable again for each epoch. total: their number; where it is not known, the
        setting `training_frames` takes the first ones. checkpoint: file for `resume`, written every minute and at the
        end.
        Raises DataMissing without a frame, ShapeError for a bad one, Diverged when a loss is not finite.
        """
        run, period = self._runs(total)
        left = None
        if total:
            per_epoch, done = (sum(idx % period < run for idx in range(end)) for end in (total, self.frame_idx))
            left = per_epoch * (self.settings.epochs - self.num_epochs) - done
        chosen = progress(self._remaining(frames, run, period), total=left, label="training steps")
        steps = []
        saved_s = time.monotonic()
        for frame in chosen:
            steps.append(self.step(frame))
            if checkpoint is not None and time.monotonic() - saved_s > SAVE_EVERY_S:
                self.save(checkpoint)
                saved_s = time.monotonic()
        if checkpoint is not None:
            self.save(checkpoint)
        return steps

    def _runs(self, total: int | None) -> tuple[int, int]:
        """(run, period): frames train whose number is below `run` in each `period`; (1, 1) for all of them."""
        limit = self.settings.training_frames
        if not limit or (total is not None and total <= limit):
            return 1, 1
        if total is None:
            return limit, sys.maxsize
        run = min(RUN, limit)
        return run, total * run // limit

    def _remaining(self, frames: Iterable[Tensor], run: int, period: int) -> Iterator[Tensor]:
        while self.num_epochs < self.settings.epochs:
            seen = 0
            for seen, frame in enumerate(frames, start=1):
                if seen <= self.frame_idx:
                    continue
                self.frame_idx = seen
                if run < period and (seen - 1) % period == 0:
                    self.state = None
                if (seen - 1) % period < run:
                    yield self._cropped(frame)
            if seen == 0:
                raise DataMissing("training needs at least one frame: the video has none")
            self.end_epoch()

    def _cropped(self, frame: Tensor) -> Tensor:
        """The centre of the frame that training sees."""
        size = self.settings.crop_px
        if not size:
            return frame
        top, left = (max(0, side - size) // 2 for side in frame.shape[-2:])
        return frame[..., top : top + size, left : left + size]

    def end_epoch(self) -> None:
        """The next frame is the first of the video again: the state starts anew."""
        self.num_epochs += 1
        self.frame_idx = 0
        self.state = self.last_frame = None
        self.cuts = CutDetector()

    def step(self, frame: Tensor) -> Step:
        """One frame (3, H, W), 0..1: forward, losses, clipped Adam step, and its result as the next frame's state.

        Raises Diverged, with model and optimiser as they were, when a loss or the gradient is not finite.
        """
        frame = frame.to(self.device)
        if self.settings.cut_detection and self.cuts(frame):
            self.state = None
        with self._autocast():
            trace = self.model.training_pass(frame[None], self.state)
        by_name = losses(trace, self.settings)
        total: Tensor = torch.stack(list(by_name.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(total).backward()
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        values = {name: value.item() for name, value in by_name.items()}
        self._check(values, total.item(), norm.item())
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.state, self.last_frame = trace.full.state, frame
        self.num_steps += 1
        return Step(self.num_steps, total.item(), values, norm.item())

    def _autocast(self) -> AbstractContextManager[None]:
        return torch.autocast(self.device.type, dtype=torch.float16, enabled=self.settings.precision == "mixed")

    def _check(self, values: dict[str, float], total: float, norm: float) -> None:
        # in mixed precision the scaler skips a step whose gradient overflowed, and tries a smaller scale
        if math.isfinite(total) and (math.isfinite(norm) or self.scaler.is_enabled()):
            return
        parts = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        raise Diverged(
            f"training stopped at step {self.num_steps + 1}: total loss {total:.4g}, gradient norm {norm:.4g} "
            f"({parts}); the weights are as after the step before; take a smaller learning_rate"
        )

    def save(self, path: Path) -> None:
        """Checkpoint of everything that the next step depends on; appears whole or not at all."""
        held: dict[str, Any] = {
            "kind": type(self.model).__name__,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "state": None if self.state is None else [self.state.reflectance, self.state.illumination],
            "last_frame": self.last_frame,
            "counts": [self.num_steps, self.num_epochs, self.frame_idx],
        }
        with appears_whole(path) as part:
            torch.save(held, part)

    def resume(self, path: Path) -> None:
        """Goes on from a checkpoint of `save`, to the same result as without the break.

        Raises DataMissing for an unreadable file, SpecError for a checkpoint of the other model or of something else.
        """
        try:
            held = torch.load(path, map_location=self.device, weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
            raise DataMissing(f"{path} is no readable training checkpoint: give a file of Trainer.save") from error
        kind = held.get("kind", "something else") if isinstance(held, dict) else "something else"
        if kind != type(self.model).__name__:
            raise SpecError(f"{path} must be a training checkpoint of {type(self.model).__name__}: it holds {kind}")
        self.model.load_state_dict(held["model"])
        self.optimizer.load_state_dict(held["optimizer"])
        self.scaler.load_state_dict(held["scaler"])
        self.state = None if held["state"] is None else State(*held["state"])
        self.cuts, self.last_frame = CutDetector(), held["last_frame"]
        if self.last_frame is not None:
            self.cuts(self.last_frame)
        self.num_steps, self.num_epochs, self.frame_idx = held["counts"]
