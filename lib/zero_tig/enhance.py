"""A video enhanced from end to end: train on its own frames, then stream it through the trained model."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from lib.data.cuts import CutDetector
from lib.show.progress import progress
from lib.zero_tig.model import Enhancement, State, ZeroIG, ZeroTIG
from lib.zero_tig.settings import Settings
from lib.zero_tig.train import Step, Trainer
from lib.zero_tig.weights import SHIPPED, inflate, load_weights


class Enhancer:
    """Streams frames through a trained model; keeps one state, which starts anew at a scene change.

    model: is put into evaluation mode, so that batch norm takes its running statistics.
    """

    def __init__(self, model: ZeroIG) -> None:
        self.model = model.eval()
        self.state: State | None = None
        self.cuts = CutDetector()
        self.device = next(model.parameters()).device

    def __call__(self, frame: Tensor) -> Enhancement:
        """The next frame (3, H, W), 0..1, taken apart; each field (1, 3, H, W) on the model's device.

        Raises ShapeError for a wrong frame; the state is then as before.
        """
        frame = frame.to(self.device)
        if self.cuts(frame) and self.model.settings.cut_detection:
            self.state = None
        half = self.model.settings.precision == "mixed"
        with torch.inference_mode(), torch.autocast(self.device.type, dtype=torch.float16, enabled=half):
            result: Enhancement = self.model(frame[None], self.state)
        self.state = result.state
        return result

    def resume(self, last: Tensor, state: State | None) -> None:
        """Goes on after the frame `last` (3, H, W), 0..1, that left this state, as if nothing had happened."""
        self.cuts = CutDetector()
        self.cuts(last.to(self.device))
        self.state = state

    def stream(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """The enhanced image (3, H, W), 1e-4..1, of each frame."""
        for frame in frames:
            yield self(frame).reflectance[0]


def enhance_video(
    frames: Iterable[Tensor],
    *,
    settings: Settings | None = None,
    start: ZeroIG | None = None,
    total: int | None = None,
    on_trained: Callable[[ZeroIG, list[Step]], None] | None = None,
) -> Iterator[Tensor]:
    """Trains on the frames of one video, then gives each of them enhanced, (3, H, W), one at a time.

    frames: images (3, H, W), 0..1, iterable again for each epoch, such as a VideoReader; total: their number, for the
    progress bar and for `training_frames`. start: the model that training goes on from, in place and under its own
    settings; None takes the shipped, pre-trained Zero-TIG (recipe "pretrain + fine-tune").
    `ZeroTIG(settings)` is the recipe "single"; epochs=0 only applies `start`.
    on_trained: gets the model and the steps before the first image comes out.
    Raises what Trainer.fit and Enhancer raise.
    """
    model = start if start is not None else fine_tuning_start(settings)
    steps = Trainer(model).fit(frames, total=total) if model.settings.epochs else []
    if on_trained is not None:
        on_trained(model, steps)
    yield from progress(Enhancer(model).stream(frames), total=total, label="frames")


def fine_tuning_start(settings: Settings | None = None, *, weights: str = SHIPPED) -> ZeroTIG:
    """A Zero-TIG to fine-tune: weights of Zero-TIG as they are, those of Zero-IG with zeros on the temporal inputs."""
    model = load_weights(weights, settings=settings)
    return model if isinstance(model, ZeroTIG) else inflate(model)
