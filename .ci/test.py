"""``make test`` and ``make lint``: gets what is missing, runs every part, and tells at the end how each one went.

Needs nothing but Python 3.11. Parts go on after a failure, so that one run shows all of them. A part that could not run
is told with its reason, and is a failure where ``CI`` is set.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".venv" / "bin"
SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
PYTHON_FILES = ["portal", "tests", "migrations", "bench", ".ci", "config.py", "wsgi.py"]
LONGEST = 2400  # seconds; the slowest part takes a quarter of it
WORKERS = os.environ.get("TEST_WORKERS", "2")


class Missing(Exception):
    """A part cannot run here; the message says why."""


@dataclass
class Report:
    """How each part went, in the order in which they ran."""

    rows: list[tuple[str, str, float, str]] = field(default_factory=list)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        print(f"\n=== {name}", flush=True)
        started, outcome, note = time.monotonic(), "passed", ""
        try:
            yield
        except Missing as reason:
            outcome, note = "could not run", str(reason)
            print(f"could not run: {reason}", flush=True)
        except subprocess.CalledProcessError as error:
            outcome, note = "FAILED", f"status {error.returncode}"
        except subprocess.TimeoutExpired as error:
            outcome, note = "FAILED", f"stopped after {error.timeout:.0f} s"
        self.rows.append((name, outcome, time.monotonic() - started, note))

    def close(self) -> int:
        """Print the table; the exit status."""
        print("\n=== Parts", flush=True)
        for name, outcome, seconds, note in self.rows:
            print(f"  {outcome:<14}{name:<26}{seconds:>7.1f} s{'   ' + note if note else ''}")
        outcomes = {outcome for _, outcome, _, _ in self.rows}
        if "FAILED" in outcomes:
            return 1
        if "could not run" in outcomes:
            print("Not everything was tested on this machine.")
            return 1 if os.environ.get("CI") else 0
        print("Everything passed.")
        return 0


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    """Run and show it; a status other than 0 raises."""
    subprocess.run([str(word) for word in command], cwd=ROOT, check=True, stdin=subprocess.DEVNULL, env=env)


# ---------- the machine ----------


def has(program: str) -> bool:
    return shutil.which(program, path=SYSTEM_PATH) is not None


def can_make_environments() -> bool:
    probe = "import ensurepip, venv"
    return subprocess.run([sys.executable, "-c", probe], capture_output=True, check=False).returncode == 0


def has_chromium() -> bool:
    return any(has(name) for name in (os.environ.get("CHROMIUM") or "chromium", "chromium-browser", "google-chrome"))


def get_tools() -> None:
    """Debian's packages for what is missing, where apt and the right to use it are there."""
    wanted = [] if has("mariadbd") and has("mariadb-install-db") else ["mariadb-server-core", "mariadb-client-core"]
    wanted += [] if has_chromium() else ["chromium"]
    wanted += [] if can_make_environments() else ["python3-venv"]
    if not wanted:
        return
    prefix = apt_prefix()
    if prefix is None:
        raise Missing(f"no apt here, or no right to use it; wanted: {' '.join(wanted)}")
    print("Installing", *wanted, flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([*prefix, "apt-get", "update", "-qq"], check=False, env=env, stdin=subprocess.DEVNULL)
    install = [*prefix, "apt-get", "install", "-y", "-qq", "--no-install-recommends"]
    failed = [name for name in map(packaged, wanted) if not quiet(*install, name, env=env)]
    if failed:
        raise Missing(f"apt could not install {' '.join(failed)}")


def apt_prefix() -> list[str] | None:
    """How to call apt-get: as root, or through a sudo that asks nothing."""
    if not has("apt-get"):
        return None
    if os.geteuid() == 0:
        return []
    return ["sudo", "-n"] if has("sudo") and quiet("sudo", "-n", "true") else None


def packaged(name: str) -> str:
    """The name under which this release has it: older Ubuntus carry the version in MariaDB's package names."""
    done = subprocess.run(["apt-cache", "pkgnames", name], capture_output=True, text=True, check=False)
    names = sorted(done.stdout.split())
    versioned = [found for found in names if found.removeprefix(name + "-").replace(".", "").isdigit()]
    return name if name in names or not versioned else versioned[-1]


def quiet(*command: str, env: dict[str, str] | None = None) -> bool:
    """Run it and keep what it says for the case that it fails."""
    done = subprocess.run(
        command,
        check=False,
        env=env,
        stdin=subprocess.DEVNULL,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode != 0:
        print(done.stdout[-2000:], flush=True)
    return done.returncode == 0


# ---------- the parts ----------


def lint(report: Report) -> None:
    """Style, types and templates."""
    files = [name for name in PYTHON_FILES if (ROOT / name).exists()]
    parts: dict[str, tuple[str | Path, ...]] = {
        "ruff": (BIN / "ruff", "check", "--quiet", *files),
        "ruff format": (BIN / "ruff", "format", "--check", "--quiet", *files),
        "mypy": (BIN / "mypy",),
        "djlint": (BIN / "djlint", "--lint", "--quiet", "templates"),
    }
    for name, command in parts.items():
        with report.part(name):
            run(*command)


def clean_environment() -> dict[str, str]:
    """The caller's environment without the portal's settings: tests bring their own.

    Nor does it forbid compiled files: each of the many processes that tests start would compile the portal again.
    """
    settings = (
        "PYTHONDONTWRITEBYTECODE",
        "DATABASE_URL",
        "SECRET_KEY",
        "ENCRYPTION_KEYS",
        "MAIL_FROM",
        "PRODUCT_NAME",
        "METRICS_TOKEN",
        "PORT",
        "HOST",
    )
    prefixes = ("PORTAL_", "STRIPE_", "RETELL_", "CALCOM_", "SELLER_", "SMTP_", "RECORDING")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return {name: value for name, value in kept.items() if name.removesuffix("_FILE") not in settings}


def pytest(report: Report, database: str, left_out: tuple[str, ...]) -> None:
    """The tests on one database, but for those with one of these marks."""
    with report.part(f"tests on {database}"):
        if database == "mariadb" and not (has("mariadbd") and has("mariadb-install-db")):
            raise Missing("MariaDB is not installed")
        chosen = ("-m", " and ".join(f"not {mark}" for mark in left_out)) if left_out else ()
        shared = ("-n", WORKERS, "--dist", "worksteal", "--durations", "8", "--durations-min", "2")
        env = {**clean_environment(), "PATH": SYSTEM_PATH}
        run(BIN / "python", "-m", "pytest", "-q", "--db", database, *shared, *chosen, env=env)


def test(report: Report) -> None:
    lint(report)
    pytest(report, "sqlite", left_out=() if has_chromium() else ("browser",))
    if not has_chromium():
        with report.part("browser tests"):
            raise Missing("Chromium is not installed")
    pytest(report, "mariadb", left_out=("browser", "any_engine"))


def prepare(report: Report, with_tools: bool) -> bool:
    """What everything else stands on; False when that failed."""
    if with_tools:
        with report.part("system packages"):
            get_tools()
    with report.part("packages, browser files"):
        run(sys.executable, "-P", "portal/demo/install.py", "--dev")
    return all(outcome != "FAILED" for _, outcome, _, _ in report.rows)


def main(arguments: list[str]) -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what finds out
        print("Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 test", file=sys.stderr)
        return 1
    report = Report()
    only_lint = arguments[:1] == ["lint"]
    if prepare(report, with_tools=not only_lint):
        (lint if only_lint else test)(report)
    return report.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
