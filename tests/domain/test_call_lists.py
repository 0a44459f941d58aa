"""Lists of calls: what filters let through, pages that miss and repeat nothing, and what a search finds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from portal.db import db, utcnow
from portal.domain import call_lists, call_search, transcripts
from portal.domain.call_lists import Cursor, Filters
from portal.models import Call, CallContent, CallFollowup, Recording
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm

NOW = utcnow()


@pytest.fixture
def salon(cast: Cast) -> Iterator[Firm]:
    with tenant_scope(cast.salon.id):
        yield cast.salon


def filters(**values: Any) -> Filters:
    return Filters(**({"zone": "Europe/Berlin", "read": True} | values))


def spoken(firm: Firm, text: str, **values: Any) -> Call:
    """A call with what was said in it."""
    call = factories.make_call(firm, **({"customer_id": None, "phone_number": None} | values))
    token = transcripts.tenant_token(firm.id)
    factories.save(firm, CallContent(company_id=firm.id, call_id=call.id, tenant_token=token, transcript=text))
    return call


def ids(**values: Any) -> list[int]:
    return [call.id for call in call_lists.page(filters(**values), utcnow()).calls]


def pages(size: int, monkeypatch: pytest.MonkeyPatch, **values: Any) -> list[list[int]]:
    monkeypatch.setattr(call_lists, "PAGE", size)
    found, cursor = [], None
    while True:
        page = call_lists.page(filters(**values), utcnow(), cursor)
        found.append([call.id for call in page.calls])
        if page.older is None:
            return found
        cursor = Cursor.parse(str(page.older))
        assert cursor == page.older


# ---- Pages ----------------------------------------------------------------------------------------------------


def test_pages_miss_and_repeat_nothing_also_among_calls_of_one_moment(
    salon: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = [NOW - timedelta(hours=h) for h in (1, 2, 2, 2, 2, 3, 4)]
    made = [factories.make_call(salon, started_at=moment) for moment in moments]
    wanted = [call.id for call in sorted(made, key=lambda call: (call.started_at, call.id), reverse=True)]
    for size in (1, 2, 3, 7, 50):
        found = pages(size, monkeypatch)
        assert [call_id for page in found for call_id in page] == wanted
        assert all(len(page) <= size for page in found)


@pytest.mark.parametrize("written", ["", "x", "1-", "-1", "1-2-3", "99999999999999999999-1", "1--2", None])
def test_what_is_no_cursor_is_none(written: str | None) -> None:
    assert Cursor.parse(written) is None


def test_a_cursor_far_away_finds_nothing_and_breaks_nothing(salon: Firm) -> None:
    factories.make_call(salon)
    assert call_lists.page(filters(), utcnow(), Cursor.parse("1-1")).calls == []
    assert len(call_lists.page(filters(), utcnow(), Cursor.parse("99999999999999999-1")).calls) == 1


# ---- Filters --------------------------------------------------------------------------------------------------


def test_each_filter_lets_its_own_through(salon: Firm) -> None:
    plain = factories.make_call(salon)
    other = factories.make_call(
        salon,
        branch_id=salon.other.id,
        direction="outbound",
        status="no_answer",
        sentiment="negative",
        appointment_created=True,
    )
    assert ids(branch=salon.other.id) == [other.id]
    assert ids(direction="outbound") == [other.id]
    assert ids(status="no_answer") == [other.id]
    assert ids(sentiment="negative") == [other.id]
    assert ids(booked=True) == [other.id]
    assert ids(booked=False) == [plain.id]
    assert set(ids()) == {plain.id, other.id}
    assert ids(branch=10**9) == []


def test_days_are_local_ones(salon: Firm) -> None:
    midnight = datetime.fromisoformat("2026-03-10T00:00:00+01:00")
    before = factories.make_call(salon, started_at=midnight - timedelta(seconds=1))
    after = factories.make_call(salon, started_at=midnight)
    assert ids(first=date(2026, 3, 10), last=date(2026, 3, 10)) == [after.id]
    assert ids(first=date(2026, 3, 9), last=date(2026, 3, 9)) == [before.id]


def test_branch_bound_people_see_their_branches_calls_and_none_without_a_branch(salon: Firm) -> None:
    mine = factories.make_call(salon)
    factories.make_call(salon, branch_id=salon.other.id)
    factories.make_call(salon, branch_id=None)
    assert ids(branches=[salon.main.id]) == [mine.id]
    assert ids(branches=[salon.main.id], branch=salon.other.id) == []
    assert len(ids()) == 3


def test_another_companys_calls_are_never_there(salon: Firm, cast: Cast) -> None:
    factories.make_call(cast.praxis)
    spoken(cast.praxis, "User: Rechnung")
    with tenant_scope(salon.id):
        assert ids() == []
        assert ids(query="Rechnung") == []


def test_counts_stop_at_a_thousand(salon: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    for booked in (True, False, False):
        factories.make_call(salon, appointment_created=booked)
    counted = call_lists.count(filters())
    assert (counted.calls, counted.booked, counted.more) == (3, 1, False)
    monkeypatch.setattr(call_lists, "MOST_COUNTED", 2)
    assert call_lists.count(filters()).more


# ---- What is happening now ------------------------------------------------------------------------------------


def running(firm: Firm, **values: Any) -> Call:
    since = {"started_at": utcnow() - timedelta(minutes=2), "ended_at": None, "duration_seconds": None}
    return factories.make_call(firm, **(since | {"status": "in_progress"} | values))


def shown_live(since: datetime, seen: list[int] | None = None, **values: Any) -> list[int]:
    return [call.id for call, _said in call_lists.live(filters(**values), since, seen or [], utcnow())]


def test_a_running_call_stands_above_the_list_and_not_in_it(salon: Firm) -> None:
    call = running(salon)
    assert shown_live(utcnow()) == [call.id]
    assert ids() == []


def test_a_call_whose_end_nobody_reported_goes_into_the_list(salon: Firm) -> None:
    call = running(salon, started_at=utcnow() - timedelta(hours=5))
    assert shown_live(utcnow()) == []
    assert ids() == [call.id]


def test_every_call_is_shown_exactly_once_while_the_page_is_open(salon: Firm) -> None:
    old, ringing = factories.make_call(salon), running(salon)
    since = utcnow()
    later = factories.make_call(salon, created_at=since + timedelta(seconds=1))
    page = call_lists.page(filters(), since)
    assert [call.id for call in page.calls] == [old.id]
    assert set(shown_live(since)) == {ringing.id, later.id}

    def hang_up() -> None:
        db.session.get_one(Call, ringing.id).status = "completed"

    factories.within(salon, hang_up)
    with tenant_scope(salon.id):
        assert set(shown_live(since, [ringing.id])) == {ringing.id, later.id}


def test_the_last_words_are_for_those_who_may_read_them(salon: Firm) -> None:
    call = running(salon)
    token = transcripts.tenant_token(salon.id)
    text = "Agent: Guten Tag.\nUser: Ich hätte gern einen Termin."
    factories.save(salon, CallContent(company_id=salon.id, call_id=call.id, tenant_token=token, transcript=text))
    with tenant_scope(salon.id):
        ((_call, words),) = call_lists.live(filters(), utcnow(), [], utcnow())
        assert words == "Ich hätte gern einen Termin."
        ((_call, words),) = call_lists.live(filters(read=False), utcnow(), [], utcnow())
        assert words == ""


# ---- Search ---------------------------------------------------------------------------------------------------


def only_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_lists, "SMALL", 0)
    monkeypatch.setattr(call_lists, "LOOKED_THROUGH", 0)


@pytest.fixture(params=["looked through", "by index"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small companies' transcripts are looked through, large ones' found by an index."""
    if request.param == "by index":
        only_the_index(monkeypatch)
    return str(request.param)


def searched(query: str, **values: Any) -> list[int]:
    return ids(query=query, **values)


TEXT = "Agent: Salon Test, guten Tag.\nUser: Grüß Gott, Müller. Es geht um die Rechnung vom Damenhaarschnitt."


@pytest.fixture
def said(salon: Firm) -> Call:
    return spoken(salon, TEXT)


@pytest.mark.parametrize(
    "query", ["Rechnung", "rechnung", "RECHNUNG", "Mueller", "müller", "rechn", "geht Rechnung", "Grüß"]
)
def test_words_of_a_call_are_found_in_every_spelling(said: Call, query: str) -> None:
    assert searched(query) == [said.id]


@pytest.mark.parametrize(
    "query", ["Quittung", "Rechnung Quittung", "%", "_", "' OR 1=1 --", "(", "++", "@@", '"', "*", "\\"]
)
def test_what_was_not_said_is_not_found_and_no_sign_is_an_operator(said: Call, way: str, query: str) -> None:
    assert searched(query) == []


def test_parts_of_words_are_found_where_they_are_looked_for(said: Call) -> None:
    assert searched("haarschnitt") == [said.id]


def test_who_may_not_read_finds_names_and_numbers_only(said: Call, salon: Firm, way: str) -> None:
    person = factories.make_customer(salon)
    call = factories.make_call(salon, customer_id=person.id)
    with tenant_scope(salon.id):
        assert searched("Rechnung", read=False) == []
        assert searched("Schaefer", read=False) == [call.id]


@pytest.mark.parametrize("query", ["Jörg Müller", "mueller", "MULLER jorg", "joer"])
def test_names_are_found(salon: Firm, way: str, query: str) -> None:
    person = factories.make_customer(salon, "Jörg", "Müller")
    call = factories.make_call(salon, customer_id=person.id, phone_number=None)
    factories.make_call(salon)
    assert searched(query) == [call.id]


@pytest.mark.parametrize(
    "query", ["030 5550100", "+49 30 555-01 00", "0049305550100", "5550100", "0100", "030/555 01 00"]
)
def test_numbers_are_found_in_any_spelling(salon: Firm, way: str, query: str) -> None:
    call = factories.make_call(salon)
    factories.make_call(salon, customer_id=None, phone_number="+4315880400")
    assert searched(query) == [call.id]


def test_foreign_numbers_are_found_too(salon: Firm, way: str) -> None:
    call = factories.make_call(salon, customer_id=None, phone_number="+4315880400")
    assert searched("+43 1 5880400") == [call.id]
    assert searched("588 04 00") == [call.id]


def test_a_search_keeps_to_the_filters_and_pages_like_the_list(
    salon: Firm, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [factories.make_call(salon, started_at=NOW - timedelta(minutes=m)) for m in range(1, 6)]
    factories.make_call(salon, branch_id=salon.other.id, started_at=NOW - timedelta(minutes=9))
    found = pages(2, monkeypatch, query="Demir", branch=salon.main.id)
    assert [call_id for page in found for call_id in page] == [call.id for call in made]


def test_common_words_need_no_index(salon: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index would hand over every call with the word; the newest of a large company are looked through first."""
    made = [spoken(salon, "User: Termin", started_at=NOW - timedelta(minutes=m)) for m in range(1, 4)]
    monkeypatch.setattr(call_lists, "SMALL", 0)
    monkeypatch.setattr(call_lists, "PAGE", 2)
    monkeypatch.setattr(call_lists, "_found_by_index", None)
    assert searched("Termin") == [call.id for call in made[:2]]


def test_hits_are_shown_with_some_words_around_them(salon: Firm) -> None:
    long = "Agent: Guten Tag.\nUser: " + "schnipp " * 60 + "wegen der Rechnung von <b>gestern</b> " + "schnapp " * 60
    call = spoken(salon, long)
    parts = call_lists.page(filters(query="rechnung"), utcnow()).snippets[call.id]
    assert [part for part, hit in parts if hit] == ["Rechnung"]
    text = "".join(part for part, _hit in parts)
    assert text.startswith("… schnipp")
    assert text.endswith(" …")
    assert "<b>gestern</b>" in text
    assert len(text) < 200


def test_a_snippet_leaves_out_who_speaks(salon: Firm, said: Call) -> None:
    parts = call_lists.page(filters(query="Rechnung"), utcnow()).snippets[said.id]
    assert "User:" not in "".join(part for part, _hit in parts)


# ---- The expressions ------------------------------------------------------------------------------------------


def test_what_is_typed_becomes_words_for_the_indexes_and_never_operators() -> None:
    assert call_search.fts5_expression(['foo"', "AND"]) == '("foo"*) AND ("and"*)'
    assert call_search.boolean_expression(["foo(", "+bar*"], "tenant1x") == "+tenant1x +(foo*) +(bar*)"
    assert call_search.boolean_expression(["die", "@@", "um", "the"], "tenant1x") == "+tenant1x +(die*)"
    assert call_search.boolean_expression(["the", "um"], "tenant1x") == ""
    assert call_search.fts5_expression(["++"]) == ""


def test_umlauts_are_written_both_ways() -> None:
    assert set(call_search.spellings("Mueller")) >= {"mueller", "müller", "Müller"}
    assert set(call_search.spellings("Grüße")) >= {"grüße", "gruesse"}
    assert call_search.spellings("rechnung") == ["rechnung"]


def test_the_full_text_index_finds_what_is_committed(
    real_app: tuple[Any, Cast], monkeypatch: pytest.MonkeyPatch
) -> None:
    """MariaDB's index does not see an open transaction; here the calls are really committed, at two companies."""
    _app, cast = real_app
    only_the_index(monkeypatch)
    mine = spoken(cast.salon, TEXT)
    spoken(cast.salon, "User: Ich möchte nur absagen.")
    theirs = spoken(cast.praxis, TEXT)
    for firm, call in ((cast.salon, mine), (cast.praxis, theirs)):
        with tenant_scope(firm.id):
            for query in ("Rechnung", "mueller", "müller rechn", "Damenhaarschnitt", "GRÜSS", "Gott geht"):
                assert ids(query=query) == [call.id], query
            for query in ("Quittung", "Rechnung Quittung", "foo(", "+-@"):
                assert ids(query=query) == [], query


def test_a_very_long_transcript_is_searched_quickly(salon: Firm) -> None:
    call = spoken(salon, "User: " + "schnipp " * 25_000 + "Rechnung")
    assert searched("Rechnung") == [call.id]


def test_the_zone_of_the_day_is_the_readers(salon: Firm) -> None:
    midnight = datetime.fromisoformat("2026-03-10T00:30:00+01:00")
    call = factories.make_call(salon, started_at=midnight)
    assert ids(first=date(2026, 3, 10), last=date(2026, 3, 10)) == [call.id]
    assert ids(first=date(2026, 3, 10), last=date(2026, 3, 10), zone="Europe/London") == []


@pytest.mark.parametrize(
    ("query", "hit"), [("zahnarztin", "Zahnärztin"), ("ZAHNARZT", "Zahnärzt"), ("celik", "Çelik"), ("uber", "Über")]
)
def test_accents_left_out_find_and_mark_the_word_with_them(salon: Firm, query: str, hit: str) -> None:
    call = spoken(salon, "User: Ist die Zahnärztin Frau Çelik heute da? Über Mittag?")
    page = call_lists.page(filters(query=query), utcnow())
    assert [one.id for one in page.calls] == [call.id]
    assert [text for text, found in page.snippets[call.id] if found] == [hit]


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        ({"intent": "complaint"}, ["complaint"]),
        ({"length": "short"}, ["short"]),
        ({"length": "long"}, ["complaint"]),
        ({"length": "medium"}, ["waits", "recorded"]),
        ({"waits": True}, ["waits"]),
        ({"waits": False}, ["complaint", "short", "recorded"]),
        ({"recorded": True}, ["recorded"]),
        ({"recorded": False, "intent": "complaint"}, ["complaint"]),
    ],
)
def test_each_filter_lets_through_what_it_says(salon: Firm, wish: dict[str, Any], found: list[str]) -> None:
    calls = {
        "complaint": factories.make_call(salon, intent="complaint", duration_seconds=180),
        "short": factories.make_call(salon, duration_seconds=29),
        "waits": factories.make_call(salon, duration_seconds=30),
        "recorded": factories.make_call(salon, duration_seconds=179),
    }
    states = {"waits": "in_progress", "short": "resolved"}
    for name, status in states.items():
        row = CallFollowup(company_id=salon.id, call_id=calls[name].id, reason="callback", status=status)
        factories.save(salon, row)
    for name, status in {"recorded": "stored", "short": "failed"}.items():
        factories.save(salon, Recording(company_id=salon.id, call_id=calls[name].id, status=status))
    assert sorted(ids(**wish)) == sorted(calls[name].id for name in found)


def test_an_export_goes_on_where_its_last_piece_ended(salon: Firm) -> None:
    made = [factories.make_call(salon, started_at=NOW - timedelta(minutes=number)).id for number in range(5)]
    later = factories.make_call(salon, started_at=NOW + timedelta(minutes=1))
    seen: list[int] = []
    cursor = None
    while piece := call_lists.chunk(filters(), NOW, cursor, 2):
        seen += [call.id for call in piece]
        cursor = Cursor(piece[-1].started_at, piece[-1].id)
    assert seen == made
    assert later.id not in seen
