"""What tracking is measured on: simulated sets of scans, real sequences and stills of a folder, the paper's data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from lib.data.imagenet_vid import ImageNetVID
from lib.data.infrared import SIRST, InfraredSequences
from lib.data.origin import Origin
from lib.data.pedestrians import KAIST, OTCBVS
from lib.data.tracks import TrackedSequence
from lib.data.weights import weights_file
from lib.errors import LabError, SpecError
from lib.ir_tracking.evaluate import TEST_SEED, Case, SimulatedSet
from lib.ir_tracking.scan_settings import ScanSettings

ASPECT = 4 / 3
SEED_STRIDE = 1_000  # from one test set to the next; a set has fewer sequences
STILLS = "sirst"  # folder of single frames among the sequences
NO_FOLDER = "not run: name its folder with {parameter}"


def table_scans(
    *, num_sequences: int, num_frames: int, height_px: int, scr: Sequence[float], seed: int = 0
) -> SimulatedSet:
    """The simulated test set at a size: every manoeuvre in every scenery, 4:3 frames.

    scr: lowest and highest contrast; SpecError for anything else. seed: 0 is the published set; another draws others.
    """
    if len(scr) != 2:
        raise SpecError(f"scr must be a lowest and a highest contrast: got {list(scr)}")
    low, high = map(float, scr)
    settings = ScanSettings(height_px=height_px, width_px=round(ASPECT * height_px))
    return SimulatedSet(num_sequences, num_frames, (low, high), settings, TEST_SEED + SEED_STRIDE * seed)


def ablation_scans(
    *, num_sequences: int, num_frames: int, height_px: int, scr: Sequence[float], hidden: float, seed: int = 0
) -> SimulatedSet:
    """Scans of the ablation: as `table_scans`, with so many fades and as many occlusions a hundred frames."""
    scans = table_scans(num_sequences=num_sequences, num_frames=num_frames, height_px=height_px, scr=scr, seed=seed)
    return scans.but(settings=replace(scans.settings, fades=hidden, occlusions=hidden))


def scans_origin(name: str, scans: SimulatedSet) -> Origin:
    """Where a set of scans comes from; its settings and seed make it again."""
    low, high = scans.scr
    source = (
        f"lib.ir_tracking.ScanSimulator, {scans.num_sequences} sequences of {scans.num_frames} frames, "
        f"{scans.settings.width_px}x{scans.settings.height_px}, SCR {low:g} to {high:g}, first seed {scans.seed}"
    )
    return Origin(name, "simulated", "MIT", "", source)


def weights_origin(name: str) -> Origin:
    """Where weights of the manifest come from, as a record names them."""
    held = weights_file(name)
    return Origin(held.name, "sample", held.licence, held.sha256, held.source)


def real_cases(root: str) -> list[Case]:
    """Sequences of a folder that have true boxes (groundtruth_rect.txt); none for root "".

    Frames are read when they are asked for. Raises DataMissing that says what is absent.
    """
    if not root:
        return []
    return [Case(one.name, one, one.origin()) for one in InfraredSequences(root).sequences]


def stills_of(root: str) -> SIRST | None:
    """SIRST's frames in the folder `sirst` of a root; None where there is none."""
    folder = Path(root) / STILLS if root else None
    return SIRST(folder) if folder is not None and folder.is_dir() else None


def stills_origin(stills: SIRST) -> Origin:
    """One origin for all frames, whose checksum is that of their checksums."""
    origins = [stills[number].origin() for number in range(len(stills))]
    lines = "".join(f"{one.sha256}  {one.name}\n" for one in origins)
    return replace(
        origins[0], name=f"SIRST, {len(origins)} frames", kind="sample", sha256=sha256(lines.encode()).hexdigest()
    )


@dataclass(frozen=True)
class PaperSet:
    """One of the paper's data sets: its column in Table 1, its sequences, or why there are none."""

    column: str
    sequences: list[TrackedSequence]
    why: str = ""


def paper_sets(root: str) -> list[PaperSet]:
    """The three data sets of Table 1 in the folders ILSVRC, KAIST and OTCBVS of a root, as far as they are there."""
    readers: Mapping[str, Callable[[Path], Iterator[TrackedSequence]]] = {
        "ILSVRC": lambda folder: _tracks_of(ImageNetVID(folder)),
        "KAIST": lambda folder: iter(KAIST(folder).sequences),
        "OTCBVS": lambda folder: iter(OTCBVS(folder).sequences),
    }
    found = []
    for column, read in readers.items():
        if not root:
            found.append(PaperSet(column, [], NO_FOLDER.format(parameter="paper_root")))
            continue
        try:
            found.append(PaperSet(column, list(read(Path(root) / column))))
        except LabError as reason:
            found.append(PaperSet(column, [], f"not run: {reason}"))
    return found


def _tracks_of(data: ImageNetVID) -> Iterator[TrackedSequence]:
    for number in range(len(data)):
        yield from data[number]
