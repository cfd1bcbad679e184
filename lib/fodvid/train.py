"""Training of the segmentation network on coarse masks (sec. 2.2, Algorithm 1), on one device or several.

Per sequence: `train_segmenter([clip], ...)` for each; per set: all its clips in one call.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Self, get_args

import torch
from torch import Generator, Tensor

from lib.errors import DataMissing, LabError, ShapeError, SpecError, Unavailable
from lib.features import STAND_INS
from lib.fodvid.checkpointing import check_same_training, read_training, write_training
from lib.fodvid.clips import Clip, PreparedClip, prepare, upsampling_of
from lib.fodvid.network import MODULATIONS, Modulation, SegmentationNetwork
from lib.fodvid.spade import Norm
from lib.fodvid.temporal import OFFSETS, SAME_FRAME, draw_offset, temporal_loss, visible
from lib.show.progress import progress

Precision = Literal["full", "bf16"]
ADAM_BETAS = (0.9, 0.999)  # sec. 3.1
# how fabric calls them
FABRIC_PRECISION: dict[Precision, Literal["32-true", "bf16-mixed"]] = {"full": "32-true", "bf16": "bf16-mixed"}


class Diverged(LabError):
    """A loss or a gradient is no longer finite; the message has the step, the total and its parts."""


@dataclass(frozen=True)
class SegmenterSettings:
    """The network and its training. Defaults: the paper's, with SPADE's published decoder where it is silent."""

    size: tuple[int, int] = (256, 512)  # height, width; sec. 3.1
    width: int = 64  # SPADE's nf; the paper doesn't say
    max_channels: int = 1024  # of the decoder's trunk, 16 nf in SPADE
    modulation: Modulation = "features"  # Choice: what guides SPADE's norms; "image" adds edges to weak features
    modulation_width: int = 128  # SPADE
    norm: Norm = "batch"  # SPADE
    spectral: bool = True  # SPADE
    upsampling: int = 0  # by the decoder, the rest is bilinear; 0: up to the training size

    warp_probability: float = 0.5  # Algorithm 1; 0: direct distillation
    offsets: tuple[int, ...] = OFFSETS  # Algorithm 1
    occlusion_mask: bool = False  # only pixels seen in both frames count in the warped half; not in the paper

    epochs: int = 200  # sec. 3.1
    batch_size: int = 16  # sec. 3.1; over all devices
    learning_rate: float = 1e-4  # sec. 3.1
    final_rate: float = 1.0  # share of the learning rate that is left at the end, along a cosine; 1: constant
    seed: int = 0  # of the first weights and of every draw
    precision: Precision = "full"  # "bf16": the network in 16 bits where that is safe, losses in float32
    device: str = "auto"
    num_devices: int = 1  # above 1: the same training shared out, with distributed data parallel

    def __post_init__(self) -> None:
        for name, choices in (
            ("modulation", MODULATIONS),
            ("norm", get_args(Norm)),
            ("precision", get_args(Precision)),
        ):
            if getattr(self, name) not in choices:
                raise SpecError(f"{name} must be one of {', '.join(choices)}: got {getattr(self, name)!r}")
        lowest = {
            "width": 1,
            "max_channels": 1,
            "modulation_width": 1,
            "upsampling": 0,
            "epochs": 0,
            "batch_size": 1,
            "num_devices": 1,
        }
        for name, low in lowest.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise SpecError(f"{name} must be a whole number of at least {low}: got {value!r}")
        if len(self.size) != 2 or min(self.size) < 1:
            raise SpecError(f"size must be (height, width) of at least one pixel: got {self.size!r}")
        if not 0 <= self.warp_probability <= 1:
            raise SpecError(f"warp_probability must lie within 0..1: got {self.warp_probability!r}")
        if SAME_FRAME in self.offsets or len(set(self.offsets)) != len(self.offsets):
            raise SpecError(f"offsets must be different whole numbers without 0: got {self.offsets!r}")
        if not 0 < self.learning_rate < math.inf:
            raise SpecError(f"learning_rate must be above 0 and finite: got {self.learning_rate!r}")
        if not 0 <= self.final_rate <= 1:
            raise SpecError(f"final_rate must lie within 0..1: got {self.final_rate!r}")
        if self.batch_size % self.num_devices:
            raise SpecError(f"batch_size must be a multiple of num_devices, {self.num_devices}: got {self.batch_size}")

    @classmethod
    def paper(cls) -> Self:
        """Sec. 3.1: 256x512, Adam at 1e-4, 200 epochs, batches of 16, on four GPUs in bf16 (Choice: the precision)."""
        return cls(precision="bf16", device="cuda", num_devices=4)

    @classmethod
    def small(cls) -> Self:
        """Some minutes a sequence on one CPU core: a narrow decoder, guided by the image, on small frames."""
        return cls(
            size=(120, 216), width=4, max_channels=32, modulation="image", modulation_width=8, spectral=False,
            upsampling=2, epochs=15, batch_size=4, learning_rate=2e-3, final_rate=0.1,
        )  # fmt: skip


def recipe_for(backbone: str, *, epochs: int, seed: int = 0, device: str = "auto") -> SegmenterSettings:
    """The training that goes with a backbone: the paper's for DINO, on one device; the small one for a stand-in."""
    base = SegmenterSettings.small() if backbone in STAND_INS else SegmenterSettings()
    return replace(base, epochs=epochs, seed=seed, device=device)


@dataclass(frozen=True)
class Step:
    """One optimiser step: its number from 1 on, the loss, and what of it came from the frame itself and from warps."""

    number: int
    total: float
    loss_by_name: dict[str, float]


@dataclass(frozen=True)
class Draw:
    """One training sample: clip, frame, and the offset of the frame whose mask it answers to."""

    clip_idx: int
    frame: int
    offset: int


@dataclass(frozen=True)
class Trained:
    """The trained network in evaluation mode, on the CPU or the training's one device, and the steps of this call."""

    network: SegmentationNetwork
    steps: tuple[Step, ...]
    settings: SegmenterSettings


def train_segmenter(
    clips: Sequence[Clip], *, settings: SegmenterSettings | None = None, checkpoint: str | Path | None = None
) -> Trained:
    """One network, trained on all frames of all clips by Algorithm 1; same settings and clips, same network.

    Features, images and flows are read before the first step and kept in memory: an epoch costs the decoder alone.
    checkpoint: file that is written after every epoch, whole or not at all; where it exists, training goes on from it
    to the same result as without the break.
    Raises DataMissing without a clip or a mask that can teach, ShapeError for clips that don't fit, Unavailable for a
    device that isn't here, Diverged when a loss is not finite.
    """
    settings = settings or SegmenterSettings()
    prepared = prepare_all(clips, settings)
    path = None if checkpoint is None else Path(checkpoint)
    fabric = make_fabric(settings)
    if settings.num_devices > 1:
        return _launch(fabric, prepared, settings, path)
    return _run(fabric, prepared, settings, path)


def prepare_all(clips: Sequence[Clip], settings: SegmenterSettings) -> list[PreparedClip]:
    """Clips on the training grid, their sources read once; all must have features of one shape."""
    if not clips:
        raise DataMissing("training needs at least one clip: got none")
    offsets = settings.offsets if settings.warp_probability > 0 else ()
    prepared = [
        prepare(
            clip,
            size=settings.size,
            offsets=offsets,
            needs_images=settings.modulation == "image",
            upsampling=settings.upsampling,
            both_ways=settings.occlusion_mask,
        )
        for clip in clips
    ]
    first = prepared[0]
    for other in prepared[1:]:
        if other.features.shape[1:] != first.features.shape[1:]:
            raise ShapeError(
                f"clips must have features of one shape: got {tuple(first.features.shape[1:])} for {first.name} and "
                f"{tuple(other.features.shape[1:])} for {other.name}; resize the frames to one size first"
            )
    return prepared


def make_fabric(settings: SegmenterSettings) -> Any:
    """lightning-fabric's handle on devices, precision and data parallelism; several devices share a launch."""
    from lightning_fabric import Fabric

    import lib

    device = lib.device(settings.device)
    if device.type == "cuda" and torch.cuda.device_count() < settings.num_devices:
        raise Unavailable(f"{settings.num_devices} GPUs are not on this machine: it has {torch.cuda.device_count()}")
    return Fabric(
        accelerator=device.type,
        devices=settings.num_devices if device.index is None else [device.index],
        # processes that start anew, because the features have woken the GPU already
        strategy="ddp_spawn" if settings.num_devices > 1 else "auto",
        precision=FABRIC_PRECISION[settings.precision],
    )


def _run(fabric: Any, clips: list[PreparedClip], settings: SegmenterSettings, checkpoint: Path | None) -> Trained:
    trainer = SegmenterTrainer(clips, settings=settings, fabric=fabric)
    if checkpoint is not None and checkpoint.is_file():
        trainer.resume(checkpoint)
    steps = trainer.fit(checkpoint)
    return Trained(trainer.network.eval(), tuple(steps), settings)


def _launch(fabric: Any, clips: list[PreparedClip], settings: SegmenterSettings, checkpoint: Path | None) -> Trained:
    """`_run` in one process per device; the result comes back as a file, since fabric's queue holds 64 KiB only."""
    with TemporaryDirectory() as folder:
        result = Path(folder) / "result.pt"
        # bound, because fabric looks into arguments and refuses frozen dataclasses there
        fabric.launch(partial(_run_shared, clips=clips, settings=settings, checkpoint=checkpoint, result=result))
        held = torch.load(result, map_location="cpu", weights_only=True)
    network = build_network(clips, settings)
    network.load_state_dict(held["network"])
    return Trained(network.eval(), tuple(Step(*one) for one in held["steps"]), settings)


def _run_shared(
    fabric: Any, *, clips: list[PreparedClip], settings: SegmenterSettings, checkpoint: Path | None, result: Path
) -> None:
    trained = _run(fabric, clips, settings, checkpoint)
    if fabric.is_global_zero:
        torch.save({"network": trained.network.state_dict(), "steps": [astuple(one) for one in trained.steps]}, result)


class SegmenterTrainer:
    """Trains a network step by step; `save` and `resume` go on as if nothing had happened.

    clips: of `prepare_all`. fabric: of `make_fabric`, launched where it has several devices.
    Raises DataMissing where no mask may teach.
    """

    def __init__(self, clips: Sequence[PreparedClip], *, settings: SegmenterSettings, fabric: Any) -> None:
        self.clips, self.settings, self.fabric = clips, settings, fabric
        if not any(any(clip.trusted) for clip in clips):
            raise DataMissing("training needs a mask that can teach: all masks are empty, full or not trusted")
        self.network = build_network(clips, settings)
        module = self.network
        if settings.num_devices > 1 and fabric.device.type == "cuda":
            module = torch.nn.SyncBatchNorm.convert_sync_batchnorm(module)
        optimizer = torch.optim.Adam(module.parameters(), lr=settings.learning_rate, betas=ADAM_BETAS)
        self.module, self.optimizer = fabric.setup(module, optimizer)
        self.module.train()
        self.num_steps = self.num_epochs = self.batch_idx = 0

    def fit(self, checkpoint: Path | None = None) -> list[Step]:
        """The epochs that are left, with progress; `checkpoint` is written after each."""
        left = self.settings.epochs - self.num_epochs
        steps: list[Step] = []
        epochs: Any = range(left)
        if self.fabric.is_global_zero:
            epochs = progress(epochs, label="training epochs")
        for _ in epochs:
            steps.extend(self.epoch())
            if checkpoint is not None:
                self.save(checkpoint)
        return steps

    def epoch(self) -> Iterator[Step]:
        """What is left of the present epoch, step by step."""
        batches = self.batches()
        for batch in batches[self.batch_idx :]:
            self._set_rate((self.num_epochs + self.batch_idx / len(batches)) / self.settings.epochs)
            self.batch_idx += 1
            yield self.step(batch)
        self.num_epochs, self.batch_idx = self.num_epochs + 1, 0

    def _set_rate(self, progressed: float) -> None:
        """Learning rate when this share of the training is done."""
        final = self.settings.final_rate
        share = final + (1 - final) * (1 + math.cos(math.pi * progressed)) / 2
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * share

    def batches(self) -> list[list[Draw]]:
        """This device's part of the present epoch's batches: every frame that something can teach, once, shuffled.

        All draws come from the seed and the epoch's number, so that they are the same on every device and after a
        break. Where a batch can't be shared evenly, its first samples are taken twice.
        """
        generator = Generator().manual_seed(self.settings.seed * 1_000_003 + self.num_epochs + 1)
        draws = []
        for clip_idx, clip in enumerate(self.clips):
            for frame in range(len(clip.trusted)):
                offset = draw_offset(
                    frame,
                    clip.trusted,
                    generator=generator,
                    warp_probability=self.settings.warp_probability,
                    offsets=clip.offsets,
                )
                if offset is not None:
                    draws.append(Draw(clip_idx, frame, offset))
        order = torch.randperm(len(draws), generator=generator).tolist()
        size, rank, world = self.settings.batch_size, self.fabric.global_rank, self.fabric.world_size
        batches = []
        for start in range(0, len(order), size):
            batch = [draws[idx] for idx in order[start : start + size]]
            batch += [batch[idx % len(batch)] for idx in range(-len(batch) % world)]
            batches.append(batch[rank::world])
        return batches

    def step(self, batch: Sequence[Draw]) -> Step:
        """One batch: forward, Algorithm 1's loss, Adam step.

        Raises Diverged, with the weights as they were, when the loss or the gradient is not finite.
        """
        logits = self.module(
            self._stack([self.clips[draw.clip_idx].features[draw.frame] for draw in batch]),
            self.settings.size,
            self._images(batch),
        )
        masks = self._stack([self.clips[draw.clip_idx].masks[draw.frame + draw.offset] for draw in batch])
        moved = [draw for draw in batch if draw.offset != SAME_FRAME]
        flow = self._flow(moved) if moved else None
        parts = temporal_loss(
            logits.float(),
            masks,
            torch.tensor([draw.offset for draw in batch], device=logits.device),
            flow,
            valid=self._visible(moved, flow) if flow is not None and self.settings.occlusion_mask else None,
        )
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(torch.stack(list(parts.values())).sum())
        values = self._shared(parts)
        self._check(values)
        self.optimizer.step()
        self.num_steps += 1
        return Step(self.num_steps, sum(values.values()), values)

    def _check(self, values: dict[str, float]) -> None:
        """Stops every device where the loss of one, or the gradient that they share, is not finite."""
        gradients = [value.grad for value in self.module.parameters() if value.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients).item()
        total = sum(values.values())
        if math.isfinite(total) and math.isfinite(norm):
            return
        listed = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        raise Diverged(
            f"training stopped at step {self.num_steps + 1}: total loss {total:.4g}, gradient norm {norm:.4g} "
            f"({listed}); the weights are as after the step before; take a smaller learning_rate"
        )

    def _shared(self, parts: dict[str, Tensor]) -> dict[str, float]:
        """The parts' means over all devices."""
        means = self.fabric.all_reduce(torch.stack(list(parts.values())).detach(), reduce_op="mean")
        return dict(zip(parts, means.tolist(), strict=True))

    def save(self, path: Path) -> None:
        """Checkpoint of everything that the next step depends on; appears whole or not at all, from one device."""
        if self.fabric.is_global_zero:
            write_training(
                path,
                network=self.network,
                optimizer=self.optimizer,
                settings=self.settings,
                shape=self._shape(),
                counts=[self.num_steps, self.num_epochs, self.batch_idx],
            )
        self.fabric.barrier()

    def resume(self, path: Path) -> None:
        """Goes on from a checkpoint of `save`, to the same result as without the break.

        Raises DataMissing for an unreadable file, SpecError for a checkpoint of another training or something else.
        """
        held = read_training(path, device=self.fabric.device)
        check_same_training(held, settings=self.settings, shape=self._shape(), path=path)
        self.network.load_state_dict(held["network"])
        self.optimizer.load_state_dict(held["optimizer"])
        self.num_steps, self.num_epochs, self.batch_idx = held["counts"]

    def _shape(self) -> dict[str, Any]:
        """What tells this training from another one with the same settings."""
        return {
            "feature_dim": self.network.feature_dim,
            "patch_px": self.network.patch_px,
            "frames": [len(clip.trusted) for clip in self.clips],
        }

    def _stack(self, items: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(items)).to(self.fabric.device).float()

    def _images(self, batch: Sequence[Draw]) -> Tensor | None:
        images = [self.clips[draw.clip_idx].images for draw in batch]
        if any(image is None for image in images):
            return None
        return self._stack([image[draw.frame] for image, draw in zip(images, batch, strict=True) if image is not None])

    def _flow(self, moved: Sequence[Draw]) -> Tensor:
        """From each neighbour back to its frame."""
        return self._stack([self.clips[draw.clip_idx].flows[-draw.offset][draw.frame + draw.offset] for draw in moved])

    def _visible(self, moved: Sequence[Draw], flow: Tensor) -> Tensor:
        there = [self.clips[draw.clip_idx].flows[draw.offset][draw.frame] for draw in moved]
        return visible(flow, self._stack(there))


def build_network(clips: Sequence[PreparedClip], settings: SegmenterSettings) -> SegmentationNetwork:
    """Network for the clips' features with first weights from the seed, standardised by the clips' statistics."""
    _, dim, rows, columns = clips[0].features.shape
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(settings.seed)
        network = SegmentationNetwork(
            dim,
            patch_px=settings.upsampling or upsampling_of((rows, columns), settings.size),
            width=settings.width,
            modulation=settings.modulation,
            max_channels=settings.max_channels,
            modulation_width=settings.modulation_width,
            norm=settings.norm,
            spectral=settings.spectral,
        )
    mean, deviation = _statistics(clips)
    network.standardise(mean, deviation)
    # convolutions with few channels over many pixels: on a CPU a step takes two thirds of the time
    return network.to(memory_format=torch.channels_last)


def _statistics(clips: Sequence[PreparedClip]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (D,) of the features over all patches of all frames, one frame at a time."""
    count = sum(clip.features[:, 0].numel() for clip in clips)
    frames = [frame for clip in clips for frame in clip.features]
    mean = torch.stack([frame.double().sum((1, 2)) for frame in frames]).sum(dim=0) / count
    spread = [(frame.double() - mean.view(-1, 1, 1)).square().sum((1, 2)) for frame in frames]
    return mean.float(), (torch.stack(spread).sum(dim=0) / count).sqrt().float()
