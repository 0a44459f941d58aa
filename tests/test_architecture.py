"""The import law, and what else holds the rooms apart."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PORTAL = ROOT / "portal"
SOURCES = sorted(PORTAL.rglob("*.py"))

# Room → what it may import of ours. A room that is not named may import what it likes, but never views.
MAY_IMPORT = {
    "models": {"portal.db", "portal.models"},
    "clients": {"portal.clients"},
    # portal.formats is pure: from values to words
    "domain": {"portal.db", "portal.models", "portal.domain", "portal.clients", "portal.tenancy", "portal.permissions"}
    | {"portal.formats"},
    "forms": {"portal.forms", "portal.domain", "portal.models", "portal.filters", "portal.i18n", "portal.formats"},
}
# Crossing tenants is explicit; these files do it, and a new one has to be added here and argued for.
CROSS_TENANTS = {
    "portal/domain/calls.py",
    "portal/domain/feeds.py",
    "portal/domain/health.py",
    "portal/domain/identity.py",
    "portal/domain/operator.py",
    "portal/domain/inbound.py",
    "portal/domain/preferences.py",
    "portal/domain/reconciliation.py",
    "portal/reconciliation.py",
    "portal/webhooks/inbox.py",
}
REQUEST_WORLD = {"request", "session", "current_app", "g", "flash", "redirect", "render_template", "url_for"}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(path: Path) -> str:
    parts = path.relative_to(PORTAL).parts
    return parts[0] if len(parts) > 1 else path.stem


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, as dotted names; ``from portal import db`` counts as ``portal.db``."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module in {"portal", "flask"}:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            else:
                yield node.module


def within(name: str, allowed: set[str]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in allowed)


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_a_room_imports_only_what_the_law_allows(path: Path) -> None:
    allowed = MAY_IMPORT.get(room_of(path))
    ours = [name for name in imports(path) if name.partition(".")[0] in {"portal", "config"}]
    if allowed is not None:
        assert [name for name in ours if not within(name, allowed)] == []
    if room_of(path) not in {"views", "__init__"}:
        assert [name for name in ours if within(name, {"portal.views"})] == []


@pytest.mark.parametrize("path", [p for p in SOURCES if room_of(p) in {"domain", "models", "clients"}], ids=module_of)
def test_rules_know_nothing_of_the_request_and_never_commit(path: Path) -> None:
    assert [name for name in imports(path) if name.removeprefix("flask.") in REQUEST_WORLD and "flask" in name] == []
    assert [node for node in ast.walk(tree(path)) if _is_call_of(node, {"commit", "transaction"})] == []


def _is_call_of(node: ast.AST, names: set[str]) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return called in names


def test_only_transaction_commits() -> None:
    committing = {module_of(path) for path in SOURCES for node in ast.walk(tree(path)) if _is_call_of(node, {"commit"})}
    # The demo's loader writes in bulk, before anybody is there to read.
    assert {name for name in committing if not name.startswith("portal.demo")} <= {"portal.db"}


def test_only_the_ledger_writes_balances() -> None:
    amounts = {"current_balance", "reserved_balance", "balance_after", "total_topped_up", "total_spent"}
    writers = {
        module_of(path)
        for path in SOURCES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Assign | ast.AugAssign) and _assigned(node) & amounts
    }
    assert {name for name in writers if not name.startswith(("portal.models", "portal.demo"))} <= {
        "portal.domain.ledger",
        "portal.domain.visits",  # a customer's own total_spent
    }


def _assigned(node: ast.Assign | ast.AugAssign) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    flat = [part for target in targets for part in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return {target.attr for target in flat if isinstance(target, ast.Attribute)}


def test_every_crossing_of_tenants_is_named() -> None:
    crossing = Counter(
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        for node in ast.walk(tree(path))
        if _is_call_of(node, {"all_tenants"})
    )
    rooms_of_the_edge = ("portal/views/", "portal/jobs/", "portal/cli/", "portal/demo/", "portal/webhooks/")
    assert {name for name in crossing if not name.startswith(rooms_of_the_edge)} <= CROSS_TENANTS


def test_every_crossing_says_why() -> None:
    for path in SOURCES:
        for node in ast.walk(tree(path)):
            if _is_call_of(node, {"all_tenants"}):
                assert isinstance(node, ast.Call)
                assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}"
                assert len(str(node.args[0].value).split()) >= 3, f"{path}:{node.lineno}"


def test_nothing_is_called_util() -> None:
    names = [path.stem for path in SOURCES]
    assert [name for name in names if name in {"util", "utils", "helpers", "misc", "common"}] == []


def test_files_stay_readable() -> None:
    assert [module_of(p) for p in SOURCES if len(p.read_text(encoding="utf-8").splitlines()) > 500] == []


def test_pages_carry_no_inline_style_or_script() -> None:
    offences = []
    for path in sorted((ROOT / "templates").rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        inlined = path.parts[-2] == "email" or path.name.startswith("mail")
        if not inlined and (" style=" in text or "<style" in text):
            offences.append(path.name)
        if any(word in text for word in (" onclick=", " onchange=", " hx-on", "javascript:", "<script>")):
            offences.append(path.name)
    assert offences == []
