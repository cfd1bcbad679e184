"""What a run leaves: one JSON with its scores and everything needed to judge and repeat them."""

import json
import logging
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self

from lib.errors import DataMissing, LabError, SpecError
from lib.paths import paths

SCHEMA_VERSION = 1
RECORD_FILE = "record.json"
BENCH = "bench"  # stands for the paper of a notebook that belongs to none
Better = Literal["higher", "lower", "none"]


@dataclass(frozen=True)
class Score:
    """One number in one cell of a table; `data` names the origin it was measured on, `interval` is (low, high)."""

    table: str
    row: str
    column: str
    value: float
    unit: str
    better: Better
    protocol: str
    data: str
    weights: str = ""
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class OriginEntry:
    """Where a run's data or weights came from."""

    name: str
    kind: Literal["benchmark", "sample", "simulated"]
    licence: str
    sha256: str
    source: str


@dataclass(frozen=True)
class FigureEntry:
    """One picture of a run; `file` is relative to the run's folder."""

    name: str
    file: str
    caption: str


@dataclass(frozen=True)
class Code:
    """State of the source; `git_commit` is "" and `git_dirty` None where there is no git checkout."""

    git_commit: str
    git_dirty: bool | None
    lib_sha256: str
    notebook_sha256: str


@dataclass(frozen=True)
class Hardware:
    """The machine; `gpu` is "" where the run used none."""

    cpu: str
    cores: int
    memory_gib: float
    gpu: str


@dataclass(frozen=True)
class Record:
    """One complete run. Times in seconds, `started` in ISO 8601 (UTC), peak memory of the kernel process in MiB.

    `changed` names the parameters whose values are not the profile's, as a sweep's are; files, folders and the device
    are not among them.
    `folder` is where the record was loaded from; it is not part of the file.
    """

    notebook: str
    profile: str
    key: str
    key_parts: dict[str, Any]
    parameters: dict[str, Any]
    seed: int
    device: str
    scores: list[Score]
    origins: list[OriginEntry]
    figures: list[FigureEntry]
    code: Code
    versions: dict[str, str]
    hardware: Hardware
    started: str
    wall_time_s: float
    peak_memory_mib: float
    changed: list[str] = field(default_factory=list)
    schema_version: int = SCHEMA_VERSION
    folder: Path | None = field(default=None, compare=False)

    @property
    def paper(self) -> str:
        """Paper of the notebook, BENCH for one that belongs to none."""
        return paper_of(self.notebook)

    @property
    def measures(self) -> dict[str, Score]:
        """Scores by column, where the run has one number only in it: what a single cell of a sweep measured."""
        by_column: dict[str, list[Score]] = {}
        for score in self.scores:
            by_column.setdefault(score.column, []).append(score)
        return {name: held[0] for name, held in by_column.items() if len({(it.value, it.unit) for it in held}) == 1}

    def save(self, path: Path) -> None:
        """Write the record as JSON, whole or not at all."""
        content = asdict(self)
        del content["folder"]
        write_json(path, content)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The record in a JSON file; DataMissing when it cannot be read, SpecError for damage or another version."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DataMissing(f"no record at {path}: {error.strerror}; run the notebook first") from error
        except ValueError as error:
            raise SpecError(f"{path} is not a record: {error}; run the notebook again with --force") from error
        version = content.get("schema_version") if isinstance(content, dict) else None
        if version != SCHEMA_VERSION:
            raise SpecError(f"{path} has schema version {version}, this version reads {SCHEMA_VERSION}; run it again")
        try:
            return cls(**_typed(content), folder=path.parent)
        except (TypeError, KeyError) as error:
            raise SpecError(f"{path} lacks a field or has one too many: {error}; run it again with --force") from error


def paper_of(notebook_id: str) -> str:
    """The part of a notebook's id before the slash; BENCH for a notebook beside the papers' folders, which has none."""
    paper, slash, _ = notebook_id.partition("/")
    return paper if slash else BENCH


def home_of(notebook_id: str) -> Path:
    """Folder of all runs of a notebook: `runs/<paper>/<name>`, or `runs/bench/<name>` for one that has no paper."""
    return paths().runs / paper_of(notebook_id) / notebook_id.rpartition("/")[2]


def records(paper: str | None = None) -> list[Record]:
    """The newest complete record of each notebook and profile, newest first; of one paper, or of all.

    A run with the profile's own values goes before one with changed ones: a sweep does not take its place.
    """
    newest: dict[tuple[str, str], Record] = {}
    for record in sorted(all_records(paper), key=lambda record: bool(record.changed)):
        newest.setdefault((record.notebook, record.profile), record)
    return _newest_first(newest.values())


def swept_records(paper: str | None = None) -> list[Record]:
    """The newest complete record of each notebook and set of changed parameters, newest first; of one paper, or all."""
    newest: dict[tuple[str, str], Record] = {}
    for record in all_records(paper):
        if record.changed:
            newest.setdefault((record.notebook, json.dumps(record.parameters, sort_keys=True)), record)
    return list(newest.values())


def all_records(paper: str | None = None) -> list[Record]:
    """Every complete record, newest first; of one paper, or of all."""
    loaded = []
    for file in paths().runs.glob(f"{paper or '*'}/*/*/{RECORD_FILE}"):
        if file.parent.name.startswith("."):
            continue
        try:
            loaded.append(Record.load(file))
        except DataMissing:  # another process has just put a new one in its place, or pruned it
            continue
        except LabError as error:
            logging.getLogger(__name__).warning("skipped: %s", error)
    return _newest_first(loaded)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write sorted JSON through a temporary file beside the target, so that a reader never sees half of it."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)


def score_from(content: dict[str, Any]) -> Score:
    """A score from its JSON form, in which the interval is a list."""
    interval = content.get("interval")
    return Score(**{**content, "interval": (interval[0], interval[1]) if interval else None})


def _newest_first(found: Iterable[Record]) -> list[Record]:
    return sorted(found, key=lambda record: record.started, reverse=True)


def _typed(content: dict[str, Any]) -> dict[str, Any]:
    known = {entry.name for entry in fields(Record)} - {"folder"}
    if unknown := set(content) - known:
        raise KeyError(", ".join(sorted(unknown)))
    return content | {
        "scores": [score_from(score) for score in content["scores"]],
        "origins": [OriginEntry(**origin) for origin in content["origins"]],
        "figures": [FigureEntry(**figure) for figure in content["figures"]],
        "code": Code(**content["code"]),
        "hardware": Hardware(**content["hardware"]),
    }
