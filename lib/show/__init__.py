"""Figures, tables and progress for notebooks; knows no paper. matplotlib is loaded with the first figure's module."""

from lib.show.progress import progress
from lib.show.tables import Table, table

__all__ = ["Table", "progress", "table"]
