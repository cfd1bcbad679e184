"""Frames per second as Table 1 has them, each with its network, its device and whether filtering is counted."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from statistics import median
from typing import Any

import torch
from torch import Generator, Tensor

from lib.data.origin import Origin
from lib.ir_tracking.background import suppress_background
from lib.ir_tracking.evaluate import run_tracker, siamese
from lib.ir_tracking.network import SiameseNetwork
from lib.ir_tracking.network_settings import NetworkSettings
from lib.ir_tracking.scan_settings import ScanSettings
from lib.ir_tracking.scenes import PaperSet
from lib.ir_tracking.simulator import ScanSimulator, TargetScan
from lib.ir_tracking.tracker import Tracker
from lib.ir_tracking.tracker_settings import TrackerSettings
from lib.ir_tracking.weights import SHIPPED, load_network
from lib.show.tables import Table, table
from lib.timing import machine_name

PAPER_SIZE = (480, 640)
WARM_UP = 3
SMALL, FULL = "small, shipped", "AlexNet's width, untrained"
MAX_SEQUENCES = 10  # of a data set; the paper takes 10 of each
ORIGIN = Origin("a simulated scan of 640x480", "simulated", "MIT", "", "lib.ir_tracking.ScanSimulator")
WINDOW, WHOLE, NO = "the window's", "the whole frame's", "no"


@dataclass(frozen=True)
class Rate:
    """Frames a second of one way to track. network: which. filtering: what of it is counted. device: its name."""

    network: str
    filtering: str
    fps: float
    device: str


def simulated_frames(num_frames: int, *, seed: int = 0) -> TargetScan:
    """A scan of the paper's size, 640x480, with one target."""
    height, width = PAPER_SIZE
    settings = ScanSettings(height_px=height, width_px=width, num_frames=num_frames + WARM_UP, scr=(6.0, 6.0))
    return ScanSimulator(settings, generator=Generator().manual_seed(seed)).simulate().target(0)


def rates(sequence: TargetScan, *, device: torch.device | str = "cpu", full_frames: int = 2) -> list[Rate]:
    """Medians over the frames: the small network with all ways of counting, and one of the published width.

    full_frames: so many frames are timed with the wide network, which is slow on a CPU.
    """
    where = device_name(device)
    frames = sequence.frames.to(device)
    found = []
    for name, network, count in (
        (SMALL, load_network(), len(frames)),
        (FULL, SiameseNetwork(NetworkSettings()), WARM_UP + full_frames),
    ):
        # an untrained network sees nothing: no search of the whole frame, which would be timed as well
        tracker = Tracker(network.to(device).eval(), TrackerSettings(lost_after=0))
        tracker.start(frames[0], sequence.boxes[0])
        ways: dict[str, Callable[[Tensor], object]] = {
            WINDOW: tracker.step,
            WHOLE: lambda frame, tracker=tracker: (suppress_background(frame), tracker.step(frame)),  # type: ignore[misc]
            NO: _network_alone(tracker.looker.network, network.settings, device),
        }
        found += [Rate(name, counted, 1 / _median_s(way, frames[1:count]), where) for counted, way in ways.items()]
    return found


def paper_rates(sets: Sequence[PaperSet], *, device: torch.device | str = "cpu") -> dict[str, float]:
    """Frames a second of filter and small network on the paper's data that are here, by column of Table 1."""
    make = siamese(load_network().to(device))
    found = {}
    for one in sets:
        runs = [(run_tracker(make(), sequence), len(sequence) - 1) for sequence in one.sequences[:MAX_SEQUENCES]]
        if runs:
            found[one.column] = sum(steps for _, steps in runs) / sum(run.seconds for run, _ in runs)
    return found


def rate_table(found: Sequence[Rate]) -> Table:
    """Ours, one row a network and way of counting."""
    rows = [[one.network, one.filtering, one.device, one.fps] for one in found]
    return table(rows, ["network", "filtering counted", "device", "frames a second"], digits=0)


def beside_published(printed: Mapping[str, Mapping[str, str]], ours: Mapping[str, float], *, why: str) -> Table:
    """Table 1 as printed, then ours on the same data sets, "not run" where they are not here. Nothing is a verdict."""
    columns = list(dict.fromkeys(column for row in printed.values() for column in row))
    rows = [[f"{row}, published", *(held.get(column, "-") for column in columns)] for row, held in printed.items()]
    rows.append([f"ours, {why}", *(f"{ours[column]:.0f}" if column in ours else "not run" for column in columns)])
    return table(rows, ["frames a second", *columns])


def rate_entries(found: Sequence[Rate], *, data: str) -> list[dict[str, Any]]:
    """The rates as keyword arguments of a run's `add_score`, in the table `speed`."""
    return [
        {
            "table": "speed", "row": one.network, "column": f"filtering counted: {one.filtering}", "value": one.fps,
            "unit": "frame/s", "better": "higher", "protocol": f"median time a frame, 640x480, on {one.device}",
            "data": data, "weights": SHIPPED if one.network == SMALL else "",
        }
        for one in found
    ]  # fmt: skip


def paper_entries(ours: Mapping[str, float]) -> list[dict[str, Any]]:
    """Ours at the places of Table 1; data bear the names of its columns."""
    protocol = "frames / wall time of filter and tracking, filtering of the search window counted, small network"
    return [
        {
            "table": "table_1", "row": "proposed", "column": column, "value": fps, "unit": "frame/s",
            "better": "higher", "protocol": protocol, "data": column, "weights": SHIPPED,
        }
        for column, fps in ours.items()
    ]  # fmt: skip


def set_origin(one: PaperSet) -> Origin:
    """One origin for the sequences of a data set that are timed, under the name that Table 1 has for it."""
    origins = [sequence.origin() for sequence in one.sequences[:MAX_SEQUENCES]]
    lines = "".join(f"{origin.sha256}  {origin.name}\n" for origin in origins)
    return replace(origins[0], name=one.column, sha256=sha256(lines.encode()).hexdigest())


def device_name(device: torch.device | str) -> str:
    """The GPU's name, or the processor's with the number of threads."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{machine_name()}, {threads} thread{'' if threads == 1 else 's'}"


def _network_alone(
    network: SiameseNetwork, settings: NetworkSettings, device: torch.device | str
) -> Callable[[Tensor], object]:
    """One search pass of a ready crop; its frame is not looked at."""
    generator = Generator().manual_seed(0)
    crops = [
        torch.randn(1, 3, side, side, generator=generator).to(device).to(memory_format=torch.channels_last)
        for side in (settings.template_px, settings.search_px)
    ]
    with torch.no_grad():
        kernels = network.template(crops[0])

    @torch.no_grad()
    def search(_: Tensor) -> object:
        return network.search(kernels, crops[1]).classes.sum().item()

    return search


def _median_s(way: Callable[[Tensor], object], frames: Tensor) -> float:
    """Median seconds a frame, the first few left out."""
    taken = []
    for frame in frames:
        if frame.device.type == "cuda":
            torch.cuda.synchronize(frame.device)
        started = time.perf_counter()
        way(frame)
        if frame.device.type == "cuda":
            torch.cuda.synchronize(frame.device)
        taken.append(time.perf_counter() - started)
    return median(taken[WARM_UP - 1 :])
