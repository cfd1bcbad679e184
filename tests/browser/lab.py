"""JupyterLab on a free port with nobody's settings, and a notebook opened in it: cells run, sliders moved."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.browser.chromium import POLL_S, Page

START_TIMEOUT_S = 120.0
RUN_TIMEOUT_S = 400.0
MOVE_TIMEOUT_S = 60.0
OPTIONS = ("--no-browser", "--allow-root", "--expose-app-in-browser", "--ServerApp.port=0", "--ServerApp.ip=127.0.0.1")
# nothing asks the network, and no question covers the page
SETTINGS = {"apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False}}
PANEL = re.compile(r"^panel\(", re.MULTILINE)
NOTEBOOK = "[...(window.jupyterapp?.shell?.widgets('main') ?? [])][0]"


@dataclass(frozen=True)
class Server:
    """A running JupyterLab: its address, which ends in a slash, and the token that it asks for."""

    address: str
    token: str


@contextmanager
def serve(notebooks: Path, folder: Path) -> Iterator[Server]:
    """JupyterLab over a folder of notebooks, its settings and the notebooks' runs in `folder`; ended with the block."""
    places = {f"JUPYTER_{name}_DIR": folder / name.lower() for name in ("CONFIG", "DATA", "RUNTIME")}
    places |= {f"JUPYTERLAB_{name}_DIR": folder / name.lower() for name in ("SETTINGS", "WORKSPACES")}
    places |= {"IPYTHONDIR": folder / "ipython", "NOCTURNE_OUT": folder / "out"}
    for name, values in SETTINGS.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(values), encoding="utf-8")
    command = [sys.executable, "-m", "jupyterlab", *OPTIONS, f"--ServerApp.root_dir={notebooks}"]
    environment = os.environ | {name: str(path) for name, path in places.items()}
    with (folder / "lab.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield _server_of(process, folder)
    finally:
        process.terminate()
        process.wait(START_TIMEOUT_S)


def _server_of(process: "subprocess.Popen[bytes]", folder: Path) -> Server:
    give_up = time.monotonic() + START_TIMEOUT_S
    while True:
        # written when the server listens; empty or cut off at first
        for path in (folder / "runtime").glob("jpserver-*.json"):
            if (text := path.read_text(encoding="utf-8")).rstrip().endswith("}"):
                found = json.loads(text)
                return Server(found["url"], found["token"])
        said = (folder / "lab.log").read_text(encoding="utf-8", errors="replace")[-2000:]
        assert process.poll() is None, f"JupyterLab ended with {process.returncode}: {said}"
        assert time.monotonic() < give_up, f"JupyterLab did not start within {START_TIMEOUT_S:g} s: {said}"
        time.sleep(POLL_S)


class Notebook:
    """A notebook of the served folder, open in a page by itself."""

    def __init__(self, page: Page, server: Server, path: Path) -> None:
        self.page = page
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) if cell["cell_type"] == "code" else "" for cell in cells]
        self.panels = [idx for idx, source in enumerate(sources) if PANEL.search(source)]
        page.open(f"{server.address}doc/tree/{path.name}?token={server.token}")
        page.wait_for(f"{NOTEBOOK}?.context?.isReady", timeout_s=START_TIMEOUT_S)
        idle = f"{NOTEBOOK}.sessionContext.session?.kernel?.status === 'idle'"
        page.wait_for(idle, timeout_s=START_TIMEOUT_S)

    def run_to(self, cell: int) -> None:
        """Runs all cells up to one and that one; what a cell raised is raised here."""
        self.page.evaluate(f"jupyterapp.shell.activateById({NOTEBOOK}.id)")
        self.page.evaluate(f"void ({NOTEBOOK}.content.activeCellIndex = {cell})")
        for command in ("run-all-above", "run-cell") if cell else ("run-cell",):
            self.page.evaluate(f"jupyterapp.commands.execute('notebook:{command}')", timeout_s=RUN_TIMEOUT_S)
        outputs = f"{NOTEBOOK}.content.widgets.slice(0, {cell + 1}).flatMap(one => one.model.outputs?.toJSON() ?? [])"
        raised = self.page.evaluate(f"{outputs}.filter(one => one.output_type === 'error')")
        assert not raised, raised


class PanelView:
    """A panel as the page shows it: handles of its sliders, the numbers beside them, and the picture."""

    def __init__(self, notebook: Notebook, cell: int) -> None:
        self.page = notebook.page
        self._node = f"{NOTEBOOK}.content.widgets[{cell}].node"
        self.page.evaluate(f"{NOTEBOOK}.content.scrollToItem({cell}, 'start')")
        self.page.wait_for(f"{self._node}.querySelector('img.widget-image')?.naturalWidth > 0")
        # the list of cells scrolls before what is above has its final height
        self.page.evaluate(f"{self._node}.querySelector('img.widget-image').scrollIntoView({{block: 'center'}})")

    def labels(self) -> list[str]:
        """What stands beside the sliders."""
        return self._texts(".widget-label")

    def numbers(self) -> list[str]:
        """What each slider says that it is at."""
        return self._texts(".widget-readout")

    def _texts(self, selector: str) -> list[str]:
        found = f"[...{self._node}.querySelectorAll('{selector}')].map(one => one.textContent)"
        texts: list[str] = self.page.evaluate(found)
        return texts

    def picture(self) -> str:
        """Fingerprint of the picture's bytes."""
        content = f"fetch({self._node}.querySelector('img.widget-image').src).then(one => one.arrayBuffer())"
        digest = f"{content}.then(one => crypto.subtle.digest('SHA-256', one))"
        fingerprint: str = self.page.evaluate(f"{digest}.then(one => [...new Uint8Array(one)].join())")
        return fingerprint

    def far_end(self, slider: int) -> str:
        """The key that moves a slider to the end of its range that is further away."""
        low, value, high = self._range(slider)
        return "End" if value - low < high - value else "Home"

    def next_step(self, slider: int) -> str:
        """The key that moves a slider by one step, downwards at its upper end."""
        _, value, high = self._range(slider)
        return "ArrowRight" if value < high else "ArrowLeft"

    def _range(self, slider: int) -> tuple[float, float, float]:
        """Lowest value, value and highest value, as the handle says them to a screen reader."""
        names = ("valuemin", "valuenow", "valuemax")
        low, value, high = (
            float(self.page.evaluate(f"{self._handle(slider)}.getAttribute('aria-{name}')")) for name in names
        )
        return low, value, high

    def _handle(self, slider: int) -> str:
        return f"{self._node}.querySelectorAll('.noUi-handle')[{slider}]"

    def move(self, slider: int, key: str) -> float:
        """Presses a key on a slider's handle; seconds until the picture is another one."""
        before = self.picture()
        self.page.evaluate(f"{self._handle(slider)}.focus()")
        assert self.page.evaluate(f"document.activeElement === {self._handle(slider)}"), "the handle takes no focus"
        started = time.monotonic()
        self.page.press(key)
        while self.picture() == before:
            waited = time.monotonic() - started
            assert waited < MOVE_TIMEOUT_S, f"{key} on {self.labels()[slider]}: the picture stays"
        return time.monotonic() - started

    def play(self) -> None:
        """Presses the button that moves a slider by itself, waits for another picture, and presses it again."""
        before = self.picture()
        button = f"{self._node}.querySelector('.widget-play button')"
        self.page.evaluate(f"{button}.click()")
        while self.picture() == before:
            time.sleep(POLL_S)
        self.page.evaluate(f"{button}.click()")
