"""A player asks for several pieces at once; that is one listening."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.domain import audit, recordings
from portal.models import RecordingAccess
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast
from tests.races.processes import at_once

PIECES = 8


def listen(app: Flask, company_id: int, recording_id: int, user_id: int) -> None:
    with tenant_scope(company_id), audit.acting(audit.Actor(user_id)):
        transaction(lambda: recordings.note_listening(recording_id, utcnow()))


def test_pieces_asked_for_at_the_same_moment_are_one_entry(real_app: tuple[Flask, Cast]) -> None:
    app, cast = real_app
    salon = cast.salon
    recording = factories.make_recording(salon, factories.make_call(salon))
    url = app.config["SQLALCHEMY_DATABASE_URI"]
    at_once(url, [(listen, (salon.id, recording.id, salon.owner.id))] * PIECES)
    with tenant_scope(salon.id):
        assert len(db.session.scalars(select(RecordingAccess)).all()) == 1
