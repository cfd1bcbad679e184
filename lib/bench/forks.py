"""Kernels forked from a process that has PyTorch loaded: the same kernels, seconds earlier. Linux only."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from lib.bench.provenance import LIB

ZYGOTE = Path(__file__).with_name("zygote.py")
KILLED = -9


class ForkServer:
    """Starts kernels by forking; its process starts with the first of them, and again if somebody kills it.

    Kernels end with the server's process, and that ends when this object or the process that holds it does.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._link: _Link | None = None

    @staticmethod
    def is_possible() -> bool:
        """Whether this system can fork a process that has loaded PyTorch: only Linux can be trusted to."""
        return sys.platform == "linux"

    def launch(self, *, connection_file: str, cwd: str, env: Mapping[str, str], log: Path) -> "ForkedKernel":
        """A new kernel process; `log` takes what it prints. Raises OSError where no process can be started."""
        request = {"connection_file": connection_file, "cwd": cwd, "env": dict(env), "log": str(log)}
        with self._lock:
            try:
                link = self._link or _Link()
                pid = link.ask(request)
            except (EOFError, OSError):  # somebody killed it: once more
                link = _Link()
                pid = link.ask(request)
            self._link = link
        return ForkedKernel(pid, link)

    def close(self) -> None:
        """End the server's process and all kernels that still run."""
        if self._link is not None:
            self._link.close()
            self._link = None


class ForkedKernel:
    """A kernel's process, seen as `subprocess.Popen` shows one to the kernel manager."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, link: "_Link") -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._link = link

    def poll(self) -> int | None:
        """Exit code, negative for a signal, None while it runs."""
        if self.returncode is None:
            try:
                self.returncode = self._link.ask({"poll": self.pid})
            except (EOFError, OSError):  # its parent is gone, and it goes with it
                self.returncode = KILLED
        return self.returncode

    def wait(self) -> int | None:
        """Exit code of a kernel that has ended; the kernel manager polls first."""
        return self.poll()

    def send_signal(self, number: int) -> None:
        """Send a signal; one that has ended takes none."""
        if self.poll() is None:
            os.kill(self.pid, number)


class _Link:
    """A zygote process and the socket to it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._lock = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, str(ZYGOTE), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": python_path()},
                start_new_session=True,  # Ctrl-C is for the process that holds it
            )
        self._socket = ours
        self._lines: IO[str] = ours.makefile("r", encoding="utf-8")
        self._close = weakref.finalize(self, _end, self._socket, self._lines, self._process)

    def ask(self, request: dict[str, Any]) -> Any:
        """The answer to one request; EOFError or OSError when the process is gone."""
        with self._lock:
            self._socket.sendall(f"{json.dumps(request)}\n".encode())
            line = self._lines.readline()
        if not line:
            raise EOFError("the process that forks kernels has ended")
        return json.loads(line)

    def close(self) -> None:
        """Let the process end and wait for it."""
        self._close()


def _end(link: socket.socket, lines: IO[str], process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        link.shutdown(socket.SHUT_RDWR)
    lines.close()
    link.close()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def python_path() -> str:
    """PYTHONPATH of a child process that shall import this very `lib`."""
    return os.pathsep.join(filter(None, [str(LIB.parent), os.environ.get("PYTHONPATH", "")]))
