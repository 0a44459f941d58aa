"""Paper: what every PDF of the portal shares. Fonts, colours and margins, pens, and what the font can draw.

Fonts are embedded, colours have a profile, and what the font cannot draw is written with what it can, because PDF/A
forbids empty boxes. Importing this module takes a third of a second (fpdf2), so only the making of a document does.
"""

from __future__ import annotations

import unicodedata
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from fontTools.ttLib import TTFont
from fpdf import FPDF
from fpdf.enums import XPos, YPos

from portal import formats
from portal.domain.einvoice import printable

FONT = "Source Sans Pro"
FACES = {"": "SourceSansPro-Regular.ttf", "B": "SourceSansPro-Semibold.ttf"}
INK, GREY, ACCENT, HAIR = (36, 40, 46), (91, 96, 103), (15, 102, 116), (208, 206, 201)
BERLIN = ZoneInfo("Europe/Berlin")  # days have no zone; the formats want one all the same

# Millimetres.
LEFT, RIGHT, TOP, BOTTOM = 25, 20, 16, 38
LINE = 4.8
PAGES = "{nb}"  # stands for the number of pages until it is known


class Paper(FPDF):
    """An A4 sheet with our margins and pens; millimetres from the top left. ``standard``: of PDF/A."""

    def __init__(self, heading: str, author: str, language: str, made_at: datetime, *, standard: str) -> None:
        super().__init__(format="A4", enforce_compliance=standard)
        self.heading, self.language = heading, language
        for style, name in FACES.items():
            self.add_font(FONT, style, _font_file(name))
        self.set_creation_date(made_at)
        self.set_title(heading)
        self.set_author(printable(author))
        self.set_producer("fpdf2")
        self.set_lang(language)
        self.set_margins(LEFT, TOP, RIGHT)
        self.set_auto_page_break(True, BOTTOM)
        self.c_margin = 0
        self.set_line_width(0.2)

    def letterhead(self, name: str) -> None:
        """Who the paper comes from, at the head of the first page."""
        self.set_y(TOP)
        self.face(13, "B", ACCENT)
        self.block(self.epw, 6, name)
        self.ln(2)
        self.rule(ACCENT)

    def face(self, size: float, style: str = "", colour: tuple[int, int, int] = INK) -> None:
        self.set_font(FONT, style, size)
        self.set_text_color(*colour)

    def block(self, width: float, height: float, text: str) -> None:
        """A block of text from here; what follows goes below it, at the left."""
        if text:
            self.multi_cell(width, height, drawable(text), align="L", new_x=XPos.LEFT, new_y=YPos.NEXT)

    def height_of(self, text: str, width: float) -> float:
        """How high such a block would be."""
        lines = self.multi_cell(width, LINE, drawable(text), dry_run=True, output="LINES")
        return len(lines) * LINE if isinstance(lines, list) else LINE

    def row(self, texts: tuple[str, ...], widths: tuple[float, ...], wrapped: int = 0) -> None:
        """One row of a table. The cell ``wrapped`` wraps; those after it stand at the right, others at the left."""
        top, start, below = self.get_y(), float(LEFT), self.get_y() + LINE
        for place, (text, width) in enumerate(zip(texts, widths, strict=True)):
            self.set_xy(start, top)
            if place == wrapped:
                self.block(width - 4, LINE, text)
                below = max(below, self.get_y())
            else:
                self.cell(width, LINE, drawable(text), align="R" if place > wrapped else "L")
            start += width
        self.set_xy(LEFT, below)

    def rule(self, colour: tuple[int, int, int], start: float = LEFT) -> None:
        self.set_draw_color(*colour)
        self.line(start, self.get_y(), self.w - RIGHT, self.get_y())

    def foot(self, height: float, made_when: str, right: str) -> None:
        """Which page this is and when it was made, and at the right which paper; so many millimetres from below."""
        self.set_y(8 - height)
        self.rule(HAIR)
        self.ln(2.5)
        self.face(8, "", GREY)
        page = _("Page %(page)s of %(pages)s", page=self.page_no(), pages=PAGES)
        made = _("Made on %(when)s", when=made_when)
        self.cell(self.epw / 2, 3.7, f"{page} · {made}")
        self.cell(self.epw / 2, 3.7, drawable(right)[:90], align="R")

    def money(self, amount: Decimal, *, sign: bool = False) -> str:
        return formats.money(amount, self.language, sign=sign)

    def day(self, day: date) -> str:
        return formats.day(day, self.language, BERLIN)


def drawable(text: str) -> str:
    """``text`` with the characters that the font has: else the plain letter below the accent, else "?"."""
    return "".join(char if ord(char) in _glyphs() or char == "\n" else _nearest(char) for char in _composed(text))


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", printable(text).replace("\t", " ").replace("\u2011", "-"))


def _nearest(char: str) -> str:
    if unicodedata.category(char) in {"Cf", "Mn"}:  # marks that change nothing when they are not drawn
        return ""
    plain = "".join(part for part in unicodedata.normalize("NFKD", char) if ord(part) in _glyphs())
    return plain or "?"


@cache
def _glyphs() -> frozenset[int]:
    """Code points that every face has."""
    faces = (set(TTFont(_font_file(name), lazy=True).getBestCmap()) for name in FACES.values())
    return frozenset(set.intersection(*faces))


def _font_file(name: str) -> Path:
    return Path(str(files("font_source_sans_pro") / "files" / name))
