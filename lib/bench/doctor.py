"""What this machine has and lacks, each with what to do about it."""

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from lib import __version__
from lib.bench import provenance
from lib.bench.catalogue import list_notebooks, notebooks_root
from lib.paths import paths

LOW_DISK_GIB = 1.0


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found, whether the project needs it, and the cure where it is not good."""

    name: str
    found: str
    is_good: bool = True
    is_needed: bool = True
    advice: str = ""

    @property
    def mark(self) -> str:
        """`ok`, `bad` for something needed, `--` for something optional that is not there."""
        return "ok" if self.is_good else "bad" if self.is_needed else "--"


def examine() -> list[Check]:
    """All checks, in the order in which a newcomer would ask; importing torch makes this take some seconds."""
    return [
        *_versions(),
        _device(),
        _threads(),
        _notebooks(),
        _git(),
        _pyamg(),
        _reference(),
        *(_writable(name, folder) for name, folder in _folders().items()),
    ]


def _versions() -> list[Check]:
    python = ".".join(map(str, sys.version_info[:3]))
    checks = [
        Check("nocturne", __version__),
        Check("python", python, sys.version_info >= (3, 11), advice="" if sys.version_info >= (3, 11) else "use 3.11+"),
    ]
    for name in (*provenance.PACKAGES, "papermill", "ipykernel", "nbconvert"):
        try:
            checks.append(Check(name, version(name)))
        except PackageNotFoundError:
            checks.append(Check(name, "absent", is_good=False, advice="run `make install`"))
    return checks


def _device() -> Check:
    try:
        import torch

        from lib import device
    except ImportError as error:
        return Check("device", f"torch does not import: {error}", is_good=False, advice="run `make install`")
    chosen = device()
    if chosen.type == "cuda":
        memory_gib = torch.cuda.get_device_properties(chosen).total_memory / 2**30
        return Check("device", f"cuda: {torch.cuda.get_device_name(chosen)}, {memory_gib:.0f} GiB", is_needed=False)
    if chosen.type != "cpu":
        return Check("device", chosen.type, is_needed=False)
    seen = provenance.gpu_model()
    advice = (
        f"a {seen} is here but torch {torch.__version__} cannot use it; install a driver and a torch that match"
        if seen
        else "no GPU found; everything runs on the CPU, the profile `paper` slowly"
    )
    return Check("device", "cpu", is_good=False, is_needed=False, advice=advice)


def _threads() -> Check:
    try:
        import torch
    except ImportError:
        return Check("threads", "unknown without torch", is_good=False, is_needed=False)
    limit = os.environ.get("OMP_NUM_THREADS")
    limited = f", OMP_NUM_THREADS={limit}" if limit else ""
    return Check("threads", f"{torch.get_num_threads()} of {provenance.usable_cores()} cores{limited}")


def _notebooks() -> Check:
    count = len(list_notebooks())
    advice = "" if count else f"none in {notebooks_root()}; run from a checkout, or set NOCTURNE_NOTEBOOKS"
    return Check("notebooks", str(count), is_good=bool(count), advice=advice)


def _git() -> Check:
    commit = provenance.code_state(lib_hash="", notebook_hash="").git_commit
    advice = "" if commit else "records will not name a commit; work in a git checkout"
    return Check("git commit", commit[:10] or "none", is_good=bool(commit), is_needed=False, advice=advice)


def _pyamg() -> Check:
    if find_spec("pyamg"):
        return Check("pyamg", version("pyamg"), is_needed=False)
    advice = "a peer in `nocturne speed`; run `pip install -e .[peers]`"
    return Check("pyamg", "absent", is_good=False, is_needed=False, advice=advice)


def _reference() -> Check:
    folder = Path(os.environ.get("NOCTURNE_REFERENCE") or paths().root.parent / "shared")
    if folder.is_dir():
        return Check("reference data", "there", is_needed=False)
    advice = "tests against reference values are skipped; set NOCTURNE_REFERENCE to their folder"
    return Check("reference data", "absent", is_good=False, is_needed=False, advice=advice)


def _folders() -> dict[str, Path]:
    here = paths()
    return {"runs folder": here.runs, "reports folder": here.reports, "cache folder": here.cache}


def _writable(name: str, folder: Path) -> Check:
    """Whether files can be written there, tried in the nearest folder that exists, and how much room is left."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            free_gib = shutil.disk_usage(existing).free / 2**30
    except OSError as error:
        advice = f"cannot write to {existing} ({error.strerror}); set NOCTURNE_OUT to a folder that you can write to"
        return Check(name, str(folder), is_good=False, advice=advice)
    if free_gib < LOW_DISK_GIB:
        return Check(name, f"{folder}, {free_gib:.2f} GiB free", is_good=False, advice="make room on that disk")
    return Check(name, f"{folder}, {free_gib:.0f} GiB free")
