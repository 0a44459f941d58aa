"""Run inside a demo: calls of every kind, and one that is full of what breaks pages; prints ``name → id`` as JSON."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.domain.transcripts import tenant_token
from portal.models import Branch, Call, CallContent, CallNote, Company, Customer, PortalUser
from portal.tenancy import all_tenants, tenant_scope
from tests import hostile
from wsgi import app

TALK = (("agent", "Salon Morgenrot, guten Tag."), ("user", "Das ist leider eine Frechheit, ich warte seit Tagen."))
KINDS: dict[str, dict[str, Any]] = {
    "withheld": {"phone_number": None, "summary": "Wollte wissen, ob Samstag offen ist.", "sentiment": "neutral"},
    "foreign": {"phone_number": "+4315880400", "summary": "Fragt nach einem Gutschein.", "sentiment": "positive"},
    "silent": {"phone_number": "+493055501234", "summary": None, "duration_seconds": 4, "talk": ()},
    "second": {"phone_number": "+493055501234", "summary": None, "duration_seconds": 1, "talk": ()},
    "hours": {"phone_number": "+493055501234", "summary": "Sehr langes Gespräch.", "duration_seconds": 7212},
    "failed": {
        "phone_number": "+493055501234", "status": "failed", "end_reason": "error_asr", "duration_seconds": 0,
        "talk": (),
    },
    "unanswered": {
        "phone_number": "+493055501234", "status": "no_answer", "end_reason": "dial_no_answer", "direction": "outbound",
        "duration_seconds": 0, "talk": (),
    },
    "busy": {
        "phone_number": "+493055501234", "status": "busy", "end_reason": "dial_busy", "direction": "outbound",
        "duration_seconds": 0, "talk": (),
    },
    "missing": {"phone_number": "+493055501234", "summary": None, "analyzed_at": None},
    "running": {
        "phone_number": "+493055501234", "status": "in_progress", "summary": None, "analyzed_at": None,
        "ended_at": None,
        "duration_seconds": None, "ago": 1,
    },
    "upset": {"phone_number": "+493055501234", "summary": "Beschwert sich.", "sentiment": "negative"},
}  # fmt: skip


def add(name: str, company: Company, branch: Branch, customer_id: int | None = None, **values: Any) -> int:
    talk, ago = values.pop("talk", TALK), values.pop("ago", 90)
    start = utcnow() - timedelta(minutes=ago)
    seconds = values.get("duration_seconds", 95)
    defaults = {
        "status": "completed", "end_reason": "user_hangup", "duration_seconds": 95, "analyzed_at": start,
        "ended_at": start + timedelta(seconds=seconds or 0), "customer_id": customer_id,
    }  # fmt: skip
    key = f"odd_{name}_{utcnow():%H%M%S%f}"
    call = Call(company_id=company.id, branch_id=branch.id, call_id=key, started_at=start, **(defaults | values))
    db.session.add(call)
    db.session.flush()
    turns = [
        {"who": who, "text": text, "at": 3.0 * n, "end": 3.0 * n + 2, "words": []} for n, (who, text) in enumerate(talk)
    ]
    token = tenant_token(company.id)
    content = CallContent(company_id=company.id, call_id=call.id, tenant_token=token, turns=turns, tool_calls=[])
    content.transcript = "\n".join(text for _who, text in talk)
    db.session.add(content)
    return call.id


def _hostile(company: Company, branch: Branch) -> int:
    """One call that says every string of ``tests/hostile.py``, by a customer of such a name."""
    name = "<img src=x onerror=hack(1)>"
    person = Customer(company_id=company.id, first_name=name, last_name='"><script>hack(1)</script>', search_name=name)
    db.session.add(person)
    db.session.flush()
    talk = [("user" if n % 2 else "agent", text) for n, text in enumerate(hostile.STRINGS)]
    data = {f"Frage {n} {text}"[:100]: text for n, text in enumerate(hostile.STRINGS)}
    words = {"summary": " ".join(hostile.STRINGS), "intent": hostile.SCRIPTS[0], "custom_data": data}
    call_id = add("hostile", company, branch, person.id, talk=talk, phone_number="+493055509999", **words)
    author = db.session.scalars(select(PortalUser.id).where(PortalUser.company_id == company.id).limit(1)).one()
    for text in hostile.STRINGS[:30]:
        db.session.add(CallNote(company_id=company.id, call_id=call_id, author_id=author, body=text))
    return call_id


def add_all() -> dict[str, int]:
    with all_tenants("the test acts for the demo"):
        company = db.session.scalars(select(Company).where(Company.tenant_id == "salon-morgenrot")).one()
    with tenant_scope(company.id):
        branch = db.session.scalars(select(Branch).where(Branch.is_primary)).one()
        made = {name: add(name, company, branch, **values) for name, values in KINDS.items()}
        long = [("user" if n % 2 else "agent", f"Satz Nummer {n} über die Tönung und den Termin.") for n in range(2000)]
        made["long"] = add("long", company, branch, phone_number="+493055501234", summary="2.000 Sätze", talk=long)
        made["hostile"] = _hostile(company, branch)
        db.session.flush()
        return made


if __name__ == "__main__":
    with app.app_context():
        print("made", json.dumps(transaction(add_all)))
