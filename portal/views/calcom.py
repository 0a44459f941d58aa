"""Cal.com: the company's key, what its event types mean, who is who there, and what stands differently."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from portal import calcom, settings
from portal.clients.calcom import CalcomClient, CalcomProblem, CalcomRefused, EventType
from portal.db import transaction, utcnow
from portal.domain import booking_sync, calcom_settings
from portal.domain.calcom_settings import Listed
from portal.domain.errors import Conflict, DomainError
from portal.forms.calcom import EventTypeForm, KeyForm, PersonForm, SecretForm, TeamForm
from portal.forms.limits import put_beside
from portal.htmx import see_other, toast, trigger, wants_part, whole_page
from portal.permissions import Permission, requires, visible_branch_ids
from portal.views.appointments import CHANGED, details, load

bp = Blueprint("calcom", __name__)

EVENTS = (
    "BOOKING_CREATED",
    "BOOKING_REQUESTED",
    "BOOKING_RESCHEDULED",
    "BOOKING_CANCELLED",
    "BOOKING_REJECTED",
    "BOOKING_NO_SHOW_UPDATED",
    "MEETING_ENDED",
    "OOO_CREATED",
)


# What is said of what was chosen.
CHOSEN = {
    "sent": _l("It is being sent to Cal.com."),
    "taken": _l("Cal.com’s version has been taken over."),
    "alone": _l("Stands only here: at Cal.com it is cancelled, and its time there can be booked by others."),
}


# ---- The page ---------------------------------------------------------------------------------------------------


@bp.get("/settings/calcom")
@requires(Permission.MANAGE_SETTINGS)
def index() -> Response:
    return _page()


def _page(status: int = 200, **forms: FlaskForm) -> Response:
    account = calcom_settings.account()
    empty: dict[str, FlaskForm] = {
        "key_form": KeyForm(formdata=None),
        "secret_form": SecretForm(formdata=None),
        "team_form": TeamForm(formdata=None, data={"team": account.team_id}),
        "kind_form": EventTypeForm(formdata=None),
        "person_form": PersonForm(formdata=None),
    }
    return whole_page(
        "calcom/index.html",
        status,
        account=account,
        reachable=calcom.may_reach(),
        webhook=f"{settings().portal_base_url}{url_for('calcom_webhook.receive', tenant_id=account.tenant_id)}",
        events=EVENTS,
        people=calcom_settings.people(),
        event_types=calcom_settings.event_types(),
        branches=calcom_settings.branches(),
        services=calcom_settings.services(),
        strangers=calcom_settings.unknown_people(),
        unknown_types=calcom_settings.unknown_event_types(),
        apart=booking_sync.how_many_apart(),
        **(empty | forms),
    )


def _offer(form: EventTypeForm) -> EventTypeForm:
    form.offer(
        {"": _("By the person")} | {branch.id: branch.name for branch in calcom_settings.branches()},
        {"": _("No service")} | {service.id: service.name for service in calcom_settings.services()},
    )
    return form


def _staffed(form: PersonForm) -> PersonForm:
    form.staff.choices = {"": _("Please choose")} | {person.id: person.name for person in calcom_settings.people()}
    return form


def _saved(
    form: FlaskForm, change: Callable[[], Any], words: Callable[[Any], str], at: str | None = None, **shown: FlaskForm
) -> AnyResponse:
    """Do it and come back to the place on the page, or show what is wrong beside its field."""
    try:
        if not form.validate_on_submit():
            return _page(422, **shown)
        done = transaction(change)
    except DomainError as error:
        put_beside(form, error.field, error.message)
        return _page(422, **shown)
    toast(words(done))
    return see_other(url_for(".index", _anchor=at))


# ---- Key and secret ---------------------------------------------------------------------------------------------


@bp.post("/settings/calcom/key")
@requires(Permission.MANAGE_SETTINGS)
def save_key() -> AnyResponse:
    """Set or replace the key, and see at once whether it opens anything."""
    form = KeyForm()
    answer = _saved(form, lambda: calcom_settings.set_key(form.key.data or ""), _key_words, key_form=form)
    if answer.status_code == 303:
        _ask(lambda client: calcom.whose(client).name)
    return answer


def _key_words(waiting: int) -> str:
    if not waiting:
        return str(_("The key has been saved."))
    return str(
        ngettext(
            "The key has been saved. %(num)s appointment that was waiting is being sent.",
            "The key has been saved. %(num)s appointments that were waiting are being sent.",
            waiting,
        )
    )


@bp.post("/settings/calcom/key/remove")
@requires(Permission.MANAGE_SETTINGS)
def remove_key() -> AnyResponse:
    transaction(calcom_settings.remove_key)
    toast(_("The key has been removed. The portal is the calendar now."))
    return see_other(url_for(".index"))


@bp.post("/settings/calcom/secret")
@requires(Permission.MANAGE_SETTINGS)
def save_secret() -> AnyResponse:
    form = SecretForm()
    change = lambda: calcom_settings.set_secret(form.secret.data or "")  # noqa: E731
    return _saved(form, change, lambda done: str(_("The secret has been saved.")), secret_form=form)


@bp.post("/settings/calcom/check")
@requires(Permission.MANAGE_SETTINGS)
def check() -> AnyResponse:
    """Ask Cal.com whose key it is; at most a few seconds."""
    if _ask(lambda client: calcom.whose(client).name) is not None:
        toast(_("Cal.com answers, and the key is right."))
    return see_other(url_for(".index"))


def _ask(question: Callable[[CalcomClient], str]) -> str | None:
    """Ask and note how it went; None where there was no answer, which the person is told."""
    client, now = calcom.client(), utcnow()
    if client is None:
        toast(_("There is no key that may be used here."), "warn")
        return None
    try:
        who = question(client)
    except CalcomProblem as problem:
        kind, words = ("refused" if isinstance(problem, CalcomRefused) else "away"), problem.message
        transaction(lambda: calcom_settings.note_check(now, "", kind, words))
        # The page itself says so until it is mended; a toast that stays would outlive that.
        toast(_("Cal.com refuses the key.") if kind == "refused" else _("Cal.com does not answer just now."), "info")
        return None
    transaction(lambda: calcom_settings.note_check(now, who))
    return who


# ---- Event types and people -------------------------------------------------------------------------------------


@bp.post("/settings/calcom/event-types")
@requires(Permission.MANAGE_SETTINGS)
def save_event_type() -> AnyResponse:
    form = _offer(EventTypeForm())
    change = lambda: calcom_settings.assign_event_type(form.meaning())  # noqa: E731
    return _saved(form, change, _filled_words, f"kind-{form.kind.data}", kind_form=form)


@bp.post("/settings/calcom/staff")
@requires(Permission.MANAGE_SETTINGS)
def save_person() -> AnyResponse:
    form = _staffed(PersonForm())
    change = lambda: calcom_settings.assign_person(form.staff.data, form.user.data)  # noqa: E731
    return _saved(form, change, _filled_words, f"person-{form.staff.data}", person_form=form)


def _filled_words(filled: int) -> str:
    if not filled:
        return str(_("Saved."))
    return str(
        ngettext("Saved. %(num)s appointment was filled in.", "Saved. %(num)s appointments were filled in.", filled)
    )


@bp.post("/settings/calcom/fetch")
@requires(Permission.MANAGE_SETTINGS)
def fetch() -> AnyResponse:
    """Read the event types that Cal.com lists; with a team number also the team's."""
    form, found = TeamForm(), list[EventType]()
    try:
        if not form.validate_on_submit():
            return _page(422, team_form=form)
        transaction(lambda: calcom_settings.set_team(form.team.data or ""))
    except DomainError as error:
        put_beside(form, error.field, error.message)
        return _page(422, team_form=form)

    def question(client: CalcomClient) -> str:
        found.extend(calcom.event_types(client, (form.team.data or "").strip()))
        return calcom.whose(client).name

    if _ask(question) is not None:
        new = transaction(lambda: calcom_settings.take_event_types(map(_listed, found), utcnow()))
        toast(ngettext("%(num)s new event type", "%(num)s new event types", new))
    return see_other(url_for(".index", _anchor="event-types"))


def _listed(kind: EventType) -> Listed:
    return Listed(
        kind.id,
        kind.title,
        kind.slug,
        kind.minutes,
        kind.needs_confirmation,
        kind.buffer_before,
        kind.buffer_after,
    )


# ---- Appointments that stand differently ------------------------------------------------------------------------


@bp.get("/appointments/out-of-step")
@requires(Permission.EDIT_APPOINTMENTS)
def out_of_step() -> Response:
    """What has not reached Cal.com, and what both sides have changed; of the reader's branches."""
    return whole_page("calcom/out_of_step.html", found=booking_sync.out_of_step(visible_branch_ids()))


@bp.post("/appointments/<int:appointment_id>/sync")
@requires(Permission.EDIT_APPOINTMENTS)
def sync(appointment_id: int) -> AnyResponse:
    """Choose ours, theirs, or try again."""
    row = load(appointment_id)
    choice, version = request.form.get("choice", ""), request.form.get("version", type=int)
    try:
        done = transaction(lambda: booking_sync.choose(row, choice, utcnow(), version=version))
    except Conflict as conflict:
        return details(appointment_id, 409, conflict.message)
    except DomainError as error:
        return details(appointment_id, 422, error.message)
    toast(str(CHOSEN[done]))
    if wants_part():
        return trigger(details(appointment_id), CHANGED)
    return see_other(url_for("appointments.show", appointment_id=appointment_id))
