"""Notebooks as typed runs: catalogue, run, sweep, record, published tables, verdicts, report, command line."""

from lib.bench.catalogue import Notebook, list_notebooks
from lib.bench.record import Record, records
from lib.bench.runlog import RunLog, open_run
from lib.bench.runner import RunResult, run
from lib.bench.schema import Parameter, read_schema
from lib.bench.sweeps import sweep
from lib.bench.views import runs_frame, scores_frame

__all__ = [
    "Notebook",
    "Parameter",
    "Record",
    "RunLog",
    "RunResult",
    "list_notebooks",
    "open_run",
    "read_schema",
    "records",
    "run",
    "runs_frame",
    "scores_frame",
    "sweep",
]
