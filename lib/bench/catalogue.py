"""The notebooks and their profiles: what can be run, under which name, with which values."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.bench.record import paper_of
from lib.bench.schema import Parameter, nearest, read_cells, read_schema
from lib.errors import SpecError
from lib.paths import paths

DEFAULT_PROFILE = "smoke"


@dataclass(frozen=True)
class Notebook:
    """One notebook of the catalogue.

    `id` is `<paper>/<name>`, as in `context_fusion/1_method`, or `<name>` for a notebook that belongs to no paper and
    lies beside the papers' folders, as `night_watch` does.
    """

    id: str
    path: Path

    @property
    def paper(self) -> str:
        """Folder that holds the notebook, or `bench` for one that belongs to no paper."""
        return paper_of(self.id)

    @property
    def name(self) -> str:
        """File name without its ending."""
        return self.path.stem

    @property
    def title(self) -> str:
        """First heading of the notebook, or its id."""
        texts = (cell["source"] for cell in read_cells(self.path) if cell["kind"] == "markdown")
        return next((text.splitlines()[0].lstrip("# ") for text in texts if text.startswith("#")), self.id)

    @property
    def profiles(self) -> list[str]:
        """Names of its profiles, smallest first; `smoke` is always there, as the notebook's defaults."""
        found = {path.name.split(".")[-2] for path in self._profile_folder.glob(f"{self.name}.*.yaml")}
        order = ["smoke", "teach", "paper"]
        return sorted(found | {DEFAULT_PROFILE}, key=lambda name: (order.index(name) if name in order else 9, name))

    @property
    def _profile_folder(self) -> Path:
        return self.path.parent / "profiles"

    def profile_values(self, profile: str) -> dict[str, Any]:
        """Values that a profile sets, a flat dict; SpecError for an unknown or unreadable profile."""
        if profile not in self.profiles:
            raise SpecError(f"{self.id} has no profile {profile!r}{nearest(profile, self.profiles)}")
        import yaml

        file = self._profile_folder / f"{self.name}.{profile}.yaml"
        try:
            values = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}
        except yaml.YAMLError as error:
            raise SpecError(f"{file.name} is not YAML: {' '.join(str(error).split())}") from error
        if not isinstance(values or {}, dict) or (values or {}).get("profile", profile) != profile:
            raise SpecError(f"{file.name} must be a flat list of `name: value` with `profile: {profile}`")
        return {**(values or {}), "profile": profile}

    def resolve(self, profile: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Checked values of all parameters: the notebook's defaults, then the profile, then `overrides`.

        Relative paths count from the notebook's folder in defaults and profiles, from the working directory in
        overrides; the result holds absolute ones. Raises SpecError for anything that the schema does not admit.
        """
        schema = read_schema(self.path)
        defaults = {name: parameter.default for name, parameter in schema.items()}
        file_values = check_values(self.id, schema, defaults | self.profile_values(profile), folder=self.path.parent)
        return file_values | override(self.id, schema, overrides)


def notebooks_root() -> Path:
    """Folder of the notebooks: NOCTURNE_NOTEBOOKS where it is set, else the checkout's own."""
    return Path(os.environ.get("NOCTURNE_NOTEBOOKS") or paths().notebooks).resolve()


def list_notebooks() -> list[Notebook]:
    """All notebooks: `<name>.ipynb` in the notebooks folder itself, then `<paper>/<name>.ipynb`, each sorted by id."""
    root = notebooks_root()
    files = [*sorted(root.glob("*.ipynb")), *sorted(root.glob("*/*.ipynb"))]
    found = [file.relative_to(root) for file in files]
    # JupyterLab keeps copies in hidden folders
    shown = [file for file in found if not any(part.startswith(".") for part in file.parts)]
    return [Notebook(file.with_suffix("").as_posix(), root / file) for file in shown]


def find_notebook(notebook_id: str) -> Notebook:
    """The notebook of that id (or of the path of its file); SpecError with the nearest ids otherwise."""
    by_id = {notebook.id: notebook for notebook in list_notebooks()}
    wanted = notebook_id
    if notebook_id.endswith(".ipynb"):
        folder, name = ("", *Path(notebook_id).with_suffix("").parts)[-2:]
        wanted = name if folder in ("", notebooks_root().name) else f"{folder}/{name}"
    if wanted not in by_id:
        raise SpecError(f"no notebook {notebook_id!r}{nearest(wanted, by_id)}")
    return by_id[wanted]


def override(notebook_id: str, schema: Mapping[str, Parameter], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Checked values to go over a profile's, paths made absolute from the working directory; errors as in `resolve`."""
    if "profile" in overrides:
        raise SpecError("profile is chosen by its own argument (--profile NAME), not as a parameter")
    return check_values(notebook_id, schema, overrides, folder=Path.cwd())


def check_values(
    notebook_id: str, schema: Mapping[str, Parameter], values: Mapping[str, Any], *, folder: Path
) -> dict[str, Any]:
    """The values in their declared types, paths made absolute from `folder`; SpecError for the first that is wrong."""
    checked = {}
    for name, value in values.items():
        if name not in schema:
            raise SpecError(f"{notebook_id} has no parameter {name!r}{nearest(name, schema)}")
        try:
            checked[name] = schema[name].check(value)
        except SpecError as error:
            raise SpecError(f"{notebook_id}: {error}") from error
        if schema[name].is_path and value:
            place = (folder / Path(value).expanduser()).resolve()
            if not place.exists():
                raise SpecError(f'{notebook_id}: {name} is no file or folder: got {value!r}; "" takes embedded data')
            checked[name] = str(place)
    return checked


def values_from_text(notebook: Notebook, pairs: Mapping[str, str]) -> dict[str, Any]:
    """Typed values of `name=text` pairs from a command line; SpecError for an unknown name or a wrong type."""
    schema = read_schema(notebook.path)
    values = {}
    for name, text in pairs.items():
        if name not in schema:
            raise SpecError(f"{notebook.id} has no parameter {name!r}{nearest(name, schema)}")
        try:
            values[name] = schema[name].from_text(text)
        except SpecError as error:
            raise SpecError(f"{notebook.id}: {error}") from error
    return values
