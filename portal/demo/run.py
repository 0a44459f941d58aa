"""``python -m portal.demo.run`` supervises the demo: web server, worker and Stripe simulator, each its own process.

All that two copies could meet in is chosen freely or derived from the port: the simulator's port, the log files, the
temporary folder of the metrics. The database is the one of ``DATABASE_URL``, or the SQLite file in ``instance/``.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from config import Settings, SettingsError
from portal.demo import LOGINS, PASSWORD

ROOT = Path(__file__).resolve().parents[2]
STRIPE_SECRET = "whsec_demo"
STRIPE_KEY = "sk_test_demo_of_the_simulator"
ANSWERS_WITHIN = 90  # seconds; a slow machine's first start
COMPLAINS_AT_MOST = 15  # seconds
STOP_WITHIN = 10  # seconds
FLASK = (sys.executable, "-m", "flask", "--app", "wsgi")


class DemoError(RuntimeError):
    """The demo cannot start or has stopped; the message says which part and why."""


@dataclass
class Place:
    """Where one copy runs, and the files it writes."""

    host: str
    port: int
    instance: Path

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Place:
        port = environ.get("PORT") or "8000"
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise DemoError(f"PORT must be a number from 1 to 65535, not {port!r}")
        instance = Path(environ.get("DEMO_INSTANCE") or ROOT / "instance")
        return cls(environ.get("HOST") or "127.0.0.1", int(port), instance)

    @property
    def address(self) -> str:
        """Where a browser on this machine finds it; an address for all interfaces is none to go to."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{self.port}"

    @property
    def bind(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def note(self) -> Path:
        """What `make demo-call` reads: the address and the environment of the copy that started last."""
        return self.instance / "demo.json"

    def log(self, name: str) -> Path:
        return self.instance / "log" / f"{name}-{self.port}.log"


# ---------- before anything starts ----------


def environment(place: Place, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of every child; what the caller set is kept, but for Stripe, which is always the simulator."""
    if environ.get("PORTAL_ENV") == "production":
        raise DemoError("PORTAL_ENV is production: the demo, its logins and its simulator stay out of it")
    env = dict(environ)
    for name, make in (("SECRET_KEY", _new_secret_key), ("ENCRYPTION_KEYS", _new_encryption_key)):
        if not env.get(name) and not env.get(f"{name}_FILE"):
            env[f"{name}_FILE"] = str(_kept_secret(place.instance / name.lower(), make))
    if env.get("DATABASE_URL", "").startswith("sqlite:///") and not env["DATABASE_URL"].startswith("sqlite:////"):
        # relative means relative to instance/, as Flask-SQLAlchemy takes it; every child and our own look must agree
        env["DATABASE_URL"] = f"sqlite:///{ROOT / 'instance' / env['DATABASE_URL'].removeprefix('sqlite:///')}"
    env["PORTAL_BASE_URL"] = env.get("PORTAL_BASE_URL") or place.address
    env["STRIPE_API_BASE"] = f"http://127.0.0.1:{_free_port()}"
    env["RECORDING_HOSTS"] = f"127.0.0.1:{_free_port()}"  # where make demo-call hands over what was said
    env["RECORDINGS_DIR"] = env.get("RECORDINGS_DIR") or str(place.instance / f"recordings-{_database_key(env)}")
    env["STRIPE_SECRET_KEY"] = STRIPE_KEY
    env["STRIPE_WEBHOOK_SECRET"] = STRIPE_SECRET
    return env


def _database_key(env: Mapping[str, str]) -> str:
    """A short name for the database, for files that belong to it alone."""
    return hashlib.sha256(env.get("DATABASE_URL", "").encode()).hexdigest()[:10]


def _new_secret_key() -> str:
    return secrets.token_urlsafe(48)


def _new_encryption_key() -> str:
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def _kept_secret(path: Path, make: Callable[[], str]) -> Path:
    """A file with a secret of this machine's demo, made once, readable by its owner alone."""
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as fresh:  # made with mode 600
            fresh.write(make() + "\n")
        try:
            os.link(fresh.name, path)  # fails when another copy was first, whose secret then counts
        except FileExistsError:
            pass
        finally:
            Path(fresh.name).unlink()
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require_free(place: Place) -> None:
    """Say at once what is wrong, where the web server would try again and again."""
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((place.host, place.port))
        except OSError as error:
            hint = f"choose another one, for example: make run PORT={place.port + 1}"
            raise DemoError(f"{place.bind} cannot be used ({error.strerror}); {hint}") from error


def prepare_data(env: Mapping[str, str]) -> None:
    """Tables by migrations and the demo's data, where the database says that they are not there yet."""
    for command, missing in ((("db", "upgrade"), _tables_missing), (("demo", "seed"), _people_missing)):
        if missing(env):
            print({"db": "Setting up the database …", "demo": "Putting in the demo's data …"}[command[0]], flush=True)
            done = subprocess.run([*FLASK, *command], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise DemoError(f"flask {' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def _tables_missing(env: Mapping[str, str]) -> bool:
    """Asked of the database itself: a stamp beside it would outlive a database that was thrown away."""
    from alembic.script import ScriptDirectory

    heads = ScriptDirectory(str(ROOT / "migrations")).get_heads()
    return set(_query(env, "SELECT version_num FROM alembic_version")) != set(heads)


def _people_missing(env: Mapping[str, str]) -> bool:
    wanted = {login for logins in LOGINS.values() for login, _ in logins}
    return not wanted <= set(_query(env, "SELECT email FROM portal_users"))


def _query(env: Mapping[str, str], statement: str) -> list[str]:
    """First column of a query; empty when the table, or an SQLite file, is not there yet."""
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import DatabaseError, InterfaceError

    url = Settings.from_env(env).check().database_url
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return list(connection.execute(text(statement)).scalars())
    except (DatabaseError, InterfaceError) as error:
        if "no such table" in str(error) or "1146" in str(error):
            return []
        raise DemoError(f"The database {engine.url.render_as_string()} does not answer: {error.orig}") from error
    finally:
        engine.dispose()


# ---------- the children ----------


@dataclass
class Demo:
    """One running copy. Children are stopped in the order in which they were started."""

    place: Place
    env: dict[str, str]
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    locks: list[IO[str]] = field(default_factory=list)
    stopping: bool = False

    def start(self) -> None:
        self._start("web", *self._web())
        self._start("worker", *FLASK, "worker")
        self._start("stripe", *self._stripe())

    def _web(self) -> list[str]:
        """One process with threads: enough for a demo, and the coarse brakes then count in one place."""
        return [
            *(sys.executable, "-m", "gunicorn", "wsgi:app", "--bind", self.place.bind),
            *("--worker-class", "gthread", "--workers", "1", "--threads", "12"),
            *("--graceful-timeout", "3", "--timeout", "60", "--keep-alive", "20", "--no-control-socket"),
            *("--worker-tmp-dir", _memory(), "--log-level", "warning"),
        ]

    def _stripe(self) -> list[str]:
        return [
            *(sys.executable, "-m", "tests.fake_stripe", "--port", self.env["STRIPE_API_BASE"].rpartition(":")[2]),
            *("--webhook-url", f"{self.place.address}/webhooks/stripe"),
            *("--secret", STRIPE_SECRET, "--state", str(self._stripe_state())),
        ]

    def _stripe_state(self) -> Path:
        """The simulator's memory belongs to the database whose top-ups it knows.

        A second copy on the same database gets one of its own, since two writers would lose each other's payments.
        """
        database = _database_key(self.env)
        for name in (f"stripe-{database}.json", f"stripe-{database}-{self.place.port}.json"):
            lock = (self.place.instance / f"{name}.lock").open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            self.locks.append(lock)
            return self.place.instance / name
        raise DemoError("Two other copies use this database and this port")

    def _start(self, name: str, *command: str) -> None:
        path = self.place.log(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as log:
            self.children[name] = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**self.env, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches this process alone, which stops them in order
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads here
            )

    def wait_until_ready(self) -> str:
        """Wait for ``/readyz``; returns what it still complains about, or nothing. No answer at all is an error.

        A backlog from last time may keep it at 503 for longer than anybody likes to wait; the pages work all the same.
        """
        deadline, answer = time.monotonic() + ANSWERS_WITHIN, ""
        while time.monotonic() < deadline and not self.stopping:
            self.check_children()
            try:
                with urllib.request.urlopen(f"{self.place.address}/readyz", timeout=5):  # noqa: S310 - ours
                    if self._simulator_listens():
                        return ""
            except urllib.error.HTTPError as error:
                if not answer:
                    deadline = min(deadline, time.monotonic() + COMPLAINS_AT_MOST)
                answer = f"{error.code} {error.read(500).decode(errors='replace').strip()}"
            except OSError:
                pass
            time.sleep(0.05)
        if not answer and not self.stopping:
            raise DemoError(f"The portal gave no answer for {ANSWERS_WITHIN} s{self._last_words('web')}")
        return answer

    def _simulator_listens(self) -> bool:
        host, _, port = self.env["STRIPE_API_BASE"].removeprefix("http://").rpartition(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0

    def check_children(self) -> None:
        for name, child in self.children.items():
            if child.poll() is not None and not self.stopping:
                raise DemoError(f"{name} has stopped with status {child.returncode}{self._last_words(name)}")

    def _last_words(self, name: str) -> str:
        path = self.place.log(name)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-25:]
        return "\n".join([f"\nThe end of {path}:", *lines]) if lines else ""

    def watch(self) -> None:
        """Return when asked to stop; raises :class:`DemoError` when a child dies."""
        while not self.stopping:
            self.check_children()
            time.sleep(0.2)

    def stop(self) -> None:
        """Ask every child to end, wait, and end those that do not with their whole group."""
        self.stopping = True
        for child in self.children.values():
            if child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + STOP_WITHIN
        for child in self.children.values():
            try:
                child.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        for lock in self.locks:
            lock.close()

    def write_note(self) -> None:
        """What ``--inside`` needs, readable by the owner alone, since an address may hold a password."""
        names = ("DATABASE_URL", "PORTAL_BASE_URL", "SECRET_KEY", "ENCRYPTION_KEYS", "STRIPE_", "RECORDING")
        kept = {name: value for name, value in self.env.items() if name.startswith(names)}
        note = {"url": self.place.address, "port": self.place.port, "pid": os.getpid(), "environ": kept}
        fresh = self.place.note.with_suffix(f".{self.place.port}.new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(note, indent=1), encoding="utf-8")
        fresh.replace(self.place.note)

    def remove_note(self) -> None:
        note = _read_note(self.place)
        if note and note["pid"] == os.getpid():
            self.place.note.unlink()


def _memory() -> str:
    """Where the web server keeps its heartbeat; a slow disk would make it look dead."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()  # noqa: S108


def _die_with_parent() -> None:
    """On Linux, a child is asked to stop even when this process is killed without a word."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


# ---------- the command ----------


def _read_note(place: Place) -> dict[str, object] | None:
    try:
        note: dict[str, object] = json.loads(place.note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return note


def _alive(pid: object) -> bool:
    """A copy that was killed without a word leaves its note."""
    try:
        os.kill(int(str(pid)), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, but running
    return True


def inside(place: Place, command: list[str]) -> int:
    """Run a command in the environment of the running demo, so that it meets the same database and keys."""
    note = _read_note(place)
    if note is None or not isinstance(note["environ"], dict) or not _alive(note["pid"]):
        raise DemoError("The demo is not running here: start it with make run")
    env = {**os.environ, **note["environ"], "PORTAL_DEMO_URL": str(note["url"])}
    program = [*FLASK[:3], *command[1:]] if command[0] == "flask" else command
    return subprocess.run(program, cwd=ROOT, env=env, check=False).returncode


def serve(place: Place) -> int:
    started = time.monotonic()
    (place.instance / "log").mkdir(parents=True, exist_ok=True)
    require_free(place)
    demo = Demo(place, environment(place, os.environ))

    def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
        demo.stopping = True

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ask_to_stop)
    try:
        prepare_data(demo.env)
        complaint = ""
        if not demo.stopping:
            demo.start()
            complaint = demo.wait_until_ready()
        if not demo.stopping:
            demo.write_note()
            print(_welcome(place, demo.env, time.monotonic() - started, complaint), flush=True)
        demo.watch()
    except DemoError:
        if not demo.stopping:  # what ends because it was asked to is no failure
            raise
    finally:
        demo.stop()
        demo.remove_note()
    print("\nEmpfang has stopped; the data is kept.", flush=True)
    return 0


def _welcome(place: Place, env: Mapping[str, str], seconds: float, complaint: str) -> str:
    width = max(len(login) for logins in LOGINS.values() for login, _ in logins)
    lines = ["", f"  Empfang is ready after {seconds:.1f} s:  {place.address}", ""]
    for company, logins in LOGINS.items():
        for number, (login, role) in enumerate(logins):
            lines.append(f"  {'' if number else company:<17}{login:<{width}}  {role}")
    lines += [
        "",
        f"  Password of every login   {PASSWORD}",
        f"  Stripe simulator          {env['STRIPE_API_BASE']}",
        f"  Logs                      {place.log('*')}",
        *([f"  Not all is well           /readyz says {complaint}"] if complaint else []),
        "",
        "  make demo-call plays a call on the pages; Ctrl-C stops everything and keeps the data.",
        "",
    ]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    try:
        place = Place.from_env(os.environ)
        if arguments[:1] == ["--inside"] and len(arguments) > 1:
            return inside(place, arguments[1:])
        return serve(place)
    except (DemoError, SettingsError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
