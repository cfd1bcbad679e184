"""The report: complete, honest about what is missing, and offline to the letter."""

import os
import re
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from lib.bench.export import export_notebook, mathml
from lib.bench.published import list_papers, load_paper
from lib.bench.record import Record
from lib.bench.report import write_report
from lib.errors import DataMissing, Unavailable
from lib.paths import paths
from tests.bench.report_house import VOCABULARIES, check_offline, executed, leave_run, read, reported


@pytest.fixture
def run(record: Record) -> Record:
    return reported(record)


def test_empty_house_gives_an_honest_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOCTURNE_OUT", str(tmp_path))
    monkeypatch.setenv("NOCTURNE_NOTEBOOKS", str(tmp_path / "none"))
    written = write_report()
    assert written == (tmp_path / "reports" / "index.html").resolve()
    page, text = read(written)
    check_offline(page, text)
    for paper in list_papers():
        assert load_paper(paper).title in page.text
    assert page.text.count("Not built yet.") == 5
    assert re.search(r"Verdicts over the 164 published numbers", page.text)
    assert re.search(r"not run\s+164\s", page.text)
    assert "from 0 complete runs" in page.text


def test_report_of_a_run_is_complete_and_offline(house: Path, run: Record) -> None:
    leave_run(run)
    written = write_report()
    page, text = read(written)
    check_offline(page, text)
    assert 'Night, "day" & fusion.' in page.text
    assert page.alts == ['Figure stages. Night, "day" & fusion.']
    assert 'width="3" height="2"' in text
    assert "0.25 [0.2, 0.3]" in " ".join(page.text.split())
    for said in (
        "scene & <night>",
        "simulated",
        "CC0",
        "abababababab",
        "c0ffee",
        "a cpu, 2 cores, 8 GiB",
        "0123456789ab",
    ):
        assert said in page.text, said
    assert "Not run yet: context_fusion/2_ablation" in page.text
    assert "2001-01-01 00:00 UTC" in page.text


def test_links_lead_somewhere(house: Path, run: Record) -> None:
    leave_run(run)
    written = write_report()
    page, _ = read(written)
    inside = {link[1:] for link in page.links if link.startswith("#")}
    assert inside <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    files = [link for link in page.links if link.endswith(".html")]
    assert files == ["notebooks/context_fusion/1_method.html"]
    exported, text = read(written.parent / files[0])
    check_offline(exported, text)
    back = next(link for link in exported.links if link.endswith("index.html"))
    assert (written.parent / files[0]).parent.joinpath(back).resolve() == written


def test_other_profiles_have_a_page_of_their_own(house: Path, run: Record) -> None:
    leave_run(run)
    leave_run(replace(run, profile="paper", key="fedcba9876543210"))
    page, _ = read(write_report())
    files = [link for link in page.links if link.endswith(".html")]
    assert files == ["notebooks/context_fusion/1_method.html", "notebooks/context_fusion/1_method.paper.html"]


def test_out_folder_is_made_and_used(house: Path, run: Record) -> None:
    leave_run(run)
    written = write_report(house / "elsewhere" / "deep")
    assert written == (house / "elsewhere" / "deep" / "index.html").resolve()
    assert (written.parent / "notebooks" / "context_fusion" / "1_method.html").is_file()


def test_missing_parts_of_a_run_are_said_not_hidden(house: Path, run: Record) -> None:
    folder = leave_run(run)
    (folder / "figures" / "stages.png").unlink()
    (folder / "notebook.ipynb").write_text("{")
    page, _ = read(write_report())
    assert "the figure figures/stages.png of the run is gone" in page.text
    assert "the executed notebook notebook.ipynb can't be read" in page.text
    assert page.alts == []


def test_failed_run_is_shown_until_a_complete_one_follows(house: Path, run: Record) -> None:
    failed = paths().runs / run.notebook / "failed"
    failed.mkdir(parents=True)
    (failed / "error.txt").write_text("context_fusion/1_method failed: cell 3 raised ValueError\n")
    leave_run(run)  # started long ago
    assert "Last run failed. context_fusion/1_method failed: cell 3" in " ".join(read(write_report())[0].text.split())
    os.utime(failed / "error.txt", (0, 0))
    assert "Last run failed." not in read(write_report())[0].text


def test_folder_that_cannot_be_written_is_one_clear_error(house: Path) -> None:
    (house / "taken").write_text("a file")
    with pytest.raises(Unavailable, match=r"can't write .*taken.*: .*; choose another folder with --out"):
        write_report(house / "taken")


def test_failed_write_leaves_the_old_page_whole(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_report()
    before = written.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(Unavailable, match="No space left on device"):
        write_report()
    assert written.read_bytes() == before
    assert [path.name for path in written.parent.iterdir() if path.name.startswith(".")] == []


def test_exported_notebook_has_equations_pictures_and_no_widget(tmp_path: Path) -> None:
    source, target = tmp_path / "notebook.ipynb", tmp_path / "pages" / "page.html"
    source.write_text(nbformat.writes(executed()), encoding="utf-8")
    export_notebook(source, target, home="../index.html", facts="seed 0")
    page, text = read(target)
    check_offline(page, text)
    assert page.tags.count("math") == 3
    assert "mfrac" in page.tags
    assert "HBox" not in page.text
    assert "$" not in page.text
    assert "True" in page.text
    assert page.alts == ["Picture computed by the cell above, section Day and night"]
    assert page.unscoped == 0
    assert page.tags.count("h1") == 1
    assert "<title>Day and night</title>" in text
    assert [found for found in re.findall(r"https?://[^\s\"'<]+", text) if found not in VOCABULARIES] == []


def test_equation_that_cannot_be_read_stays_visible() -> None:
    assert mathml(r"\nosuchthing{x} < 1", display=True) == r"<pre>\nosuchthing{x} &lt; 1</pre>"
    assert mathml(r"\left( x", display=False) == r"<code>\left( x</code>"
    assert "<mtable" in mathml(r"\begin{aligned} a &= b \\ c &= d \end{aligned}", display=True)


def test_absent_notebook_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"executed notebook gone\.ipynb can't be read"):
        export_notebook(tmp_path / "gone.ipynb", tmp_path / "page.html", home="", facts="")
