"""Every address of the portal × strangers, every role and another company's ids. A new route needs its row here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask, url_for
from sqlalchemy import select
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from portal.db import db
from portal.domain import ledger
from portal.domain.statement import Month
from portal.models import BalanceTransaction, CustomerPhone, PortalUser
from portal.tenancy import tenant_scope
from tests import factories
from tests.cast import Cast, Firm
from tests.conftest import PortalClient

ROLES = ("owner", "manager", "staff", "bookkeeper", "operator")
DESK = {"owner", "manager", "staff"}
MANAGERS = {"owner", "manager"}
MONEY = {"owner", "bookkeeper"}
OWNER = {"owner"}
OPERATOR = {"operator"}
COMPANY = {"owner", "manager", "staff", "bookkeeper"}
SIGNED_IN = set(ROLES)
PUBLIC: set[str] = set()  # asks nobody to sign in; a webhook proves itself by its signature

# Endpoint → who may use it.
TABLE: dict[str, set[str]] = {
    "absences.add": MANAGERS,
    "absences.delete": MANAGERS,
    "absences.edit": MANAGERS,
    "absences.index": DESK,
    "absences.new": MANAGERS,
    "absences.show": DESK,
    "access.login": PUBLIC,
    "access.logout": PUBLIC,
    "access.password_change": SIGNED_IN,
    "access.password_forgot": PUBLIC,
    "access.password_reset": PUBLIC,
    "appointments.cancel": DESK,
    "appointments.edit": DESK,
    "appointments.free_times": DESK,
    "appointments.move": DESK,
    "appointments.new": DESK,
    "appointments.news": DESK,
    "appointments.show": DESK,
    "appointments.status": DESK,
    "appointments.suggestions": DESK,
    "auto_topup.change_card": OWNER,
    "auto_topup.done": OWNER,
    "auto_topup.forget_card": OWNER,
    "auto_topup.index": MONEY,
    "auto_topup.off": OWNER,
    "auto_topup.save": OWNER,
    "auto_topup.simulate": MONEY,
    "auto_topup.state": MONEY,
    "balance.chip": MONEY,
    "balance.index": MONEY,
    "balance.latest": MONEY,
    "balance.ledger": MONEY,
    "balance.ledger_csv": MONEY,
    "balance.movement": MONEY,
    "balance.now": MONEY,
    "balance.pay": OWNER,
    "balance.quote": OWNER,
    "balance.start_topup": OWNER,
    "balance.topup": MONEY,
    "calcom.check": OWNER,
    "calcom.fetch": OWNER,
    "calcom.index": OWNER,
    "calcom.out_of_step": DESK,
    "calcom.remove_key": OWNER,
    "calcom.save_event_type": OWNER,
    "calcom.save_key": OWNER,
    "calcom.save_person": OWNER,
    "calcom.save_secret": OWNER,
    "calcom.sync": DESK,
    "calcom_webhook.receive": PUBLIC,
    "calendar.index": DESK,
    "call_desk.add_note": DESK,
    "call_desk.customer": DESK,
    "call_desk.delete_note": DESK,
    "call_desk.edit_note": DESK,
    "call_desk.mail": MANAGERS,
    "call_desk.mood": MANAGERS,
    "call_desk.new_customer": DESK,
    "call_desk.no_customer": DESK,
    "call_exports.as_csv": MANAGERS,
    "call_exports.as_pdf": MANAGERS,
    "calls.index": DESK,
    "calls.live": DESK,
    "calls.now": DESK,
    "calls.show": DESK,
    "closures.delete": MANAGERS,
    "closures.index": MANAGERS,
    "closures.region": OWNER,
    "closures.save": MANAGERS,
    "customer_mail.index": OWNER,
    "customer_mail.preview": OWNER,
    "customer_mail.sample": OWNER,
    "customer_mail.save": OWNER,
    "customer_mail.tell": DESK,
    "customers.add_note": DESK,
    "customers.add_phone": DESK,
    "customers.block": DESK,
    "customers.confirm_name": DESK,
    "customers.edit": DESK,
    "customers.index": DESK,
    "customers.new": DESK,
    "customers.remove_phone": DESK,
    "customers.show": DESK,
    "customers.similar": DESK,
    "customers.unblock": DESK,
    "dashboard.balance": MONEY,
    "dashboard.calls": DESK,
    "dashboard.index": DESK,
    "dashboard.today": DESK,
    "feeds.create": DESK,
    "feeds.delete": DESK,
    "feeds.ics": PUBLIC,  # the address is the secret
    "feeds.index": DESK,
    "feeds.renew": DESK,
    "day_prints.ask": DESK,
    "day_prints.changes": DESK,
    "day_prints.sheet": DESK,
    "followups.act": DESK,
    "followups.assign": DESK,
    "followups.closed": DESK,
    "followups.index": DESK,
    "followups.now": DESK,
    "followups.reopen": DESK,
    "followups.terms": {"owner", "manager"},
    "hours.index": MANAGERS,
    "hours.outside": MANAGERS,
    "hours.save": MANAGERS,
    "invoices.billing_details": OWNER,
    "invoices.index": MONEY,
    "invoices.pdf": MONEY,
    "invoices.xml": MONEY,
    "limits.add_alert": OWNER,
    "limits.drop_alert": OWNER,
    "limits.index": MONEY,
    "limits.save": OWNER,
    "limits.warnings": MONEY,
    "notifications.bell": COMPANY,
    "notifications.index": COMPANY,
    "notifications.preferences": COMPANY,
    "notifications.read": COMPANY,
    "notifications.show": COMPANY,
    "operations.healthz": PUBLIC,
    "operations.metrics": PUBLIC,
    "operations.readyz": PUBLIC,
    "operator.index": OPERATOR,
    "operator_inbox.discard": OPERATOR,
    "operator_inbox.events": OPERATOR,
    "operator_inbox.payload": OPERATOR,
    "operator_inbox.retry": OPERATOR,
    "operator_inbox.show_event": OPERATOR,
    "operator_money.adjust": OPERATOR,
    "operator_money.credit_call": OPERATOR,
    "operator_money.find_call": OPERATOR,
    "operator_money.quote": OPERATOR,
    "operator_money.rate": OPERATOR,
    "operator_money.show": OPERATOR,
    "operator_topups.decide": OPERATOR,
    "operator_topups.look": OPERATOR,
    "operator_topups.refund": OPERATOR,
    "operator_topups.refund_again": OPERATOR,
    "operator_topups.show": OPERATOR,
    "privacy.index": OWNER,
    "privacy.save": OWNER,
    "reconciliation.check": OPERATOR,
    "reconciliation.index": OPERATOR,
    "reconciliation.progress": OPERATOR,
    "recordings.audio": {"owner", "manager"},
    "recordings.download": {"owner", "manager"},
    "retell.answer": PUBLIC,
    "retell.receive": PUBLIC,
    "settings.index": MANAGERS,
    "shell.brand": PUBLIC,
    "shell.favicon": PUBLIC,
    "shell.language": PUBLIC,
    "shell.pipeline": DESK,
    "shell.robots": PUBLIC,
    "shell.theme": SIGNED_IN,
    "statements.csv": MONEY,
    "statements.index": MONEY,
    "statements.pdf": MONEY,
    "stripe_webhook.receive": PUBLIC,
    "today.index": DESK,
    "today.tap": DESK,
}
MISSING_ID = 987_654_321


@dataclass
class Rows:
    """One row of each kind of one company, by the name of the address's parameter."""

    firm: Firm
    ids: dict[str, Any]


def rows_of(firm: Firm, reader: PortalUser | None = None) -> Rows:
    """``reader`` is the person whose notification it is; the owner unless told."""
    call = factories.make_call(firm, transcript="Guten Tag")
    writer = reader if reader is not None and reader.company_id == firm.id else firm.owner
    factories.make_recording(firm, call)
    phone = CustomerPhone(company_id=firm.id, customer_id=firm.customer.id, phone="030 1", phone_normalized="+49301")
    factories.within(firm, lambda: ledger.charge(db.session.merge(call), call.started_at))
    return Rows(
        firm,
        {
            "absence_id": factories.make_absence(firm).id,
            "appointment_id": factories.make_appointment(firm).id,
            "call_id": call.id,
            "code": factories.make_day_print(firm).code,
            "closure_id": factories.make_closure(firm).id,
            "company_id": firm.id,
            "customer_id": firm.customer.id,
            "event_id": factories.make_event(firm).id,
            "feed_id": factories.make_feed(firm, writer)[0].id,
            "followup_id": factories.make_followup(firm, call).id,
            "invoice_id": factories.make_invoice(firm).id,
            "month": Month.of(call.started_at, firm.company.timezone).key,
            "movement_id": _movement(firm),
            "note_id": factories.make_note(firm, call, writer).id,
            "notification_id": factories.make_notification(reader or firm.owner).id,
            "phone_id": factories.save(firm, phone).id,
            "topup_id": factories.make_topup(firm).id,
            "tenant_id": firm.company.tenant_id,
            "token": "no-such-token",
        },
    )


def _movement(firm: Firm) -> int:
    with tenant_scope(firm.id):
        return db.session.scalars(select(BalanceTransaction.id)).first() or 0


def rules(app: Flask) -> Iterator[Rule]:
    return (rule for rule in app.url_map.iter_rules() if rule.endpoint != "static")


def address(app: Flask, rule: Rule, ids: dict[str, Any]) -> str:
    with app.test_request_context():
        return url_for(rule.endpoint, **{name: ids[name] for name in rule.arguments})


def methods(rule: Rule) -> list[str]:
    return sorted((rule.methods or set()) & {"GET", "POST"})


def each(app: Flask, ids: dict[str, Any], wanted: Callable[[Rule], bool]) -> Iterator[tuple[Rule, str, str]]:
    for rule in rules(app):
        if wanted(rule):
            for method in methods(rule):
                yield rule, method, address(app, rule, ids)


def anonymised(answer: TestResponse) -> str:
    """The body without what differs between any two answers."""
    text = re.sub(r'(csrf_token" value=|X-CSRFToken": )"[^"]*"', "", answer.text)
    return re.sub(r"\d{6,}|[0-9a-f]{32}|[?&]v=[\w.-]+", "", text.replace(answer.request.path, ""))


def test_every_route_has_its_row(app: Flask) -> None:
    endpoints = {rule.endpoint for rule in rules(app)}
    assert endpoints - set(TABLE) == set(), "who may use these?"
    assert set(TABLE) - endpoints == set(), "these are gone"


def test_every_parameter_has_a_row_to_stand_for_it(app: Flask, cast: Cast) -> None:
    known = rows_of(cast.salon).ids
    assert {name for rule in rules(app) for name in rule.arguments} <= set(known)


def test_strangers_are_sent_to_the_login_and_nowhere_else(client: PortalClient, app: Flask, cast: Cast) -> None:
    ids = rows_of(cast.salon).ids
    for rule, method, url in each(app, ids, lambda rule: bool(TABLE[rule.endpoint])):
        answer = client.open(url, method=method)
        assert answer.status_code == 303, (method, url, answer.status_code)
        assert answer.location.startswith("/login"), (method, url)
        part = client.htmx(method, url)
        assert (part.status_code, part.text) == (204, ""), (method, url)
        assert part.headers["HX-Redirect"].startswith("/login"), rule


def test_public_addresses_ask_nobody_to_sign_in(client: PortalClient, app: Flask, cast: Cast) -> None:
    ids = rows_of(cast.salon).ids
    for rule, method, url in each(app, ids, lambda rule: not TABLE[rule.endpoint]):
        answer = client.open(url, method=method)
        assert "/login?" not in (answer.location or ""), (method, url, rule)
        assert answer.status_code < 500, (method, url)


@pytest.mark.parametrize("role", ROLES)
def test_each_role_opens_what_it_may_and_nothing_else(client: PortalClient, app: Flask, cast: Cast, role: str) -> None:
    user = cast.operator if role == "operator" else cast.salon.users[role]
    ids = rows_of(cast.salon, user).ids
    for rule, method, url in each(app, ids, lambda rule: bool(TABLE[rule.endpoint])):
        answer = client.sign_in(user).open(url, method=method)
        if role in TABLE[rule.endpoint]:
            assert answer.status_code not in (401, 403, 404, 405), (method, url, answer.status_code)
            assert answer.status_code < 500, (method, url)
        else:
            assert answer.status_code == 403, (method, url, answer.status_code)


@pytest.mark.parametrize("role", ["owner", "manager", "staff", "bookkeeper"])
def test_another_companys_row_is_the_same_404_as_a_missing_one(
    client: PortalClient, app: Flask, cast: Cast, role: str
) -> None:
    user = cast.salon.users[role]
    own, foreign = rows_of(cast.salon, user).ids, rows_of(cast.praxis).ids

    def has_ids(rule: Rule) -> bool:
        return role in TABLE[rule.endpoint] and any(name.endswith("_id") for name in rule.arguments)

    for rule in filter(has_ids, rules(app)):
        for name in [name for name in rule.arguments if name.endswith("_id")]:
            for method in methods(rule):
                theirs = client.sign_in(user).open(address(app, rule, own | {name: foreign[name]}), method=method)
                nowhere = client.sign_in(user).open(address(app, rule, own | {name: MISSING_ID}), method=method)
                assert (theirs.status_code, nowhere.status_code) == (404, 404), (method, rule.rule, name)
                assert anonymised(theirs) == anonymised(nowhere), (method, rule.rule)


@pytest.mark.parametrize("role", ["owner", "staff"])
def test_pages_never_name_the_other_company(client: PortalClient, app: Flask, cast: Cast, role: str) -> None:
    factories.make_customer(cast.praxis, "Geheim", "Praxispatient")
    rows_of(cast.praxis)
    ids = rows_of(cast.salon).ids

    def is_page(rule: Rule) -> bool:
        return role in TABLE[rule.endpoint] and "GET" in (rule.methods or set())

    for rule in filter(is_page, rules(app)):
        answer = client.sign_in(cast.salon.users[role]).get(address(app, rule, ids))
        text = answer.get_data().decode("utf-8", "replace")
        for secret in ("Praxispatient", "Praxis Test", "praxis.example"):
            assert secret not in text, rule.rule


def test_unsafe_requests_without_a_csrf_token_are_refused(client: PortalClient, app: Flask, cast: Cast) -> None:
    ids = rows_of(cast.salon).ids
    client.csrf = False
    for rule, method, url in each(app, ids, lambda rule: "webhook" not in rule.rule):
        if method == "POST":
            answer = client.sign_in(cast.salon.owner).post(url)
            assert answer.status_code == 400, (url, rule)


def test_every_page_carries_the_headers_that_keep_it_private(client: PortalClient, app: Flask, cast: Cast) -> None:
    ids = rows_of(cast.salon).ids
    for rule, method, url in each(app, ids, lambda rule: "owner" in TABLE[rule.endpoint]):
        if method == "GET":
            answer = client.sign_in(cast.salon.owner).get(url)
            assert answer.headers["Cache-Control"] == "no-store", url
            assert "HX-Request" in answer.headers["Vary"], url
            policy = answer.headers["Content-Security-Policy"]
            if rule.endpoint == "customer_mail.preview":  # a mail carries its rules at its elements, and nothing else
                assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; "), url
                assert policy.endswith("; sandbox"), url
                continue
            assert "unsafe-" not in policy, url
