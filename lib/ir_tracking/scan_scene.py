"""Radiance behind simulated targets, as the scanner's optics and detectors blur it."""

import math

import torch
from torch import Generator, Tensor

from lib.errors import ShapeError
from lib.ir_tracking.scan_settings import ScanSettings

SIDE_STEP = 32  # lengths of the scene are multiples of it: quick to transform
EDGE_SHARE = 0.5  # of the clutter's variance that clouds with sharp edges make
HORIZON = 0.45  # height of the horizon, from the top


def scene_of(settings: ScanSettings, generator: Generator) -> Tensor:
    """Blurred radiance (rows, columns) on the grid of sub-cells, of full scale, that repeats itself over its edges.

    generator: on the CPU. Clouds: Gaussian noise with the power spectrum 1 / f^beta, and where a second such field is
    high a cloud with a sharp edge. Sky: the first without the second, a fifth as strong. Ground: below a horizon a
    rough field with bright and dark blocks, above it sky.
    """
    along, across = settings.oversampling
    rows = _length(settings.height_px / across, settings)
    columns = _length(settings.width_px / along, settings)
    soft = _fractal(rows, columns, settings.slope, generator)
    if settings.scenery == "clouds":
        cover = _fractal(rows, columns, settings.slope, generator)
        cloud = (cover > 0.3).float()
        radiance = math.sqrt(1 - EDGE_SHARE) * soft + math.sqrt(EDGE_SHARE) * _standard(cloud * (1 + 0.3 * cover))
    elif settings.scenery == "sky":
        radiance = 0.2 * soft
    else:
        radiance = _ground(rows, columns, settings, generator)
        radiance = torch.where(_is_ground(rows, settings)[:, None], radiance, 0.2 * soft)
    return _through_optics(settings.level + settings.clutter * radiance, settings)


def check_background(background: Tensor, settings: ScanSettings) -> None:
    """Passes a picture (H', W'), float, 0..1, that is at least as large as the frame."""
    if not isinstance(background, Tensor) or background.ndim != 2 or not background.is_floating_point():
        form = f"{background.dtype} {tuple(background.shape)}" if isinstance(background, Tensor) else "no tensor"
        raise ShapeError(f"background must be a float tensor (H, W): got {form}; take one channel of a picture")
    height, width = background.shape
    if height < settings.height_px or width < settings.width_px:
        raise ShapeError(
            f"background must be at least {settings.height_px}x{settings.width_px} pixels: got {height}x{width}; "
            "make the frame smaller"
        )
    if not bool(((background >= 0) & (background <= 1)).all()):
        raise ShapeError("background must lie within 0..1 of full scale: divide 8-bit pictures by 255")


def _length(pitches: float, settings: ScanSettings) -> int:
    """Sub-cells that hold so many pitches and the optics' reach on both sides."""
    reach = 2 * (1 + 4 * settings.psf_sigma)
    return math.ceil((pitches + reach) * settings.subcells / SIDE_STEP) * SIDE_STEP


def _frequencies(rows: int, columns: int, settings: ScanSettings) -> tuple[Tensor, Tensor]:
    """Cycles a pitch of the half spectrum, (rows, 1) and (1, columns // 2 + 1)."""
    spacing = 1 / settings.subcells
    return torch.fft.fftfreq(rows, d=spacing)[:, None], torch.fft.rfftfreq(columns, d=spacing)[None]


def _fractal(rows: int, columns: int, slope: float, generator: Generator) -> Tensor:
    """Gaussian field of mean 0 and deviation 1 with the power spectrum 1 / f^slope."""
    white = torch.randn(rows, columns, generator=generator)
    down, right = torch.fft.fftfreq(rows)[:, None], torch.fft.rfftfreq(columns)[None]
    frequency = torch.hypot(down, right)
    frequency[0, 0] = math.inf
    return _standard(torch.fft.irfft2(torch.fft.rfft2(white) * frequency.pow(-slope / 2), s=(rows, columns)))


def _standard(field: Tensor) -> Tensor:
    return (field - field.mean()) / field.std().clamp_min(1e-12)


def _is_ground(rows: int, settings: ScanSettings) -> Tensor:
    """Which rows of the scene (rows,): below the horizon, down to a little below the picture."""
    height = settings.height_px / settings.oversampling[1] * settings.subcells
    numbers = torch.arange(rows)
    return (numbers >= HORIZON * height) & (numbers < (height + rows) / 2)


def _ground(rows: int, columns: int, settings: ScanSettings, generator: Generator) -> Tensor:
    """Rough field with rectangles of one to six pitches: fields, roofs, roads."""
    radiance = _fractal(rows, columns, 1.5, generator)
    cells = settings.subcells
    number = int(rows * columns / (12 * cells) ** 2)
    sizes = (torch.rand(number, 2, generator=generator) * 5 * cells + cells).int().tolist()
    places = (torch.rand(number, 2, generator=generator) * torch.tensor([rows, columns])).int().tolist()
    heights = torch.randn(number, generator=generator).tolist()
    for (high, wide), (top, left), height in zip(sizes, places, heights, strict=True):
        radiance[top : top + high, left : left + wide] += 1.5 * height
    return _standard(radiance)


def _through_optics(radiance: Tensor, settings: ScanSettings) -> Tensor:
    """Blurred by the Gaussian, the detector of one pitch and the way along the scan; exact for the repeated scene."""
    height, width = radiance.shape
    down, right = _frequencies(height, width, settings)
    gauss = torch.exp(-2 * (math.pi * settings.psf_sigma) ** 2 * (down.square() + right.square()))
    transfer = gauss * torch.sinc(down) * torch.sinc(right) * torch.sinc(right / settings.oversampling[0])
    return torch.fft.irfft2(torch.fft.rfft2(radiance) * transfer, s=(height, width))


def sample_scene(scene: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Values (..., H, W) of a scene that repeats itself at rows (..., H) and columns (..., W), sub-cells, bilinear."""
    height, width = scene.shape
    top, left = rows.floor(), columns.floor()
    down, right = (rows - top)[..., :, None].to(scene), (columns - left)[..., None, :].to(scene)
    upper, lower = (torch.remainder(top + step, height).long().to(scene.device)[..., :, None] for step in (0, 1))
    first, second = (torch.remainder(left + step, width).long().to(scene.device)[..., None, :] for step in (0, 1))
    above = torch.lerp(scene[upper, first], scene[upper, second], right)
    below = torch.lerp(scene[lower, first], scene[lower, second], right)
    return torch.lerp(above, below, down)
