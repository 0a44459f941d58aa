"""What stands behind the form of an appointment: what may be chosen, what is free, and the plan that comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import request
from flask_babel import gettext as _
from sqlalchemy import or_, select
from werkzeug.datastructures import MultiDict

from portal import formats, i18n
from portal.db import db, utcnow
from portal.domain import (
    amounts,
    appointments,
    booking_rules,
    call_wishes,
    customer_search,
    customers,
    timetable,
)
from portal.domain.discreet import initials
from portal.domain.errors import DomainError
from portal.domain.slots import Overbooking, Plan, plan_of
from portal.forms.appointments import NEW_CUSTOMER, WALK_IN, AppointmentForm, MoveForm, WhenForm, row_id
from portal.models import Appointment, Branch, Call, Customer, Service, Staff
from portal.permissions import Permission, may, visible_branch_ids
from portal.views import next_times
from portal.views.addresses import day_of

WITHOUT_SERVICE = timedelta(minutes=30)  # what free times are looked for until the length is known


@dataclass
class Desk:
    """A form at work. ``row`` is the appointment that is edited, ``call`` the one that a new one comes from."""

    form: AppointmentForm
    branches: Sequence[Branch]
    services: Sequence[Service]
    row: Appointment | None = None
    call: Call | None = None

    @property
    def branch(self) -> Branch:
        return next((branch for branch in self.branches if branch.id == self.form.branch.data), self.branches[0])

    @property
    def service(self) -> Service | None:
        return next((service for service in self.services if service.id == self.form.service.data), None)

    @property
    def length(self) -> timedelta:
        """How long the service takes."""
        return timedelta(minutes=self.service.duration_minutes) if self.service else WITHOUT_SERVICE

    def book(self, now: datetime, overbooking: Overbooking | None) -> Appointment:
        """Book what the form says, inside a transaction. Who has walked in for now is here already."""
        source = self.form.source.data
        row = appointments.book_by_hand(self.plan(), now=now, source=source, call=self.call, overbooking=overbooking)
        if source == WALK_IN and row.start_time <= now + booking_rules.GRACE:
            appointments.set_status(row, "arrived", now)
        return row

    # ---- What is chosen -----------------------------------------------------------------------------------------

    def plan(self) -> Plan:
        """What is to be booked; a new customer is written. Only inside a transaction, and of a valid form."""
        start, end = self._times()
        plan = Plan(
            branch_id=self.branch.id,
            customer_id=self._customer_id(),
            staff_id=self.form.staff.data,
            start=start,
            end=end,
            service_id=self.form.service.data,
            price=amounts.parse(self.form.price.data) if self.form.price.data else None,
            internal_notes=(self.form.notes.data or "").strip() or None,
        )
        return plan if self.row is None else self._kept(plan, plan_of(self.row))

    def _kept(self, plan: Plan, before: Plan) -> Plan:
        """What the form does not show stays; another service brings its own price unless one was typed."""
        plan = replace(plan, customer_notes=before.customer_notes)
        if plan.service_id == before.service_id:
            return replace(
                plan, title=before.title, buffer_before=before.buffer_before, buffer_after=before.buffer_after
            )
        return replace(plan, price=None if plan.price == before.price else plan.price)

    def _times(self) -> tuple[datetime, datetime]:
        kept = self.row.start_time if self.row else None
        return times_of(self.form, timetable.zone_of(self.branch), self.length, kept, self.form.until.data)

    def _customer_id(self) -> int:
        form = self.form
        if form.customer.data != NEW_CUSTOMER:
            return int(form.customer.data or 0)
        return customers.write_down(form.new_name.data, form.new_phone.data, form.new_email.data, utcnow()).id

    # ---- What there is to choose from ---------------------------------------------------------------------------

    def choices(self) -> dict[str, Any]:
        """Everything that the page of the form shows besides its fields."""
        return {"branches": self.branches, "service": self.service, **self.people(), **self.times()}

    def people(self) -> dict[str, Any]:
        """Suggested customers, the chosen one first."""
        form, query = self.form, (self.form.q.data or "").strip()
        knows = may(Permission.VIEW_CUSTOMERS)
        found = customer_search.suggestions(query, i18n.country()) if query and knows else []
        chosen_id = row_id(form.customer.data)
        if chosen_id is not None and all(hit.id != chosen_id for hit in found):
            chosen = db.session.get(Customer, chosen_id)
            found = [chosen, *found] if chosen is not None and chosen.is_active else found
        seen = {hit.id: hit.full_name or "" if knows else initials(hit.full_name or "") for hit in found}
        names = {id_: customer_search.segments(name, query) for id_, name in seen.items()}
        return {"hits": found, "names": names, "query": query, "is_new": form.customer.data == NEW_CUSTOMER}

    def times(self) -> dict[str, Any]:
        """Free times of the chosen person on the chosen day, and what comes next with them or with anybody."""
        form, zone = self.form, timetable.zone_of(self.branch)
        day, start = form.date.data, form.time.data
        name, coming_up = self._staff_name(), next_times.of(self)
        return {
            "free": coming_up.on_day if coming_up else [],
            "looked": bool(day and form.staff.data and name),
            "staff_name": name or "",
            "service": self.service,
            "twice": bool(day and start and booking_rules.comes_twice(zone, day, start)),
            "next": coming_up,
        }

    def _staff_name(self) -> str | None:
        name: str | None = self.form.staff.choices.get(self.form.staff.data)
        return name


def open_desk(
    row: Appointment | None = None,
    values: MultiDict[str, str] | None = None,
    posted: MultiDict[str, str] | None = None,
) -> Desk:
    """A desk for a new appointment, for ``row``, or (``values``) for the parts of a form that is being filled in.

    ``posted`` takes the place of what was sent.
    """
    visible = visible_branch_ids()
    branches = _branches(visible, row)
    services = _services(row)
    call = _call(visible) if row is None else None
    if posted is None:
        posted = request.form if request.method == "POST" else values
    form = AppointmentForm(
        formdata=posted,
        data=given(row) if row is not None else _asked(branches, call),
        meta={"csrf": values is None},
    )
    form.offer(branches, bookable_staff(visible, row.staff_id if row else None), services)
    return Desk(form, branches, services, row, call)


def _branches(visible: list[int] | None, row: Appointment | None) -> list[Branch]:
    usable = Branch.is_active if row is None else or_(Branch.is_active, Branch.id == row.branch_id)
    query = select(Branch).where(usable).order_by(Branch.is_primary.desc(), Branch.id)
    return list(db.session.scalars(query if visible is None else query.where(Branch.id.in_(visible))))


def _services(row: Appointment | None) -> list[Service]:
    usable = Service.is_active if row is None else or_(Service.is_active, Service.id == row.service_id)
    return list(db.session.scalars(select(Service).where(usable).order_by(Service.name, Service.id)))


def bookable_staff(visible: list[int] | None, kept: int | None) -> list[Staff]:
    """Who takes appointments at the reader's branches, and who has this one already."""
    usable = Staff.is_active & Staff.is_available
    if visible is not None:
        usable &= or_(Staff.branch_id.in_(visible), Staff.branch_id.is_(None))
    query = select(Staff).where(usable if kept is None else or_(usable, Staff.id == kept))
    return list(db.session.scalars(query.order_by(Staff.first_name, Staff.last_name, Staff.id)))


def _call(visible: list[int] | None) -> Call | None:
    """The call that the form was opened from, if the reader may see it: of their branches, or all of the company's."""
    call_id = row_id(request.values.get("call")) if may(Permission.VIEW_CALLS) else None
    call = db.session.get(Call, call_id) if call_id else None
    hidden = call is not None and visible is not None and call.branch_id not in visible
    return None if hidden else call


def _asked(branches: Sequence[Branch], call: Call | None) -> dict[str, Any]:
    """What the address of a new appointment asks for."""
    args = request.args
    customer = row_id(args.get("customer")) or (call.customer_id if call else None)
    branch = row_id(args.get("branch")) or (call.branch_id if call else None)
    today = i18n.local_day(utcnow())
    asked = {
        "customer": str(customer) if customer else None,
        "service": args.get("service", type=int),
        "staff": args.get("staff", type=int),
        "date": day_of(args.get("date")),
        "time": _read(time.fromisoformat, args.get("time")),
        "coming": args.get("coming"),
        "call": call.id if call else None,
        "source": "phone" if call else args.get("source"),
    }
    known = call_wishes.of(call, today) if call else {}
    given = {name: value for name, value in asked.items() if value is not None}
    return {"branch": branch or (branches[0].id if branches else None), "date": today} | known | given


def given(row: Appointment) -> dict[str, Any]:
    """The appointment as the form shows it. The end stands there only where the service does not say it."""
    zone = timetable.zone_of(row.branch)
    day, start = _typed(row.start_time, zone)
    minutes = int((row.end_time - row.start_time).total_seconds()) // 60
    usual = row.service is not None and row.service.duration_minutes == minutes
    twice = booking_rules.comes_twice(zone, day, start)
    return {
        "branch": row.branch_id,
        "customer": str(row.customer_id),
        "service": row.service_id,
        "staff": row.staff_id,
        "date": day,
        "time": start,
        "coming": _coming(row.start_time, zone) if twice else None,
        "until": None if usual else _typed(row.end_time, zone)[1],
        "price": formats.typed_amount(row.price, i18n.language()) if row.price is not None else "",
        "notes": row.internal_notes,
        "version": row.version,
    }


def _typed(moment: datetime, zone: ZoneInfo) -> tuple[date, time]:
    local = moment.astimezone(zone)
    return local.date(), local.time().replace(fold=0)


def _coming(moment: datetime, zone: ZoneInfo) -> str:
    return str(moment.astimezone(zone).fold + 1)


# ---- Moving -----------------------------------------------------------------------------------------------------


def move_form(row: Appointment) -> MoveForm:
    """The form that moves ``row``, as it stands or as it was sent. A box that is dropped sends an instant, ``at``."""
    zone = timetable.zone_of(row.branch)
    is_sent = request.method == "POST" and request.endpoint == "appointments.move"
    posted: MultiDict[str, str] | None = request.form if is_sent else None
    if posted is not None and "at" in posted:
        posted = MultiDict(posted.to_dict() | _dropped(posted["at"], zone))
    day, start = _typed(row.start_time, zone)
    coming = _coming(row.start_time, zone) if booking_rules.comes_twice(zone, day, start) else None
    given = {"date": day, "time": start, "coming": coming, "staff": row.staff_id, "version": row.version}
    form = MoveForm(formdata=posted, data=given)
    people = bookable_staff(visible_branch_ids(), row.staff_id)
    form.staff.choices = {"": _("Still open")} | {person.id: person.name for person in people}
    return form


def _dropped(at: str, zone: ZoneInfo) -> dict[str, str]:
    """An instant (seconds since 1970) as it would be typed; empty for what is none."""
    try:
        moment = datetime.fromtimestamp(int(at), UTC)
        day, start = _typed(moment, zone)
        coming = _coming(moment, zone) if booking_rules.comes_twice(zone, day, start) else ""
    except (ValueError, OverflowError, OSError):
        return {"date": "", "time": ""}
    return {"date": day.isoformat(), "time": start.isoformat("minutes"), "coming": coming}


def times_of(
    form: WhenForm, zone: ZoneInfo, length: timedelta, kept: datetime | None, until: time | None = None
) -> tuple[datetime, datetime]:
    """Start and end of what was typed. A doubled time has to say which one it is, unless it is that of ``kept``."""
    day: Any = form.date.data
    start: Any = form.time.data
    coming = form.coming.data
    if booking_rules.comes_twice(zone, day, start) and coming not in ("1", "2"):
        if kept is None or _typed(kept, zone) != (day, start):
            raise DomainError(_("The clocks show this time twice that night. Please choose which one."), "coming")
        coming = _coming(kept, zone)
    return booking_rules.local_times(zone, day, start, until, length, second=coming == "2")


def _read(parse: Any, text: str | None) -> Any:
    try:
        return parse(text or "")
    except ValueError:
        return None
