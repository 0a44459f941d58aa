"""The recording as people meet it: served in pieces to who may hear it, on record, and never from the provider."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.db import db, utcnow
from portal.domain import recordings
from portal.models import (
    Call,
    Company,
    PortalUser,
    PortalUserBranch,
    PortalUserPermission,
    Recording,
    RecordingAccess,
)
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.factories import WAV
from tests.pages import Node, parse

SIZE = len(WAV)
SOURCE = "https://bucket.provider.example/call_1.wav?signature=verysecret"


@pytest.fixture
def salon(cast: Cast, client: PortalClient) -> Firm:
    client.sign_in(cast.salon.owner)
    return cast.salon


def recorded(firm: Firm, content: bytes = WAV, **values: Any) -> Call:
    call = factories.make_call(firm, transcript="Agent: Guten Tag", recording_url=SOURCE)
    factories.make_recording(firm, call, content, source_url=SOURCE, **values)
    return call


def sound(call: Call) -> str:
    return f"/calls/{call.id}/recording"


def accesses(firm: Firm) -> list[tuple[int | None, str, str | None]]:
    db.session.rollback()
    with tenant_scope(firm.id):
        rows = db.session.scalars(select(RecordingAccess).order_by(RecordingAccess.id)).all()
        return [(row.portal_user_id, row.kind, row.reason) for row in rows]


def page(client: PortalClient, call: Call) -> Node:
    return parse(client.get(f"/calls/{call.id}").text)


def in_english(firm: Firm, user: PortalUser) -> None:
    def write() -> None:
        db.session.get_one(PortalUser, user.id).language = "en"

    factories.within(firm, write)


# ---- The file -------------------------------------------------------------------------------------------------


def test_the_whole_file_says_that_it_can_be_had_in_pieces(client: PortalClient, salon: Firm) -> None:
    answer = client.get(sound(recorded(salon)))
    assert (answer.status_code, answer.data) == (200, WAV)
    assert answer.headers["Content-Type"] == "audio/wav"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Length"] == str(SIZE)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"].startswith("inline; filename=call-")
    assert answer.headers["ETag"].startswith('"')


@pytest.mark.parametrize(("asked", "status", "first", "last"), [
    ("bytes=0-", 206, 0, SIZE - 1), ("bytes=0-0", 206, 0, 0), ("bytes=100-199", 206, 100, 199),
    ("bytes=100-", 206, 100, SIZE - 1), ("bytes=-50", 206, SIZE - 50, SIZE - 1), ("Bytes = 5-9", 206, 5, 9),
    (f"bytes=-{SIZE * 2}", 206, 0, SIZE - 1), (f"bytes=10-{SIZE * 9}", 206, 10, SIZE - 1),
    (f"bytes={SIZE - 1}-", 206, SIZE - 1, SIZE - 1), (f"bytes={SIZE}-", 416, 0, 0),
    (f"bytes={SIZE * 2}-{SIZE * 3}", 416, 0, 0), ("bytes=-0", 416, 0, 0),
    ("bytes=0-1,5-9", 200, 0, SIZE - 1), ("bytes=9-5", 200, 0, SIZE - 1), ("bytes=abc", 200, 0, SIZE - 1),
    ("bytes=", 200, 0, SIZE - 1), ("bytes=-", 200, 0, SIZE - 1), ("items=0-5", 200, 0, SIZE - 1),
    ("0-5", 200, 0, SIZE - 1), ("", 200, 0, SIZE - 1), (f"bytes=0-{'9' * 5000}", 200, 0, SIZE - 1),
])  # fmt: skip
def test_pieces_are_what_was_asked_for(
    client: PortalClient, salon: Firm, asked: str, status: int, first: int, last: int
) -> None:
    answer = client.get(sound(recorded(salon)), headers={"Range": asked})
    assert answer.status_code == status
    if status == 416:
        assert (answer.headers["Content-Range"], answer.data) == (f"bytes */{SIZE}", b"")
        return
    assert answer.data == WAV[first : last + 1]
    assert answer.headers["Content-Length"] == str(last + 1 - first)
    if status == 206:
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    else:
        assert "Content-Range" not in answer.headers


def test_a_piece_of_another_version_is_not_mixed_into_this_one(client: PortalClient, salon: Firm) -> None:
    address = sound(recorded(salon))
    etag = client.get(address).headers["ETag"]
    same = client.get(address, headers={"Range": "bytes=0-9", "If-Range": etag})
    other = client.get(address, headers={"Range": "bytes=0-9", "If-Range": '"another"'})
    assert (same.status_code, other.status_code) == (206, 200)
    assert client.get(address, headers={"If-None-Match": etag}).status_code == 304


def test_head_tells_and_sends_nothing(client: PortalClient, salon: Firm) -> None:
    answer = client.head(sound(recorded(salon)))
    assert (answer.status_code, answer.data, answer.headers["Content-Length"]) == (200, b"", str(SIZE))
    assert client.head(sound(recorded(salon)), headers={"Range": "bytes=0-9"}).status_code == 206
    assert accesses(salon) == []


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", None])
def test_only_sound_is_served_as_what_it_says(client: PortalClient, salon: Firm, kind: str | None) -> None:
    answer = client.get(sound(recorded(salon, content_type=kind)))
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")


# ---- Where there is nothing to hear ---------------------------------------------------------------------------


@pytest.mark.parametrize(("values", "status", "says"), [
    ({"status": "pending"}, 404, "wird gerade geholt"),
    ({"status": "failed", "error": "gone"}, 404, "abgelaufen"),
    ({"status": "failed", "error": "refused"}, 404, "keine, von der wir etwas laden"),
    ({"status": "failed", "error": "too_large"}, 404, "größer als 100"),
    ({"status": "failed", "error": "not_audio"}, 404, "kein Ton"),
    ({"status": "failed", "error": None}, 404, "nicht herausgegeben"),
    ({"status": "deleted"}, 410, "wurde gelöscht"),
    ({"status": "deleted", "error": "objected"}, 410, "wollte keine Aufzeichnung"),
    ({"path": "ab/0123456789abcdef0123456789abcd"}, 404, "fehlt in unserer Ablage"),
])  # fmt: skip
def test_a_page_says_why_there_is_nothing_to_hear(
    client: PortalClient, salon: Firm, values: dict[str, Any], status: int, says: str
) -> None:
    call = recorded(salon, **values)
    for address in (sound(call), f"{sound(call)}/download"):
        answer = client.get(address)
        assert (answer.status_code, says in answer.text) == (status, True), address
    shown = page(client, call)
    assert says in shown.text
    assert shown.select("audio") == []
    assert accesses(salon) == []


def test_a_call_without_a_recording_says_so_and_shows_no_player(client: PortalClient, salon: Firm) -> None:
    call = factories.make_call(salon)
    answer = client.get(sound(call))
    assert answer.status_code == 404
    assert "keine Aufnahme" in answer.text
    assert page(client, call).select("[data-player]") == []


# ---- Who may hear it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "status"), [("owner", 200), ("manager", 200), ("staff", 403), ("bookkeeper", 403)])
def test_owners_and_managers_hear_it(client: PortalClient, cast: Cast, role: str, status: int) -> None:
    call = recorded(cast.salon)
    client.sign_in(cast.salon.users[role])
    assert client.get(sound(call)).status_code == status
    assert client.get(f"{sound(call)}/download").status_code == status
    if role == "staff":
        assert page(client, call).select("audio") == []
        assert "recording" not in client.get(f"/calls/{call.id}").text.replace("/recordings", "")


def test_another_companys_recording_is_as_absent_as_a_missing_one(
    client: PortalClient, cast: Cast, salon: Firm
) -> None:
    theirs = recorded(cast.praxis)
    for suffix in ("", "/download"):
        assert client.get(sound(theirs) + suffix).status_code == 404
        assert client.get(f"/calls/987654321/recording{suffix}").status_code == 404
    assert accesses(cast.praxis) == []


def test_who_is_bound_to_a_branch_hears_its_calls_alone(client: PortalClient, cast: Cast) -> None:
    salon = cast.salon
    bound = PortalUserBranch(company_id=salon.id, portal_user_id=salon.manager.id, branch_id=salon.main.id)
    factories.save(salon, bound)
    ours = recorded(salon)
    other = factories.make_call(salon, branch_id=salon.other.id)
    factories.make_recording(salon, other)
    client.sign_in(salon.manager)
    assert client.get(sound(ours)).status_code == 200
    assert client.get(sound(other)).status_code == 404


def test_who_may_not_see_calls_does_not_hear_them(client: PortalClient, cast: Cast) -> None:
    salon = cast.salon
    call = factories.make_call(salon)
    factories.make_recording(salon, call)
    factories.deny(salon, salon.manager, "view_calls")
    client.sign_in(salon.manager)
    assert client.get(f"/calls/{call.id}/recording").status_code == 403
    assert client.get(f"/calls/{call.id}/recording/download").status_code == 403


def test_hearing_is_not_taking_along(client: PortalClient, cast: Cast) -> None:
    salon = cast.salon
    grant = PortalUserPermission(
        company_id=salon.id, portal_user_id=salon.staff.id, permission="listen_recordings", granted=True
    )
    factories.save(salon, grant)
    call = recorded(salon)
    client.sign_in(salon.staff)
    assert client.get(sound(call)).status_code == 200
    assert client.get(f"{sound(call)}/download").status_code == 403
    assert "download" not in [link["href"].rpartition("/")[2] for link in page(client, call).select("main a[href]")]


# ---- On record ------------------------------------------------------------------------------------------------


def test_a_hundred_pieces_are_one_listening(client: PortalClient, salon: Firm, cast: Cast) -> None:
    call = recorded(salon)
    for start in range(0, 1000, 10):
        assert client.get(sound(call), headers={"Range": f"bytes={start}-{start + 9}"}).status_code == 206
    assert accesses(salon) == [(salon.owner.id, "listen", None)]
    client.sign_in(cast.salon.manager).get(sound(call))
    assert accesses(salon)[1:] == [(salon.manager.id, "listen", None)]


def test_looking_at_the_page_is_no_listening(client: PortalClient, salon: Firm) -> None:
    call = recorded(salon)
    client.get(f"/calls/{call.id}")
    client.get(sound(call), headers={"Range": f"bytes={SIZE}-"})
    assert accesses(salon) == []


def test_taking_it_along_needs_a_reason_that_is_written_down(client: PortalClient, salon: Firm) -> None:
    call = recorded(salon)
    address = f"{sound(call)}/download"
    assert client.get(address).status_code == 200
    assert accesses(salon) == []
    for wrong in ({}, {"reason": "because"}, {"reason": "other"}, {"reason": "dispute", "words": "x" * 201}):
        answer = client.post(address, data=wrong)
        assert (answer.status_code, answer.headers["Content-Type"]) == (422, "text/html; charset=utf-8"), wrong
    assert accesses(salon) == []
    answer = client.post(address, data={"reason": "dispute", "words": "Rechnung vom 2.10."})
    assert (answer.status_code, answer.data) == (200, WAV)
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=call-")
    assert accesses(salon) == [(salon.owner.id, "download", "dispute: Rechnung vom 2.10.")]


def test_the_owner_sees_who_has_heard_it_and_until_when_it_is_kept(client: PortalClient, cast: Cast) -> None:
    salon = cast.salon

    def keep() -> None:
        db.session.get_one(Company, salon.id).recording_retention_days = 90

    factories.within(salon, keep)
    in_english(salon, salon.owner)
    call = factories.make_call(salon, started_at=utcnow().replace(hour=11) - timedelta(days=1))
    factories.make_recording(salon, call)
    client.sign_in(salon.owner)
    assert "Nobody has listened so far." in page(client, call).one("[aria-labelledby=h-heard]").text
    client.sign_in(salon.manager).get(sound(call))
    client.post(f"{sound(call)}/download", data={"reason": "quality"})
    assert page(client, call).select("[aria-labelledby=h-heard]") == []  # a manager is not told
    shown = page(client.sign_in(salon.owner), call).one("[aria-labelledby=h-heard]").text
    assert "Mara Manager" in shown
    assert "Training and quality" in shown
    day = call.started_at + timedelta(days=90)
    assert f"The recording is deleted on {day:%-d %b %Y}" in shown


def test_the_providers_address_stands_nowhere(client: PortalClient, salon: Firm) -> None:
    call = recorded(salon)
    for address in (f"/calls/{call.id}", f"/calls/{call.id}/now", "/calls", sound(call), f"{sound(call)}/download"):
        answer = client.get(address)
        assert b"provider.example" not in answer.data, address
        assert "provider.example" not in str(answer.headers), address


# ---- The player -----------------------------------------------------------------------------------------------


def test_without_javascript_it_is_the_browsers_own_player(client: PortalClient, salon: Firm) -> None:
    call = recorded(salon)
    audio = page(client, call).one("[data-player] audio")
    assert (audio["src"], audio["preload"]) == (sound(call), "none")
    assert "controls" in audio
    assert "hidden" not in audio


def test_the_picture_is_of_the_sound_or_there_is_none(client: PortalClient, salon: Firm) -> None:
    call = recorded(salon)
    assert page(client, call).select("rect[data-at]") == []
    peaks = [0, 100] * 60

    def draw() -> None:
        row = db.session.scalars(select(Recording).where(Recording.call_id == call.id)).one()
        row.path = recordings.store().put(WAV, {"seconds": 60.0, "peaks": peaks})

    factories.within(salon, draw)
    bars = page(client, call).select("rect[data-at]")
    assert len(bars) == 120
    assert {float(bar["height"]) for bar in bars} == {5.0, 92.0}


def test_a_page_waits_for_a_recording_that_is_on_its_way_but_not_for_ever(client: PortalClient, salon: Firm) -> None:
    call = factories.make_call(salon, analyzed_at=utcnow())
    recording = factories.make_recording(salon, call, status="pending", source_url=SOURCE)
    waiting = page(client, call).one("#call-now")
    assert "hx-get" in waiting
    assert client.htmx("GET", waiting["hx-get"]).status_code == 204

    def arrive(**values: Any) -> None:
        row = db.session.get_one(Recording, recording.id)
        for name, value in values.items():
            setattr(row, name, value)

    factories.within(salon, lambda: arrive(created_at=utcnow() - timedelta(minutes=11)))
    assert "hx-get" not in page(client, call).one("#call-now")
    path = recordings.store().put(WAV)
    factories.within(salon, lambda: arrive(status="stored", path=path, content_type="audio/wav"))
    part = client.htmx("GET", waiting["hx-get"])
    assert parse(part.text).one(f"#player-{recording.id}")
