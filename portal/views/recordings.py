"""The sound of a call, served from our own store to those who may listen, each listening on record."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, make_response, request, send_file
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from portal import i18n
from portal.db import transaction, utcnow
from portal.domain import recording_pages, recordings
from portal.formats import local
from portal.forms.recordings import DownloadForm
from portal.htmx import whole_page
from portal.models import Call, Recording
from portal.permissions import Permission, may, requires, visible_branch_ids

bp = Blueprint("recordings", __name__)

# What we serve, and what such a file is called when it is taken along.
ENDINGS = {
    "audio/wav": "wav",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/mp4": "m4a",
    "audio/webm": "webm",
    "audio/flac": "flac",
}
# So long a page looks for a recording by itself; what comes later is there with the next visit.
COMES_WITHIN = timedelta(minutes=10)
ONE_RANGE = re.compile(r"\s*bytes\s*=\s*(?:(\d{1,15})\s*-\s*(\d{0,15})|-\s*(\d{1,15}))\s*", re.IGNORECASE)


@bp.get("/calls/<int:call_id>/recording")
@requires(Permission.LISTEN_RECORDINGS)
def audio(call_id: int) -> Response:
    """The file, or the part of it that a player asks for."""
    call, recording = _readable(call_id)
    file = _file(recording)
    if file is None:
        return _absent(call, recording)
    assert recording is not None
    response = _send(file, recording, call)
    if request.method == "GET" and response.status_code in {200, 206}:
        now = utcnow()
        if not recordings.is_noted(recording.id, now):
            transaction(lambda: recordings.note_listening(recording.id, now))
    return response


@bp.route("/calls/<int:call_id>/recording/download", methods=["GET", "POST"])
@requires(Permission.LISTEN_RECORDINGS)
def download(call_id: int) -> Response:
    """Taking the file along leaves the portal's care, so it takes the right to export and a reason."""
    if not may(Permission.EXPORT_CALLS):
        abort(403)
    call, recording = _readable(call_id)
    file = _file(recording)
    if file is None:
        return _absent(call, recording)
    assert recording is not None
    form = DownloadForm()
    if not form.validate_on_submit():
        page = {"call": call, "form": form, "recording": recording}
        return whole_page("recordings/download.html", 422 if form.is_submitted() else 200, **page)
    recording_id, reason = recording.id, form.told
    transaction(lambda: recordings.note_download(recording_id, reason, utcnow()))
    return _send(file, recording, call, as_attachment=True)


def context(call: Call, turns: list[Any] | None) -> dict[str, Any]:
    """What the page of a call shows of its recording: ``player`` and ``heard``, None for who may not see them."""
    listens, audits = may(Permission.LISTEN_RECORDINGS), may(Permission.VIEW_AUDIT)
    player = recording_pages.player(call, turns) if listens or audits else None
    return {
        "player": player if listens else None,
        "heard": recording_pages.heard(player.recording) if player and audits else None,
        "announced": recording_pages.announcement(turns),
    }


def is_awaited(sound: dict[str, Any], moment: datetime) -> bool:
    """Whether the recording is to come in the next minutes, so that the page waits for it."""
    player = sound["player"]
    return player is not None and player.awaited and player.recording.created_at > moment - COMES_WITHIN


def state(sound: dict[str, Any]) -> object:
    """What makes the page another one, as far as the recording goes."""
    player, heard = sound["player"], sound["heard"]
    return (player and (player.state, player.why), heard and (heard.total, heard.accesses[:1]))


# ---- The file -------------------------------------------------------------------------------------------------


def _readable(call_id: int) -> tuple[Call, Recording | None]:
    """404 for a call of another branch, 403 for who sees no calls at all."""
    if not may(Permission.VIEW_CALLS):
        abort(403)
    call, recording = recordings.readable(call_id, visible_branch_ids()) or abort(404)
    return call, recording


def _file(recording: Recording | None) -> Path | None:
    if recording is None or recording.status != "stored" or recording.content_type not in ENDINGS:
        return None
    return recordings.store().file(recording.path or "")


def _absent(call: Call, recording: Recording | None) -> Response:
    """Why there is nothing to hear. What was deleted is gone, everything else is not there."""
    if recording is not None and recording.status == "stored":
        why = recording_pages.lost()
    else:
        why = recording_pages.why_not(recording) if recording is not None else recording_pages.never()
    status = 410 if recording is not None and recording.status == "deleted" else 404
    return whole_page("recordings/absent.html", status, call=call, why=why)


def _send(file: Path, recording: Recording, call: Call, *, as_attachment: bool = False) -> Response:
    size = file.stat().st_size
    _tidy_range(size)
    try:
        response: Response = send_file(
            file,
            mimetype=recording.content_type,
            as_attachment=as_attachment,
            download_name=_name(call, recording),
            etag=hashlib.sha256((recording.path or "").encode()).hexdigest()[:32],
            last_modified=recording.stored_at,
            conditional=request.method in {"GET", "HEAD"},
        )
    except RequestedRangeNotSatisfiable:
        response = make_response("", 416)
        response.headers["Content-Range"] = f"bytes */{size}"
    return response


def _tidy_range(size: int) -> None:
    """Ask for what is meant: a range that is none, or several at once, is passed over, as it may be.

    The last so many bytes of a shorter file are all of it, which Werkzeug would refuse.
    """
    asked = ONE_RANGE.fullmatch(request.headers.get("Range", ""))
    first, last, suffix = asked.groups() if asked else ("", "", "")
    if asked is None or (last and int(first) > int(last)):
        request.environ.pop("HTTP_RANGE", None)
    elif suffix and int(suffix) > size:
        request.environ["HTTP_RANGE"] = "bytes=0-"


def _name(call: Call, recording: Recording) -> str:
    """``call-2026-11-24-1011.wav``: no names of people in a folder of downloads."""
    i18n.set_zone(call.branch.timezone if call.branch else None)
    started = local(call.started_at, i18n.zone())
    return f"call-{started:%Y-%m-%d-%H%M}.{ENDINGS[recording.content_type or '']}"
