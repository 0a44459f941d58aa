"""What Retell knows and we do not: which calls to ask for, and taking over what it answers.

Everything goes through :func:`portal.domain.calls.record`, the door of the webhooks: one row and one charge a call,
the union of what was told, nothing overwritten by older data. The asking itself is in ``jobs/retell.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from portal.db import db
from portal.domain import call_reports, calls, heartbeat, lapsed, transcripts
from portal.domain.call_reports import OVER, CallReport, Stage
from portal.domain.phones import DEFAULT_COUNTRY
from portal.models import Call, CallContent, Company, Customer, PipelineHeartbeat
from portal.tenancy import current_company_id

PROVIDER = "retell"
# Events are under way for a while; only what is older than this can be called missing.
SETTLED = timedelta(minutes=5)
# A listing goes back this far behind the last one: that long a call may run and its analysis may take.
OVERLAP = timedelta(hours=24)
# The first listing of a company goes back this far, and never to before it was created here.
FARTHEST = timedelta(days=3)
# What is stored of a call of which Retell keeps no words.
NO_WORDS = "basic_attributes_only"


@dataclass(frozen=True)
class Gap:
    """A call to ask for: we lack it, its end, its words or its analysis."""

    call_id: str
    started_at: datetime


@dataclass(frozen=True)
class _Known:
    """What we have of a call; ``erased`` when its person has been, so that nothing of it comes back."""

    running: bool
    analysed: bool
    words: bool
    erased: bool


# ---- Where to look ------------------------------------------------------------------------------------------


def list_from(now: datetime) -> datetime:
    """From when on the current company's calls are to be listed next."""
    kept = db.session.scalar(select(PipelineHeartbeat.list_from).where(_beat()))
    if kept is not None:
        return kept
    return max(_created(), now - FARTHEST)


def keep_place(place: datetime) -> None:
    """The next listing begins with the calls that started then. Needs a transaction."""
    heartbeat.ensure(PROVIDER, current_company_id())
    db.session.execute(update(PipelineHeartbeat).where(_beat()).values(list_from=place))


def looked_through(now: datetime) -> datetime:
    """The place when nothing is left to ask for: a day back, for calls that run long or are analysed late."""
    return max(now - OVERLAP, _created())


def _beat() -> Any:
    company_id = current_company_id()
    return (
        (PipelineHeartbeat.company_id == company_id)
        & (PipelineHeartbeat.scope == heartbeat.scope_of(company_id))
        & (PipelineHeartbeat.provider == PROVIDER)
    )


def _created() -> datetime:
    return db.session.get_one(Company, current_company_id()).created_at


# ---- What is missing ----------------------------------------------------------------------------------------


def gaps(listed: list[dict[str, Any]], country: str, now: datetime) -> list[Gap]:
    """Which of these calls, as a listing shows them, to ask for. Calls of other people's numbers are passed over."""
    reports = list(_reports(listed, country))
    known = _known({report.call_id for report, _call in reports})
    owners: dict[tuple[str | None, str | None], bool] = {}
    found = []
    for report, call in reports:
        started = report.values["started_at"]
        if started is None or not _lacks(known.get(report.call_id), report, call, now):
            continue
        if report.call_id in known and not known[report.call_id].running and lapsed.since(started, now).words:
            continue  # its words are missing because they have been deleted
        if report.call_id in known or _is_ours(report, owners):
            found.append(Gap(report.call_id, started))
    return found


def _is_ours(report: CallReport, owners: dict[tuple[str | None, str | None], bool]) -> bool:
    """Whether we would take it; asked once for each number and agent of a listing."""
    side = (report.our_number, report.agent_id)
    if side not in owners:
        owners[side] = calls.is_ours(report)
    return owners[side]


def starts(listed: list[dict[str, Any]]) -> list[datetime]:
    """When the calls of a listing began."""
    begun = (report.values["started_at"] for report, _call in _reports(listed, DEFAULT_COUNTRY))
    return [moment for moment in begun if moment is not None]


def _reports(listed: Iterable[dict[str, Any]], country: str) -> Iterable[tuple[CallReport, dict[str, Any]]]:
    for call in listed:
        try:
            if (event := event_of(call)) is not None:
                yield call_reports.read(event, {"call": call}, country), call
        except call_reports.UnreadableError:
            continue


def _known(call_ids: set[str]) -> dict[str, _Known]:
    rows = db.session.execute(
        select(Call.call_id, Call.status, Call.analyzed_at, CallContent.call_id, Customer.erased_at)
        .outerjoin(CallContent, CallContent.call_id == Call.id)
        .outerjoin(Customer, Customer.id == Call.customer_id)
        .where(Call.call_id.in_(call_ids))
    )
    return {
        call_id: _Known(status == "in_progress", analysed is not None, content is not None, erased is not None)
        for call_id, status, analysed, content, erased in rows
    }


def _lacks(known: _Known | None, report: CallReport, call: dict[str, Any], now: datetime) -> bool:
    """Whether Retell has more than we do, long enough for its events to have come."""
    latest = report.values["ended_at"] or report.values["started_at"]
    if latest is None or latest > now - SETTLED:
        return False
    if known is None:
        return True
    if known.erased or report.stage < Stage.ENDED:
        return False
    spoken = bool(report.values["duration_seconds"]) and call.get("data_storage_setting") != NO_WORDS
    unanalysed = report.stage is Stage.ANALYSED and not known.analysed
    return known.running or unanalysed or (spoken and not known.words)


# ---- Taking it over -----------------------------------------------------------------------------------------


def event_of(call: dict[str, Any]) -> str | None:
    """The event as which a call would have come to us as it stands; None while it has not begun."""
    status = call.get("call_status")
    if status in OVER:
        analysis = call.get("call_analysis")
        return "call_analyzed" if isinstance(analysis, dict) and analysis else "call_ended"
    return "call_started" if status == "ongoing" else None


def is_over(call: dict[str, Any]) -> bool:
    return call.get("call_status") in OVER


def take_over(found: dict[str, Any], country: str, asked_at: datetime, now: datetime) -> Call | None:
    """Bring a call up to what Retell says of it; None while it has not begun. Needs a transaction.

    ``asked_at``: what came in since then is the newer. Raises ``NotOursError`` and ``UnreadableError``.
    """
    event = event_of(found)
    if event is None:
        return None
    call = calls.record(call_reports.read(event, {"call": found}, country), asked_at, now)
    if is_over(found):
        _note_silence(call)
    return call


def _note_silence(call: Call) -> None:
    """Keep that Retell has no words of this call, or every listing would have it asked for again."""
    if db.session.get(CallContent, call.id) is None:
        token = transcripts.tenant_token(call.company_id)
        db.session.add(
            CallContent(
                call_id=call.id, company_id=call.company_id, tenant_token=token, transcript="", turns=[], tool_calls=[]
            )
        )
        db.session.flush()
