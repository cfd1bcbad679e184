"""One execution of a notebook by papermill, in a kernel of the running Python."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib.bench.forks import ForkedKernel, ForkServer, python_path
from lib.bench.provenance import peak_memory_mib
from lib.errors import LabError

# jsonschema, which papermill needs, builds a grammar of URIs at import: a second that no notebook asks for
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

import papermill  # noqa: E402
from jupyter_client.kernelspec import KernelSpec  # noqa: E402
from jupyter_client.manager import AsyncKernelManager  # noqa: E402
from nbclient.exceptions import DeadKernelError  # noqa: E402
from papermill.exceptions import PapermillExecutionError  # noqa: E402


@dataclass
class Execution:
    """How far a notebook came: the live document, the kernel's process, its peak memory (MiB) and the time it took."""

    notebook: Any = None
    process: subprocess.Popen[bytes] | ForkedKernel | None = None
    cells_done: int = 0
    peak_memory_mib: float = 0.0
    wall_time_s: float = 0.0
    cell_done: Callable[[], object] = field(default=lambda: None)

    def notebook_started(self, notebook: Any) -> None:
        """Keep the document that papermill fills, so that it can be saved whatever happens."""
        self.notebook = notebook

    def cell_ended(self, cell: Any, cell_index: int, execute_reply: Any) -> None:
        """Count a code cell, look at the kernel's memory, tell whoever shows progress."""
        if self.process is not None:
            self.peak_memory_mib = max(self.peak_memory_mib, peak_memory_mib(self.process.pid))
        self.cells_done += 1
        self.cell_done()


def execute(
    execution: Execution,
    notebook: Path,
    parameters: Mapping[str, Any],
    *,
    log: Path,
    run_id: str,
    forks: ForkServer | None = None,
) -> None:
    """Run all cells of the notebook file with the parameters injected, and fill `execution` on the way.

    log: file for what the kernel's process prints; its folder is the run's, which the kernel finds in NOCTURNE_RUN_DIR.
    forks: where to fork the kernel from, instead of starting a process that has everything yet to load.
    The kernel's working directory is the notebook's.
    Raises LabError, one sentence, when a cell raises or the kernel dies or does not start; the notebook is then in
    `execution` as far as it came. KeyboardInterrupt passes through.
    """
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    started = time.perf_counter()
    with log.open("wb") as log_stream:
        launch = {
            "cwd": str(notebook.parent),
            "env": _environment(log.parent, run_id=run_id),
            "stdout": log_stream,
            "stderr": log_stream,
        }
        try:
            papermill.execute_notebook(
                # papermill formats paths with the parameters: braces in a folder's name are not fields
                str(notebook).replace("{", "{{").replace("}", "}}"),
                None,
                parameters=dict(parameters),
                kernel_name="python3",
                language="python",
                progress_bar=False,
                kernel_manager_class=_kernel_class(execution, launch, log=log, forks=forks),
                on_notebook_start=execution.notebook_started,
                on_cell_executed=execution.cell_ended,
            )
        except PapermillExecutionError as error:
            said = f"{error.ename}: {error.evalue}".strip().splitlines()[0]
            raise LabError(f"cell {error.exec_count} raised {said}") from error
        except DeadKernelError as error:
            cell = execution.cells_done + 1
            raise LabError(f"the kernel died in cell {cell}{_cause(execution, log)}") from error
        except RuntimeError as error:  # nbclient's word for a kernel that does not answer
            raise LabError(f"the kernel did not start: {error}{_cause(execution, log)}") from error
        finally:
            execution.wall_time_s = round(time.perf_counter() - started, 3)


def _environment(run_folder: Path, *, run_id: str) -> dict[str, str]:
    """What a kernel finds in its environment, which is ours with a few names set."""
    # the kernel works in another folder: what is relative to ours must not change its meaning
    ours = {name: os.environ[name] for name in ("NOCTURNE_OUT", "NOCTURNE_NOTEBOOKS") if os.environ.get(name)}
    return {
        **os.environ,
        **{name: str(Path(folder).resolve()) for name, folder in ours.items()},
        "NOCTURNE_RUN_DIR": str(run_folder),
        "NOCTURNE_RUN_ID": run_id,
        # the kernel imports the very `lib` whose source went into the key
        "PYTHONPATH": python_path(),
    }


def _kernel_class(
    execution: Execution, launch: dict[str, Any], *, log: Path, forks: ForkServer | None
) -> type[AsyncKernelManager]:
    """A kernel manager that starts the running Python, whatever kernels the user has installed under that name.

    launch: folder, environment and streams of the process; log: the file behind these streams.
    """

    class ThisPython(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            # only what the notebook's own code prints is worth keeping of a kernel that died
            command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=CRITICAL"]
            return KernelSpec(argv=command, display_name="Python 3", language="python")

        async def _async_launch_kernel(self, kernel_cmd: list[str], **given: Any) -> None:
            environment = given["env"] | launch["env"]
            if forks is not None:
                self._fork_instead(forks, environment)
            await super()._async_launch_kernel(kernel_cmd, **given | launch | {"env": environment})
            # held here because the manager forgets the process, and how it ended, when it cleans up
            execution.process = getattr(self.provisioner, "process", None)

        def _fork_instead(self, forks: ForkServer, environment: dict[str, str]) -> None:
            """Make the provisioner hold a forked process; where none can be had, it starts its own as ever."""
            provisioner: Any = self.provisioner
            start = provisioner.launch_kernel

            async def fork(kernel_cmd: list[str], **given: Any) -> Any:
                try:
                    kernel = forks.launch(
                        connection_file=self.connection_file, cwd=launch["cwd"], env=environment, log=log
                    )
                except (EOFError, OSError):
                    return await start(kernel_cmd, **given)
                provisioner.process, provisioner.pid, provisioner.pgid = kernel, kernel.pid, kernel.pid
                return provisioner.connection_info

            provisioner.launch_kernel = fork

    return ThisPython


def _cause(execution: Execution, log: Path) -> str:
    """What is known of a dead kernel: signal or exit code, and the last line it wrote."""
    code = execution.process.poll() if execution.process else None
    ended = "" if code is None else f" (signal {-code})" if code < 0 else f" (exit code {code})"
    memory = ", the usual cause being too little memory" if code == -9 else ""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f"{ended}{memory}" + (f"; its last words: {lines[-1].strip()[:200]}" if lines else "")
