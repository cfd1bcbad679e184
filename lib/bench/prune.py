"""Freeing space in the store: what is left over, superseded or chosen, and never what a page refers to."""

import json
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lib.bench.catalogue import notebooks_root
from lib.bench.compare import compare
from lib.bench.plan import KEY_LENGTH
from lib.bench.published import list_papers
from lib.bench.record import RECORD_FILE, Record, all_records, home_of, records, swept_records
from lib.bench.runner import FAILED, PARTIAL, is_left_over, new_partial
from lib.errors import LabError
from lib.paths import paths

PAGES = (".html", ".md", ".csv", ".tex", ".txt", ".json", ".ipynb")
KEY = re.compile(r"(?<![0-9a-f])[0-9a-f]{12}")


@dataclass(frozen=True)
class Waste:
    """A folder of the store that may go: why, and how much room it takes; `record` where it holds one."""

    folder: Path
    why: str
    size_mib: float
    record: Record | None = None


def find_waste(where: str = "") -> list[Waste]:
    """Folders that may go, sorted by path.

    Without `where`: what failed or was left half-done by a process that is gone, and each record that a newer one of
    the same notebook and parameters supersedes. With it: the records that the expression holds for, as in
    `views.runs_frame`. Never: a record that tables and report show, or whose key a page in `reports` or a notebook
    holds. Raises SpecError for an expression that can't be understood.
    """
    kept = _protected()
    found = []
    if where:
        from lib.bench.views import runs_frame

        known = all_records()
        chosen = set(runs_frame(where, runs=known)["key"])
        found = [_waste(it, "chosen") for it in known if it.key[:KEY_LENGTH] in chosen and it.key not in kept]
    else:
        found = [_waste(it, "superseded by a newer run") for it in _superseded() if it.key not in kept]
        found += [Waste(folder, why, _size_mib(folder)) for folder, why in _left_over()]
    return sorted(found, key=lambda waste: waste.folder)


def delete(waste: Iterable[Waste]) -> float:
    """Delete the folders and give back the room that this freed, MiB.

    Each vanishes in one step, so that nobody reads half of it; one that was run again meanwhile stays.
    Raises LabError for a folder that can't be deleted.
    """
    freed = 0.0
    for one in waste:
        aside = new_partial(one.folder.parent)
        try:
            os.replace(one.folder, aside)
            if one.record is not None and Record.load(aside / RECORD_FILE) != one.record:
                os.replace(aside, one.folder)
                continue
            shutil.rmtree(aside)
        except FileNotFoundError:  # another process was quicker
            continue
        except OSError as error:
            raise LabError(f"can't delete {one.folder}: {error.strerror}; check who may write there") from error
        freed += one.size_mib
    return freed


def _protected() -> set[str]:
    """Keys of the records that must stay: shown by tables and report, or named on a page or in a notebook."""
    shown = {record.key for record in records()} | _speaking()
    pages = [file for file in paths().reports.rglob("*") if file.suffix in PAGES]
    pages += notebooks_root().glob("**/*.ipynb")
    named = {key for file in pages for key in KEY.findall(file.read_text(encoding="utf-8", errors="replace"))}
    return shown | {record.key for record in all_records() if record.key[:KEY_LENGTH] in named}


def _speaking() -> set[str]:
    """Keys of the records whose scores stand in the papers' tables."""
    cells = (cell for it in list_papers() for cell in compare(it, [*records(it), *swept_records(it)]))
    return {cell.record.key for cell in cells if cell.record is not None}


def _superseded() -> list[Record]:
    """Records of which there is a newer one of the same notebook with the same parameters."""
    seen: set[tuple[str, str]] = set()
    old = []
    for record in all_records():
        what = (record.notebook, json.dumps(record.parameters, sort_keys=True))
        if what in seen:
            old.append(record)
        seen.add(what)
    return old


def _left_over() -> list[tuple[Path, str]]:
    found = []
    for folder in paths().runs.glob("*/*/*"):
        if folder.name == FAILED or folder.name.startswith(f"{FAILED}-"):
            found.append((folder, "failed"))
        elif folder.name.startswith(PARTIAL) and is_left_over(folder):
            found.append((folder, "left half-done"))
    return found


def _waste(record: Record, why: str) -> Waste:
    folder = record.folder or home_of(record.notebook) / record.key[:KEY_LENGTH]
    return Waste(folder, why, _size_mib(folder), record)


def _size_mib(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20
