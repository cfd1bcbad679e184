"""The report as people meet it: what stands first, sweeps, files beside it, headings, colours, paper."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lib.bench.pages import template
from lib.bench.prune import find_waste
from lib.bench.record import Record, Score
from lib.bench.report import write_report
from lib.bench.tables import render
from lib.errors import SpecError
from tests.bench.conftest import PARAMETERS, Toys
from tests.bench.report_house import check_offline, leave_run, read, reported
from tests.browser.chromium import Page, find_chromium, open_chromium

SWEEP = """\
about: What the threshold does
notebook: context_fusion/1_method
axes: {threshold: [0.2, 0.3, 0.4]}
"""
DPI = 96  # CSS pixels an inch


@dataclass(frozen=True)
class Shown:
    """A written report: its page, the sweep's cells in it, and how many of them could have been pruned before."""

    page: Path
    cells: list[Record]
    num_waste_before: int


@pytest.fixture(scope="module")
def shown(record: Record, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """The report of a store with a sweep; no test changes it."""
    folder = tmp_path_factory.mktemp("house")
    (folder / "notebooks").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOCTURNE_NOTEBOOKS", str(folder / "notebooks"))
        patch.setenv("NOCTURNE_OUT", str(folder / "out"))
        cells = leave_sweep(Toys(folder / "notebooks"), record)
        num_waste = len(find_waste("threshold > 0"))
        yield Shown(write_report(), cells, num_waste)


def leave_sweep(toys: Toys, record: Record) -> list[Record]:
    """Six cells of a declared sweep of context_fusion/1_method, a wide table in the first, and a plain run."""
    notebook = toys.write("1_method", paper="context_fusion", parameters=PARAMETERS)
    for name, text in (("one", SWEEP), ("later", SWEEP.replace("axes: {threshold", "axes: {is_fast: [true], sizes"))):
        file = notebook.path.parent / "sweeps" / f"{name}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text.replace("sizes: [0.2, 0.3, 0.4]", "sizes: [[1], [2]]"))
    values = notebook.resolve("smoke", {})
    made = []
    for number in range(6):
        threshold, seed = (0.2, 0.3, 0.4)[number // 2], number % 2
        j = Score("cell", "this", "seam energy", threshold + seed, "1", "lower", "mean over the border", "scene")
        wide = [
            Score(
                "wide",
                "a row",
                f"measure {i} of a thing",
                i + 0.125,
                "grey levels",
                "higher",
                "p",
                "scene",
                "",
                (0.125, 9.875),
            )
            for i in range(12)
        ]
        run = replace(
            reported(record),
            key=f"{number + 10:02d}" * 8,
            parameters=values | {"threshold": threshold, "seed": seed},
            seed=seed,
            changed=["threshold", "seed"],
            scores=[j, *(wide if number == 0 else [])],
            origins=record.origins,
            started=f"2001-01-01T00:{number:02d}:00.000+00:00",
        )
        leave_run(run)
        made.append(run)
    leave_run(replace(reported(record), parameters=values, started="2002-01-01T00:00:00.000+00:00"))
    return made


def test_the_first_lines_say_what_is_reproduced_what_is_not_and_why(shown: Shown) -> None:
    text = " ".join(read(shown.page)[0].text.split())
    first = text[text.index("What is reproduced") : text.index("Paper 000")]
    assert "None of the 164 published numbers is reproduced (match or close)." in first
    assert re.search(r"164 have no score here; \d+ of those belong to other methods", first)
    assert "context_fusion 1 run, 1 sweep" in first
    assert "DAVIS-2016 at 480p and the weights of GMFlow and of the four DINO backbones" in first
    assert "the BVI-RLV test videos" in first
    # what a longer phrase covers is not said twice
    assert "the weights of DINO ViT-B/8 and GMFlow" not in first


def test_sweeps_are_shown_with_tables_curves_and_cells(shown: Shown) -> None:
    page, text = read(shown.page)
    said = " ".join(page.text.split())
    assert "context_fusion/one 6 of 6 cells What the threshold does. context_fusion/1_method" in said
    assert "profile smoke, seeds 0, 1." in said
    assert "seam energy in the sweep context_fusion/one, mean and 95 % interval over 2 seeds." in said
    assert "threshold 0.2 0.7 [-5.653, 7.053]" in said
    assert [alt for alt in page.alts if alt and alt.startswith("Figure seam energy. ")]
    assert "Declared, not run yet: nocturne sweep context_fusion/later What the threshold does" in said
    assert all(run.key[:12] in said for run in shown.cells)
    check_offline(page, text)


def test_prune_keeps_every_cell_that_the_report_shows(shown: Shown) -> None:
    assert shown.num_waste_before == 6
    assert find_waste("threshold > 0") == find_waste() == []


def test_files_beside_the_report_equal_its_tables(shown: Shown) -> None:
    written = shown.page
    page, _ = read(written)
    files = [link for link in page.links if link.startswith("tables/")]
    assert all((written.parent / link).is_file() for link in files)
    assert len(files) == len(set(files)) == sum(1 for _ in (written.parent / "tables").rglob("*.*"))
    for form, ending in (("markdown", "md"), ("latex", "tex"), ("csv", "csv")):
        beside = written.parent / "tables" / "context_fusion"
        assert (beside / f"all.{ending}").read_text(encoding="utf-8") == render("context_fusion", form)
        assert (beside / f"text.{ending}").read_text(encoding="utf-8") == render("context_fusion", form, "text")
        drawn = (beside / f"1_method-seams.{ending}").read_text(encoding="utf-8")
        assert drawn == render("context_fusion", form, "seams")
        assert "0.25" in drawn
        swept_file = (beside / f"sweep-one.{ending}").read_text(encoding="utf-8")
        assert swept_file == render("context_fusion", form, "sweep-one")
        assert "0.7" in swept_file


def test_a_table_that_there_is_not_is_refused_with_the_nearest(shown: Shown, nocturne) -> None:
    with pytest.raises(SpecError, match=r"no table 'sweep-on'; nearest: .*sweep-one"):
        render("context_fusion", "text", "sweep-on")
    said = nocturne("table", "context_fusion", "sweep-one", "--format", "markdown")
    assert "| threshold 0.2 | 0.7 [-5.653, 7.053] |" in said.out
    assert nocturne("table", "context_fusion", "tekst").code == 2


def test_headings_are_in_order_and_what_scrolls_has_a_name(shown: Shown) -> None:
    written = shown.page
    for page in (read(written)[0], read(written.parent / "notebooks" / "context_fusion" / "1_method.html")[0]):
        assert page.headings[0] == 1
        assert page.headings.count(1) == 1
        assert all(after <= before + 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
        assert page.unscoped == 0
        assert page.unnamed == []
        assert all(page.alts)


def colours(text: str) -> Iterator[dict[str, str]]:
    """Custom colours of the style sheet, light then dark: what dark leaves out stays light."""
    light, dark = re.findall(r":root \{([^}]*)\}", text)[:2]
    named = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", light))
    yield named
    yield named | dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", dark))


def contrast(first: str, second: str) -> float:
    """Contrast of two colours by WCAG 2: 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_text_has_the_contrast_of_wcag_aa_in_both_schemes() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    sheet = template("style.css.j2").render()
    assert "prefers-color-scheme: dark" in sheet
    for scheme in colours(sheet):
        for ground in ("paper", "card", "wash"):
            for ink in ("ink", "muted", "faint", "accent", "match", "close", "off", "other", "none"):
                assert contrast(scheme[ink], scheme[ground]) >= 4.5, (ink, ground, scheme[ink])


def test_highlighted_code_has_the_contrast_of_wcag_aa_in_both_schemes() -> None:
    from lib.bench.export import code_style

    light, dark = code_style().split("@media")
    for rules, scheme in zip((light, dark), colours(template("style.css.j2").render()), strict=True):
        # w is white space; err and g... are no tokens of Python
        inks = re.findall(r"\.highlight \.(?!w |err |g)(\w+) \{ (?:background[^;]*; )?color: (#[0-9A-Fa-f]{6})", rules)
        assert len(inks) > 20
        assert not [(name, ink) for name, ink in inks if contrast(ink, scheme["wash"]) < 4.5]


def test_paper_gets_no_navigation_and_no_dark_colours(shown: Shown) -> None:
    written = shown.page
    for file in (written, written.parent / "notebooks" / "context_fusion" / "1_method.html"):
        text = file.read_text(encoding="utf-8")
        rules = text[text.rindex("@media print") : text.rindex("</style>")]
        assert re.search(r"nav, \.skip, \.files, \.bar a \{ display: none; \}", rules)
        assert "tr, dl > div" in rules
        assert "break-inside: avoid" in rules
        assert all("screen and" in query for query in re.findall(r"@media ([^{]*dark\))", text))


@pytest.mark.slow
@pytest.mark.skipif(not find_chromium(), reason="no Chromium or Chrome on the PATH: install one to measure the pages")
def test_pages_fit_phone_desktop_and_paper_without_a_script(shown: Shown, tmp_path: Path) -> None:
    written = shown.page
    with open_chromium(tmp_path) as page:
        page.call("Emulation.setScriptExecutionDisabled", value=True)
        for file in (written, written.parent / "notebooks" / "context_fusion" / "1_method.html"):
            page.open(file.as_uri())
            page.wait_for("document.readyState == 'complete' && document.title.length")
            for width, media in ((390, "screen"), (1280, "screen"), (round(10.7 * DPI), "print")):
                look(page, width=width, media=media)
                assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.open(written.as_uri())
        page.wait_for("document.readyState == 'complete' && !!document.querySelector('#context_fusion')")
        look(page, width=390, media="screen")
        assert page.evaluate("[...document.querySelectorAll('.scroll')].some(it => it.scrollWidth > it.clientWidth)")
        grounds = []
        for scheme in ("light", "dark"):
            look(page, width=390, media="screen", scheme=scheme)
            grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert grounds[0] != grounds[1]
        look(page, width=1000, media="print", scheme="dark")
        assert page.evaluate("[...document.querySelectorAll('nav, .files')].every(it => !it.offsetHeight)")
        # what is folded up on the screen is on paper
        assert page.evaluate("[...document.querySelectorAll('details table')].every(it => it.offsetHeight > 0)")
        assert page.errors == []


def look(page: Page, *, width: int, media: str, scheme: str = "light") -> None:
    """The page at a width, on a screen or on paper, in a colour scheme."""
    page.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.call("Emulation.setEmulatedMedia", media=media, features=features)
