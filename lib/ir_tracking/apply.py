"""`nocturne apply ir_tracking`: small targets followed through somebody's own infrared footage."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, cast

import typer
from torch import Tensor

import lib
from lib.data.atomic import appears_whole
from lib.data.video import open_video
from lib.errors import DataMissing, SpecError
from lib.footage import Device, Force, Out, Places, Preview, Run, Shown, setting, write_preview
from lib.footage.places import files
from lib.ir_tracking.memory import remember, restore
from lib.ir_tracking.peaks import detect
from lib.ir_tracking.settings import FilterSettings, Polarity
from lib.ir_tracking.tracker import Track, Tracker
from lib.ir_tracking.tracker_settings import TrackerSettings
from lib.ir_tracking.weights import SHIPPED, load_network

# of the palette in lib.show.canvas: seen, and carried on unseen
SEEN, UNSEEN = (0.91, 0.69, 0.0), (0.34, 0.71, 0.91)
MARGIN_PX = 3  # between a target and the box around it
COLUMNS = ("frame", "target", "x", "y", "w", "h", "score", "seen")
PREVIEW_FRAMES = 51  # a target can be followed from the first frame only


def apply(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="Infrared video, folder of pictures or picture, 8 or 16 bits.")
    ],
    out: Out,
    box: Annotated[
        list[str] | None, typer.Option(help="x,y,w,h of a target in the first frame, pixels; again for more targets.")
    ] = None,
    find: Annotated[
        int, typer.Option("--detect", help="In place of --box: so many brightest spots of the first frame.")
    ] = 0,
    tracks: Annotated[Path | None, typer.Option(help="Table of all boxes, .csv.")] = None,
    weights: Annotated[str, typer.Option(help="ir_siamese (shipped), or a file of this project's training.")] = SHIPPED,
    polarity: Annotated[str, setting(FilterSettings, "polarity")] = FilterSettings.polarity,
    line_length: Annotated[int, setting(FilterSettings, "line_length_px")] = FilterSettings.line_length_px,
    preview: Preview = False,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Follow targets of a few pixels through infrared footage and draw where they are.

    A preview shows the first, the middle and the last of the first 51 frames.
    """
    places = Places(
        source, out, beside={} if tracks is None else {"tracks": tracks}, read=files(weights=weights), force=force
    )
    if tracks is not None and tracks.suffix.lower() != ".csv":
        raise SpecError(f"--tracks takes a file that ends in .csv: got {tracks}")
    if bool(box) == bool(find):
        raise SpecError("say where the targets are: either --box x,y,w,h or --detect N")
    boxes = [parse_box(text) for text in box or []]
    background = FilterSettings(polarity=cast(Polarity, polarity), line_length_px=line_length)
    chosen = lib.device(device)
    tracker = Tracker(load_network(weights).to(chosen), TrackerSettings(filter=background))
    if preview:
        _preview(places, tracker, boxes, find)
        return
    asked = {"filter": background, "box": boxes, "detect": find, "weights": weights, "device": chosen.type}
    with Run(places, asked) as run:
        if run.state is not None:
            restore(tracker, run.state)
        for frame, found in followed(tracker, run.frames(), boxes, find):
            rows = [(run.idx, idx, *track.box, track.score, int(track.seen)) for idx, track in enumerate(found)]
            run.write(draw_tracks(frame, found), note=rows, state=lambda: remember(tracker))
        if tracks is not None:
            write_table(run.beside("tracks"), [row for rows in run.notes for row in rows])


def followed(
    tracker: Tracker, frames: Iterable[Tensor], boxes: Sequence[tuple[float, float, float, float]], find: int
) -> Iterator[tuple[Tensor, list[Track]]]:
    """Each frame (3, H, W) with where the targets are; a tracker that follows none yet starts with the first."""
    for frame in frames:
        grey = frame.mean(dim=0, keepdim=True)
        if tracker.frame_shape is None:
            yield frame, tracker.start_many(grey, boxes or detected(grey, find, tracker.settings.filter))
        else:
            yield frame, tracker.step_many(grey)


def _preview(places: Places, tracker: Tracker, boxes: Sequence[tuple[float, float, float, float]], find: int) -> None:
    with open_video(places.source) as reader:
        num_frames = min(reader.num_frames or PREVIEW_FRAMES, PREVIEW_FRAMES)
        chosen = {0, (num_frames - 1) // 2, num_frames - 1}
        found = followed(tracker, islice(reader, num_frames), boxes, find)
        rows = [
            Shown(idx / reader.fps, frame, draw_tracks(frame, tracks))
            for idx, (frame, tracks) in enumerate(found)
            if idx in chosen
        ]
    write_preview(places, rows)


def parse_box(text: str) -> tuple[float, float, float, float]:
    """Four numbers of `x,y,w,h`; SpecError for anything else."""
    try:
        x, y, w, h = (float(part) for part in text.split(","))
    except ValueError as error:
        raise SpecError(f"--box takes four numbers x,y,w,h: got {text!r}") from error
    return x, y, w, h


def detected(frame: Tensor, number: int, settings: FilterSettings) -> Tensor:
    """Boxes of the brightest spots of the first frame; DataMissing where the filter leaves nothing."""
    if number < 0:
        raise SpecError(f"--detect takes a number of at least 1: got {number}")
    boxes = detect(frame, number=number, settings=settings)
    if not len(boxes):
        raise DataMissing("the filter finds nothing in the first frame: give --box, or try --polarity dark")
    return boxes


def draw_tracks(frame: Tensor, tracks: Sequence[Track]) -> Tensor:
    """The frame (3, H, W), 0..1, with a line of one pixel around each target; another colour where it isn't seen."""
    drawn = frame.clone()
    height, width = frame.shape[-2:]
    for track in tracks:
        colour = frame.new_tensor(SEEN if track.seen else UNSEEN).view(3, 1, 1)
        x, y, w, h = track.box
        left, right = (min(max(round(edge), 0), width - 1) for edge in (x - MARGIN_PX - 1, x + w + MARGIN_PX))
        top, bottom = (min(max(round(edge), 0), height - 1) for edge in (y - MARGIN_PX - 1, y + h + MARGIN_PX))
        for row in (top, bottom):
            drawn[:, row : row + 1, left : right + 1] = colour
        for column in (left, right):
            drawn[:, top : bottom + 1, column : column + 1] = colour
    return drawn


def write_table(path: Path, rows: Sequence[tuple[float, ...]]) -> None:
    """Boxes as .csv, one line a frame and target; appears whole or not at all."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    lines.writerows([[f"{value:.6g}" if isinstance(value, float) else value for value in row] for row in rows])
    with appears_whole(path) as part:
        part.write_text(text.getvalue(), encoding="utf-8")
