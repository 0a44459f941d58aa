"""The tests' own database server leaves nothing behind, however the process that started it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pymysql
import pytest

from tests.servers import MariaDB, mariadb_programs

ROOT = Path(__file__).resolve().parents[1]
OWNER = """
import time
from tests.servers import MariaDB
server = MariaDB().start()
print(server.folder, server.port, flush=True)
time.sleep(60)
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


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_server_ends_with_the_process_that_started_it(end: signal.Signals) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert owner.stdout is not None
    folder, port = owner.stdout.readline().split()
    assert listens(int(port))
    owner.send_signal(end)
    owner.wait(timeout=10)
    owner.stdout.close()
    deadline = time.monotonic() + 10
    while Path(folder).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(folder).exists()
    assert not listens(int(port))


@pytest.mark.parametrize("name", ["a`b", "", "a b", "x" * 61])
def test_a_name_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a database name"):
        MariaDB().url(name)
