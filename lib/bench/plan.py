"""What a run would be before it starts: checked values, its key, and why it has to run or need not."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import lib
from lib.bench import provenance
from lib.bench.catalogue import Notebook, override
from lib.bench.record import RECORD_FILE, Record, home_of, records
from lib.bench.schema import read_cells, read_schema
from lib.errors import LabError

KEY_LENGTH = 12


@dataclass(frozen=True)
class Plan:
    """One notebook with its values; `key` is the hash of `key_parts`, `num_cells` counts the cells to execute.

    changed: parameters whose values are not the profile's; files, folders and the device are not among them.
    """

    notebook: Notebook
    values: dict[str, Any]
    key_parts: dict[str, Any]
    key: str
    num_cells: int
    changed: list[str] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """Folder of all runs of this notebook."""
        return home_of(self.notebook.id)

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
        changes = changes_between(last.key_parts, self.key_parts)
        return f"changed since the last record: {', '.join(changes)}" if changes else "its record was damaged"


def make_plan(notebook: Notebook, *, profile: str, parameters: Mapping[str, Any]) -> Plan:
    """The checked plan of a run.

    Raises SpecError for anything that the notebook's schema or profiles do not admit, Unavailable for a device that is
    not on this machine.
    """
    (plan,) = make_plans(notebook, profile=profile, cells=[parameters])
    return plan


def make_plans(notebook: Notebook, *, profile: str, cells: Sequence[Mapping[str, Any]]) -> list[Plan]:
    """Checked plans of many runs of one notebook, each with its own parameters; errors as in `make_plan`."""
    schema = read_schema(notebook.path)
    base = notebook.resolve(profile, {})
    fixed = {"notebook source": provenance.notebook_sha256(notebook.path), "lib source": provenance.lib_sha256()}
    versions, gpu = provenance.versions(), provenance.gpu_model()
    content = cache(provenance.content_sha256)
    # one more than in the file: papermill adds a cell with the values
    num_cells = 1 + sum(cell["kind"] == "code" and bool(cell["source"].strip()) for cell in read_cells(notebook.path))
    plans = []
    for parameters in cells:
        values = base | override(notebook.id, schema, parameters)
        _check_device(values["device"])
        files = {name: values[name] for name in schema if schema[name].is_path and values[name]}
        key_parts = {
            **fixed,
            # a file counts by its content: moving it changes nothing
            "parameter": {name: value for name, value in values.items() if name not in files},
            "content of": {name: content(Path(file)) for name, file in files.items()},
            "version of": versions,
            "gpu": "" if values["device"] == "cpu" else gpu,
        }
        key = hashlib.sha256(json.dumps(key_parts, sort_keys=True).encode()).hexdigest()
        changed = [name for name in schema if values[name] != base[name] and not schema[name].is_path]
        plans.append(Plan(notebook, values, key_parts, key, num_cells, [it for it in changed if it != "device"]))
    return plans


@cache
def _check_device(name: str) -> None:
    """Say before a kernel starts that a GPU is not here; this imports torch."""
    if name not in ("auto", "cpu"):
        lib.device(name)


def changes_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What differs between the parts of two keys, a short phrase each."""
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
