"""Forms of working hours, closed days and absences: what is typed, before anybody asks whether it may be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import BooleanField, HiddenField, RadioField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from portal.domain.absences import KINDS, NOTE_LENGTH
from portal.domain.availability import MIDNIGHT
from portal.domain.hours import MOST_SPANS, WEEKDAYS, Days, Span
from portal.forms.appointments import DAY_FORMATS, DayField

REASON_LENGTH = 255
_END_OF_DAY = re.compile(r"24(?:[:.]00)?")
_TIME = re.compile(r"(\d{1,2})(?:[:.](\d{2})(?::\d{2})?)?")


# ---- Times from and until ---------------------------------------------------------------------------------------


def time_of(text: str) -> time | None:
    """``9``, ``9:30`` or ``09.30``; None for anything that is no time of day."""
    found = _TIME.fullmatch(text.strip())
    if found is None or int(found[1]) > 23 or int(found[2] or 0) > 59:
        return None
    return time(int(found[1]), int(found[2] or 0))


def end_of(text: str) -> time | None:
    """The same for an end, which may be ``24:00``: midnight, like ``00:00``."""
    return MIDNIGHT if _END_OF_DAY.fullmatch(text.strip()) else time_of(text)


@dataclass
class TypedSpan:
    """From and until as they were typed."""

    opens: str = ""
    closes: str = ""
    error: str = ""

    @property
    def is_blank(self) -> bool:
        return not (self.opens.strip() or self.closes.strip())

    def parsed(self) -> Span | None:
        """The two times; else None, and the error says why."""
        opens, closes = time_of(self.opens), end_of(self.closes)
        if opens is None or closes is None:
            self.error = _("Please enter both times, such as 9:00 and 17:30.")
            return None
        return opens, closes


@dataclass
class TypedSpans:
    """The spans of one day as they were typed, under the names ``opens<key>`` and ``closes<key>``.

    ``focus``: the place of the span where typing goes on, -1 where none is left; None: elsewhere.
    """

    key: str
    spans: list[TypedSpan] = field(default_factory=list)
    focus: int | None = None

    @classmethod
    def read(cls, key: str, values: MultiDict[str, str]) -> TypedSpans:
        opens, closes = values.getlist(f"opens{key}"), values.getlist(f"closes{key}")
        pairs = list(zip(opens, closes, strict=False))[: MOST_SPANS + 1]
        return cls(key, [TypedSpan(one[:8], other[:8]) for one, other in pairs])

    @classmethod
    def show(cls, key: str, spans: Iterable[Span]) -> TypedSpans:
        return cls(key, [TypedSpan(f"{opens:%H:%M}", f"{closes:%H:%M}") for opens, closes in spans])

    @property
    def is_full(self) -> bool:
        return len(self.spans) >= MOST_SPANS

    def parsed(self) -> tuple[Span, ...] | None:
        """All that is not blank; None if one of them is no span."""
        self.spans = [span for span in self.spans if not span.is_blank]
        found = [span.parsed() for span in self.spans]
        return None if None in found else tuple(span for span in found if span is not None)

    def add(self) -> None:
        if not self.is_full:
            self.spans.append(TypedSpan())

    def more(self) -> None:
        """Somebody asks for one more and goes on typing in it."""
        self.add()
        self.focus = len(self.spans) - 1

    def drop(self, place: int) -> None:
        if 0 <= place < len(self.spans):
            del self.spans[place]
            self.focus = min(place, len(self.spans) - 1)

    def put(self, place: int, message: str) -> None:
        """Show what is wrong with a span."""
        if self.spans:
            self.spans[min(place, len(self.spans) - 1)].error = message


class TypedWeek:
    """Seven days as they were typed, ``opens1`` to ``closes7``."""

    def __init__(self, days: Mapping[int, TypedSpans]) -> None:
        self.days = dict(days)

    @classmethod
    def read(cls, values: MultiDict[str, str]) -> TypedWeek:
        return cls({day: TypedSpans.read(str(day), values) for day in WEEKDAYS})

    @classmethod
    def show(cls, days: Days) -> TypedWeek:
        return cls({day: TypedSpans.show(str(day), spans) for day, spans in zip(WEEKDAYS, days, strict=True)})

    @property
    def errors(self) -> dict[str, str]:
        """By the id of the input."""
        return {
            f"opens{day}-{place}": span.error
            for day, typed in self.days.items()
            for place, span in enumerate(typed.spans)
            if span.error
        }

    def parsed(self) -> Days | None:
        """The week; None if something of it is no span."""
        found = [self.days[day].parsed() for day in WEEKDAYS]
        return None if None in found else tuple(spans for spans in found if spans is not None)

    def copy(self, source: int, targets: Iterable[int]) -> None:
        """Let other days be like one of them."""
        for day in targets:
            if day in self.days and source in self.days:
                spans = [TypedSpan(span.opens, span.closes) for span in self.days[source].spans]
                self.days[day] = TypedSpans(str(day), spans)

    def put(self, problems: Mapping[str, str]) -> None:
        """Show what the rules refuse, by ``day-place``."""
        for name, message in problems.items():
            day, _sep, place = name.partition("-")
            if day.isdecimal() and place.isdecimal() and int(day) in self.days:
                self.days[int(day)].put(int(place), message)


# ---- Forms ------------------------------------------------------------------------------------------------------


class HoursForm(FlaskForm):
    """Beside the week: when a season counts, what was shown, and what has been agreed to."""

    season = HiddenField()
    shown = HiddenField()
    confirmed = HiddenField()
    first = DayField(_l("From"), [Optional()], format=DAY_FORMATS)
    last = DayField(_l("Until, this day included"), [Optional()], format=DAY_FORMATS)


class ClosureForm(FlaskForm):
    """Days, and what is different on them. ``shown``: the digest of what ``instead_of`` was when it was opened."""

    instead_of = HiddenField()
    shown = HiddenField()
    confirmed = HiddenField()
    first = DayField(_l("Day"), [InputRequired(_l("Please choose a day."))], format=DAY_FORMATS)
    last = DayField(_l("Until, this day included"), [Optional()], format=DAY_FORMATS)
    kind = RadioField(_l("On these days"), default="closed")
    reason = StringField(_l("Reason"), [Length(max=REASON_LENGTH)])

    def offer(self) -> None:
        self.kind.choices = {"closed": _("closed"), "open": _("open at other hours")}


class RegionForm(FlaskForm):
    """Whose public holidays a branch observes."""

    country = SelectField(_l("Country"), validate_choice=False)
    region = SelectField(_l("Region"), validate_choice=False)


class AbsenceForm(FlaskForm):
    """Somebody's absence; without times on whole days."""

    staff = SelectField(
        _l("Who"), [InputRequired(_l("Please choose somebody from the list."))], coerce=str, validate_choice=False
    )
    kind = SelectField(_l("Kind"))
    first = DayField(_l("First day"), [InputRequired(_l("Please choose a day."))], format=DAY_FORMATS)
    last = DayField(_l("Last day"), [Optional()], format=DAY_FORMATS)
    start = StringField(_l("From, on the first day"), [Length(max=8)])
    until = StringField(_l("Until, on the last day"), [Length(max=8)])
    note = TextAreaField(_l("Note"), [Length(max=NOTE_LENGTH)])
    shown = HiddenField()

    def offer(self, people: Iterable[Any]) -> None:
        """Who and what there is to choose from."""
        self.staff.choices = {"": _("Please choose")} | {str(person.id): person.name for person in people}
        self.kind.choices = {kind: kind_label(kind) for kind in KINDS}


class AbsenceDeletionForm(FlaskForm):
    """``knowingly``: that what comes from Cal.com stays there."""

    shown = HiddenField()
    knowingly = BooleanField(_l("I know that it stays at Cal.com"))


def kind_label(kind: str) -> str:
    """The kind of an absence in words."""
    words = {"vacation": _("Vacation"), "sick": _("Sick"), "training": _("Training"), "other": _("Other absence")}
    return str(words.get(kind, kind))
