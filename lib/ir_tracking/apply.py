"""`nocturne apply ir_tracking`: small targets followed through somebody's own infrared footage."""

import csv
import io
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, cast

import typer
from torch import Tensor

import lib
from lib.data.atomic import appears_whole
from lib.data.video import open_video
from lib.data.video_writer import VideoWriter
from lib.errors import DataMissing, SpecError
from lib.ir_tracking.peaks import detect
from lib.ir_tracking.settings import FilterSettings, Polarity
from lib.ir_tracking.tracker import Track, Tracker, TrackerSettings
from lib.ir_tracking.weights import SHIPPED, load_network
from lib.show.progress import progress

# of the palette in lib.show.canvas: seen, and carried on unseen
SEEN, UNSEEN = (0.91, 0.69, 0.0), (0.34, 0.71, 0.91)
MARGIN_PX = 3  # between a target and the box around it
COLUMNS = ("frame", "target", "x", "y", "w", "h", "score", "seen")


def apply(
    source: Annotated[Path, typer.Argument(help="Infrared video or folder of pictures, 8 or 16 bits.")],
    out: Annotated[Path, typer.Argument(help="Result with the boxes drawn: .mp4, .webm or a new folder.")],
    box: Annotated[
        list[str] | None, typer.Option(help="x,y,w,h of a target in the first frame, pixels; again for more targets.")
    ] = None,
    find: Annotated[
        int, typer.Option("--detect", help="In place of --box: so many brightest spots of the first frame.")
    ] = 0,
    tracks: Annotated[Path | None, typer.Option(help="Table of all boxes, .csv.")] = None,
    weights: Annotated[str, typer.Option(help="ir_siamese (shipped), or a file of this project's training.")] = SHIPPED,
    polarity: Annotated[str, typer.Option(help="bright | dark: what targets are against their ground.")] = "bright",
    line_length: Annotated[int, typer.Option(help="Of the filter, pixels, odd: longer than the largest target.")] = 11,
    device: Annotated[str, typer.Option(help="auto | cpu | cuda | mps.")] = "auto",
) -> None:
    """Follow targets of a few pixels through infrared footage and draw where they are."""
    if out.resolve() == source.resolve():
        raise SpecError(f"the result would replace the input: give another name than {out}")
    if bool(box) == bool(find):
        raise SpecError("say where the targets are: either --box x,y,w,h or --detect N")
    boxes = [parse_box(text) for text in box or []]
    background = FilterSettings(polarity=cast(Polarity, polarity), line_length_px=line_length)
    network = load_network(weights).to(lib.device(device))
    tracker = Tracker(network, TrackerSettings(filter=background))
    rows = []
    with ExitStack() as stack:
        reader = stack.enter_context(open_video(source))
        writer = stack.enter_context(VideoWriter(out, fps=reader.fps))
        for number, (time_s, frame) in enumerate(progress(reader.timed(), total=reader.num_frames, label="frames")):
            grey = frame.mean(dim=0, keepdim=True)
            if number == 0:
                found = tracker.start_many(grey, boxes or detected(grey, find, background))
            else:
                found = tracker.step_many(grey)
            rows += [(number, idx, *track.box, track.score, int(track.seen)) for idx, track in enumerate(found)]
            writer.write(draw_tracks(frame, found), time_s)
    if tracks is not None:
        write_table(tracks, rows)
    if reader.stopped:
        typer.echo(f"{source}: {reader.stopped}; the frames before are in the result", err=True)
    typer.echo(out)


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
