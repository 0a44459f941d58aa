"""The paper of one call: what it was about and, for who may read it, every word.

Importing this module takes a third of a second (``paper``), so only the making of a document imports it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from flask_babel import force_locale
from flask_babel import gettext as _
from fpdf.prefs import ViewerPreferences

from portal import formats
from portal.domain.paper import ACCENT, GREY, INK, LEFT, LINE, PAGES, Paper, drawable
from portal.domain.transcripts import Line

# Millimetres.
FOOT, TIME_WIDTH, LABEL_WIDTH = 24, 16, 42
# A sheet of paper for every letter of a day-long call would help nobody.
MOST_LETTERS = 300_000


@dataclass(frozen=True)
class Told:
    """What the paper says, in the words of its reader. ``lines`` are None for who may not read what was said."""

    company: str
    heading: str
    facts: list[tuple[str, str]]
    summary: str
    speakers: dict[str, str]
    lines: list[Line] | None = field(default=None)


def render(told: Told, language: str, made_at: datetime, made_when: str) -> bytes:
    """The finished file."""
    with force_locale(language):
        sheet = _Sheet(told, language, made_at, made_when)
        sheet.draw()
        return bytes(sheet.output())


class _Sheet(Paper):
    """The drawing of one call."""

    def __init__(self, told: Told, language: str, made_at: datetime, made_when: str) -> None:
        super().__init__(told.heading, told.company, language, made_at, standard="PDF/A-2U")
        self.told, self.made_when = told, made_when
        self.set_auto_page_break(True, FOOT)
        self.alias_nb_pages(PAGES)
        self.viewer_preferences = ViewerPreferences(display_doc_title=True)

    def footer(self) -> None:
        """Which paper this is, on every page of it."""
        self.foot(FOOT, self.made_when, _("Confidential: what a caller said"))

    def draw(self) -> None:
        self.add_page()
        self.letterhead(self.told.company)
        self.ln(8)
        self.face(17, "B")
        self.block(self.epw, 8, self.told.heading)
        self.ln(3)
        self._facts()
        self._part(_("Summary"), self.told.summary or _("There is no summary of this call."))
        self._conversation()

    def _facts(self) -> None:
        for label, value in self.told.facts:
            if self.will_page_break(LINE * 2):
                self.add_page()
            top = self.get_y()
            self.face(9, "", GREY)
            self.cell(LABEL_WIDTH, LINE, drawable(label))
            self.set_xy(LEFT + LABEL_WIDTH, top)
            self.face(10)
            self.block(self.epw - LABEL_WIDTH, LINE, value)
            self.set_x(LEFT)
        self.ln(4)

    def _part(self, title: str, text: str) -> None:
        self.face(11, "B")
        self.block(self.epw, 6, title)
        self.face(10)
        self.block(self.epw, LINE, text)
        self.ln(4)

    def _conversation(self) -> None:
        if self.told.lines is None:
            return
        if not self.told.lines:
            self._part(_("Conversation"), _("Nothing was said in this call."))
            return
        self._part(_("Conversation"), "")
        left = MOST_LETTERS
        for line in self.told.lines:
            self._turn(line)
            left -= len(line.text)
            if left < 0:
                self._part("", _("The rest of this very long call stands in the portal."))
                return

    def _turn(self, line: Line) -> None:
        """Time at the left; who speaks, then what was said. What the receptionist did stands in grey."""
        did = line.who == "tool"
        if not did and not line.same_speaker:
            self._speaker(line.who)
        top = self.get_y()
        if self.will_page_break(LINE):
            self.add_page()
            top = self.get_y()
        self.face(8.5, "", GREY)
        self.cell(TIME_WIDTH, LINE, "" if line.second is None or did else formats.duration(line.second))
        self.set_xy(LEFT + TIME_WIDTH, top)
        self.face(9 if did else 10, "", GREY if did else INK)
        self.block(self.epw - TIME_WIDTH, LINE, line.text)
        self.set_x(LEFT)
        self.ln(1)

    def _speaker(self, who: str) -> None:
        if self.will_page_break(LINE * 3):
            self.add_page()
        self.ln(1)
        self.set_x(LEFT + TIME_WIDTH)
        self.face(8.5, "B", ACCENT if who == "agent" else GREY)
        self.block(self.epw - TIME_WIDTH, LINE, self.told.speakers.get(who, ""))
        self.set_x(LEFT)
