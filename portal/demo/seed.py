"""``flask demo seed``: the two companies of the demo with a quarter of a year behind them, relative to now.

Everything is written in one transaction, so that a demo is there as a whole or not at all; on a Galera cluster it is
larger than one transaction should be there (2,000 rows), and belongs on a single server.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from sqlalchemy import select

from portal.db import db, transaction
from portal.demo import duties, sounds
from portal.demo.account import Account, price_of
from portal.demo.companies import add_company, add_operator, add_season, add_specials
from portal.demo.days import BACK, Calendar
from portal.demo.firms import FIRMS, OPERATOR, ZONE, Firm, season, specials
from portal.demo.office import Office
from portal.demo.people import Person, Town
from portal.demo.progress import Progress
from portal.demo.records import Recorder, Story
from portal.demo.rings import Ring, Telephone
from portal.demo.rows import Rows, after_the_last
from portal.demo.sounds import Spoken
from portal.domain import invoices, stats
from portal.models import BalanceTopup, Company, PortalUser
from portal.tenancy import all_tenants, tenant_scope

SOUNDS, SHORTEST = 12, 20  # recordings a company; seconds of a call that is worth one
OPENED = timedelta(days=BACK + 1)


def seed(now: datetime, progress: Progress) -> list[str]:
    """Write what is missing of the demo; returns the names of what was written, [] when all was there."""
    with all_tenants("the demo is two companies and the platform's operator"):
        return transaction(lambda: _write_missing(now, progress))


def _write_missing(now: datetime, progress: Progress) -> list[str]:
    known = set(db.session.scalars(select(Company.tenant_id)))
    missing = [firm for firm in FIRMS if firm.tenant_id not in known]
    rows, written = Rows(after_the_last), [firm.name for firm in missing]
    if db.session.scalar(select(PortalUser.id).where(PortalUser.email == OPERATOR.email)) is None:
        add_operator(rows, now - OPENED)
        written.append(OPERATOR.email)
    progress.begin("Inventing", len(missing))
    stories = []
    for firm in missing:
        stories.append(tell(firm, rows, now))
        progress.step()
    progress.begin("Writing", rows.count)
    for count in rows.write():
        progress.step(count)
    _issue_invoices(stories)
    for story in stories:
        with tenant_scope(story.ids.company):
            duties.settle(now)
    progress.begin("Recording", len(stories))
    for story in stories:
        with tenant_scope(story.ids.company):
            sounds.keep(story.ids.company, story.spoken, tuple(story.ids.users[:2]), now)
        progress.step()
    for story in stories:
        _add_up(story, progress)
    return written


def tell(firm: Firm, rows: Rows, now: datetime) -> Story:
    """Add all rows of one company, the same ones for the same moment."""
    zone = ZoneInfo(ZONE)
    today = now.astimezone(zone).date()
    rng = Random(f"{firm.tenant_id} {today}")
    ids = add_company(rows, firm, now - OPENED)
    town, people = _people(firm, rng, today)
    away, closed = specials(firm, today)
    add_specials(rows, ids, away, closed, zone, now - OPENED)
    add_season(rows, ids, season(firm, today), now - OPENED)
    calendar = Calendar(firm, people, rng, now, zone, away, closed)
    calendar.fill()
    telephone = Telephone(firm, town, people, calendar, rng, now)
    telephone.ring_through()
    calendar.settle()
    calendar.clash()
    account = Account(firm, telephone.rings, now - OPENED, _given_back(telephone.rings))
    story = Story(firm, ids, people, calendar, telephone.rings, account, rng, now)
    recorder = Recorder(rows, story)
    recorder.record()
    Office(recorder).work()
    story.spoken = _recorded(recorder)
    return story


def _people(firm: Firm, rng: Random, today: date) -> tuple[Town, list[Person]]:
    areas = tuple(place.area for place in firm.places)
    town = Town(rng, today, areas, tuple(place.share for place in firm.places))
    return town, town.people(firm.customers)


def _given_back(rings: list[Ring]) -> int | None:
    """The call whose price was given back: the first one that failed although somebody had been talking."""
    failed = (number for number, ring in enumerate(rings) if ring.status == "failed" and price_of(ring).amount)
    return next(failed, None)


def _recorded(recorder: Recorder) -> list[Spoken]:
    """The newest calls in which much was said, and all in which the caller did not want to be recorded."""
    found: list[Spoken] = []
    for ring, call in zip(reversed(recorder.story.rings), reversed(recorder.calls), strict=True):
        objected = ring.dialogue is not None and ring.dialogue.custom.get("recording_consent") is False
        if ring.transcript is not None and (objected or (len(found) < SOUNDS and ring.seconds >= SHORTEST)):
            found.append(Spoken(call, f"call_{call}", ring.transcript.turns, ring.seconds, ring.ended, objected))
    return found


def _issue_invoices(stories: list[Story]) -> None:
    """One for every top-up, in the order in which they were paid, because numbers follow each other."""
    paid = [(moment, topup, story.ids.company) for story in stories for topup, moment in story.topups]
    for moment, topup, company in sorted(paid):
        with tenant_scope(company):
            invoices.issue_for_topup(db.session.get_one(BalanceTopup, topup), moment, announce=False)


def _add_up(story: Story, progress: Progress) -> None:
    """The daily figures, computed by those who keep them."""
    days = stats.each_day(story.calendar.today - timedelta(days=BACK + 1), story.calendar.today)
    progress.begin(f"Adding up {story.firm.name}", len(days))
    with tenant_scope(story.ids.company):
        for day in days:
            stats.rebuild(day)
            progress.step()
