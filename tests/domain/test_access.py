"""Signing in: the lock, sessions that end, and no word about who exists."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.db import db, transaction, utcnow
from portal.domain import access, identity
from portal.domain.errors import DomainError
from portal.models import Company, PasswordReset, PortalUser
from portal.tenancy import all_tenants
from tests.cast import PASSWORD, Cast


def attempt(email: str, password: str, after: timedelta = timedelta(0)) -> str | None:
    with all_tenants("sign-in comes before the company"):
        return transaction(lambda: access.sign_in(email, password, "127.0.0.1", utcnow() + after)).token


def change(cast: Cast, **values: object) -> None:
    def work() -> None:
        user = db.session.get_one(PortalUser, cast.salon.owner.id)
        for name, value in values.items():
            setattr(user, name, value)

    with all_tenants("the test changes a person"):
        transaction(work)


def test_the_right_password_opens_a_session(cast: Cast) -> None:
    token = attempt("OWNER@salon.example ", PASSWORD)
    assert token
    person = identity.load(token)
    assert person is not None
    assert (person.company_id, person.role) == (cast.salon.id, "owner")


def test_wrong_unknown_and_deactivated_are_refused_alike(cast: Cast) -> None:
    assert attempt("owner@salon.example", "wrong") is None
    assert attempt("nobody@salon.example", PASSWORD) is None
    change(cast, is_active=False)
    assert attempt("owner@salon.example", PASSWORD) is None


def test_five_failures_lock_the_account_even_for_the_right_password(cast: Cast) -> None:
    for _ in range(access.FREE_FAILURES):
        assert attempt("owner@salon.example", "wrong") is None
    assert attempt("owner@salon.example", PASSWORD) is None
    assert attempt("owner@salon.example", PASSWORD, after=access.LOCK + timedelta(seconds=1))


def test_a_success_forgets_earlier_failures(cast: Cast) -> None:
    for _ in range(access.FREE_FAILURES - 1):
        attempt("owner@salon.example", "wrong")
    assert attempt("owner@salon.example", PASSWORD)
    attempt("owner@salon.example", "wrong")
    assert attempt("owner@salon.example", PASSWORD)


def test_unknown_addresses_cost_a_password_check_too(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str | None] = []
    real = access.verify
    monkeypatch.setattr(access, "verify", lambda stored, given: checked.append(stored) or real(stored, given))
    attempt("nobody@salon.example", "wrong")
    attempt("owner@salon.example", "wrong")
    assert len(checked) == 2


def test_sessions_end_when_the_password_changes_the_person_or_the_company_goes(cast: Cast) -> None:
    token = attempt("owner@salon.example", PASSWORD)
    assert token
    assert identity.load(token)
    change(cast, is_active=False)
    assert identity.load(token) is None
    change(cast, is_active=True)
    assert identity.load(token)

    def deactivate() -> None:
        db.session.get_one(Company, cast.salon.id).is_active = False

    transaction(deactivate)
    assert identity.load(token) is None


def test_changing_the_password_ends_other_sessions_and_needs_the_present_one(cast: Cast) -> None:
    old = attempt("owner@salon.example", PASSWORD)
    assert old
    with all_tenants("the test acts for a person"):
        with pytest.raises(DomainError, match=r"."):
            transaction(lambda: access.change_password(cast.salon.owner.id, "wrong", "a much better one"))
        assert identity.load(old)
        new = transaction(lambda: access.change_password(cast.salon.owner.id, PASSWORD, "a much better one"))
    assert identity.load(old) is None
    assert identity.load(new)
    assert attempt("owner@salon.example", PASSWORD) is None
    assert attempt("owner@salon.example", "a much better one")


@pytest.mark.parametrize("weak", ["short", "owner@salon.example"])
def test_weak_passwords_are_refused(cast: Cast, weak: str) -> None:
    with pytest.raises(DomainError):
        access.check_strength(weak, "owner@salon.example")


def test_a_reset_works_once_within_its_hour_and_only_the_newest(cast: Cast) -> None:
    with all_tenants("the test acts for a person"):
        _, first = transaction(lambda: access.request_reset("owner@salon.example", utcnow())) or (None, "")
        _, token = transaction(lambda: access.request_reset("owner@salon.example", utcnow())) or (None, "")
        assert token not in {row.token_hash for row in db.session.scalars(select(PasswordReset))}
        assert access.valid_reset(first, utcnow()) is None
        assert access.valid_reset(token, utcnow() + access.RESET_VALID) is None
        transaction(lambda: access.redeem_reset(token, "a much better one", utcnow()))
        with pytest.raises(DomainError):
            transaction(lambda: access.redeem_reset(token, "yet another one", utcnow()))
    assert attempt("owner@salon.example", "a much better one")


def test_nobody_is_sent_a_reset_for_an_unknown_address(cast: Cast) -> None:
    with all_tenants("the test acts for a stranger"):
        assert transaction(lambda: access.request_reset("nobody@salon.example", utcnow())) is None


@pytest.mark.parametrize("token", ["", "1", "x:y", "1:", ":1", "-1:1", "1:1:1"])
def test_a_mangled_session_is_nobody(cast: Cast, token: str) -> None:
    assert identity.load(token) is None
