"""Browser files: what the build leaves, and how it is served."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import time
from pathlib import Path

import pytest
from flask import Flask

from portal import assets

ROOT = Path(__file__).resolve().parents[1]
VENDOR = ROOT / "static" / "vendor"
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
ICONS = {line.strip() for line in (ROOT / "static" / "icons.txt").read_text().splitlines() if line.strip()}


@pytest.fixture(scope="module")
def packages() -> Path:
    return assets.installed_modules()


@pytest.fixture
def project(tmp_path: Path, packages: Path) -> Path:
    """A small project of its own with the real packages, so that a test may rebuild without disturbing anybody."""
    (tmp_path / "static").mkdir()
    for name in ("package.json", "package-lock.json", "static/icons.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "node_modules").symlink_to(packages)
    return tmp_path


@pytest.fixture
def served(project: Path) -> Flask:
    assets.build(project)
    (project / "static" / "css").mkdir()
    (project / "static" / "css" / "app.css").write_text("body { color: black }\n" * 50)
    (project / "static" / "vendor" / ".hidden.css").write_text("secret")
    app = Flask("served", static_folder=str(project / "static"))
    assets.init_app(app)
    return app


def address(app: Flask, path: str) -> str:
    return str(app.extensions["assets"].url(path))


def test_a_second_build_has_nothing_to_do_and_is_quick(project: Path) -> None:
    assert assets.build(project) is True
    started = time.perf_counter()
    assert assets.build(project) is False
    assert time.perf_counter() - started < 0.2


def test_names_carry_the_hash_of_what_is_in_them(project: Path) -> None:
    assets.build(project)
    vendor = project / "static" / "vendor"
    names = json.loads((vendor / "manifest.json").read_text())["files"]
    assert {"tabler.min.css", "htmx.min.js", "hx-preload.min.js", "icons.svg", "fonts.css", "licences.txt"} <= set(
        names
    )
    for hashed in names.values():
        assert hashed.split(".")[-2] == assets.short_hash((vendor / hashed).read_bytes())


def test_a_new_icon_makes_a_new_sprite_and_takes_the_old_one_away(project: Path) -> None:
    assets.build(project)
    vendor = project / "static" / "vendor"
    (before,) = vendor.glob("icons.*.svg")
    assert 'id="anchor"' not in before.read_text()
    with (project / "static" / "icons.txt").open("a") as listing:
        listing.write("anchor\n")
    assert assets.build(project) is True
    (after,) = vendor.glob("icons.*.svg")
    assert after.name != before.name
    assert 'id="anchor"' in after.read_text()


def test_an_icon_that_does_not_exist_is_named(project: Path) -> None:
    (project / "static" / "icons.txt").write_text("home\nno-such-icon\n")
    with pytest.raises(assets.AssetError, match="no-such-icon"):
        assets.build(project)


def test_font_rules_point_at_fonts_that_are_there(project: Path) -> None:
    assets.build(project)
    vendor = project / "static" / "vendor"
    (rules,) = vendor.glob("fonts.*.css")
    fonts = re.findall(r'url\("([^"]+)"\)', rules.read_text())
    assert len(fonts) == 2
    assert all((vendor / font).is_file() for font in fonts)


def test_no_vendor_file_fetches_anything_from_elsewhere(project: Path) -> None:
    assets.build(project)
    for path in (project / "static" / "vendor").glob("*.css"):
        assert not re.search(r"url\(\s*[\"']?(https?:)?//|@import", path.read_text()), path.name
        assert "sourceMappingURL" not in path.read_text()


def test_a_vendor_file_may_be_kept_for_ever_and_comes_compressed(served: Flask) -> None:
    answer = served.test_client().get(address(served, "vendor/tabler.min.css"), headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.mimetype == "text/css"
    assert "Accept-Encoding" in answer.headers["Vary"]
    assert len(answer.data) < 120_000
    assert gzip.decompress(answer.data).startswith(b'@charset "UTF-8"')


def test_a_browser_that_takes_no_compression_gets_the_plain_file(served: Flask) -> None:
    answer = served.test_client().get(address(served, "vendor/htmx.min.js"), headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in answer.headers
    assert "Accept-Encoding" in answer.headers["Vary"]


def test_our_own_file_is_versioned_by_content_and_an_edit_shows_at_once(served: Flask, project: Path) -> None:
    client, first = served.test_client(), address(served, "css/app.css")
    assert re.fullmatch(r"/static/css/app\.css\?v=[0-9a-f]{10}", first)
    assert "immutable" in client.get(first).headers["Cache-Control"]
    (project / "static" / "css" / "app.css").write_text("body { color: white }\n")
    second = address(served, "css/app.css")
    assert second != first
    assert client.get(first).headers["Cache-Control"] == "no-cache", "an old address must not be kept with new content"
    compressed = client.get(second, headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(compressed.data) == b"body { color: white }\n"


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_what_the_browser_has_is_not_sent_again(served: Flask, encoding: str) -> None:
    client, path = served.test_client(), address(served, "css/app.css")
    first = client.get(path, headers={"Accept-Encoding": encoding})
    again = client.get(path, headers={"Accept-Encoding": encoding, "If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert again.data == b""


@pytest.mark.parametrize(
    "path", ["vendor/.hidden.css", "../package.json", "%2e%2e/package.json", "vendor/", "vendor/nothing.css"]
)
def test_only_files_of_the_folder_are_served(served: Flask, path: str) -> None:
    for encoding in ("gzip", "identity"):
        answer = served.test_client().get(f"/static/{path}", headers={"Accept-Encoding": encoding})
        assert answer.status_code == 404


def test_every_asset_named_in_a_template_exists() -> None:
    """Otherwise a page would ask for a file in vain, and nobody would notice but the person who misses it."""
    assets.build()
    names = json.loads((VENDOR / "manifest.json").read_text())["files"]
    for template in TEMPLATES:
        for path in re.findall(r"""\basset\(\s*['"]([^'"]+)['"]""", template.read_text()):
            exists = (
                path.removeprefix("vendor/") in names
                if path.startswith("vendor/")
                else (ROOT / "static" / path).is_file()
            )
            assert exists, f"{template.relative_to(ROOT)} names {path}"


def test_every_icon_named_in_a_template_is_in_the_sprite() -> None:
    for template in TEMPLATES:
        for name in re.findall(r"""(?<!\w)ic\(\s*['"]([a-z0-9-]+)['"]""", template.read_text()):
            assert name in ICONS, f"{template.relative_to(ROOT)} draws {name}; add it to static/icons.txt"
