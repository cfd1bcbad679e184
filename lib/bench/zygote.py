"""A process that has PyTorch loaded and forks a kernel whenever it is asked to.

A kernel of its own imports for seconds what a forked one has from the start. Run as a script by `lib.bench.forks`, with
one end of a socket as its argument; one JSON request a line, one JSON answer a line. When the other end is closed or
its process dies, all kernels are killed and this process ends.
"""

import contextlib
import gc
import importlib
import json
import os
import random
import signal
import socket
import sys
from typing import Any

# no work at import, no threads, no GPU context: what a fork can't take along
PRELOADED = ("torch", "ipykernel.kernelapp", "ipykernel.ipkernel", "lib.bench")
# packages that functions import when they need them: loaded here once a kernel has used them
LEARNT = (
    *("av", "cv2", "lightning_fabric", "lib", "numba", "safetensors", "scipy", "skimage", "sklearn", "timm"),
    *("torchmetrics", "torchvision"),
)
PIPE_BYTES = 4096  # what a pipe takes in one piece


def main() -> None:
    """Load, then answer until the other end is closed; in a forked process: be a kernel."""
    del sys.path[0]  # the folder of this file
    control = socket.socket(fileno=int(sys.argv[1]))
    # ipykernel reads this when it is imported, and ends when its parent does
    os.environ["JPY_PARENT_PID"] = str(os.getpid())
    for name in PRELOADED:
        importlib.import_module(name)
    request = _serve(control)
    if request is not None:
        _become_kernel(request)


def _serve(control: socket.socket) -> dict[str, Any] | None:
    """Answer requests; gives back the request in a forked process, None in this one at the end."""
    learnt, report = os.pipe()
    os.set_blocking(learnt, False)
    os.set_blocking(report, False)
    ended: dict[int, int | None] = {}
    with control.makefile("r", encoding="utf-8") as lines:
        for line in lines:
            request = json.loads(line)
            if "poll" in request:
                answer = _poll(request["poll"], ended)
            else:
                _learn(learnt)
                gc.freeze()  # what is loaded stays shared with the kernels
                pid = os.fork()
                if not pid:
                    control.close()
                    return request | {"report": report}
                ended[pid] = None
                answer = pid
            control.sendall(f"{json.dumps(answer)}\n".encode())
    for pid in (pid for pid, code in ended.items() if code is None):
        os.kill(pid, signal.SIGKILL)  # not reaped, so still this kernel, also where it leads no group yet
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return None


def _poll(pid: int, ended: dict[int, int | None]) -> int | None:
    """Exit code of a kernel as subprocess gives it, None while it runs."""
    if ended[pid] is None:
        found, status = os.waitpid(pid, os.WNOHANG)
        ended[pid] = os.waitstatus_to_exitcode(status) if found else None
    return ended[pid]


def _learn(learnt: int) -> None:
    """Import what kernels that have ended had to import; a module that fails here fails there with its reason."""
    with contextlib.suppress(BlockingIOError):
        for name in set(os.read(learnt, 16 * PIPE_BYTES).decode().split()) - set(sys.modules):
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def _become_kernel(request: dict[str, Any]) -> None:
    """Run the kernel of this connection file to its end, as a process of its own session."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    _seed_anew()
    from ipykernel.kernelapp import launch_new_instance

    before = set(sys.modules)
    try:
        launch_new_instance(argv=["-f", request["connection_file"], "--log-level=CRITICAL"])
    finally:
        names = [name for name in sys.modules if name not in before and _is_learnt(name)]
        with contextlib.suppress(OSError):
            os.write(request["report"], "".join(f"{name}\n" for name in names).encode()[:PIPE_BYTES])


def _seed_anew() -> None:
    """Give the global generators another state in each kernel, as processes of their own have."""
    random.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    if generator := getattr(sys.modules.get("torch"), "default_generator", None):
        generator.seed()


def _is_learnt(name: str) -> bool:
    package, _, rest = name.partition(".")
    return package in LEARNT and (package == "lib" or not rest)


if __name__ == "__main__":
    main()
