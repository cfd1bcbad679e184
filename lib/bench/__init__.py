"""Notebooks as typed runs: catalogue, run, record, published tables, verdicts, report, command line."""

from lib.bench.catalogue import Notebook, list_notebooks
from lib.bench.record import Record, records
from lib.bench.runlog import RunLog, open_run
from lib.bench.runner import RunResult, run
from lib.bench.schema import Parameter, read_schema

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
]
