"""The report: one offline HTML page with every paper's tables and verdicts, sweeps, figures and provenance.

Beside it lie the executed notebooks as pages (`notebooks/`) and every table as Markdown, LaTeX and CSV (`tables/`).
"""

import base64
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from lib.bench.catalogue import Notebook, list_notebooks
from lib.bench.compare import CLOSE_BANDS, VERDICTS, Verdict
from lib.bench.layout import ENDINGS, Grid, draw
from lib.bench.pages import template, write_page
from lib.bench.plan import KEY_LENGTH
from lib.bench.published import Paper, list_papers, load_paper, unique
from lib.bench.record import BENCH, FigureEntry, OriginEntry, Record, home_of, records, swept_records
from lib.bench.runner import EXECUTED, FAILED
from lib.bench.sweeps import Sweep, list_sweeps
from lib.bench.swept import SweptCells, found_sweeps
from lib.bench.tables import PLAIN_PROFILE, grids, title_of
from lib.errors import DataMissing
from lib.paths import paths

MEANINGS: dict[Verdict, str] = {
    "match": "benchmark data, the paper's protocol, and within the band of the cell",
    "close": f"as match, but within {CLOSE_BANDS:g} bands",
    "off": "as match, but further away",
    "not comparable": "other data, weights, sizes, protocol or, for timings, another machine; the table says which",
    "not run": "no score; the table says what is missing",
}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """A figure of a run as it stands in the page; `source` is a data URI, sizes in pixels."""

    name: str
    caption: str
    source: str
    width: int
    height: int


@dataclass(frozen=True)
class Run:
    """A record with what the page shows of it; `link` is "" and `trouble` says why where a part is missing."""

    record: Record
    title: str
    link: str
    pictures: tuple[Picture, ...]
    trouble: str

    @property
    def started(self) -> str:
        """Start of the run to the minute."""
        return datetime.fromisoformat(self.record.started).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")

    @property
    def code(self) -> str:
        """Commit of the code, and whether files differed from it."""
        code = self.record.code
        if not code.git_commit:
            return f"no git; lib {code.lib_sha256[:12]}"
        return code.git_commit[:12] + (" with uncommitted changes" if code.git_dirty else "")

    @property
    def machine(self) -> str:
        """Processor, cores, memory and GPU."""
        machine = self.record.hardware
        text = f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib:.0f} GiB"
        return f"{text}, {machine.gpu}" if machine.gpu else text


@dataclass(frozen=True)
class SweepPart:
    """A sweep with its curves; `pictures` is empty where no measure is one number a cell."""

    cells: SweptCells
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Chapter:
    """One paper of the report."""

    paper: Paper
    grids: tuple[Grid, ...]
    notebooks: tuple[Notebook, ...]
    runs: tuple[Run, ...]
    sweeps: tuple[SweepPart, ...]
    waiting_sweeps: tuple[Sweep, ...]
    failures: tuple[str, ...]

    @property
    def published(self) -> list[Grid]:
        """The paper's own tables."""
        return [grid for grid in self.grids if grid.counts]

    def table(self, name: str) -> Grid | None:
        """The published table of that name, None where the paper has none."""
        return next((grid for grid in self.published if grid.name == name), None)

    @property
    def measures(self) -> list[Grid]:
        """Tables of our own measures."""
        return [grid for grid in self.grids if not grid.counts]

    @property
    def num_measures(self) -> int:
        """Count of our own numbers."""
        return sum(entry is not None for grid in self.measures for _, entries in grid.rows for entry in entries)

    @property
    def num_context(self) -> int:
        """Published numbers of methods that this project does not implement."""
        return sum(grid.num_context for grid in self.published)

    @property
    def needs(self) -> list[str]:
        """What is missing for the tables that could be reproduced and are not, the longer of two phrases."""
        phrases = {grid.needs: set(re.findall(r"[\w/.-]+", grid.needs)) for grid in self.published if grid.needs}
        return [text for text, words in phrases.items() if not any(words < other for other in phrases.values())]

    @property
    def waiting(self) -> list[Notebook]:
        """Notebooks without a complete run."""
        done = {run.record.notebook for run in self.runs}
        return [notebook for notebook in self.notebooks if notebook.id not in done]

    @property
    def origins(self) -> list[OriginEntry]:
        """Everything that the runs and sweeps of this paper were measured on, each once."""
        every = [*(run.record for run in self.runs), *(it for sweep in self.sweeps for it in sweep.cells.records)]
        found = {(origin.name, origin.sha256): origin for record in every for origin in record.origins}
        return list(found.values())


def write_report(out: Path | None = None) -> Path:
    """Write the report of all complete runs, with notebooks and tables beside it; gives back the page's path.

    out: folder, by default the reports folder of this checkout. The page is written last and whole or not at all.
    Raises Unavailable where the folder can't be written.
    """
    out = (paths().reports if out is None else out).resolve()
    runs = records()
    papers = [*list_papers(), BENCH]
    chapters = [_chapter(paper, [record for record in runs if record.paper == paper], out) for paper in papers]
    chapters = [it for it in chapters if it.paper.name != BENCH or it.notebooks or it.runs]
    for chapter in chapters:
        _write_tables(chapter, out)
    counts = _add_up(grid.counts for chapter in chapters for grid in chapter.published)
    text = template("report.html.j2").render(
        chapters=chapters,
        columns=_columns(chapters),
        counts=counts,
        endings=ENDINGS,
        key_length=KEY_LENGTH,
        meanings=MEANINGS,
        num_context=sum(chapter.num_context for chapter in chapters),
        num_published=sum(counts.values()),
        num_runs=len(runs),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    page = out / "index.html"
    write_page(page, text)
    return page


def _chapter(paper: str, runs: Sequence[Record], out: Path) -> Chapter:
    notebooks = tuple(notebook for notebook in list_notebooks() if notebook.paper == paper)
    titles = {notebook.id: notebook.title for notebook in notebooks}
    ordered = sorted(runs, key=lambda record: (record.notebook, record.profile != PLAIN_PROFILE))
    sweeps = found_sweeps(paper)
    done = {it.sweep.id for it in sweeps}
    return Chapter(
        paper=load_paper(paper),
        grids=tuple(grids(paper, runs, swept_records(paper))),
        notebooks=notebooks,
        runs=tuple(_run(record, titles.get(record.notebook, record.notebook), out) for record in ordered),
        sweeps=tuple(SweepPart(it, tuple(_curves(it))) for it in sweeps),
        waiting_sweeps=tuple(it for it in list_sweeps(paper) if it.id not in done),
        failures=tuple(_failures(paper, runs)),
    )


def _run(record: Record, title: str, out: Path) -> Run:
    folder = record.folder or home_of(record.notebook) / record.key[:KEY_LENGTH]
    trouble = []
    try:
        link = _export(record, folder / EXECUTED, out)
    except DataMissing as error:
        link = ""
        trouble.append(str(error))
    pictures = []
    for figure in record.figures:
        try:
            pictures.append(_picture(figure, folder))
        except DataMissing as error:
            trouble.append(str(error))
    return Run(record, title, link, tuple(pictures), "; ".join(trouble))


def _export(record: Record, executed: Path, out: Path) -> str:
    """Write the executed notebook as a page below `out` and give back the relative link to it."""
    from lib.bench.export import export_notebook

    plain = record.profile == PLAIN_PROFILE
    link = f"notebooks/{record.notebook}.html" if plain else f"notebooks/{record.notebook}.{record.profile}.html"
    home = "../" * link.count("/") + "index.html"
    facts = f"{record.notebook}, profile {record.profile}, seed {record.seed}, run {record.key[:KEY_LENGTH]}"
    export_notebook(executed, out / link, home=home, facts=facts)
    return link


def _picture(figure: FigureEntry, folder: Path) -> Picture:
    try:
        content = (folder / figure.file).read_bytes()
    except OSError as error:
        raise DataMissing(f"the figure {figure.file} of the run is gone; run it again with --force") from error
    if not content.startswith(PNG_SIGNATURE):
        raise DataMissing(f"the figure {figure.file} of the run is not a PNG; run it again with --force")
    return _inlined(figure.name, figure.caption, content)


def _inlined(name: str, caption: str, png: bytes) -> Picture:
    # the header chunk comes first: 8 bytes signature, 8 length and type, then width and height
    width, height = (int.from_bytes(png[start : start + 4]) for start in (16, 20))
    return Picture(name, caption, f"data:image/png;base64,{base64.b64encode(png).decode()}", width, height)


def _curves(cells: SweptCells) -> Iterable[Picture]:
    """Every measure over what the sweep changed, drawn now from its cells."""
    if len(cells.summary.rows) < 2:
        return
    for measure in cells.summary.units:
        for figure in cells.summary.figures(measure):
            content = BytesIO()
            figure.savefig(content, format="png", metadata={"Software": None})
            spread = f"mean and 95 % interval over {len(cells.seeds)} seeds" if len(cells.seeds) > 1 else "one seed"
            caption = f"{measure} in the sweep {cells.title}, {spread}."
            yield _inlined(measure, caption, content.getvalue())


def _write_tables(chapter: Chapter, out: Path) -> None:
    """Every table of the chapter in a file of each format, and all but the sweeps' in one more."""
    folder = out / "tables" / chapter.paper.name
    swept = [grid for sweep in chapter.sweeps for grid in sweep.cells.grids]
    title = title_of(chapter.paper)
    for form, ending in ENDINGS.items():
        for grid in [*chapter.grids, *swept]:
            write_page(folder / f"{grid.id}.{ending}", draw(title, [grid], form))
        write_page(folder / f"all.{ending}", draw(title, chapter.grids, form))


def _failures(paper: str, runs: Sequence[Record]) -> Iterable[str]:
    """What the last run of a notebook died of, as far as no complete run came after it."""
    for file in sorted((paths().runs / paper).glob(f"*/{FAILED}/error.txt")):
        name = file.parent.parent.name
        notebook = name if paper == BENCH else f"{paper}/{name}"
        starts = [datetime.fromisoformat(run.started).timestamp() for run in runs if run.notebook == notebook]
        if max(starts, default=0.0) < file.stat().st_mtime:
            yield file.read_text(encoding="utf-8").strip()


def _columns(chapters: Sequence[Chapter]) -> list[str]:
    """Names of all published tables, numbered ones first."""
    names = unique(grid.name for chapter in chapters for grid in chapter.published)
    return sorted(names, key=lambda name: (not name.startswith("table_"), name))


def _add_up(counts: Iterable[dict[Verdict, int]]) -> dict[Verdict, int]:
    total: Counter[Verdict] = Counter()
    for count in counts:
        total.update(count)
    return {verdict: total[verdict] for verdict in VERDICTS}
