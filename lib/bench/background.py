"""One run in a process of its own, so that a page stays alive: progress by cell, a stop, a sentence at its end.

The process takes the run as JSON in its argument and answers with one JSON object a line: `cells`, how many there are;
`cell` after each; and at its end `done`, `error` or `stopped`. It stops itself, as by Ctrl-C, when its standard input
is closed, so that it also ends with the process that holds it.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import IO, Any, Literal

from lib.bench.catalogue import find_notebook
from lib.bench.forks import python_path
from lib.bench.form import Filled
from lib.bench.plan import make_plan
from lib.bench.record import home_of
from lib.bench.runner import clean_leftovers, run_plan
from lib.errors import LabError, SpecError

Ending = Literal["", "done", "error", "stopped"]
ENDINGS: tuple[Ending, ...] = ("done", "error", "stopped")


class BackgroundRun:
    """A run on its way: `num_cells` of `total_cells` are done, `ending` is "" until it ended, `said` the last sentence.

    `total_cells` is 0 until the process knows it. on_change is called, from another thread, after each change.
    Raises SpecError for a form with wrong fields.
    """

    def __init__(self, filled: Filled, *, on_change: Callable[["BackgroundRun"], object] = lambda run: None) -> None:
        if filled.wrong:
            raise SpecError(f"{filled.notebook.id} can't run: {'; '.join(filled.wrong.values())}")
        self.filled = filled
        self.num_cells = 0
        self.total_cells = 0
        self.ending: Ending = ""
        self.said = ""
        self._on_change = on_change
        job = {"notebook": filled.notebook.id, "profile": filled.profile, "parameters": filled.values}
        self._errors: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed at the end
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lib.bench.background", json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, "PYTHONPATH": python_path()},
            start_new_session=True,  # an interrupt of the page's kernel is none of the run's
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """Ask it to stop; it ends as soon as its kernel is gone, and leaves nothing half-written."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for its end; whether it has come."""
        self._reader.join(timeout_s)
        return not self._reader.is_alive()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            message = json.loads(line)
            self.total_cells = message.get("cells", self.total_cells)
            self.num_cells += "cell" in message
            for ending in ENDINGS:
                if ending in message:
                    self.ending, self.said = ending, message[ending]
            self._on_change(self)
        code = self._process.wait()
        if not self.ending:
            self.ending, self.said = "error", self._last_words(code)
            clean_leftovers(home_of(self.filled.notebook.id))
            self._on_change(self)
        self._errors.close()

    def _last_words(self, code: int) -> str:
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors if line.strip()]
        how = f"signal {-code}, the usual cause being too little memory" if code == -9 else f"exit code {code}"
        return f"the process of {self.filled.notebook.id} ended ({how})" + (f": {lines[-1]}" if lines else "")


def main(job: dict[str, Any], out: IO[str]) -> None:
    """Carry out one job and tell `out` about it, line by line."""

    def tell(**message: Any) -> None:
        print(json.dumps(message), file=out, flush=True)

    # also where whoever started the page ignores interrupts
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        threading.Thread(target=_interrupt_at_the_end, daemon=True).start()
        plan = make_plan(find_notebook(job["notebook"]), profile=job["profile"], parameters=job["parameters"])
        tell(cells=plan.num_cells)
        result = run_plan(plan, on_cell=lambda: tell(cell=1))
        took = "" if result.cached else f"{result.record.wall_time_s:.1f} s, "
        tell(done=f"{plan.notebook.id} at {job['profile']}: {took}{result.reason}")
    except LabError as error:
        tell(error=str(error))
    except KeyboardInterrupt as stop:
        tell(stopped=str(stop) or f"{job['notebook']} was stopped")


def _interrupt_at_the_end() -> None:
    """Wait for the end of standard input, then interrupt the main thread."""
    sys.stdin.read()
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


if __name__ == "__main__":
    protocol = sys.stdout
    with redirect_stdout(sys.stderr):
        main(json.loads(sys.argv[1]), protocol)
