"""Two targets that meet, over several scans: `python -m lib.ir_tracking.meetings` counts who keeps them apart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
import typer

from lib.ir_tracking.network import SiameseNetwork
from lib.ir_tracking.scan_settings import ScanSettings
from lib.ir_tracking.tracker_settings import TrackerSettings
from lib.ir_tracking.walkthrough import Follow, crossing, follow_scan, make_scan, scan_settings
from lib.ir_tracking.weights import load_network
from lib.show.progress import progress
from lib.show.tables import Table, table

NEAR_PX = 3.0


@dataclass(frozen=True)
class Meeting:
    """How one meeting ended: whether both boxes were on their own targets at the last, and whether they had swapped."""

    seed: int
    kept: bool
    swapped: bool


def meetings(
    network: SiameseNetwork, settings: ScanSettings, seeds: Iterable[int], *, tracker: TrackerSettings | None = None
) -> list[Meeting]:
    """The scans of some seeds, two targets in each that meet once, followed in one pass from their true boxes."""
    scans = ((seed, make_scan(crossing(settings), seed=seed)) for seed in seeds)
    return [ending(follow_scan(network, scan, settings=tracker), seed) for seed, scan in scans]


def ending(followed: Follow, seed: int) -> Meeting:
    """The last frame of two targets: kept when each box is within 3 px of its target, swapped when of the other's."""
    boxes, truths = (one[-1, :, :2] + one[-1, :, 2:] / 2 for one in (followed.boxes, followed.truths))
    near = torch.cdist(boxes, truths) <= NEAR_PX
    return Meeting(seed, bool(near.diagonal().all()), bool(near.fliplr().diagonal().all()))


def meeting_table(found_by_tracker: Mapping[str, Sequence[Meeting]]) -> Table:
    """How many meetings each tracker kept and swapped; in the rest a box was on neither target."""
    rows = [
        [name, len(found), sum(one.kept for one in found), sum(one.swapped for one in found)]
        for name, found in found_by_tracker.items()
    ]
    return table(rows, ["", "meetings", "each on its own target", "swapped"])


def main(
    seeds: Annotated[int, typer.Option(help="Scans, of seeds 0 and on.")] = 12,
    scr: Annotated[float, typer.Option(help="Contrast of both targets.")] = 4.0,
) -> None:
    """Count with the notebook's scans (192x144, 80 frames, clouds), with and without companions."""
    settings = scan_settings("clouds", scr=scr, oversampling=(2, 2), height_px=144, num_frames=80)
    network = load_network()
    found = {
        name: meetings(network, settings, progress(range(seeds), label=name), tracker=TrackerSettings(companions=on))
        for name, on in (("ours", True), ("without companions", False))
    }
    typer.echo(str(meeting_table(found)))


if __name__ == "__main__":
    typer.run(main)
