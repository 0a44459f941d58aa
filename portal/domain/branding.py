"""The one colour that differs per company; the style sheet derives everything else from it."""

from __future__ import annotations

import re

from sqlalchemy import select

from portal.db import db
from portal.models import Company

SETTING = "brand_color"
_COLOUR = re.compile(r"#[0-9a-f]{6}", re.IGNORECASE)


def brand_colour(tenant_id: str) -> str | None:
    """``#rrggbb`` of a company, None for the product's own colour and for names that no company has."""
    settings = db.session.scalar(select(Company.settings).where(Company.tenant_id == tenant_id)) or {}
    colour = settings.get(SETTING)
    return colour if isinstance(colour, str) and _COLOUR.fullmatch(colour) else None
