"""Every text has its German, and every German text fits its English one."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parents[1]
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]")


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The texts as they stand in the code and the templates now."""
    target = tmp_path_factory.mktemp("i18n") / "messages.pot"
    keywords = [f"--keyword={word}" for word in ("_l", "lazy_gettext", "lazy_ngettext:1,2")]
    command = [sys.executable, "-m", "babel.messages.frontend", "-q", "extract", "-F", "babel.cfg", *keywords]
    ignore = "--ignore-dirs=.* node_modules instance static tests bench"
    subprocess.run([*command, ignore, "-o", str(target), "."], cwd=ROOT, check=True)
    with target.open("rb") as file:
        return read_po(file)


@pytest.fixture(scope="module")
def german() -> Catalog:
    with (ROOT / "portal/translations/de/LC_MESSAGES/messages.po").open("rb") as file:
        return read_po(file, locale="de")


def texts(message: Message) -> list[str]:
    return list(message.string) if isinstance(message.string, tuple | list) else [message.string]


def test_every_text_is_translated(extracted: Catalog, german: Catalog) -> None:
    missing = [
        message.id
        for message in extracted
        if message.id and not ((found := german.get(message.id, message.context)) and all(texts(found)))
    ]
    assert missing == []


def test_the_catalogue_holds_nothing_that_is_gone(extracted: Catalog, german: Catalog) -> None:
    assert [m.id for m in german if m.id and extracted.get(m.id, m.context) is None] == []


def test_translations_keep_their_placeholders(german: Catalog) -> None:
    for message in german:
        if not message.id:
            continue
        wanted = set(PLACEHOLDER.findall(" ".join(message.id) if isinstance(message.id, tuple) else message.id))
        for text in texts(message):
            assert set(PLACEHOLDER.findall(text)) <= wanted, message.id
        found = {name for text in texts(message) for name in PLACEHOLDER.findall(text)}
        assert wanted - found <= {"num", "count"}, message.id


def test_nothing_is_fuzzy(german: Catalog) -> None:
    assert [message.id for message in german if message.id and message.fuzzy] == []


def test_people_are_addressed_formally(german: Catalog) -> None:
    informal = re.compile(r"\b(du|dein|deine|deinen|deinem|deiner|dich|dir|euch|euer)\b")
    assert [text for message in german if message.id for text in texts(message) if informal.search(text)] == []


def test_no_text_hides_in_an_f_string() -> None:
    """Nobody finds it there: up to Python 3.11 the inside of an f-string is no code to who reads only tokens."""
    hidden = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in sorted((ROOT / "portal").rglob("*.py"))
        for text in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(text, ast.JoinedStr)
        for call in ast.walk(text)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in {"_", "_l", "ngettext"}
    ]
    assert hidden == []
