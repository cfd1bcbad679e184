"""What tests of the report share: a parser that checks a page, and a run's folder as the runner leaves it."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from lib.bench.record import FigureEntry, OriginEntry, Record, Score
from lib.paths import paths

# a picture of 3 x 2 grey pixels
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAAAAAC4HznGAAAAEElEQVR4nGNgYGBgYGBgYGAAAAAHAAGgXwVxAAAAAElFTkSuQmCC"
)
OUTSIDE = re.compile(r"https?:|^//|^/|^file:", re.IGNORECASE)
# names of XML vocabularies, never fetched
VOCABULARIES = ("http://www.w3.org/1998/Math/MathML", "http://www.w3.org/2000/svg")


class Page(HTMLParser):
    """Everything of a page that could be wrong: what it loads, links, describes and closes, its headings and tables."""

    VOID = frozenset({"meta", "link", "img", "br", "hr", "input", "mspace"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.links: list[str] = []
        self.alts: list[str | None] = []
        self.ids: list[str] = []
        self.headings: list[int] = []
        self.unscoped = 0
        self.unnamed: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        if tag not in self.VOID:
            self.stack.append(tag)
        self.loads += [given[name] or "" for name in ("src", "srcset", "poster", "data", "background") if name in given]
        if tag == "link":
            self.loads.append(given["href"] or "")
        if tag == "a":
            self.links.append(given["href"] or "")
        if tag == "img":
            self.alts.append(given.get("alt"))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.unscoped += tag == "th" and given.get("scope") not in ("row", "col")
        if tag == "nav" or given.get("role") == "region":
            self.unnamed += [] if given.get("aria-label") or given.get("aria-labelledby") else [tag]
        if "id" in given:
            self.ids.append(given["id"] or "")
        assert not [name for name in given if name.startswith("on")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.stack.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def check_offline(page: Page, text: str) -> None:
    """No script, nothing loaded but data URIs, no style sheet that imports, and a policy that forbids the rest."""
    assert "script" not in page.tags
    assert "iframe" not in page.tags
    assert [source for source in page.loads if not source.startswith("data:")] == []
    assert [link for link in page.links if OUTSIDE.search(link)] == []
    assert "@import" not in text
    assert [found for found in re.findall(r"url\(([^)]*)\)", text) if not found.strip("'\"").startswith("data:")] == []
    assert "default-src 'none'" in text


def executed(title: str = "# Day and night") -> nbformat.NotebookNode:
    """A notebook with equations, a table, a picture, a widget with its state, and a TeX output."""
    picture = new_output("display_data", data={"image/png": base64.b64encode(PNG).decode(), "text/plain": "<Figure>"})
    widget = new_output(
        "display_data", data={"application/vnd.jupyter.widget-view+json": {"model_id": "m"}, "text/plain": "HBox()"}
    )
    tex = new_output("display_data", data={"text/latex": "$x^2$", "text/plain": "x**2"})
    text = (
        rf"{title}"
        + "\n\nThe field is $G = W\\,\\nabla N$ and\n\n$$c_1 = \\frac{a}{b}$$\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n"
    )
    state = {"application/vnd.jupyter.widget-state+json": {"state": {}, "version_major": 2, "version_minor": 0}}
    return new_notebook(
        cells=[
            new_markdown_cell(text),
            new_code_cell("print(1 < 2)", outputs=[new_output("stream", text="True\n"), picture, widget, tex]),
        ],
        metadata={"widgets": state},
    )


def leave_run(record: Record, notebook: nbformat.NotebookNode | None = None) -> Path:
    """A run's folder as the runner leaves it."""
    folder = paths().runs / record.notebook / record.key[:12]
    (folder / "figures").mkdir(parents=True)
    for figure in record.figures:
        (folder / figure.file).write_bytes(PNG)
    (folder / "notebook.ipynb").write_text(nbformat.writes(notebook or executed()), encoding="utf-8")
    record.save(folder / "record.json")
    return folder


def read(page: Path) -> tuple[Page, str]:
    """A page, parsed, and its text."""
    text = page.read_text(encoding="utf-8")
    return Page(text), text


def reported(record: Record) -> Record:
    """A run of context_fusion/1_method with one score, one figure and an origin with odd signs."""
    origin = OriginEntry("scene & <night>", "simulated", "CC0", "ab" * 32, "lib.data.simulate")
    own = Score("seams", "ours", "seam energy", 0.25, "1", "lower", "mean over the border", origin.name, "", (0.2, 0.3))
    figure = FigureEntry("stages", "figures/stages.png", 'Night, "day" & fusion.')
    return replace(
        record,
        notebook="context_fusion/1_method",
        key="0123456789abcdef",
        origins=[origin],
        scores=[own],
        figures=[figure],
    )
