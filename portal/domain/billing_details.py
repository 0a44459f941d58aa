"""Whom a company's invoices are made out to. A change never touches documents that are issued already."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from flask_babel import gettext as _
from sqlalchemy import select
from stdnum.eu import vat as eu_vat
from stdnum.exceptions import ValidationError
from stdnum.util import clean

from portal.db import db
from portal.domain import audit
from portal.domain.errors import DomainError
from portal.models import Company, PortalUser
from portal.tenancy import current_company_id

EU = frozenset(state.upper() for state in eu_vat.MEMBER_STATES) - {"XI"}  # Northern Ireland counts for goods only
NEIGHBOURS = frozenset({"CH", "GB", "IS", "LI", "NO"})
GREECE = "EL"  # its VAT ids begin with the name that the Union uses
LONGEST_VAT_ID = 20


@dataclass(frozen=True)
class Details:
    """What stands in the address window and beside it; '' is unknown. ``extra`` is a second line above the town."""

    name: str
    street: str = ""
    extra: str = ""
    postal_code: str = ""
    city: str = ""
    country: str = "DE"
    email: str = ""
    vat_id: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(line for line in (self.street, *self.extra.splitlines()) if line)

    @property
    def missing(self) -> list[str]:
        """Fields that an invoice above 250 euros needs and that are not known."""
        return [name for name in ("street", "postal_code", "city") if not getattr(self, name)]


def company() -> Company:
    """The company of this scope."""
    return db.session.get_one(Company, current_company_id())


def of(company: Company) -> Details:
    """The invoice address, or the company's own where none is set."""
    text = company.invoice_address or "\n".join(
        line for line in (company.address, f"{company.postal_code or ''} {company.city or ''}".strip()) if line
    )
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    postal_code, city = _town(lines[-1], company.country) if lines else ("", "")
    above = lines[:-1] if postal_code else lines
    if not postal_code and not company.invoice_address and company.city and above[-1:] == [company.city]:
        city, above = company.city, above[:-1]
    return Details(
        name=company.invoice_name or company.name,
        street=above[0] if above else "",
        extra="\n".join(above[1:]),
        postal_code=postal_code,
        city=city,
        country=company.country,
        email=company.invoice_email or "",
        vat_id=company.vat_id or "",
    )


def _town(line: str, country: str) -> tuple[str, str]:
    """``10115 Berlin``, ``D-10115 Berlin``, ``1011 AB Amsterdam``, ``110 00 Praha`` → code and town; '' without one."""
    words = line.split()
    size = 0
    while size < min(2, len(words) - 1) and any(char.isdigit() for char in words[size]):
        size += 1
    if size == 0 and len(words) > 2 and words[0].isupper() and words[1].isdigit():  # VLT 1117 Valletta
        size = 2
    if country == "NL" and size == 1 and len(words) > 2 and len(words[1]) == 2 and words[1].isupper():
        size = 2
    return " ".join(words[:size]), " ".join(words[size:]) if size else ""


def recipients(company: Company) -> list[str]:
    """Who gets the documents: the address for invoices, else the owners, else the company."""
    if company.invoice_email:
        return [company.invoice_email]
    owners = db.session.scalars(
        select(PortalUser.email)
        .where(PortalUser.company_id == company.id, PortalUser.role == "owner", PortalUser.is_active)
        .order_by(PortalUser.id)
    )
    return list(owners) or [email for email in (company.email,) if email]


def change(details: Details) -> Company:
    """Write the invoice address. Raises ``DomainError`` beside ``vat_id`` where the id cannot be right."""
    row = company()
    before = asdict(of(row))
    row.vat_id = check_vat_id(details.vat_id, details.country) or None
    row.invoice_name, row.invoice_email = details.name, details.email or None
    row.invoice_address = "\n".join([*details.lines, f"{details.postal_code} {details.city}"])
    row.country = details.country
    db.session.flush()
    after = asdict(of(row))
    changed = [field.name for field in fields(Details) if before[field.name] != after[field.name]]
    if changed:
        audit.record(
            "company.billing_details_changed",
            row,
            company_id=row.id,
            old={name: before[name] for name in changed},
            new={name: after[name] for name in changed},
        )
    return row


def check_vat_id(text: str, country: str) -> str:
    """A VAT id of ``country`` in its compact form ('' stays ''): checked by its state's own rule within the Union."""
    compact = clean(text, " -./").upper()
    if not compact:
        return ""
    if country not in EU:
        if compact.isalnum() and compact.isascii() and 4 <= len(compact) <= LONGEST_VAT_ID:
            return compact
        raise DomainError(_("This is no VAT id."), "vat_id")
    prefix = GREECE if country == "GR" else country
    number = compact if compact[:2] == prefix else prefix + compact
    try:
        return str(eu_vat.validate(number))
    except ValidationError as error:
        message = _("This VAT id is not right: it begins with %(prefix)s and has a check digit.", prefix=prefix)
        raise DomainError(message, "vat_id") from error
