"""The whole demo, as ``make run`` brings it up (web server, worker, Stripe simulator), driven by a real Chromium."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.conftest import Databases
from tests.servers import CHROMIUM_ARGS, chromium_path, free_port

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "empfang-demo"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
expect.set_options(timeout=20_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/browser/" in str(item.path):
            item.add_marker(pytest.mark.browser)


@dataclass
class Demo:
    """A running demo and the environment of its commands."""

    url: str
    environ: dict[str, str]

    def flask(self, *words: str) -> subprocess.Popen[str]:
        """Start ``flask …`` inside this demo's environment."""
        return self.inside(sys.executable, "-m", "flask", "--app", "wsgi", *words)

    def inside(self, *command: str) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-m", "portal.demo.run", "--inside", *command]
        return subprocess.Popen(
            arguments, cwd=ROOT, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {"executable_path": chromium_path(), "args": list(CHROMIUM_ARGS)}


@pytest.fixture(scope="session")
def demo(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    instance = tmp_path_factory.mktemp("instance")
    port = free_port()
    environ = os.environ | {
        "PORT": str(port),
        "DEMO_INSTANCE": str(instance),
        "DATABASE_URL": databases.create(),
        "PYTHONUNBUFFERED": "1",
    }
    log = (instance / "run.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "portal.demo.run"], cwd=ROOT, env=environ, stdout=log, stderr=subprocess.STDOUT
    )
    running = Demo(f"http://127.0.0.1:{port}", environ)
    try:
        _wait_until_ready(running.url, process, Path(log.name))
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        log.close()


def _wait_until_ready(url: str, process: subprocess.Popen[Any], log: Path) -> None:
    # The supervisor itself gives up after its own time; nothing here sleeps for longer than one look.
    while process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            if answer.status == 200:
                return
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.3)
    raise RuntimeError(f"the demo did not start:\n{log.read_text()}")


class Visitor:
    """A signed-in person with a window, who notes what the browser complains about."""

    def __init__(self, context: BrowserContext, demo: Demo) -> None:
        self.context, self.demo = context, demo
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, message: Any) -> None:
        # A status of 4xx that a test provokes is told by the browser too; what scripts and the CSP say is what counts.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def sign_in(self, email: str) -> Visitor:
        self.go("/login")
        self.page.locator("input[name=email]").fill(email)
        self.page.locator("input[name=password]").fill(PASSWORD)
        self.page.locator("form[action^='/login'] button.btn-primary").click()
        expect(self.page.locator("header.topbar")).to_be_visible()
        return self

    def go(self, path: str) -> Visitor:
        self.page.goto(self.demo.url + path)
        return self

    def problems(self) -> list[Any]:
        """What axe finds, what is wider than the window, and what the console has told so far."""
        self.page.evaluate("document.fonts.ready")
        found = [
            (one["id"], [node["html"][:200] for node in one["nodes"][:3]])
            for one in Axe().run(self.page).response["violations"]
        ]
        wide = self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth + 1")
        return [*found, *(["wider than the window"] if wide else []), *self.complaints]


@pytest.fixture
def visitor(browser: Browser, demo: Demo) -> Iterator[Any]:
    """``visitor(email, phone=…, scheme=…, language=…)`` opens a window of its own."""
    contexts: list[BrowserContext] = []

    def open_window(
        email: str | None = None,
        *,
        phone: bool = False,
        scheme: str = "light",
        script: bool = True,
        language: str = "de",
    ) -> Visitor:
        context = browser.new_context(
            viewport=PHONE if phone else DESKTOP,  # type: ignore[arg-type]
            color_scheme=scheme,  # type: ignore[arg-type]
            java_script_enabled=script,
            locale=f"{language}-DE",
            timezone_id="Europe/Berlin",
            reduced_motion="reduce",
            has_touch=phone,
        )
        contexts.append(context)
        made = Visitor(context, demo)
        return made.sign_in(email) if email else made

    yield open_window
    for context in contexts:
        context.close()
