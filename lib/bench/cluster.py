"""Runs spread over processes by dask.distributed: a cluster on this machine, or a running scheduler's.

Every worker takes one run at a time and forks its kernels from a process of its own. A worker that dies is replaced
and its run starts again; what is complete is in the store, so that nothing is ever computed twice.
"""

import logging
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lib.bench.catalogue import find_notebook, notebooks_root
from lib.bench.forks import ForkServer
from lib.bench.plan import KEY_LENGTH, Plan, make_plan
from lib.bench.provenance import usable_cores, visible_gpus
from lib.bench.runner import FAILED, run_plan
from lib.errors import LabError, SpecError, Unavailable
from lib.paths import paths

if TYPE_CHECKING:
    from distributed import Client, Nanny

MAX_DEATHS = 3  # of workers over one run, before it is given up
MEMORY_PER_WORKER_GIB = 3.0
CONNECT_TIMEOUT_S = 5


@dataclass(frozen=True)
class Job:
    """One run as it travels to a worker; `sources` must be the worker's too, `folders` are the sender's."""

    notebook: str
    profile: str
    parameters: dict[str, Any]
    key: str
    sources: dict[str, str]
    folders: dict[str, str]
    force: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a job: `error` is "" or one sentence, `seconds` what it took, `reason` why it ran or did not."""

    key: str
    seconds: float = 0.0
    reason: str = ""
    error: str = ""


def job_of(plan: Plan, *, force: bool = False) -> Job:
    """The job of a plan; `force` runs also what the store holds."""
    values = {name: value for name, value in plan.values.items() if name != "profile"}
    out = os.environ.get("NOCTURNE_OUT", "")
    folders = {"NOCTURNE_NOTEBOOKS": str(notebooks_root()), "NOCTURNE_OUT": str(paths().runs.parent) if out else ""}
    return Job(plan.notebook.id, plan.values["profile"], values, plan.key, _sources(plan), folders, force)


def default_workers(num_jobs: int, *, wants_gpu: bool) -> int:
    """Workers for so many jobs: one a GPU, else one a core as far as memory goes."""
    import psutil

    if wants_gpu and (gpus := visible_gpus()):
        return max(1, min(num_jobs, len(gpus)))
    memory = int(psutil.virtual_memory().available / 2**30 / MEMORY_PER_WORKER_GIB)
    return max(1, min(num_jobs, usable_cores(), memory))


@contextmanager
def local_cluster(workers: int, *, wants_gpu: bool) -> Iterator["Client"]:
    """A cluster of worker processes on this machine, one run at a time each, with a GPU of its own where there are any.

    Raises SpecError for more workers than GPUs. On leaving, also by Ctrl-C, the workers and their kernels are killed.
    """
    import dask
    from distributed import Client, Scheduler, SpecCluster

    gpus = visible_gpus() if wants_gpu else []
    if gpus and workers > len(gpus):
        raise SpecError(f"each worker takes a GPU of its own: got {workers} workers for {len(gpus)}; or set device=cpu")
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, usable_cores() // workers))
    before_start = {"OMP_NUM_THREADS": threads, "DASK_LOGGING__DISTRIBUTED": "critical"}
    settings = {
        "distributed.scheduler.allowed-failures": MAX_DEATHS,
        "distributed.nanny.pre-spawn-environ": before_start,
    }
    scheduler = {"cls": Scheduler, "options": {"dashboard": False, "host": "127.0.0.1", "port": 0}}
    with tempfile.TemporaryDirectory(prefix="nocturne-", ignore_cleanup_errors=True) as scratch:
        options = {
            **{"nthreads": 1, "memory_limit": 0, "dashboard": False, "host": "127.0.0.1", "local_directory": scratch},
            **{"preload": ["lib.bench.worker"], "silence_logs": logging.CRITICAL},
        }
        env = [{"CUDA_VISIBLE_DEVICES": gpus[idx]} if gpus else {} for idx in range(workers)]
        spec = {idx: {"cls": _nanny_class(), "options": options | {"env": env[idx]}} for idx in range(workers)}
        with (
            dask.config.set(settings),
            SpecCluster(spec, scheduler, silence_logs=logging.CRITICAL) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            _quiet()
            yield client


@contextmanager
def remote_cluster(address: str) -> Iterator["Client"]:
    """The cluster of a running scheduler, whose workers may come later. Raises Unavailable where none answers."""
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise Unavailable(f"no scheduler answers at {address}: {error}; start one with `dask scheduler`") from error
    with client:
        _quiet()
        yield client


def outcomes(client: "Client", plans: Sequence[Plan], *, force: bool = False) -> Iterator[tuple[Plan, Outcome]]:
    """Each plan with what became of it, as it comes, whatever happens to the others.

    Raises Unavailable when the scheduler goes away; what was complete by then is in the store.
    """
    from distributed import as_completed

    plan_by_future = {
        client.submit(carry_out, job_of(plan, force=force), key=f"nocturne-{plan.key}"): plan for plan in plans
    }
    for future in as_completed(list(plan_by_future), loop=client.loop):
        yield plan_by_future[future], _outcome(future, plan_by_future[future])
        future.release()


def carry_out(job: Job) -> Outcome:
    """Do one job in this process, unless the store has it; never raises."""
    started = time.perf_counter()
    os.environ |= job.folders
    try:
        plan = make_plan(find_notebook(job.notebook), profile=job.profile, parameters=job.parameters)
        if differing := [name for name, value in _sources(plan).items() if value != job.sources[name]]:
            raise LabError(f"the {' and the '.join(differing)} changed after the start; start again")
        forks = _forks(job.sources["lib source"]) if ForkServer.is_possible() else None
        result = run_plan(plan, force=job.force, forks=forks, failed=f"{FAILED}-{plan.key[:KEY_LENGTH]}")
    except Exception as error:
        said = str(error) if isinstance(error, LabError) else f"{type(error).__name__}: {error}"
        return Outcome(job.key, time.perf_counter() - started, error=" ".join(said.split()))
    return Outcome(job.key, time.perf_counter() - started, result.reason)


def num_workers(client: "Client") -> int:
    """Worker processes that the scheduler has now; 0 where it does not answer, which the next outcome tells."""
    try:
        return len(client.nthreads())
    except OSError:
        return 0


@lru_cache(maxsize=1)
def _forks(lib_source: str) -> ForkServer:
    """This process's fork server; one that has loaded an older source is dropped, and ends."""
    return ForkServer()


def _sources(plan: Plan) -> dict[str, str]:
    return {name: plan.key_parts[name] for name in ("notebook source", "lib source")}


def _outcome(future: Any, plan: Plan) -> Outcome:
    from distributed import CancelledError, KilledWorker

    try:
        outcome: Outcome = future.result()
    except KilledWorker:
        cause = f"its worker died {MAX_DEATHS + 1} times, the usual cause being too little memory"
        return Outcome(plan.key, error=f"{plan.notebook.id}: {cause}")
    except CancelledError as error:
        raise Unavailable("the scheduler went away; what is complete is kept, and the same call goes on") from error
    return outcome


def _nanny_class() -> type["Nanny"]:
    from distributed import Nanny

    class SharpNanny(Nanny):
        """Ends its worker at once: a thread that runs a notebook can't be stopped, and the store makes killing safe."""

        async def kill(self, *given: Any, **named: Any) -> None:
            if self.pid:
                os.kill(self.pid, signal.SIGKILL)
            await super().kill(*given, **named)

    return SharpNanny


def _quiet() -> None:
    """What dask logs of workers that come and go is said by the progress."""
    for name in ("distributed", "distributed.client", "tornado.application", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
