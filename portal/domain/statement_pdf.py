"""The paper of a statement: a PDF/A of one month, with real text and the figures in the reader's language.

Importing this module takes a third of a second (``paper``), so only the making of a document imports it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from flask_babel import force_locale, ngettext
from flask_babel import gettext as _
from fpdf.prefs import ViewerPreferences

from portal import formats
from portal.domain import balance_words, phones
from portal.domain.billing_details import Details
from portal.domain.paper import GREY, HAIR, INK, LEFT, LINE, PAGES, RIGHT, Paper, drawable
from portal.domain.statement import CALLS_AT_MOST, Entry, Group, Statement

# Millimetres.
FACTS_X, FOOT = 112, 24
COLUMNS = (24, 83, 28, 30)  # day, what, amount, balance
SUMS = (83, 24, 28)  # kind, how many, amount
WARN = (154, 86, 5)


@dataclass(frozen=True)
class Frame:
    """What stands around the figures: for whom, from whom, for which reader (``named``: may callers be named)."""

    company: Details
    issuer: str
    language: str
    made_at: datetime
    named: bool
    country: str = phones.DEFAULT_COUNTRY


def render(statement: Statement, frame: Frame) -> bytes:
    """The finished file."""
    with force_locale(frame.language):
        sheet = _Sheet(statement, frame)
        sheet.draw()
        return bytes(sheet.output())


class _Sheet(Paper):
    """The drawing of one statement."""

    def __init__(self, statement: Statement, frame: Frame) -> None:
        month = formats.month(statement.month.first, frame.language, ZoneInfo(statement.month.zone))
        heading = _("Statement %(month)s", month=month)
        super().__init__(heading, frame.issuer, frame.language, frame.made_at, standard="PDF/A-2U")
        self.statement, self.frame, self.zone = statement, frame, ZoneInfo(statement.month.zone)
        self.set_auto_page_break(True, FOOT)
        self.alias_nb_pages(PAGES)
        self.viewer_preferences = ViewerPreferences(display_doc_title=True)

    def draw(self) -> None:
        self.add_page()
        self.letterhead(self.frame.issuer)
        self.ln(8)
        self._head()
        self._movements()
        self._sums()
        self._check()
        self._notes()

    def footer(self) -> None:
        """Which paper this is, on every page of it."""
        self.foot(FOOT, self._when(self.frame.made_at), f"{self.heading} · {self.frame.company.name}")

    # ---- parts --------------------------------------------------------------------------------

    def _head(self) -> None:
        """What and how long, then the company at the left and the facts at the right."""
        self.face(17, "B")
        self.block(self.epw, 8, self.heading)
        if self.statement.running:
            self.face(10.5, "B", WARN)
            self.block(self.epw, 6, _("Preliminary: the month is not over yet."))
        self.ln(4)
        top = self.get_y()
        bottom = max(self._company(), self._facts(top))
        self.set_xy(LEFT, bottom + 6)

    def _company(self) -> float:
        company = self.frame.company
        self.face(10.5, "B")
        self.block(FACTS_X - LEFT - 6, LINE, company.name)
        self.face(10.5)
        town = f"{company.postal_code} {company.city}".strip()
        self.block(FACTS_X - LEFT - 6, LINE, "\n".join(line for line in (*company.lines, town) if line))
        return self.get_y()

    def _facts(self, top: float) -> float:
        self.set_y(top)
        month = self.statement.month
        for label, value in (
            (_("Period"), f"{self.day(month.first)} – {self.day(month.last)}"),
            (_("Opening balance"), self.money(self.statement.opening)),
            (self._closing_word(), self.money(self.statement.closing)),
        ):
            self.set_x(FACTS_X)
            self.face(9, "", GREY)
            self.cell(30, LINE, drawable(label))
            self.face(9.5)
            self.cell(self.w - RIGHT - FACTS_X - 30, LINE, drawable(value), align="R")
            self.ln(LINE)
        return self.get_y()

    def _closing_word(self) -> str:
        return str(_("Balance so far") if self.statement.running else _("Closing balance"))

    def _movements(self) -> None:
        statement = self.statement
        self._table_head()
        self._line(self.day(statement.month.first), _("Opening balance"), None, statement.opening, "B")
        for entry in statement.entries:
            self._line(self.day(entry.day), self._words(entry), entry.amount, entry.after)
        if not statement.entries:
            self._line("", _("No movements in this month."), None, None)
        last = self.frame.made_at.astimezone(self.zone).date() if statement.running else statement.month.last
        self._line(self.day(last), self._closing_word(), None, statement.closing, "B")
        self.ln(5)

    def _table_head(self) -> None:
        self.face(9, "", GREY)
        self.row((_("Day"), _("What"), _("Amount"), _("Balance after")), COLUMNS, wrapped=1)
        self.ln(1)
        self.rule(GREY)

    def _line(self, day: str, what: str, amount: Decimal | None, after: Decimal | None, style: str = "") -> None:
        """One line of the table, never torn in two by the end of a page."""
        self.face(9.5, style)
        if self.will_page_break(self.height_of(what, COLUMNS[1] - 4) + 2):
            self.add_page()
            self._table_head()
            self.face(9.5, style)
        self.ln(1)
        figures = ("" if amount is None else self.money(amount, sign=True), "" if after is None else self.money(after))
        self.row((day, what, *figures), COLUMNS, wrapped=1)
        self.ln(1)
        self.rule(HAIR)

    def _sums(self) -> None:
        """The movements by kind."""
        if not self.statement.sums:
            return
        self._room((len(self.statement.sums) + 3) * (LINE + 2))
        self.face(11, "B")
        self.block(self.epw, 6, _("Sums"))
        self.ln(1)
        for each in self.statement.sums:
            number = formats.number(each.count, self.language)
            self.face(9.5)
            self.row((balance_words.kinds(each.kind), number, self.money(each.amount, sign=True)), SUMS)
            self.ln(1)
        self.rule(INK)
        self.ln(1)
        self.face(9.5, "B")
        self.row((_("All movements"), "", self.money(self.statement.moved, sign=True)), SUMS)
        self.ln(5)

    def _check(self) -> None:
        """Opening + movements = closing, as a line that says whether it is true."""
        statement = self.statement
        self._room(3 * LINE + 4)
        self.face(9.5, "B")
        opening, closing = self.money(statement.opening), self.money(statement.closing)
        moved = self.money(statement.moved, sign=True)
        right = "=" if statement.adds_up else "≠"
        words = (_("Opening balance"), _("movements"), self._closing_word())
        self.block(self.epw, LINE, f"{words[0]} {opening}, {words[1]} {moved} {right} {words[2]} {closing}")
        self.face(9.5)
        self.block(self.epw, LINE, _checked(statement))
        self.ln(4)

    def _notes(self) -> None:
        self._room(4 * LINE)
        for note in self._known_notes():
            self.face(8.5, "", GREY)
            self.block(self.epw, 4, note)
            self.ln(1)

    def _known_notes(self) -> Iterable[str]:
        statement = self.statement
        if statement.calls:
            yield str(
                _(
                    "%(calls)s with %(seconds)s seconds altogether.",
                    calls=_calls(statement.calls, self.language),
                    seconds=formats.number(statement.seconds, self.language),
                )
            )
        if statement.grouped:
            yield str(_("With more than %(most)s calls a month, the calls of a day are one line.", most=CALLS_AT_MOST))
        yield str(_("The CSV file of the same month lists every movement with its seconds and its price."))
        yield str(_("Amounts are net credit; the invoices of the top-ups show VAT. This is no invoice."))
        yield str(_("Days are those in the time zone %(zone)s.", zone=self.zone.key))

    # ---- words --------------------------------------------------------------------------------

    def _words(self, entry: Entry) -> str:
        what = entry.what
        if isinstance(what, Group):
            return self._group_words(what)
        words = balance_words.text(what, self.frame.country, named=self.frame.named)
        if what.is_charge and what.call:
            return (
                f"{formats.clock(what.at, self.language, self.zone)} · {words} · {formats.duration(what.call.seconds)}"
            )
        return f"{words} · {what.invoice_number}" if what.invoice_number else words

    def _group_words(self, group: Group) -> str:
        if group.kind != "charge":
            return f"{balance_words.kinds(group.kind)}: {formats.number(group.count, self.language)}"
        seconds = formats.number(group.seconds, self.language)
        spoken = _("%(seconds)s sec.", seconds=seconds)
        return f"{_calls(group.count, self.language)} · {spoken}"

    def _when(self, moment: datetime) -> str:
        return formats.when(moment, self.language, self.zone)

    def _room(self, height: float) -> None:
        """Start a new page where this much does not fit any more."""
        if self.will_page_break(height):
            self.add_page()


def _calls(number: int, language: str) -> str:
    return str(ngettext("%(num)s call", "%(num)s calls", number)).replace(str(number), formats.number(number, language))


def _checked(statement: Statement) -> str:
    if statement.adds_up:
        return str(_("Checked while this was made: it adds up to the cent."))
    return str(_("This does not add up. We have to look into it; please tell us."))
