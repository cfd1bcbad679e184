"""What a run would be before it starts: checked values, its key, and why it has to run or need not."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lib
from lib.bench import provenance
from lib.bench.catalogue import Notebook
from lib.bench.record import RECORD_FILE, Record, records
from lib.bench.schema import read_cells, read_schema
from lib.errors import LabError
from lib.paths import paths

KEY_LENGTH = 12


@dataclass(frozen=True)
class Plan:
    """One notebook with its values; `key` is the hash of `key_parts`, `num_cells` counts the cells to execute."""

    notebook: Notebook
    values: dict[str, Any]
    key_parts: dict[str, Any]
    key: str
    num_cells: int

    @property
    def home(self) -> Path:
        """Folder of all runs of this notebook."""
        return paths().runs / self.notebook.id

    @property
    def folder(self) -> Path:
        """Folder of this run, whether it is there or not."""
        return self.home / self.key[:KEY_LENGTH]

    def cached(self) -> Record | None:
        """The record of a complete run with this key."""
        try:
            record = Record.load(self.folder / RECORD_FILE)
        except LabError:
            return None
        return record if record.key == self.key else None

    def reason_to_run(self) -> str:
        """What changed since the last record of the same notebook and profile, one short phrase."""
        same = (self.notebook.id, self.values["profile"])
        last = next((it for it in records(self.notebook.paper) if (it.notebook, it.profile) == same), None)
        if last is None:
            return "first run of this profile"
        changes = _changes(last.key_parts, self.key_parts)
        return f"changed since the last record: {', '.join(changes)}" if changes else "its record was damaged"


def make_plan(notebook: Notebook, *, profile: str, parameters: Mapping[str, Any]) -> Plan:
    """The checked plan of a run.

    Raises SpecError for anything that the notebook's schema or profiles do not admit, Unavailable for a device that is
    not on this machine.
    """
    values = notebook.resolve(profile, parameters)
    if values["device"] not in ("auto", "cpu"):
        lib.device(values["device"])  # a GPU that is not here is said before a kernel starts; this imports torch
    schema = read_schema(notebook.path)
    files = {name: values[name] for name in schema if schema[name].is_path and values[name]}
    key_parts = {
        "notebook source": provenance.notebook_sha256(notebook.path),
        "lib source": provenance.lib_sha256(),
        # a file counts by its content: moving it changes nothing
        "parameter": {name: value for name, value in values.items() if name not in files},
        "content of": {name: provenance.content_sha256(Path(file)) for name, file in files.items()},
        "version of": provenance.versions(),
        "gpu": "" if values["device"] == "cpu" else provenance.gpu_model(),
    }
    key = hashlib.sha256(json.dumps(key_parts, sort_keys=True).encode()).hexdigest()
    # one more than in the file: papermill adds a cell with the values
    num_cells = 1 + sum(cell["kind"] == "code" and bool(cell["source"].strip()) for cell in read_cells(notebook.path))
    return Plan(notebook, values, key_parts, key, num_cells)


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    changes = []
    for part, value in after.items():
        old = before.get(part)
        if isinstance(value, dict) and isinstance(old, dict):
            changes += [
                f"{part} {name}" if part == "content of" else f"{part} {name} {old.get(name)} -> {value.get(name)}"
                for name in sorted(value.keys() | old.keys())
                if old.get(name) != value.get(name)
            ]
        elif old != value:
            changes.append(part)
    return changes
