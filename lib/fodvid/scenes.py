"""The videos that discovery is measured on: DAVIS-2016, simulated clips with known truth, somebody's own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice
from pathlib import Path

import torch
from torch import Generator, Tensor

from lib.data.images import resized
from lib.data.object_videos import DAVIS, VAL, Davis2016, ObjectVideo
from lib.data.origin import Origin
from lib.data.samples import sample_clip
from lib.data.simulate import object_clip
from lib.data.video import open_video
from lib.errors import DataMissing

NOISE = 1.5 / 255  # standard deviation, as of the simulated camera
GREY_LEVELS = 255


@dataclass(frozen=True, eq=False)
class Scene:
    """A video and what is known of it.

    frames: gives a new iterator of frames (3, H, W), RGB, 0..1; truths: one of their true masks (H, W) bool, or None.
    is_whole: these are all its frames.
    """

    name: str
    num_frames: int
    frames: Callable[[], Iterator[Tensor]]
    truths: Callable[[], Iterator[Tensor]] | None
    origin: Origin
    is_whole: bool = True


def davis_scenes(root: str, *, sequences: Sequence[str] = (), max_frames: int = 0) -> list[Scene]:
    """Sequences of DAVIS-2016 val, whole as its protocol asks, or their first `max_frames`; none for root "".

    sequences: by name; without them, those of the validation set that are there (see `coverage`). Raises
    DataMissing that says what is absent.
    """
    if not root:
        return []
    return [_of_davis(video, max_frames) for video in Davis2016(root, list(sequences) if sequences else "val").videos]


def coverage(scenes: Sequence[Scene]) -> str:
    """What scores on these scenes rest on, in words for a protocol: "" for the whole validation set of DAVIS-2016."""
    names = ", ".join(scene.name for scene in scenes)
    if {scene.origin.kind for scene in scenes} != {"benchmark"}:
        return f"but on other clips: {names}"
    notes = [] if {scene.name for scene in scenes} == set(VAL) else [f"{len(scenes)} of {len(VAL)} sequences: {names}"]
    if not all(scene.is_whole for scene in scenes):
        notes.append(f"of each at most the first {max(scene.num_frames for scene in scenes)} frames")
    return "; ".join(notes)


def simulated_scene(name: str, *, seed: int, num_frames: int, height_px: int) -> Scene:
    """A clip of lib.data.simulate.object_clip, whose masks are known; the seed draws its course and noise."""
    generator = Generator().manual_seed(seed)
    clip = object_clip(name, generator=generator, num_frames=num_frames, height_px=height_px)
    return scene_of(name, clip.video, clip.masks, clip.origin)


def sample_scene(name: str, *, num_frames: int, height_px: int) -> Scene:
    """An embedded real clip (`walk`, `street`, `taxi`), without truth."""
    clip = sample_clip(name, max_frames=num_frames)
    return scene_of(name, resized(clip.video, height_px), None, clip.origin)


def own_scene(path: str, *, num_frames: int, height_px: int) -> Scene:
    """The first frames of somebody's own video or folder of frames, without truth."""
    with open_video(path) as film:
        frames = [resized(frame, height_px) for frame in islice(film, num_frames)]
    if not frames:
        raise DataMissing("the video holds no frame; give another one")
    origin = Origin("own video", "sample", "that of the video", "", "given by the user")
    return scene_of(Path(path).stem, torch.stack(frames), None, origin)


def scene_of(name: str, video: Tensor, masks: Tensor | None, origin: Origin) -> Scene:
    """A video (T, 3, H, W) in memory, with its true masks (T, H, W) bool where they are known."""
    truths = None if masks is None else lambda: iter(masks)
    return Scene(name, len(video), lambda: iter(video), truths, origin)


def with_noise(scene: Scene, *, seed: int, deviation: float = NOISE) -> Scene:
    """The scene as a camera with more noise would have stored it: another take, for a noise floor.

    deviation: standard deviation of the noise that is added, display values.
    """

    def frames() -> Iterator[Tensor]:
        generator = Generator().manual_seed(seed)
        for frame in scene.frames():
            noise = torch.randn(frame.shape, generator=generator).to(frame)
            noisy = frame.add(noise, alpha=deviation).clamp(0, 1)
            yield (noisy * GREY_LEVELS).round() / GREY_LEVELS

    return replace(scene, frames=frames)


def origin_of_all(scenes: Sequence[Scene]) -> Origin:
    """One origin for scores over several scenes; it names them, and their sources and licences, each once.

    That of sequences of DAVIS-2016 bears the benchmark's name, however many they are: `coverage` says which.
    """
    first = scenes[0].origin
    if {scene.origin.kind for scene in scenes} == {"benchmark"}:
        sums = "".join(f"{scene.origin.sha256}  {scene.name}\n" for scene in scenes)
        return replace(first, name=DAVIS.name, sha256=sha256(sums.encode()).hexdigest())
    if len(scenes) == 1:
        return first
    names, licences, sources, sums = (
        "; ".join(dict.fromkeys(values))
        for values in zip(*((o.name, o.licence, o.source, o.sha256) for o in (s.origin for s in scenes)), strict=True)
    )
    return replace(first, name=names, licence=licences, source=sources, sha256=sums)


def _of_davis(video: ObjectVideo, max_frames: int) -> Scene:
    count = min(len(video), max_frames) if max_frames else len(video)
    return Scene(
        video.name,
        count,
        lambda: islice(video.frames(), count),
        lambda: islice(video.masks(), count),
        video.origin(),
        is_whole=count == len(video),
    )
