"""The browser that the panels' tests drive: found or not, its keys and its complaints."""

from pathlib import Path

import pytest

from tests.browser.chromium import find_chromium, open_chromium

HAS_CHROMIUM = find_chromium() is not None


def test_without_a_browser_on_the_path_none_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_chromium() is None
    program = tmp_path / "chromium-browser"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    assert find_chromium() == str(program)


@pytest.mark.skipif(not HAS_CHROMIUM, reason="no Chromium or Chrome on the PATH")
def test_keys_arrive_and_errors_of_the_page_are_kept(tmp_path: Path) -> None:
    with open_chromium(tmp_path) as page:
        page.evaluate("document.body.innerHTML = '<input>'; document.querySelector('input').focus()")
        page.evaluate("window.pressed = []; addEventListener('keydown', event => pressed.push(event.key))")
        page.press("ArrowRight")
        page.press("End")
        assert page.wait_for("window.pressed.length === 2 && window.pressed") == ["ArrowRight", "End"]
        assert page.errors == []
        page.evaluate(
            "console.error('said', 7), console.log('not this'), void setTimeout(() => { throw Error('hurt') })"
        )
        page.evaluate("new Promise(done => setTimeout(done, 100))")
        assert [error.splitlines()[0] for error in page.errors] == ["said 7", "Error: hurt"]
        with pytest.raises(TimeoutError, match=r"not true within 0\.2 s: 1 > 2"):
            page.wait_for("1 > 2", timeout_s=0.2)
        page.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
