"""Settings, read once from the environment and checked before anything starts.

Every secret may come from a file instead: ``NAME_FILE=/run/secrets/name`` is read where ``NAME`` is not set.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.fernet import Fernet

ROOT = Path(__file__).resolve().parent
INSTANCE = ROOT / "instance"

# Known to everybody who reads this file, so production refuses them.
DEV_SECRET_KEY = "development-only-secret-key"
DEV_ENCRYPTION_KEY = "ZGV2ZWxvcG1lbnQtb25seS1rZXktMzItYnl0ZXMhISE="
DEMO_STRIPE_WEBHOOK_SECRET = "whsec_demo"


class SettingsError(RuntimeError):
    """Settings are wrong or missing; the message names every one of them."""


@dataclass(frozen=True)
class Seller:
    """The issuer of invoices, as § 14 UStG wants it on the document."""

    name: str = "Empfang Demo GmbH"
    street: str = "Musterstraße 1"
    postal_code: str = "10115"
    city: str = "Berlin"
    country: str = "DE"
    tax_number: str = "30/123/45678"
    vat_id: str = "DE123456788"
    email: str = "rechnung@empfang.example"
    phone: str = "+49 30 1234567"
    small_business: bool = False


@dataclass(frozen=True)
class Settings:
    """All settings of one process. Names are those of the environment in lower case."""

    portal_env: str = "development"
    database_url: str = f"sqlite:///{INSTANCE / 'empfang.sqlite'}"
    secret_key: str = DEV_SECRET_KEY
    encryption_keys: tuple[str, ...] = (DEV_ENCRYPTION_KEY,)
    portal_base_url: str = "http://127.0.0.1:8000"
    stripe_secret_key: str = ""
    stripe_webhook_secret: str = ""
    stripe_api_base: str = ""
    retell_api_base: str = ""
    calcom_api_base: str = "https://api.cal.com"
    smtp_url: str = ""
    mail_from: str = "Empfang <empfang@localhost>"
    product_name: str = "Empfang"
    metrics_token: str = ""
    recordings_dir: str = str(INSTANCE / "recordings")
    recording_hosts: tuple[str, ...] = ()
    seller: Seller = field(default_factory=Seller)

    @property
    def production(self) -> bool:
        return self.portal_env == "production"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the environment; what is not set keeps its default."""
        env = os.environ if environ is None else environ
        given = {name: _read(env, name.upper()) for name in cls.__dataclass_fields__ if name != "seller"}
        if given["portal_env"] in {"", "development"}:
            given |= {name: given[name] or _made_by_the_demo(name) for name in ("secret_key", "encryption_keys")}
        values: dict[str, object] = {name: value for name, value in given.items() if value}
        if keys := given.get("encryption_keys"):
            values["encryption_keys"] = tuple(key.strip() for key in keys.split(",") if key.strip())
        if hosts := given.get("recording_hosts"):
            values["recording_hosts"] = tuple(host.strip() for host in hosts.split(",") if host.strip())
        if url := given.get("portal_base_url"):
            values["portal_base_url"] = url.rstrip("/")
        return cls(seller=_seller(env), **values)  # type: ignore[arg-type]

    def check(self) -> Settings:
        """Return these settings, or raise :class:`SettingsError` naming all that is wrong."""
        problems = _shape_problems(self) + (_production_problems(self) if self.production else [])
        if problems:
            raise SettingsError("Refusing to start:\n" + "\n".join(f"- {line}" for line in problems))
        return self


def _read(env: Mapping[str, str], name: str) -> str:
    if value := env.get(name):
        return value
    if path := env.get(f"{name}_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{name}_FILE cannot be read: {error}") from error
    return ""


def _made_by_the_demo(name: str) -> str:
    """The demo makes its own keys; a command typed beside it must read what the demo wrote."""
    path = INSTANCE / name
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def _seller(env: Mapping[str, str]) -> Seller:
    given = {name: _read(env, f"SELLER_{name.upper()}") for name in Seller.__dataclass_fields__}
    values: dict[str, object] = {name: value for name, value in given.items() if value}
    if given["tax_number"] or given["vat_id"]:
        # One of the two is enough, and the demo's must not stand beside a real one.
        values |= {"tax_number": given["tax_number"], "vat_id": given["vat_id"]}
    values["small_business"] = given["small_business"].lower() in {"1", "true", "yes", "on"}
    return Seller(**values)  # type: ignore[arg-type]


def _shape_problems(s: Settings) -> list[str]:
    problems = []
    if s.portal_env not in {"development", "test", "production"}:
        problems.append("PORTAL_ENV must be development, test or production")
    if not s.database_url.startswith(("sqlite:///", "mysql+pymysql://", "mariadb+pymysql://")):
        problems.append("DATABASE_URL must be sqlite:///…, mysql+pymysql://… or mariadb+pymysql://…")
    if urlsplit(s.portal_base_url).scheme not in {"http", "https"}:
        problems.append("PORTAL_BASE_URL must be an http(s) address")
    if not s.encryption_keys or not all(_is_fernet_key(key) for key in s.encryption_keys):
        problems.append(
            "ENCRYPTION_KEYS must be Fernet keys (32 bytes, base64), comma separated, the writing one first"
        )
    if s.stripe_api_base and s.stripe_secret_key.startswith(("sk_live", "rk_live")):
        problems.append("STRIPE_API_BASE points at a simulator while STRIPE_SECRET_KEY is a live key")
    if s.retell_api_base and not _keeps_keys(s.retell_api_base):
        problems.append("RETELL_API_BASE must be an https address, or http on this machine")
    if s.stripe_secret_key and not s.stripe_webhook_secret:
        problems.append("STRIPE_WEBHOOK_SECRET is missing: unsigned events are never accepted")
    return problems


def _production_problems(s: Settings) -> list[str]:
    problems = []
    if s.secret_key == DEV_SECRET_KEY or len(s.secret_key) < 32:
        problems.append("SECRET_KEY must be set to 32 or more random characters")
    if DEV_ENCRYPTION_KEY in s.encryption_keys:
        problems.append("ENCRYPTION_KEYS must be set; the development key is public")
    if s.database_url.startswith("sqlite"):
        problems.append("DATABASE_URL must name a MySQL or MariaDB database")
    if not s.portal_base_url.startswith("https://"):
        problems.append("PORTAL_BASE_URL must be https")
    if s.recording_hosts:
        problems.append("RECORDING_HOSTS lets recordings be fetched from inside; it is for development only")
    if s.stripe_api_base:
        problems.append("STRIPE_API_BASE (the Stripe simulator) is for development only")
    if not s.stripe_secret_key:
        problems.append("STRIPE_SECRET_KEY is missing")
    if s.stripe_webhook_secret == DEMO_STRIPE_WEBHOOK_SECRET:
        problems.append("STRIPE_WEBHOOK_SECRET is the demo's")
    if not s.smtp_url:
        problems.append("SMTP_URL is missing")
    demo = Seller()
    named = ("name", "street", "postal_code", "city", "email", "phone")
    missing = [name for name in named if getattr(s.seller, name) == getattr(demo, name)]
    problems += [f"SELLER_{name.upper()} is missing: invoices need a real issuer" for name in missing]
    if s.seller.tax_number == demo.tax_number and s.seller.vat_id == demo.vat_id:
        problems.append("SELLER_TAX_NUMBER or SELLER_VAT_ID is missing: invoices need one of them")
    return problems


def _keeps_keys(address: str) -> bool:
    """Whether a key may travel there: encrypted, or without leaving this machine."""
    parts = urlsplit(address)
    own_machine = parts.hostname in {"127.0.0.1", "localhost", "::1"}
    return parts.scheme == "https" or (parts.scheme == "http" and own_machine)


def _is_fernet_key(key: str) -> bool:
    try:
        Fernet(key)
    except ValueError:
        return False
    return True
