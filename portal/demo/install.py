"""Brings a fresh machine to where the portal can start: virtual environment, packages, browser files, catalogue.

Runs on the machine's own Python 3.11 or newer with the standard library alone, and does only what is not done yet.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
BIN = VENV / "bin"
TRANSLATIONS = ROOT / "portal" / "translations"
NO_VENV = "This Python cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv"


class InstallError(RuntimeError):
    """Something is missing that only a person can add; the message is the hint."""


def install(dev: bool) -> None:
    """Everything, in order. ``dev`` adds what tests and checks need."""
    (ROOT / ".cache").mkdir(exist_ok=True)
    with (ROOT / ".cache" / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two starts at once wait for each other
        _environment()
        _packages("requirements-dev.txt" if dev else "requirements.txt")
        _run(str(BIN / "python"), "-P", "portal/assets.py", "build")
        _catalogue()


def _environment() -> None:
    """A virtual environment made by this very Python, at this very place; one from elsewhere is replaced."""
    stamp, wanted = VENV / ".made-by", f"{sys.version_info[0]}.{sys.version_info[1]} {VENV}"
    if stamp.is_file() and stamp.read_text() == wanted and (BIN / "python").exists():
        return
    print("Making the virtual environment …", flush=True)
    makers = ([sys.executable, "-m", "venv", "--clear"], [sys.executable, "-m", "virtualenv", "--clear", "--quiet"])
    if not any(_succeeds([*maker, str(VENV)]) for maker in makers):
        raise InstallError(NO_VENV)
    stamp.write_text(wanted)


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0


def _packages(requirements: str) -> None:
    """The pinned packages. The stamp is a hash of all that was asked for; the larger set includes the smaller."""
    larger = {"requirements.txt": ["requirements-dev.txt"]}.get(requirements, [])
    if any(_stamp(name).is_file() and _stamp(name).read_text() == _asked(name) for name in [requirements, *larger]):
        return
    print(f"Installing the packages of {requirements}; this takes a minute …", flush=True)
    _run(str(BIN / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements)
    _stamp(requirements).write_text(_asked(requirements))


def _stamp(requirements: str) -> Path:
    return VENV / f".installed-{requirements}"


def _asked(requirements: str) -> str:
    names = ["requirements.txt"] if requirements == "requirements.txt" else ["requirements.txt", requirements]
    return hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in names)).hexdigest()


def _catalogue() -> None:
    """Compile the translations whose source is newer than its result."""
    sources = sorted(TRANSLATIONS.glob("*/LC_MESSAGES/*.po"))
    if all(_is_newer(source.with_suffix(".mo"), source) for source in sources):
        return
    _run(str(BIN / "pybabel"), "--quiet", "compile", "--directory", str(TRANSLATIONS.relative_to(ROOT)))


def _is_newer(result: Path, source: Path) -> bool:
    return result.is_file() and result.stat().st_mtime_ns >= source.stat().st_mtime_ns


def _run(*command: str) -> None:
    if subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode != 0:
        raise InstallError(f"This step failed, see above: {' '.join(command).replace(str(ROOT) + os.sep, '')}")


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what finds out
        print("Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 run", file=sys.stderr)
        return 1
    try:
        install(dev="--dev" in sys.argv[1:])
    except InstallError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
