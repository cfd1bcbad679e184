"""What `nocturne speed zero_tig` times: a training step, and flow and warping, against what a plain programmer writes.

The peer of the training step, `PlainStep`, follows the published description literally: torch's convolutions, each
half-size picture on its own, all 25 pixels of each 5x5 window side by side, one 21x21 blur, all 24 neighbours.
"""

import copy

import torch
import torch.nn.functional as F
from scipy.stats import norm
from torch import Tensor, nn

from lib.flow.speed import races as flow_races
from lib.flow.speed import soft_picture
from lib.timing import Race
from lib.zero_tig.convolution import Conv3x3
from lib.zero_tig.model import ZeroIG, ZeroTIG
from lib.zero_tig.networks import NUM_BLOCKS
from lib.zero_tig.settings import Settings
from lib.zero_tig.train import ADAM_BETAS, Trainer

WEIGHTS = Settings().weights
SIZE = (180, 320)
GPU_SIZE = (1080, 1920)
FRAME_BUDGET_S = 0.04  # a 1080p frame with its flow on a GPU
NO_GPU = "needs a GPU"


def races() -> list[Race]:
    """Every row of the table, on a dark random picture with noise (seed 0)."""
    return [_step_race(), *flow_races(), _gpu_step_race(), _gpu_frame_race()]


def dark_picture(height: int, width: int) -> Tensor:
    """Soft shapes at 0.15 of their brightness, with noise of the same strength everywhere; (3, H, W), 0..1."""
    generator = torch.Generator().manual_seed(0)
    picture = soft_picture(height, width)[0] * 0.15
    return (picture + 0.01 * torch.randn(picture.shape, generator=generator)).clamp(0, 1)


def make_trainer(settings: Settings, *, device: str = "cpu", seed: int = 0) -> Trainer:
    """A trainer of a freshly initialised Zero-IG."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = ZeroIG(settings)
    return Trainer(model.to(device))


def _step_race() -> Race:
    frame = dark_picture(*SIZE)
    settings = Settings(cut_detection=False)
    trainer, plain = make_trainer(settings), PlainStep(make_trainer(settings).model)

    def check() -> str:
        first, same = make_trainer(settings), make_trainer(settings)
        total = PlainStep(same.model).step(frame)
        return f"total loss differs by {abs(first.step(frame).total / total - 1):.0e}"

    height, width = SIZE
    return Race(
        f"Zero-IG training step, {height}x{width}",
        lambda: trainer.step(frame),
        "the published code's operations",
        lambda: plain.step(frame),
        1.8,
        check=check,
    )


def _gpu_step_race() -> Race:
    height, width = GPU_SIZE
    work, peer_name = f"Zero-IG training step, {height}x{width}, GPU", "float32, eager, same GPU"
    if not torch.cuda.is_available():
        return Race(work, NO_GPU, peer_name, NO_GPU, 3)
    frame = dark_picture(height, width).cuda()
    quick_settings = Settings(cut_detection=False, precision="mixed", compile_networks=True)
    quick, eager = (make_trainer(each, device="cuda") for each in (quick_settings, Settings(cut_detection=False)))

    def check() -> str:
        totals = [make_trainer(each.settings, device="cuda").step(frame).total for each in (quick, eager)]
        return f"total loss differs by {abs(totals[0] / totals[1] - 1):.0e}"

    return Race(work, lambda: quick.step(frame), peer_name, lambda: eager.step(frame), 3, check=check)


def _gpu_frame_race() -> Race:
    height, width = GPU_SIZE
    work, peer_name = f"Zero-TIG frame with DIS flow, {height}x{width}, GPU", f"{FRAME_BUDGET_S * 1e3:.0f} ms"
    if not torch.cuda.is_available():
        return Race(work, NO_GPU, peer_name, FRAME_BUDGET_S, 1)
    model = ZeroTIG().cuda().eval()
    frame = dark_picture(height, width).cuda()[None]

    @torch.inference_mode()
    def enhance() -> Tensor:
        with torch.autocast("cuda", dtype=torch.float16):
            return model(frame, state).reflectance

    with torch.inference_mode():
        state = model(frame).state
    return Race(work, enhance, peer_name, FRAME_BUDGET_S, 1)


class PlainStep:
    """A training step of Zero-IG without any care for speed; same start, same numbers as the trainer's.

    model: copied, with every convolution torch's own.
    """

    def __init__(self, model: ZeroIG) -> None:
        self.model = _with_plain_convolutions(copy.deepcopy(model)).train()
        settings = model.settings
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), lr=settings.learning_rate, betas=ADAM_BETAS, weight_decay=settings.weight_decay
        )
        self.clip_norm = settings.clip_norm

    def step(self, frame: Tensor) -> float:
        """Trains on the frame (3, H, W) and gives back the total loss before the step."""
        total = self.total_loss(frame[None])
        self.optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()
        return float(total.item())

    def total_loss(self, raw: Tensor) -> Tensor:
        """Forward pass and weighted losses of the frame (1, 3, H, W)."""
        remove, refine = self.model.denoiser, self.model.reflector
        frame = raw + 1e-4
        frame1, frame2 = _halves(frame)
        half1, half2 = frame1 - remove(frame1), frame2 - remove(frame2)
        denoised = (frame - remove(frame)).clamp(1e-4, 1)
        light = self._illuminate(denoised.detach()).clamp(1e-4, 1)
        light1, light2 = _halves(light)
        rough, rough1, rough2 = (
            (a / b).clamp(1e-4, 1) for a, b in ((frame, light), (frame1, light1), (frame2, light2))
        )
        inputs, inputs1, inputs2 = (
            torch.cat(pair, dim=1) for pair in ((rough, light), (rough1, light1), (rough2, light2))
        )
        refined, refined1, refined2 = (
            (each.detach() - refine(each)).clamp(1e-4, 1) for each in (inputs, inputs1, inputs2)
        )
        result, light_refined = refined[:, :3], refined[:, 3:]
        raw1, raw2 = _halves(raw + 1e-9)
        denoised1, denoised2 = _halves(denoised)
        result1, result2 = _halves(result)
        mse = F.mse_loss
        residual = mse(raw1, half2) + mse(raw2, half1)
        consistency = mse(half1, denoised1) + mse(half2, denoised2)
        residual_refined = mse(refined1, inputs2.detach()) + mse(refined2, inputs1.detach())
        consistency_refined = mse(refined1[:, :3], result1) + mse(refined2[:, :3], result2)
        return (
            _brightness_losses(denoised.detach(), light)
            + WEIGHTS.smooth_neighbours * _neighbour_loss(light, denoised.detach())
            + WEIGHTS.smooth_variation * _variation(light)
            + WEIGHTS.res1 * residual
            + WEIGHTS.cons1 * consistency
            + WEIGHTS.res2 * residual_refined
            + WEIGHTS.cons2 * consistency_refined
            + WEIGHTS.ill * mse(light.detach(), light_refined)
            + WEIGHTS.inter * _inter_loss(result1, result2)
            + WEIGHTS.var * mse(_noise_energy(rough), _noise_energy(result - rough))
            + WEIGHTS.color * mse(_blur((denoised / light).clamp(0, 1).detach()), _blur(result))
        )

    def _illuminate(self, denoised: Tensor) -> Tensor:
        net = self.model.illuminator
        features = net.in_conv(denoised)
        for _ in range(NUM_BLOCKS):
            features = features + F.relu(net.conv[1](net.conv[0](features)))
        light: Tensor = net.out_conv(features)
        return light


def _with_plain_convolutions(model: ZeroIG) -> ZeroIG:
    for parent in list(model.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, Conv3x3):
                plain = nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1)
                plain.load_state_dict(layer.state_dict())
                setattr(parent, name, plain.to(layer.weight))
    return model


def _halves(image: Tensor) -> tuple[Tensor, Tensor]:
    """Both pair down-samplers, as convolutions of stride 2."""
    channels = image.shape[1]
    anti, main = image.new_tensor([[0, 0.5], [0.5, 0]]), image.new_tensor([[0.5, 0], [0, 0.5]])
    first, second = (
        F.conv2d(image, taps.expand(channels, 1, 2, 2), stride=2, groups=channels) for taps in (anti, main)
    )
    return first, second


def _brightness_losses(denoised: Tensor, light: Tensor) -> Tensor:
    red, green, blue = denoised[:, 0], denoised[:, 1], denoised[:, 2]
    mean = (0.299 * red + 0.587 * green + 0.114 * blue).mean()
    alpha = (0.5 / (mean + 1e-9)).clamp(1, 25)
    beta = 0.7**-alpha / alpha
    bright = F.mse_loss((denoised / light).clamp(1e-9, 0.8), (alpha * denoised).clamp(1e-9, 1))
    dark = F.mse_loss(light, (beta * (alpha * denoised) ** alpha).clamp(1e-9, 1))
    return WEIGHTS.over * bright + WEIGHTS.pix * dark


def _neighbour_loss(light: Tensor, denoised: Tensor) -> Tensor:
    """All 24 offsets, each with its own weights."""
    matrix = denoised.new_tensor([[0.257, -0.148, 0.439], [0.504, -0.291, -0.368], [0.098, 0.439, -0.071]])
    colour = (denoised.permute(0, 2, 3, 1) @ matrix).permute(0, 3, 1, 2)
    half = [(1, 0), (0, 1), (1, 1), (1, -1), (2, 0), (0, 2), (2, 1), (2, -1), (1, 2), (1, -2), (2, 2), (2, -2)]
    total = light.new_zeros(())
    for dy, dx in [*half, *((-dy, -dx) for dy, dx in half)]:
        colour_step, light_step = _difference(colour, dy, dx), _difference(light, dy, dx)
        weight = torch.exp(-colour_step.square().sum(dim=1) / (2 * 10**2))
        total = total + (weight * light_step.abs().sum(dim=1)).mean()
    return total


def _difference(image: Tensor, dy: int, dx: int) -> Tensor:
    height, width = image.shape[-2:]
    here = image[..., max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)]
    there = image[..., max(0, dy) : height - max(0, -dy), max(0, dx) : width - max(0, -dx)]
    return here - there


def _variation(image: Tensor) -> Tensor:
    batch, _, height, width = image.shape
    down = (image[:, :, 1:] - image[:, :, :-1]).square().sum() / ((height - 1) * width)
    right = (image[:, :, :, 1:] - image[:, :, :, :-1]).square().sum() / (height * (width - 1))
    return 2 * (down + right) / batch


def _windows(padded: Tensor) -> Tensor:
    """The 25 pixels of every 5x5 window, (B, C, 25, H - 4, W - 4)."""
    batch, channels, height, width = padded.shape
    return F.unfold(padded, 5).view(batch, channels, 25, height - 4, width - 4)


def _inter_loss(result1: Tensor, result2: Tensor) -> Tensor:
    mask = _texture_mask(result1, result2)
    smooth1, smooth2 = (_windows(F.pad(each, (2, 2, 2, 2), mode="reflect")).mean(dim=2) for each in (result1, result2))
    return F.mse_loss(result1, (1 - mask) * smooth1 + mask * result1) + F.mse_loss(
        result2, (1 - mask) * smooth2 + mask * result2
    )


def _texture_mask(first: Tensor, second: Tensor) -> Tensor:
    with torch.no_grad():
        deviations = []
        for image in (first, second):
            grey = 0.299 * image[:, 0:1] + 0.587 * image[:, 1:2] + 0.114 * image[:, 2:3]
            windows = _windows(F.pad(grey, (2, 2, 2, 2), mode="reflect"))
            deviations.append((windows.var(dim=2, unbiased=False) + 1e-9).sqrt())
        a, b = deviations
        return (2 * a * b / (a.square() + b.square() + 1e-5) > 0.975).to(first.dtype)


def _noise_energy(image: Tensor) -> Tensor:
    mean = _windows(F.pad(image, (2, 2, 2, 2))).mean(dim=2)
    return _windows(F.pad((image - mean).square(), (2, 2, 2, 2))).mean(dim=2)


def _blur(image: Tensor) -> Tensor:
    edges = torch.linspace(-1 - 1 / 14, 1 + 1 / 14, 22, dtype=torch.float64)
    masses = torch.from_numpy(norm.cdf(edges.numpy())).diff()
    taps = torch.outer(masses, masses).sqrt()
    taps = (taps / taps.sum()).to(image)
    channels = image.shape[1]
    padded = F.pad(image, (10, 10, 10, 10), mode="reflect")
    return F.conv2d(padded, taps.expand(channels, 1, 21, 21), groups=channels)
