"""The tests' own database server leaves nothing behind, however the process that started it ends."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pymysql
import pytest

from tests.servers import MariaDB, mariadb_programs

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 60  # seconds; only reached when something is wrong
# What is started in the background by a shell ignores Ctrl-C, and so do its children: the owner must not.
OWNER = """
import signal, sys
from tests.servers import MariaDB
signal.signal(signal.SIGINT, signal.default_int_handler)
server = MariaDB().start()
print(server.folder, server._guard.pid, flush=True)
sys.stdin.read()
"""

pytestmark = pytest.mark.skipif(mariadb_programs() is None, reason="MariaDB is not installed")


def listens(port: int) -> bool:
    try:
        pymysql.connect(host="127.0.0.1", port=port, user="root", connect_timeout=2).close()
    except pymysql.err.OperationalError:
        return False
    return True


def test_a_database_can_be_made_twice_and_starts_empty() -> None:
    with MariaDB() as server:
        for _ in range(2):
            server.create("empty")
            with pymysql.connect(host="127.0.0.1", port=server.port, user="root", database="empty") as connection:
                cursor = connection.cursor()
                cursor.execute("SHOW TABLES")
                assert cursor.fetchall() == ()
                cursor.execute("CREATE TABLE t (id INT)")
        folder, port = server.folder, server.port
    assert folder is not None
    assert not folder.exists()
    assert not listens(port)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_server_ends_with_the_process_that_started_it(end: signal.Signals) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert owner.stdin is not None
    assert owner.stdout is not None
    folder, guard = owner.stdout.readline().split()
    server, guarded = int(Path(folder, "pid").read_text()), os.pidfd_open(int(guard))
    assert lives(server)
    owner.send_signal(end)
    owner.wait(timeout=PATIENCE)
    owner.stdin.close()
    owner.stdout.close()
    # Told by the system when the guard has ended: nothing is guessed from clocks, or from a port that others may take.
    assert select.select([guarded], [], [], PATIENCE)[0]
    os.close(guarded)
    assert not Path(folder).exists()
    assert not lives(server)


@pytest.mark.parametrize("name", ["a`b", "", "a b", "x" * 61])
def test_a_name_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a database name"):
        MariaDB().url(name)
