"""Executed notebooks as offline HTML pages: equations as MathML, pictures inlined, no script, no external request."""

import re
from html import escape, unescape
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import pass_context
from math_core import LatexError, LatexToMathML
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from lib.bench.pages import template, write_page
from lib.errors import DataMissing

WIDGET_TYPES = ("application/vnd.jupyter.widget-view+json", "application/javascript")
PICTURE_ALT = "Picture computed by the cell above"


class PageRenderer(IPythonRenderer):
    """Markdown with equations set as MathML, which browsers draw without any script, and links that lead somewhere.

    folder: of the page. anchors: those that the page has so far; a heading adds its own.
    """

    def __init__(self, folder: Path, anchors: set[str], **given: Any) -> None:
        super().__init__(escape=False, exclude_anchor_links=True, **given)
        self.folder = folder
        self.anchors = anchors

    def heading(self, text: str, level: int, **_: Any) -> str:
        """A heading with the anchor that JupyterLab gives it."""
        anchor = escape(unescape(re.sub(r"<[^>]*>", "", text)).replace(" ", "-"))
        named = "" if anchor in self.anchors else f' id="{anchor}"'
        self.anchors.add(anchor)
        return f"<h{level}{named}>{text}</h{level}>\n"

    def link(self, text: str, url: str, title: str | None = None) -> str:
        """A link; one to a notebook leads to its page where there is one, one to another file is plain text."""
        if url.startswith("#") or "://" in url:
            return str(super().link(text, url, title))
        page = Path(url).with_suffix(".html")
        is_there = url.endswith(".ipynb") and (self.folder / page).is_file()
        return str(super().link(text, page.as_posix(), title)) if is_there else text

    def block_math(self, body: str) -> str:
        """`$$ ... $$` as a display equation."""
        return mathml(body, display=True)

    def inline_math(self, body: str) -> str:
        """`$ ... $` as an equation within the line."""
        return mathml(body, display=False)

    def latex_environment(self, name: str, body: str) -> str:
        """`\\begin{name} ... \\end{name}` as a display equation."""
        return mathml(rf"\begin{{{name}}}{body}\end{{{name}}}", display=True)


class PageExporter(HTMLExporter):
    """nbconvert's plain HTML body with our Markdown, for a page in `folder`."""

    def __init__(self, folder: Path, **given: Any) -> None:
        super().__init__(template_name="basic", **given)
        self._folder = folder
        self._anchors: set[str] = set()

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        """HTML of one Markdown text; attachments of the cell are inlined."""
        attachments = context.get("cell", {}).get("attachments", {})
        renderer = PageRenderer(self._folder, self._anchors, attachments=attachments)
        return MarkdownWithMath(renderer=renderer).render(source)


def mathml(tex: str, *, display: bool) -> str:
    """MathML of a TeX equation; TeX that can't be read stays visible as code."""
    try:
        return LatexToMathML().convert_with_local_state(tex, displaystyle=display)
    except LatexError:
        tag = "pre" if display else "code"
        return f"<{tag}>{escape(tex.strip())}</{tag}>"


def export_notebook(source: Path, target: Path, *, home: str, facts: str) -> None:
    """Write the executed notebook `source` as one HTML page `target`.

    home: relative link from the page to the report.  facts: one line on the run, shown at the top.
    Raises DataMissing where the notebook is absent or damaged, Unavailable where the page can't be written.
    """
    try:
        notebook = nbformat.read(source, as_version=4)
    except (OSError, ValueError) as error:
        raise DataMissing(f"the executed notebook {source.name} can't be read: {error}; run it again") from error
    _settle(notebook)
    body, _ = PageExporter(target.parent).from_notebook_node(notebook)
    page = template("notebook.html.j2").render(
        title=_title(notebook) or source.stem, body=_scoped(body), home=home, facts=facts, code_style=code_style()
    )
    write_page(target, page)


def code_style() -> str:
    """Style sheet of highlighted code, light and dark; both styles have the contrast of WCAG AA on our ground."""
    light = HtmlFormatter(style="xcode").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    return f"{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}"


def _title(notebook: NotebookNode) -> str:
    lines = (line for cell in notebook.cells if cell.cell_type == "markdown" for line in cell.source.splitlines())
    return next((line.lstrip("# ") for line in lines if line.startswith("# ")), "")


def _scoped(body: str) -> str:
    """The page's tables with heads that say what they are heads of: columns, or rows where they stand in a body."""
    in_heads = re.sub(
        r"<thead.*?</thead>", lambda head: re.sub(r"<th(?=[ >])", '<th scope="col"', head[0]), body, flags=re.DOTALL
    )
    return re.sub(r"<th(?=[ >])(?! scope)", '<th scope="row"', in_heads)


def _settle(notebook: NotebookNode) -> None:
    """Drop what needs a script (widgets; a static picture follows each), set TeX outputs, describe pictures."""
    notebook.metadata.pop("widgets", None)  # their state would be a script element
    section = ""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            headings = re.findall(r"^#+ (.+)$", cell.source, flags=re.MULTILINE)
            section = re.sub(r"[$*`]", "", headings[-1]) if headings else section
            continue
        cell.metadata.setdefault("alt", f"{PICTURE_ALT}, section {section}" if section else PICTURE_ALT)
        cell.outputs = [out for out in cell.outputs if not any(kind in out.get("data", {}) for kind in WIDGET_TYPES)]
        for output in cell.outputs:
            if tex := output.get("data", {}).get("text/latex"):
                output["data"]["text/html"] = mathml(tex.strip().strip("$"), display=True)
