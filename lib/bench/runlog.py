"""The run as a notebook sees it: checked parameters, device, randomness, and where its scores and figures go."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lib.bench.catalogue import check_values, find_notebook
from lib.bench.record import Better, FigureEntry, OriginEntry, Score, home_of, write_json
from lib.bench.schema import nearest, read_schema
from lib.errors import SpecError

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

NOTEBOOK_FILE = "notebook.json"
FIGURE_DPI = 110


class OriginLike(Protocol):
    """Anything that says where data came from, such as lib.data's Origin."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> Any: ...
    @property
    def licence(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def source(self) -> str: ...


@dataclass
class RunLog:
    """Collects what one execution of a notebook found; `finish()` writes it for the runner.

    `values` are the checked parameters, `path_names` those among them that are files or folders.
    """

    notebook: str
    values: dict[str, Any]
    path_names: tuple[str, ...]
    folder: Path
    scores: list[Score] = field(default_factory=list)
    origins: list[OriginEntry] = field(default_factory=list)
    figures: list[FigureEntry] = field(default_factory=list)

    @property
    def device(self) -> "torch.device":
        """Device to compute on, from the parameter `device`."""
        from lib import device

        return device(self.values["device"])

    def generator(self) -> "torch.Generator":
        """A new random generator on the CPU, seeded with the parameter `seed`: the same numbers on every device."""
        import torch

        return torch.Generator().manual_seed(self.values["seed"])

    def spec(self) -> str:
        """Parameters as short sorted text without paths, device or times, the same on every machine."""
        shown = {
            name: ("user's own" if value else "embedded") if name in self.path_names else value
            for name, value in self.values.items()
            if name not in ("device", "profile")
        }
        width = max(map(len, shown))
        lines = [f"  {name:<{width}}  {value}" for name, value in sorted(shown.items())]
        return "\n".join([f"{self.notebook}, profile {self.values['profile']}", *lines])

    def add_origin(self, origin: OriginLike) -> None:
        """Note where data or weights came from; scores refer to it by name."""
        entry = OriginEntry(origin.name, origin.kind, origin.licence, origin.sha256, str(origin.source))
        if entry.kind not in ("benchmark", "sample", "simulated"):
            raise SpecError(f"origin {entry.name} must be benchmark, sample or simulated: got {entry.kind!r}")
        self.origins = [known for known in self.origins if known.name != entry.name] + [entry]

    def add_score(
        self,
        *,
        table: str,
        row: str,
        column: str,
        value: float,
        unit: str,
        better: Better,
        protocol: str,
        data: str,
        weights: str = "",
        interval: tuple[float, float] | None = None,
    ) -> None:
        """Note one number of a table; `data` (and `weights`, if any) name origins that were added before.

        A cell run again replaces its score. Raises SpecError for an unknown origin, direction, or a number that is
        not finite.
        """
        for origin in filter(None, (data, weights)):
            if origin not in (known := [entry.name for entry in self.origins]):
                raise SpecError(f"score {row} / {column}: no origin {origin!r} was added{nearest(origin, known)}")
        bounds = (float(interval[0]), float(interval[1])) if interval else None
        if not all(map(math.isfinite, (float(value), *(bounds or ())))):
            raise SpecError(f"score {row} / {column} must be finite: got {value} {bounds or ''}; the run is not usable")
        if better not in ("higher", "lower", "none"):
            raise SpecError(f"better must be higher, lower or none: got {better!r}")
        score = Score(table, row, column, float(value), unit, better, protocol, data, weights, bounds)
        place = (table, row, column, data)
        self.scores = [known for known in self.scores if (known.table, known.row, known.column, known.data) != place]
        self.scores.append(score)

    def add_figure(self, name: str, figure: "Figure", caption: str) -> None:
        """Save a matplotlib figure as `figures/<name>.png`; the name is made of small letters, digits and `_`."""
        if not re.fullmatch(r"[a-z0-9_]+", name):
            raise SpecError(f"a figure's name must be made of a-z, 0-9 and _: got {name!r}")
        file = self.folder / "figures" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        # without the library's version in the file, equal pictures are equal files
        figure.savefig(file, dpi=FIGURE_DPI, bbox_inches="tight", metadata={"Software": None})
        self.figures = [known for known in self.figures if known.name != name]
        self.figures.append(FigureEntry(name, f"figures/{name}.png", caption))

    def finish(self) -> None:
        """Write everything noted so far to notebook.json in the run's folder; the runner merges it into the record."""
        import torch

        used = self.device
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {
            "notebook": self.notebook,
            "parameters": self.values,
            "device": used.type,
            "gpu": torch.cuda.get_device_name(used) if used.type == "cuda" else "",
            "scores": [asdict(score) for score in self.scores],
            "origins": [asdict(origin) for origin in self.origins],
            "figures": [asdict(figure) for figure in self.figures],
        }
        write_json(self.folder / NOTEBOOK_FILE, content)


def open_run(notebook_id: str, values: Mapping[str, Any]) -> RunLog:
    """The run of this notebook, from its globals: `run = open_run("context_fusion/1_method", globals())`.

    Checks the parameters as the command line does. Outside the runner the run's folder is
    `runs/<paper>/<name>/interactive`.
    Raises SpecError for a parameter that is missing, of another type or out of range, and for another notebook's id.
    """
    notebook = find_notebook(notebook_id)
    if os.environ.get("NOCTURNE_RUN_ID", notebook.id) != notebook.id:
        raise SpecError(f"open_run must name its own notebook {os.environ['NOCTURNE_RUN_ID']}: got {notebook_id}")
    schema = read_schema(notebook.path)
    if missing := [name for name in schema if name not in values]:
        raise SpecError(f"{notebook.id}: parameter {missing[0]} has no value; run the parameters cell first")
    checked = check_values(notebook.id, schema, {name: values[name] for name in schema}, folder=notebook.path.parent)
    if checked["profile"] not in notebook.profiles:
        raise SpecError(
            f"{notebook.id} has no profile {checked['profile']!r}{nearest(checked['profile'], notebook.profiles)}"
        )
    folder = Path(os.environ.get("NOCTURNE_RUN_DIR") or home_of(notebook.id) / "interactive")
    return RunLog(notebook.id, checked, tuple(name for name in schema if schema[name].is_path), folder)
