"""How a scan comes about, piece by piece: what adds up to a frame, and what a scanner makes of a point."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Generator, Tensor

from lib.ir_tracking.scan_settings import ScanSettings
from lib.ir_tracking.scan_targets import box_size, point_response
from lib.ir_tracking.simulator import ScanSimulator
from lib.show.tables import Table, table

BRIGHT_LIGHT = 1e12  # electrons at full scale: shot noise drowns in the rounding
VIEW_PITCHES = 7  # side of the piece of the scene in which a point is looked at
FINE_PER_PITCH = 16


def formation(
    settings: ScanSettings, *, seed: int, frame: int, device: torch.device | str = "cpu"
) -> dict[str, Tensor]:
    """What adds up to one frame of a scan, in grey levels (H, W): scene, rows, noise, defects, targets.

    The same scan is made again and again, each time with one thing more; the differences are what each contributes.
    """
    bright = BRIGHT_LIGHT / settings.electrons
    bare = replace(settings, dead=0.0, flashing=0.0)
    quiet = replace(bare, electrons=BRIGHT_LIGHT, read_noise=0.0, stripe_noise=bright * settings.stripe_noise)
    steps = {
        "scene through optics and detector": replace(quiet, gain_spread=0.0, stripe_noise=0.0),
        "gains and offsets of the rows": quiet,
        "shot and read noise": bare,
        "dead and flashing pixels": settings,
    }
    scans = {
        name: ScanSimulator(one, generator=Generator().manual_seed(seed), device=device).render(frame, frame + 1)
        for name, one in steps.items()
    }
    parts, before = {}, torch.zeros((), device=device)
    for name, scan in scans.items():
        parts[name] = scan.empty[0, 0] - before
        before = scan.empty[0, 0]
    return parts | {"targets": scan.frames[0, 0] - before}


def formation_table(parts: Mapping[str, Tensor], settings: ScanSettings) -> Table:
    """Deviation and largest magnitude of each part of a frame, grey levels."""
    rows: list[list[object]] = []
    for name, part in parts.items():
        rows.append([name, float(part.std(correction=0)), float((part - part.median()).abs().max())])
    top = (1 << settings.bits) - 1
    columns = ["part", "deviation (levels)", "largest (levels)"]
    return table(rows, columns, digits=1, caption=f"grey levels of 0..{top}; largest: from the median")


def point_samples(oversampling: tuple[int, int], settings: ScanSettings, *, place: tuple[float, float]) -> Tensor:
    """What the scanner makes of a point of energy 1: (rows, columns) over VIEW_PITCHES pitches a side.

    place: x and y of the point, pitches from the middle of the view. The first sample lies half a step inside.
    """
    one = replace(settings, oversampling=oversampling)
    planes = []
    for axis, away in (("x", place[0]), ("y", place[1])):
        samples = oversampling[0 if axis == "x" else 1]
        middles = torch.arange(VIEW_PITCHES * samples, dtype=torch.float64) + 0.5 - VIEW_PITCHES * samples / 2
        planes.append(point_response(middles - away * samples, one, axis="x" if axis == "x" else "y"))
    return torch.outer(planes[1], planes[0])


def point_radiance(settings: ScanSettings, *, place: tuple[float, float]) -> Tensor:
    """The point as the optics alone blur it, highest value 1: (n, n) with FINE_PER_PITCH values a pitch."""
    number = VIEW_PITCHES * FINE_PER_PITCH
    places = (torch.arange(number, dtype=torch.float64) + 0.5) / FINE_PER_PITCH - VIEW_PITCHES / 2
    right, down = ((places - away).square() for away in place)
    return torch.exp(-(right[None] + down[:, None]) / (2 * settings.psf_sigma**2))


def sampling_table(oversamplings: Sequence[tuple[int, int]], settings: ScanSettings) -> Table:
    """True box, and the highest sample of a point that lies on a sample or in the middle of four, for each scanner."""
    rows: list[list[object]] = []
    for one in oversamplings:
        wide, high = box_size(replace(settings, oversampling=one))
        best, worst = (
            float(point_samples(one, settings, place=(offset[0], offset[1])).max()) for offset in _offsets(one)
        )
        rows.append([f"{one[0]} x {one[1]}", f"{wide:.1f} x {high:.1f}", 100 * best, 100 * worst, 100 * worst / best])
    columns = ["samples a pitch", "true box (px)", "on a sample (%)", "between four (%)", "kept (%)"]
    return table(rows, columns, digits=0, caption="highest sample, share of a point's energy")


def _offsets(oversampling: tuple[int, int]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Places (pitches from the middle of the view) on a sample and between four."""
    on = tuple(0.0 if VIEW_PITCHES * number % 2 else 0.5 / number for number in oversampling)
    between = tuple(place + 0.5 / number for place, number in zip(on, oversampling, strict=True))
    return (on[0], on[1]), (between[0], between[1])
