"""Servers that the tests start for themselves: a private MariaDB per test process, and Debian's Chromium.

Nothing here touches a server that was running before, and nothing outlives the process that started it.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pymysql

# What a test browser must leave alone: no sandbox as root, no graphics card, and no talking to its maker.
CHROMIUM_ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# Holds mariadbd until its own standard input ends, which happens however the test process dies; then nothing is left.
GUARD = '"$@" & server=$!; cat >/dev/null; kill -9 $server; wait $server; rm -rf "$FOLDER"'

SMALLEST_SHM = 1_000_000_000  # bytes; below that the temporary folder takes the data


class ServerError(RuntimeError):
    """A server is not installed or does not start; the message says which and why."""


def free_port() -> int:
    """A TCP port on the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def chromium_path() -> str | None:
    """The browser: ``CHROMIUM`` from the environment, Debian's, or one found on the path. None when there is none."""
    candidates = (os.environ.get("CHROMIUM"), "/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome")
    return next((found for name in candidates if name and (found := shutil.which(name))), None)


def mariadb_programs() -> tuple[str, str] | None:
    """Paths of the installer and of the server. None when they are not installed."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    installer, server = (shutil.which(name, path=path) for name in ("mariadb-install-db", "mariadbd"))
    return (installer, server) if installer and server else None


class MariaDB:
    """One private server in a folder of its own: ``start()``, then ``create(name)`` and ``url(name)``, then ``stop()``.

    Nothing is made durable: a killed server takes its data along, as it should.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.port = 0
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> MariaDB:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> MariaDB:
        """Install and start it; about a second. Raises :class:`ServerError` with the end of the server's log."""
        programs = mariadb_programs()
        if programs is None:
            raise ServerError("MariaDB is missing: apt-get install mariadb-server-core mariadb-client-core")
        installer, server = programs
        self.folder = Path(tempfile.mkdtemp(prefix="empfang-db-", dir=_fast_folder()))
        try:
            self._install(installer)
            for _ in range(3):  # between choosing a port and taking it, somebody else may
                if self._run(server):
                    return self
            raise ServerError(f"MariaDB did not start:\n{self._log_end()}")
        except BaseException:
            self.stop()
            raise

    def create(self, name: str) -> str:
        """Make an empty database, in place of one of that name; returns its address."""
        self.drop(name)
        self._execute(f"CREATE DATABASE `{_checked(name)}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
        return self.url(name)

    def drop(self, name: str) -> None:
        self._execute(f"DROP DATABASE IF EXISTS `{_checked(name)}`")

    def url(self, name: str) -> str:
        """The address of one of its databases, as ``DATABASE_URL`` wants it."""
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{_checked(name)}?charset=utf8mb4"

    def stop(self) -> None:
        """Kill it and remove its folder. Stopping twice is fine."""
        if self._guard is not None:
            if self._guard.stdin:
                self._guard.stdin.close()
            self._guard.wait(timeout=20)
            self._guard = None
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    @property
    def running(self) -> bool:
        return self._guard is not None and self._guard.poll() is None

    @property
    def _place(self) -> Path:
        if self.folder is None:
            raise ServerError("MariaDB was not started")
        return self.folder

    def _install(self, installer: str) -> None:
        command = [
            installer,
            "--no-defaults",
            *_as_root(),
            f"--datadir={self._place / 'data'}",
            # A server that starts clears away the temporary tables in its folder, another server's among them.
            f"--tmpdir={self._place}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            "--innodb-log-file-size=16M",
        ]
        env = {**os.environ, "TMPDIR": str(self._place)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=env)
        if done.returncode != 0:
            raise ServerError(f"mariadb-install-db failed:\n{(done.stdout + done.stderr)[-2000:]}")

    def _run(self, server: str) -> bool:
        """Start the server on a free port under its guard; False when it ends at once."""
        self.port = free_port()
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "guard", *self._command(server)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches the tests first, and they stop it
            env={**os.environ, "FOLDER": str(self._place)},
        )
        return self._answers(seconds=30)

    def _command(self, server: str) -> list[str]:
        return [
            server,
            "--no-defaults",
            *_as_root(),
            f"--datadir={self._place / 'data'}",
            f"--socket={self._place / 's'}",
            f"--pid-file={self._place / 'pid'}",
            f"--log-error={self._place / 'log'}",
            f"--tmpdir={self._place}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--innodb-log-file-size=16M",
            "--innodb-buffer-pool-size=128M",
            "--innodb-flush-log-at-trx-commit=0",
            "--skip-innodb-doublewrite",
            "--max-connections=300",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_unicode_ci",
        ]

    def _answers(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        pid_file = self._place / "pid"
        while time.monotonic() < deadline:
            if "Aborting" in self._log_end():
                break
            try:
                if pid_file.exists():  # ours, not somebody else's on that port
                    self._execute("SELECT 1")
                    return True
            except pymysql.err.OperationalError:
                pass
            time.sleep(0.02)
        return False

    def _execute(self, statement: str) -> None:
        connection = pymysql.connect(host="127.0.0.1", port=self.port, user="root", autocommit=True, connect_timeout=5)
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)

    def _log_end(self) -> str:
        try:
            return (self._place / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
        except FileNotFoundError:
            return ""


def _fast_folder() -> str:
    """Memory where there is enough of it; its path is short enough for a socket as well."""
    shm = Path("/dev/shm")
    if shm.is_dir() and os.access(shm, os.W_OK) and shutil.disk_usage(shm).free > SMALLEST_SHM:
        return str(shm)
    return tempfile.gettempdir()


def _as_root() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []


def _checked(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_]{1,60}", name):
        raise ValueError(f"not a database name: {name!r}")
    return name
