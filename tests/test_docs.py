"""The documents tell the truth: what they name exists, and the worked examples work."""

from __future__ import annotations

import os
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import click
import pytest
from flask import Flask
from flask.cli import FlaskGroup, ScriptInfo

from config import Seller, Settings
from portal import cli
from portal.db import db
from portal.domain import call_reports
from portal.webhooks import calcom, stripe

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
GUIDES = [DOCS / f"{name}.md" for name in ("add-a-table", "add-a-page", "add-a-webhook")]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROOMS = "portal|templates|tests|docs|migrations|static|bench|instance"
# A path of the project, wherever it stands: in a sentence, in a table, in a picture.
PATH = re.compile(rf"(?<![\w/.<-])((?:{ROOMS})/[\w./*<>-]*[\w/*>])")
# How a command is written: in full, or short in a sentence, or through the script of running.md.
COMMAND = re.compile(r"(?:flask --app wsgi|[`>]flask|(?:`|bin/)empfang|-u empfang empfang) ([a-z][^`\n|\"']*)")
MADE_BY_SETUP = ("static/vendor", "instance")


def read(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def without_code(text: str) -> str:
    """The text without its blocks of code; pictures stay."""
    return FENCE.sub(lambda block: block[0].replace("<br>", " ") if block[1] == "mermaid" else "", text)


def page_id(document: Path) -> str:
    return document.name


# ---------- links and paths ----------


def test_the_documents_that_the_readme_names_are_all_there_are() -> None:
    named = set(re.findall(r"\]\(docs/([\w-]+\.md)\)", read(ROOT / "README.md")))
    assert named == {page.name for page in DOCS.glob("*.md")}


@pytest.mark.parametrize("document", PAGES, ids=page_id)
def test_every_link_leads_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", without_code(read(document)))
    ours = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in ours if not leads_somewhere(document, target)] == []


def leads_somewhere(document: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    file = (document.parent / path) if path else document
    return file.exists() and (not anchor or anchor in anchors(file))


def anchors(document: Path) -> set[str]:
    """The headings as a link names them."""
    titles = re.findall(r"^#+ (.+)$", without_code(read(document)), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", PAGES, ids=page_id)
def test_every_file_that_is_named_exists(document: Path) -> None:
    text = without_code(read(document))
    single = re.findall(r"`((?:\.ci/)?[\w-]+\.(?:py|toml|txt|json|md|sql|cfg)|Makefile)`", text)
    named = {*PATH.findall(text), *single}
    assert sorted(name for name in named if not exists(name)) == []


def exists(name: str) -> bool:
    if name.startswith(MADE_BY_SETUP) or name in example_files():
        return True
    if "<" in name:
        name = re.sub(r"<\w+>", "*", name)
    folders = [ROOT, DOCS]  # a document names its neighbours without their folder
    if any(any(folder.glob(name.rstrip("/"))) for folder in folders):
        return True
    return any(file.startswith(name.rstrip("/") + "/") for file in example_files())


# ---------- settings, commands, targets ----------


def table(document: Path, title: str) -> list[list[str]]:
    """The rows of the first table under a heading, without its head."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", read(document), re.MULTILINE | re.DOTALL)
    assert found, f"{document.name} has no heading {title!r}"
    lines = [line for line in found[1].splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def name_of(cell: str) -> str:
    (only,) = names(cell)
    return only


def test_running_names_every_setting_and_no_other() -> None:
    told = {name for row in table(DOCS / "running.md", "3. Settings") for name in names(row[0])}
    known = {name.upper() for name in Settings.__dataclass_fields__ if name != "seller"}
    assert told == known | {f"SELLER_{name.upper()}" for name in Seller.__dataclass_fields__}


def test_other_variables_that_running_names_are_read_somewhere() -> None:
    sources = [*ROOT.glob("portal/**/*.py"), ROOT / ".ci" / "test.py", *ROOT.glob("tests/*.py")]
    read_by_us = "".join(map(read, sources))
    for row in table(DOCS / "running.md", "Further variables"):
        for name in names(row[0]):
            assert f'"{name}"' in read_by_us, name


@cache
def commands_in(text: str) -> list[tuple[list[str], list[str]]]:
    """``flask --app wsgi rate set …`` → the words of the command and its options, wherever one is named."""
    found = []
    for line in COMMAND.findall(text):
        words = line.split()
        options = [word.partition("=")[0] for word in words if re.fullmatch(r"--[a-z][a-z-]*(=.*)?", word)]
        found.append(([word for word in words if re.fullmatch(r"[a-z][a-z-]*", word)][:2], options))
    return found


@pytest.mark.parametrize("document", PAGES, ids=page_id)
def test_every_command_that_is_named_exists_with_its_options(document: Path, app: Flask) -> None:
    text = re.sub(r"\\\n\s*", "", read(document))
    for words, options in commands_in(text):
        command = find_command(app, words)
        assert command is not None, f"flask {' '.join(words)}"
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(options) <= known, f"flask {' '.join(words)}"


def find_command(app: Flask, words: list[str]) -> click.Command | None:
    command: click.Command = FlaskGroup(create_app=lambda: app)
    context = click.Context(command, obj=ScriptInfo(create_app=lambda: app))
    for word in words:
        if not isinstance(command, click.Group):
            break
        found = command.get_command(context, word)
        if found is None:
            return None
        command, context = found, click.Context(found, parent=context)
    return None if isinstance(command, click.Group) else command


def test_running_names_every_command_of_ours(app: Flask) -> None:
    named = {" ".join(words) for words, _ in commands_in(read(DOCS / "running.md"))}
    for found in pkgutil.iter_modules(cli.__path__):
        for command in import_module(f"{cli.__name__}.{found.name}").COMMANDS:
            group = command.commands if isinstance(command, click.Group) else {"": None}
            for sub in group:
                assert f"{command.name} {sub}".strip() in named, f"flask {command.name} {sub}"


def test_running_names_the_events_that_mean_something(app: Flask) -> None:
    events = [set(names(row[3])) for row in table(DOCS / "running.md", "9. Webhooks")]
    assert events == [
        set(call_reports.EVENTS),
        set(),
        set(calcom.MEANINGS),
        stripe.SESSION_EVENTS | stripe.RETURN_EVENTS,
    ]


def test_running_names_webhook_addresses_that_exist(app: Flask) -> None:
    for row in table(DOCS / "running.md", "9. Webhooks"):
        path = name_of(row[1]).removeprefix("https://portal.example.com")
        endpoint, _ = app.url_map.bind("localhost").match(path, method="POST")
        assert endpoint, path


@pytest.mark.parametrize("document", [page for page in PAGES if page.name != "schema.md"], ids=page_id)
def test_every_column_that_is_named_exists(document: Path) -> None:
    """``calls.sentiment``; what has changed its place is told by schema.md, which has tests of its own."""
    tables = db.metadata.tables
    named = re.findall(r"`([a-z_]+)\.([a-z_]+)`", read(document))
    assert [pair for pair in named if pair[0] in tables and pair[1] not in tables[pair[0]].c] == []


@pytest.mark.parametrize("document", PAGES, ids=page_id)
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", read(ROOT / "Makefile"), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", read(document), re.MULTILINE))
    assert {name for pair in named for name in pair if name} <= targets


# ---------- the worked examples ----------


@cache
def example_files() -> dict[str, str]:
    """Path → content of every file that the guides make."""
    found = {}
    for guide in GUIDES:
        for path, text in re.findall(
            r"New file `([^`]+)`:\n\n```\w+\n(.*?)^```$", read(guide), re.MULTILINE | re.DOTALL
        ):
            assert path not in found, f"{path} is made twice"
            found[path] = text
    return found


def changes(guide: Path) -> Iterator[tuple[str, str, str]]:
    """(path, lines as they are, lines as they become) of every change in a guide."""
    path = ""
    for named, block in re.findall(r"Change in `([^`]+)`:|^```diff\n(.*?)^```$", read(guide), re.MULTILINE | re.DOTALL):
        path = named or path
        if block:
            lines = block.splitlines()
            before = [line[1:] for line in lines if line[:1] in " -" or not line]
            after = [line[1:] for line in lines if line[:1] in " +" or not line]
            yield path, "\n".join(before), "\n".join(after)


@pytest.mark.parametrize("guide", GUIDES, ids=page_id)
def test_a_guide_changes_what_is_really_there(guide: Path) -> None:
    for path, before, _ in changes(guide):
        assert read(ROOT / path).count(before) == 1, f"{guide.name}: {path} has not exactly one place with\n{before}"


@pytest.mark.slow
def test_the_examples_work_in_a_copy_of_the_project(tmp_path: Path, engine_name: str) -> None:
    copy = tmp_path / "project"
    make_copy(copy)
    for path, text in example_files().items():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_text(after_the_newest_migration(path, text), encoding="utf-8")
    for guide in GUIDES:
        for path, before, after in changes(guide):
            (copy / path).write_text(read(copy / path).replace(before, after), encoding="utf-8")
    python_files = [path for path in example_files() if path.endswith(".py")]
    run(copy, "ruff", "check", "--quiet", *python_files)
    run(copy, "ruff", "format", "--check", "--quiet", *python_files)
    own = [path for path in example_files() if path.startswith("tests/")]
    routes, architecture = "tests/test_routes.py::test_", "tests/test_architecture.py::test_"
    sweeps = [
        "tests/test_migrations.py",
        f"{routes}every_route_has_its_row",
        f"{routes}every_parameter_has_a_row_to_stand_for_it",
        f"{routes}each_role_opens_what_it_may_and_nothing_else",
        f"{routes}another_companys_row_is_the_same_404_as_a_missing_one",
        f"{architecture}a_room_imports_only_what_the_law_allows",
        f"{architecture}rules_know_nothing_of_the_request_and_never_commit",
    ]
    run(copy, "pytest", "-q", "--db", engine_name, *own, *sweeps)


def make_copy(copy: Path) -> None:
    copy.mkdir()
    ignore = shutil.ignore_patterns("__pycache__", "browser", "vendor", "*.mo")
    for name in ("portal", "templates", "migrations", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignore)
    for name in ("config.py", "wsgi.py", "pyproject.toml"):
        shutil.copy(ROOT / name, copy / name)
    (copy / "static").symlink_to(ROOT / "static")


def after_the_newest_migration(path: str, text: str) -> str:
    """The page says that its first migration follows 0899; in the copy it follows whatever is the newest by then."""
    newest = max(file.name[:4] for file in (ROOT / "migrations" / "versions").glob("[0-9]*.py"))
    return text.replace('down_revision = "0899"', f'down_revision = "{newest}"') if "migrations" in path else text


def run(folder: Path, module: str, *arguments: str) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
