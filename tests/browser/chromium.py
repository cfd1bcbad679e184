"""A headless Chromium, driven through its DevTools protocol: one page, its keys, its pictures and its complaints."""

import base64
import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websocket import WebSocket, WebSocketTimeoutException, create_connection

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
START_TIMEOUT_S = 60.0
POLL_S = 0.05
LISTENING = re.compile(r"DevTools listening on ws://[^:/]+:(\d+)/")
KEY_CODES = {"ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35}


def find_chromium() -> str | None:
    """Path of the system's Chromium or a relative of it; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One page of the browser.

    errors: what the console showed as an error, and exceptions that nobody caught, since the page was opened.
    """

    def __init__(self, socket: WebSocket) -> None:
        self.errors: list[str] = []
        self._socket = socket
        self._number = 0
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, *, timeout_s: float = 30.0, **parameters: Any) -> dict[str, Any]:
        """The answer to one command; errors that the page reports meanwhile are kept."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        give_up = time.monotonic() + timeout_s
        while True:
            self._socket.settimeout(max(give_up - time.monotonic(), POLL_S))
            try:
                message = json.loads(self._socket.recv())
            except WebSocketTimeoutException:
                raise TimeoutError(f"{method} took more than {timeout_s:g} s") from None
            if message.get("id") == self._number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        given = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            details = given["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif message.get("method") == "Runtime.consoleAPICalled" and given["type"] in ("error", "assert"):
            parts = [str(part.get("value", part.get("description", ""))) for part in given["args"]]
            self.errors.append(" ".join(parts))
        elif message.get("method") == "Log.entryAdded" and given["entry"]["level"] == "error":
            self.errors.append(f"{given['entry']['text']} {given['entry'].get('url', '')}")

    def open(self, address: str) -> None:
        """Goes to an address; returns before the page is complete."""
        self.call("Page.navigate", url=address)

    def evaluate(self, expression: str, *, timeout_s: float = 30.0) -> Any:
        """The value of a JavaScript expression, awaited; its exception is raised here."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, timeout_s=timeout_s
        )
        assert "exceptionDetails" not in answer, f"{expression}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def wait_for(self, expression: str, *, timeout_s: float = 30.0) -> Any:
        """The first value of an expression that is true in JavaScript's sense."""
        give_up = time.monotonic() + timeout_s
        while not (value := self.evaluate(expression, timeout_s=timeout_s)):
            if time.monotonic() > give_up:
                raise TimeoutError(f"not true within {timeout_s:g} s: {expression}; the page's errors: {self.errors}")
            time.sleep(POLL_S)
        return value

    def press(self, key: str) -> None:
        """One key, down and up, on what has the focus."""
        named = {"key": key, "code": key, "windowsVirtualKeyCode": KEY_CODES[key]}
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, **named)

    def screenshot(self, path: Path) -> None:
        """What the window shows, as a PNG file."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def open_chromium(folder: Path, *, width_px: int = 1200, height_px: int = 1400) -> Iterator[Page]:
    """A browser with an empty profile in `folder`, ended with the block; its one page."""
    program = find_chromium()
    assert program, "no Chromium: ask find_chromium first"
    command = [program, *FLAGS, f"--user-data-dir={folder / 'profile'}", f"--window-size={width_px},{height_px}"]
    log_path = folder / "chromium.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen([*command, "--remote-debugging-port=0", "about:blank"], stdout=log, stderr=log)
    try:
        port = _port_of(process, log_path)
        pages = [page for page in _listing(port) if page["type"] == "page"]
        socket = create_connection(pages[0]["webSocketDebuggerUrl"], suppress_origin=True, timeout=START_TIMEOUT_S)
        try:
            yield Page(socket)
        finally:
            socket.close()
    finally:
        process.terminate()
        process.wait(START_TIMEOUT_S)


def _port_of(process: "subprocess.Popen[bytes]", log_path: Path) -> int:
    """The port that the browser has chosen, as it says when it is ready."""
    give_up = time.monotonic() + START_TIMEOUT_S
    while not (said := LISTENING.search(log_path.read_text(encoding="utf-8", errors="replace"))):
        assert process.poll() is None, f"Chromium ended with {process.returncode}; see {log_path}"
        assert time.monotonic() < give_up, f"Chromium opened no port within {START_TIMEOUT_S:g} s; see {log_path}"
        time.sleep(POLL_S)
    return int(said[1])


def _listing(port: int) -> list[dict[str, Any]]:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"http://127.0.0.1:{port}/json/list", timeout=START_TIMEOUT_S) as answer:
        return json.load(answer)
