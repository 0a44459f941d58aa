"""Searching what was said: words and their spellings, the databases' full-text indexes, and the hits marked."""

from __future__ import annotations

import re

from sqlalchemy import ColumnElement, Subquery, bindparam, case, column, func, select, text

from portal.db import db
from portal.domain import transcripts
from portal.models import CallContent
from portal.tenancy import current_company_id

# What the index hands over of one search, newest first, before filters apply.
MOST_HITS = 500
MOST_WORDS = 6
SNIPPET = 170
BEFORE_HIT = 60

_WORD = re.compile(r"\w+")
_WRITTEN_OUT = str.maketrans(dict(zip("äöüß", ("ae", "oe", "ue", "ss"), strict=True)))
# InnoDB's own list; a required word of it would find nothing. Words under three letters are not indexed either.
_STOP_WORDS = set(
    "a about an are as at be by com de en for from how i in is it la of on or that the this to was what when where who "
    "will with und www".split()
)


# Letters under which those with an accent are found too, as the databases do.
_ACCENTED = {
    "a": "àáâãäå", "c": "çćč", "e": "èéêë", "g": "ğ", "i": "ìíîïı", "n": "ñń", "o": "òóôõö", "s": "şšś", "u": "ùúûü",
    "y": "ýÿ", "z": "žźż",
}  # fmt: skip


def words(query: str) -> list[str]:
    """The words of a query, as they were typed."""
    return [word for word in query.split() if _WORD.search(word)][:MOST_WORDS]


def spellings(word: str) -> list[str]:
    """The ways to write one word: ä and ae, ß and ss; also with capitals where a database compares letters only."""
    lowered = word.lower()
    written = lowered.translate(_WRITTEN_OUT)
    umlauts = written.replace("ae", "ä").replace("oe", "ö").replace("ue", "ü")
    found = dict.fromkeys([lowered, written, umlauts, *([lowered.replace("ss", "ß")] if "ss" in lowered else [])])
    return list(found | dict.fromkeys(way.capitalize() for way in found if not way.isascii()))


# ---- The indexes ----------------------------------------------------------------------------------------------


def is_sqlite() -> bool:
    return db.engine.dialect.name == "sqlite"


def by_index(query: str) -> Subquery | None:
    """Ids of the newest calls in which it was said, from the database's full-text index; None without a word for it."""
    return _fts5(words(query)) if is_sqlite() else _full_text(words(query))


def _fts5(typed: list[str]) -> Subquery | None:
    expression = fts5_expression(typed)
    if not expression:
        return None
    return (
        text(
            "SELECT call_contents_fts.rowid AS id FROM call_contents_fts"
            " JOIN call_contents ON call_contents.call_id = call_contents_fts.rowid"
            " WHERE call_contents_fts MATCH :spoken AND call_contents.company_id = :company_id"
            " ORDER BY call_contents_fts.rowid DESC LIMIT :most"
        )
        .bindparams(spoken=expression, company_id=current_company_id(), most=MOST_HITS)
        .columns(column("id"))
        .subquery("spoken")
    )


def _full_text(typed: list[str]) -> Subquery | None:
    expression = boolean_expression(typed, transcripts.tenant_token(current_company_id()))
    if not expression:
        return None
    against = text("MATCH (call_contents.tenant_token, call_contents.transcript) AGAINST (:spoken IN BOOLEAN MODE)")
    hits = select(CallContent.call_id.label("id")).where(against.bindparams(spoken=expression))
    return hits.order_by(CallContent.call_id.desc()).limit(MOST_HITS).subquery("spoken")


def fts5_expression(typed: list[str]) -> str:
    """``("mueller"* OR "müller"*) AND …`` for SQLite; '' without a word."""
    groups = []
    for part in _parts(typed):
        ways = dict.fromkeys(way.lower() for way in spellings(part))
        groups.append("(" + " OR ".join(f'"{way}"*' for way in ways) + ")")
    return " AND ".join(groups)


def boolean_expression(typed: list[str], token: str) -> str:
    """``+token +(mueller* müller*) …`` for MySQL and MariaDB; '' where no word is left that the index holds.

    The company's token comes first, so that a search costs what its own company has said.
    """
    groups = []
    for part in _parts(typed):
        ways = [way for way in dict.fromkeys(way.lower() for way in spellings(part)) if len(way) >= 3]
        if ways and part.lower() not in _STOP_WORDS:
            groups.append("+(" + " ".join(f"{way}*" for way in ways) + ")")
    return " ".join([f"+{token}", *groups]) if groups else ""


def _parts(typed: list[str]) -> list[str]:
    """Letters and digits only: everything else is an operator to a full-text index."""
    return [part for word in typed for part in re.findall(r"[^\W_]+", word)][:MOST_WORDS]


# ---- What was found -------------------------------------------------------------------------------------------


def snippets(query: str, ids: list[int]) -> dict[int, list[tuple[str, bool]]]:
    """A few words around the first hit of each call, cut out by the database; parts with whether they are a hit."""
    searched = words(query)
    if not (ids and searched):
        return {}
    found = _cut(_at_letters(searched), ids)
    if missing := [call_id for call_id in ids if call_id not in found]:
        found |= _cut_by_index(searched, missing) if is_sqlite() else _cut(_at_pattern(searched), missing)
    return {call_id: marked(cut, searched) for call_id, cut in found.items()}


def _at_letters(searched: list[str]) -> ColumnElement[int]:
    spoken = func.lower(CallContent.transcript)
    return func.coalesce(*(func.nullif(func.instr(spoken, way), 0) for word in searched for way in spellings(word)), 0)


def _at_pattern(searched: list[str]) -> ColumnElement[int]:
    """MySQL's and MariaDB's INSTR tells a from ä, unlike their LIKE and their index."""
    return func.regexp_instr(func.lower(CallContent.transcript), _pattern(searched))


def _cut(at: ColumnElement[int], ids: list[int]) -> dict[int, str]:
    start = case((at > BEFORE_HIT, at - BEFORE_HIT), else_=1)
    query = select(CallContent.call_id, func.substr(CallContent.transcript, start, SNIPPET), start).where(
        CallContent.call_id.in_(ids), at > 0
    )
    return {call_id: _tidied(cut, inside=first > 1) for call_id, cut, first in db.session.execute(query)}


def _cut_by_index(searched: list[str], ids: list[int]) -> dict[int, str]:
    """SQLite compares letters only, but its index knows that an ä is a kind of a. The ids are of this company."""
    expression = fts5_expression(searched)
    if not expression:
        return {}
    statement = text(
        "SELECT rowid, snippet(call_contents_fts, 0, '', '', '…', 24) FROM call_contents_fts"
        " WHERE call_contents_fts MATCH :spoken AND rowid IN :ids"
    ).bindparams(bindparam("ids", ids, expanding=True), spoken=expression)
    return {call_id: _tidied(cut, inside=False) for call_id, cut in db.session.execute(statement)}


def _tidied(cut: str, *, inside: bool) -> str:
    """Whole words, without who says them."""
    if inside:
        cut = "… " + cut.partition(" ")[2]
    if len(cut) >= SNIPPET - 20:
        cut = cut.rpartition(" ")[0] + " …"
    return " – ".join(line.strip() for line in transcripts.SPOKEN_LINE.sub("", cut).splitlines() if line.strip())


def marked(found: str, searched: list[str]) -> list[tuple[str, bool]]:
    """A text in parts, each with whether it is one of the words searched for."""
    pattern = re.compile(f"({_pattern(searched)})", re.IGNORECASE)
    return [(part, index % 2 == 1) for index, part in enumerate(pattern.split(found)) if part]


def _pattern(searched: list[str]) -> str:
    """A regular expression for any of these words, the longest first, with or without accents."""
    ways = sorted({way.lower() for word in searched for way in spellings(word)}, key=len, reverse=True)
    return "|".join(map(_whatever_the_accents, ways))


def _whatever_the_accents(way: str) -> str:
    return "".join(f"[{letter}{_ACCENTED[letter]}]" if letter in _ACCENTED else re.escape(letter) for letter in way)
