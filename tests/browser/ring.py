"""Run inside the demo: somebody rings at Salon Morgenrot and asks for a callback (``wish``) or is helped (``again``).

``python -m tests.browser.ring wish 7`` is the seventh caller.
"""

from __future__ import annotations

import sys
from datetime import timedelta

from sqlalchemy import select

from portal import create_app
from portal.db import db, transaction, utcnow
from portal.domain import call_reports, calls
from portal.models import Company
from portal.tenancy import all_tenants, tenant_scope

NAMES = ("Wanda Wiederholt", "Paula Probe")


def ring(what: str, caller: int) -> None:
    now = utcnow()
    started = now - timedelta(seconds=61 if what == "again" else 70)
    ms = int(started.timestamp() * 1000)
    told = {"customer_name": NAMES[caller]} | (
        {"callback_requested": True, "reason": "Gutschein"} if what == "wish" else {}
    )
    call = {
        "call_id": f"call_browser_{ms}",
        "agent_id": "agent_4c1f0b7d2a9e",
        "direction": "inbound",
        "from_number": f"+491525550007{caller}",
        "to_number": "+493022334455",
        "start_timestamp": ms,
        "end_timestamp": ms + 60_000,
        "duration_ms": 60_000,
        "call_status": "ended",
        "disconnection_reason": "user_hangup",
        "transcript": "Agent: Guten Tag.\nUser: Guten Tag.",
        "call_analysis": {
            "call_summary": "Frau Wiederholt fragt nach einem Gutschein.",
            "user_sentiment": "Neutral",
            "call_successful": True,
            "custom_analysis_data": told,
        },
    }
    report = call_reports.read("call_analyzed", {"event": "call_analyzed", "call": call})
    with all_tenants("the script looks for its company"):
        company_id = db.session.scalars(select(Company.id).where(Company.tenant_id == "salon-morgenrot")).one()
    with tenant_scope(company_id):
        transaction(lambda: calls.record(report, now, now))


if __name__ == "__main__":
    with create_app().app_context():
        ring(sys.argv[1], int(sys.argv[2]))
