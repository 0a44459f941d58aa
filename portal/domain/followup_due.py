"""Until when a follow-up is due: the company's terms on the opening hours of the branch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from sqlalchemy import select

from portal.db import db
from portal.domain import audit, followup_rules, stats, timetable
from portal.domain.availability import Interval
from portal.domain.errors import DomainError
from portal.domain.followup_rules import HORIZON, LONGEST, SETTING, SHORTEST, Terms, terms_of
from portal.models import Branch, Company
from portal.tenancy import current_company_id


@dataclass(frozen=True)
class Clock:
    """The opening hours of one branch from a day on, and the terms that are counted in them."""

    zone: ZoneInfo
    terms: Terms
    hours: timetable.Timetable | None = None
    branch_id: int = 0

    def openings(self, start: datetime) -> Iterator[Interval] | None:
        """When it is open from the day of ``start`` on; None where nobody has entered any hours."""
        if self.hours is None or not self.hours.hours:
            return None
        return self._openings(start.astimezone(self.zone).date())

    def _openings(self, first: date) -> Iterator[Interval]:
        assert self.hours is not None
        for days in range(HORIZON):
            yield from self.hours.open(self.branch_id, first + timedelta(days=days)) or []

    def due(
        self, reason: str, came: datetime, wanted: datetime | None = None, start: datetime | None = None
    ) -> datetime:
        """When what came at ``came`` is due; ``wanted``: as promised; ``start``: of the appointment that is missing."""
        if wanted is not None and reason not in ("complaint", "promise"):
            return wanted
        due = followup_rules.after_open_time(came, self.terms.of(reason), self.openings(came))
        return min(due, max(start, came)) if start is not None else due

    def next_morning(self, now: datetime) -> datetime:
        """When it opens on the next open day."""
        day = now.astimezone(self.zone).date() + timedelta(days=1)
        openings = self.openings(now)
        found = followup_rules.first_opening(day, openings, self.zone) if openings is not None else None
        return found or now + timedelta(days=1)

    def open_until(self, now: datetime) -> datetime | None:
        """When it closes today for the last time; None when it is closed for the day, or hours are unknown."""
        return next((span.end for span in reversed(self._today(now) or []) if span.end > now), None)

    def is_closed(self, now: datetime) -> bool:
        """Whether it will not be open today any more, as far as hours are known."""
        return self._today(now) is not None and self.open_until(now) is None

    def _today(self, now: datetime) -> list[Interval] | None:
        return self.hours.open(self.branch_id, now.astimezone(self.zone).date()) if self.hours else None


def clock(branch_id: int | None, moment: datetime) -> Clock:
    """For the branch, else the primary one; hours are read for the days after ``moment``."""
    company = db.session.execute(
        select(Company.settings, Company.timezone).where(Company.id == current_company_id())
    ).one()
    terms, branch = terms_of(company.settings), _branch(branch_id)
    if branch is None:
        return Clock(ZoneInfo(company.timezone), terms)
    zone = ZoneInfo(branch.timezone or company.timezone)
    first = moment.astimezone(zone).date()
    hours = timetable.load(branch, None, first, first + timedelta(days=HORIZON))
    return Clock(zone, terms, hours, branch.id)


def zone_of(branch_id: int | None) -> ZoneInfo:
    """The zone of the branch, else of the primary one, else the company's."""
    branch = _branch(branch_id)
    return timetable.zone_of(branch) if branch is not None else ZoneInfo(stats.company_zone())


def _branch(branch_id: int | None) -> Branch | None:
    if branch_id is not None and (found := db.session.get(Branch, branch_id)) is not None:
        return found
    return db.session.scalar(
        select(Branch).where(Branch.is_active).order_by(Branch.is_primary.desc(), Branch.id).limit(1)
    )


# ---- The company's own terms ----------------------------------------------------------------------------------


def terms() -> Terms:
    """What applies to the current company."""
    return terms_of(db.session.scalar(select(Company.settings).where(Company.id == current_company_id())))


def save_terms(minutes: dict[str, int]) -> Terms:
    """Set them, in minutes of opening time. What is open already keeps its time. ``DomainError`` beside its field."""
    for name, value in minutes.items():
        if not SHORTEST <= value <= LONGEST:
            raise DomainError(_("Please choose between 5 minutes and 5 days."), name)
    company = db.session.scalars(
        select(Company)
        .where(Company.id == current_company_id())
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    old = _minutes(terms_of(company.settings))
    company.settings = (company.settings or {}) | {SETTING: minutes}
    db.session.flush()
    new = _minutes(terms_of(company.settings))
    changed = [name for name in new if new[name] != old[name]]
    if changed:
        before, after = ({name: values[name] for name in changed} for values in (old, new))
        audit.record("followups.terms_changed", company, company_id=company.id, old=before, new=after)
    return terms_of(company.settings)


def _minutes(terms: Terms) -> dict[str, Any]:
    return {name: value // timedelta(minutes=1) for name, value in vars(terms).items()}
