"""Run a notebook once per key, and leave its folder whole or not at all."""

import contextlib
import errno
import json
import os
import platform
import re
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.bench import provenance
from lib.bench.catalogue import DEFAULT_PROFILE, find_notebook
from lib.bench.plan import Plan, make_plan
from lib.bench.record import RECORD_FILE, FigureEntry, OriginEntry, Record, score_from
from lib.bench.runlog import NOTEBOOK_FILE
from lib.errors import LabError

if TYPE_CHECKING:
    from lib.bench.forks import ForkServer
    from lib.bench.kernel import Execution

EXECUTED = "notebook.ipynb"
LOG_FILE = "kernel.log"
FAILED = "failed"
PARTIAL = ".partial"


@dataclass(frozen=True)
class RunResult:
    """Where a run's folder is, whether it was there already, and why it ran or did not."""

    folder: Path
    cached: bool
    reason: str
    record: Record


def run(notebook: str, *, profile: str = DEFAULT_PROFILE, force: bool = False, **parameters: Any) -> RunResult:
    """Run a notebook at a profile, with single parameters changed, unless the same run is there already.

    notebook: id such as "context_fusion/1_method". force: run also when a record with the same key exists.
    Raises SpecError before a kernel starts for an unknown name, a wrong type or a value out of range; LabError when
    the run fails: the executed notebook is then in `failed/`, beside the notebook's runs, with the error.
    """
    return run_plan(make_plan(find_notebook(notebook), profile=profile, parameters=parameters), force=force)


def run_plan(
    plan: Plan,
    *,
    force: bool = False,
    on_cell: Callable[[], object] = lambda: None,
    forks: "ForkServer | None" = None,
    failed: str = FAILED,
) -> RunResult:
    """Carry out a plan; `on_cell` is called after each code cell. Errors as in `run`.

    forks: where to fork the kernel from. failed: name of the folder, beside the run's, that a failure is kept in.
    """
    known = None if force else plan.cached()
    if known is not None:
        reason = f"cached: nothing that matters changed since the run of {known.started}"
        return RunResult(plan.folder, True, reason, known)
    reason = "forced" if force else plan.reason_to_run()
    from lib.bench.kernel import Execution

    try:
        plan.home.mkdir(parents=True, exist_ok=True)
        clean_leftovers(plan.home)
        partial = new_partial(plan.home)
        partial.mkdir()
    except OSError as error:
        raise LabError(
            f"cannot write runs to {plan.home}: {error.strerror}; set NOCTURNE_OUT to a folder that you can write to"
        ) from error
    record = _execute(plan, partial, Execution(cell_done=on_cell), forks=forks, failed=failed)
    return RunResult(plan.folder, False, reason, record)


def _execute(plan: Plan, partial: Path, execution: "Execution", *, forks: "ForkServer | None", failed: str) -> Record:
    """The record of a new run, made in `partial` and moved to its place as the last step."""
    from lib.bench.kernel import execute

    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    # taken now: a commit made while the notebook runs must not be recorded as what ran
    code = provenance.code_state(lib_hash=plan.key_parts["lib source"], notebook_hash=plan.key_parts["notebook source"])
    try:
        log, run_id = partial / LOG_FILE, plan.notebook.id
        execute(execution, plan.notebook.path, plan.values, log=log, run_id=run_id, forks=forks)
        found = _take_findings(partial)
        record = Record(
            notebook=plan.notebook.id,
            profile=plan.values["profile"],
            key=plan.key,
            key_parts=plan.key_parts,
            parameters=plan.values,
            changed=plan.changed,
            seed=plan.values["seed"],
            device=found["device"],
            scores=[score_from(score) for score in found["scores"]],
            origins=[OriginEntry(**origin) for origin in found["origins"]],
            figures=[FigureEntry(**figure) for figure in found["figures"]],
            code=code,
            versions=provenance.versions(),
            hardware=provenance.hardware(found["gpu"]),
            started=started,
            wall_time_s=execution.wall_time_s,
            peak_memory_mib=execution.peak_memory_mib,
            folder=plan.folder,
        )
        _save_notebook(execution, partial, plan.notebook.id)
        (partial / LOG_FILE).unlink()
        record.save(partial / RECORD_FILE)
        publish(partial, plan.folder)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(_keep_failed(plan, partial, execution, "was interrupted", failed)) from stop
    except (LabError, OSError) as error:
        said = f"failed: {error.strerror or error}" if isinstance(error, OSError) else f"failed: {error}"
        raise LabError(_keep_failed(plan, partial, execution, said, failed)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return record


def _take_findings(partial: Path) -> dict[str, Any]:
    """What the notebook noted; its file is merged into the record and removed."""
    file = partial / NOTEBOOK_FILE
    if not file.is_file():
        raise LabError("the notebook ended without run.finish(), so there is nothing to record; call it in a last cell")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    return found


def _save_notebook(execution: "Execution", folder: Path, notebook_id: str) -> None:
    """Write the document as far as it was executed, without the paths that papermill notes."""
    import nbformat

    if execution.notebook is None:
        return
    about = execution.notebook.metadata.get("papermill", {})
    about["input_path"], about["output_path"] = f"{notebook_id}.ipynb", EXECUTED
    half = folder / f".{EXECUTED}"
    half.write_text(nbformat.writes(execution.notebook), encoding="utf-8")
    os.replace(half, folder / EXECUTED)


def _keep_failed(plan: Plan, partial: Path, execution: "Execution", said: str, failed: str) -> str:
    """Turn the partial folder into `failed` and return the one sentence that says what happened and where to look."""
    sentence = f"{plan.notebook.id} {said}"
    try:
        _save_notebook(execution, partial, plan.notebook.id)
        (partial / "error.txt").write_text(f"{sentence}\n", encoding="utf-8")
        if (log := partial / LOG_FILE).is_file() and not log.stat().st_size:
            log.unlink()
        publish(partial, plan.home / failed)
    except OSError as error:
        return f"{sentence}; the executed notebook could not be kept: {error.strerror}"
    kept = EXECUTED if execution.notebook is not None else "error.txt"
    return f"{sentence}; see {plan.home / failed / kept}"


def publish(partial: Path, folder: Path) -> None:
    """Move a finished folder to its place in one step, taking the place of an older one."""
    while True:
        try:
            os.replace(partial, folder)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        aside = new_partial(folder.parent)
        with contextlib.suppress(FileNotFoundError):  # another run was quicker to move it
            os.replace(folder, aside)
            shutil.rmtree(aside, ignore_errors=True)


def clean_leftovers(home: Path) -> None:
    """Remove partial folders whose process on this machine is gone."""
    for folder in home.glob(f"{PARTIAL}-*"):
        if is_left_over(folder):
            shutil.rmtree(folder, ignore_errors=True)


def is_left_over(partial: Path) -> bool:
    """Whether the process that made this partial folder was one of this machine and is gone."""
    import psutil

    _, pid, _, host = partial.name.split("-", 3)
    return host == _host() and not psutil.pid_exists(int(pid))


def new_partial(home: Path) -> Path:
    """Name for a folder that this process is working on, which nobody takes for a run."""
    return home / f"{PARTIAL}-{os.getpid()}-{uuid.uuid4().hex[:8]}-{_host()}"


def _host() -> str:
    return re.sub(r"[^\w.-]", "_", platform.node()) or "host"
