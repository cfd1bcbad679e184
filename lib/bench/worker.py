"""What dask loads first in a worker process of this machine: Ctrl-C is for the process that started the workers."""

import signal

from distributed import Worker


async def dask_setup(worker: Worker) -> None:
    """Leave interrupts to the parent, which ends its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
