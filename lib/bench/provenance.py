"""What could change a number: source, versions, machine. Everything here is read without importing torch."""

import hashlib
import json
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lib.bench.record import Code, Hardware
from lib.bench.schema import read_cells

LIB = Path(__file__).resolve().parent.parent
# packages that take part in computing, reading or simulating; the others only show results
PACKAGES = (
    "av",
    "numba",
    "numpy",
    "opencv-python-headless",
    "scikit-image",
    "scikit-learn",
    "scikit-video",
    "scipy",
    "torch",
    "torchmetrics",
    "torchvision",
)


def lib_sha256(root: Path = LIB) -> str:
    """Hash of the names and bytes of every Python file below `root`."""
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def notebook_sha256(path: Path) -> str:
    """Hash of the cells' kinds, sources and tags: outputs and metadata do not count."""
    return hashlib.sha256(json.dumps(read_cells(path), sort_keys=True).encode()).hexdigest()


def content_sha256(path: Path) -> str:
    """Hash of a file, or of all files of a folder."""
    from lib.data.origin import file_sha256, folder_sha256

    return folder_sha256(path) if path.is_dir() else file_sha256(path)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that matter to a number; "absent" for one that is not installed."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def code_state(*, lib_hash: str, notebook_hash: str) -> Code:
    """Commit and dirty flag beside the source hashes; without git, or outside a checkout of ours, only the hashes."""
    root = LIB.parent
    top, commit, changes = (
        _git("rev-parse", "--show-toplevel", folder=root),
        _git("rev-parse", "HEAD", folder=root),
        _git("status", "--porcelain", folder=root),
    )
    is_ours = bool(top and commit) and Path(top or "").resolve() == root
    return Code(
        git_commit=(commit or "") if is_ours else "",
        git_dirty=bool(changes) if is_ours and changes is not None else None,
        lib_sha256=lib_hash,
        notebook_sha256=notebook_hash,
    )


def hardware(gpu: str = "") -> Hardware:
    """The machine this process runs on; `gpu` is the name of the one in use."""
    import psutil

    return Hardware(
        cpu=_cpu_name(), cores=usable_cores(), memory_gib=round(psutil.virtual_memory().total / 2**30, 1), gpu=gpu
    )


def usable_cores() -> int:
    """Cores that this process may use, which in a container can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpu_model() -> str:
    """Model of the first GPU that the system shows, or ""; cheap, so that a cached run need not import torch."""
    for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in file.read_text(errors="replace").splitlines():
            if line.startswith("Model:"):
                return line.split(":", 1)[1].strip()
    return "Apple GPU" if platform.system() == "Darwin" and platform.machine() == "arm64" else ""


def visible_gpus() -> list[str]:
    """Names by which CUDA_VISIBLE_DEVICES knows the GPUs that this process may use; found without importing torch."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    return [str(idx) for idx, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*/information"))]


def peak_memory_mib(pid: int) -> float:
    """Most memory that a process has held so far, MiB: the kernel's high-water mark, or what it holds now elsewhere."""
    import psutil

    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    except OSError:
        pass  # no such file system, or the process has ended
    try:
        return round(psutil.Process(pid).memory_info().rss / 2**20, 1)
    except psutil.Error:
        return 0.0


@cache
def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _git(*arguments: str, folder: Path) -> str | None:
    """Output of a git command, or None where it cannot be had."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
