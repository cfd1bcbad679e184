"""One progress bar for terminals and notebooks that leaves no trace in logs and in compared notebooks."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Literal, TypeVar

Item = TypeVar("Item")
Surface = Literal["terminal", "notebook", "log", "silent"]


def progress(iterable: Iterable[Item], *, total: int | None = None, label: str = "", done: int = 0) -> Iterator[Item]:
    """The items of an iterable, one after the other, while a bar shows how far it is.

    total: number of items where the iterable doesn't know its length. label: what is counted, for instance "frames".
    done: items of the total that are done already and don't come again.
    In a terminal the bar is on stderr; in JupyterLab it is a widget; in a log one line follows at the end; a notebook
    that is executed without a reader (papermill, nbval, nbclient) shows nothing, so that its outputs stay comparable.
    """
    surface = _surface()
    count = total if total is not None else len(iterable) if isinstance(iterable, Sized) else None
    if surface == "silent":
        yield from iterable
    elif surface == "log":
        yield from _with_summary(iterable, count, label, done)
    else:
        from tqdm.auto import tqdm

        yield from tqdm(iterable, total=count, desc=label or None, initial=done, file=sys.stderr, dynamic_ncols=True)


def _surface() -> Surface:
    """Where this process shows progress.

    Jupyter's server names the session of the kernels that it starts for a reader; a kernel without that name, or one
    of our own runner's, has nobody who looks on.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None and hasattr(shell, "kernel"):
        watched = "JPY_SESSION_NAME" in os.environ and "NOCTURNE_RUN_DIR" not in os.environ
        return "notebook" if watched else "silent"
    return "terminal" if sys.stderr.isatty() else "log"


def _with_summary(iterable: Iterable[Item], count: int | None, label: str, done: int) -> Iterator[Item]:
    """The items, and one line on stderr when they are through or the loop was left."""
    started = time.monotonic()
    try:
        for item in iterable:
            done += 1
            yield item
    finally:
        of_all = f" of {count}" if count is not None and count != done else ""
        print(f"{label or 'items'}: {done}{of_all} in {time.monotonic() - started:.1f} s", file=sys.stderr)
