"""The launch form without its widgets: what its fields show, what their values mean, and what is wrong with them."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.bench.catalogue import DEFAULT_PROFILE, Notebook, check_values, list_notebooks
from lib.bench.published import list_papers
from lib.bench.record import BENCH
from lib.bench.schema import Parameter, read_schema
from lib.errors import SpecError

PROFILE = "profile"  # has a place of its own in the form


@dataclass(frozen=True)
class Filled:
    """A form as somebody filled it in.

    values: the checked parameters that differ from the profile's. wrong: one sentence for each field whose value the
    schema does not admit, by name; such a form can't be run.
    """

    notebook: Notebook
    profile: str
    values: dict[str, Any]
    wrong: dict[str, str]

    @property
    def command(self) -> str:
        """The same run on a command line."""
        words = ["nocturne", "run", self.notebook.id]
        if self.profile != DEFAULT_PROFILE:
            words += ["--profile", self.profile]
        for name, value in self.values.items():
            words += ["-p", f"{name}={as_text(value)}"]
        return shlex.join(words)


def papers_with_notebooks() -> list[str]:
    """Papers that have notebooks, in the order of their numbers; then what is no published paper, `bench` last."""
    there = {notebook.paper for notebook in list_notebooks()}
    known = [paper for paper in list_papers() if paper in there]
    return known + sorted(there - set(known), key=lambda paper: (paper == BENCH, paper))


def fields(notebook: Notebook) -> list[Parameter]:
    """The parameters that the form asks for, in the notebook's order: all but the profile."""
    return [parameter for name, parameter in read_schema(notebook.path).items() if name != PROFILE]


def first_values(notebook: Notebook, profile: str) -> dict[str, Any]:
    """What a form shows before anybody touches it: the profile's values, by name.

    Raises SpecError where the profile's file is not sound or names a folder that is not there.
    """
    return {name: value for name, value in notebook.resolve(profile, {}).items() if name != PROFILE}


def as_text(value: Any) -> str:
    """A parameter's value as one types it: true and false, numbers, JSON for lists and dicts, texts as they are."""
    return value if isinstance(value, str) else json.dumps(value)


def hint(parameter: Parameter) -> str:
    """What stands beside a field: help, and in brackets unit and range, as far as the notebook says them."""
    admitted = "" if parameter.choices and not _is_many(parameter) else parameter.range
    bracket = ", ".join(filter(None, (parameter.unit, admitted)))
    return f"{parameter.help} ({bracket})" if bracket else parameter.help


def choices(parameter: Parameter) -> list[tuple[str, Any]]:
    """Text and value of everything that may be chosen; empty where one types the value."""
    return [] if _is_many(parameter) else [(as_text(choice), choice) for choice in parameter.choices]


def fill_in(notebook: Notebook, profile: str, given: Mapping[str, Any]) -> Filled:
    """The form with what its fields hold: texts as typed, values of boxes and lists as they are, by name.

    A relative path counts from the working directory. A field that is missing keeps the profile's value.
    Raises SpecError for an unknown field or profile, and as `first_values`.
    """
    schema = {parameter.name: parameter for parameter in fields(notebook)}
    base = first_values(notebook, profile)
    values, wrong = {}, {}
    for name, held in given.items():
        try:
            value = _typed(schema[name], held) if name in schema else held
            (value,) = check_values(notebook.id, schema, {name: value}, folder=Path.cwd()).values()
        except SpecError as error:
            if name not in schema:
                raise
            wrong[name] = str(error).removeprefix(f"{notebook.id}: ")
            continue
        if value != base[name]:
            values[name] = value
    return Filled(notebook, profile, values, wrong)


def _typed(parameter: Parameter, held: Any) -> Any:
    """What a field holds, in the parameter's type where it was typed as text."""
    return parameter.from_text(held.strip()) if isinstance(held, str) else held


def _is_many(parameter: Parameter) -> bool:
    """Whether the value holds several numbers or words, so that one can't be chosen from a list."""
    return parameter.type in ("list", "dict")
