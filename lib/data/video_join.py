"""Videos of one encoder, one after the other, as one file: packets are copied, nothing is encoded again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lib.data.atomic import appears_whole
from lib.data.video_writer import TICKS_PER_SECOND, frame_rate, mux_options
from lib.errors import LabError, SpecError

if TYPE_CHECKING:
    from av.packet import Packet


@dataclass(frozen=True)
class VideoPart:
    """A file of VideoWriter, and the tick of 1/90000 s at which its first frame is shown."""

    path: Path
    start: int


def join_videos(parts: Sequence[VideoPart], out: str | Path, *, fps: float) -> None:
    """Writes the parts into one file of their kind, whole or not at all; decoded, its frames are theirs.

    parts: of one size and of this rate, in order, each over before the next one starts.
    Raises SpecError without a part, LabError where their encoders differ, and what appears_whole raises.
    """
    import av

    if not parts:
        raise SpecError("joining takes at least one part of a video: got none")
    shown = [packet.pts for packet in _packets(parts) if packet.pts is not None]
    in_order = sorted(shown)
    rank = {time: idx for idx, time in enumerate(in_order)}
    # places by which the encoder sends a frame ahead of those that are shown before it
    lead = max(rank[time] - idx for idx, time in enumerate(shown))
    with appears_whole(out) as partial, av.open(str(partial), "w", options=mux_options(partial)) as target:
        with av.open(str(parts[0].path)) as first:
            stream = target.add_stream_from_template(first.streams.video[0], rate=frame_rate(fps))
        for idx, packet in enumerate(_packets(parts)):
            # as one encoder numbers them: decoded when the frame so many places before is shown
            early = (lead - idx) * max(packet.duration or 1, 1)
            packet.dts = in_order[idx - lead] if idx >= lead else in_order[0] - early
            packet.stream = stream
            target.mux(packet)


def _packets(parts: Sequence[VideoPart]) -> Iterator["Packet"]:
    """The packets of all parts in the order of their files, their times moved to the whole's."""
    import av

    header = None
    for part in parts:
        with av.open(str(part.path)) as source:
            stream = source.streams.video[0]
            header = stream.codec_context.extradata if header is None else header
            if stream.codec_context.extradata != header:
                raise LabError(f"{part.path.name} is of another encoder than the parts before it; write all parts anew")
            assert stream.time_base is not None
            shift = round(part.start / TICKS_PER_SECOND / stream.time_base)
            for packet in source.demux(stream):
                if packet.pts is not None:
                    packet.pts += shift
                    yield packet
