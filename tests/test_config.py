"""Settings: wrong ones are refused before anything starts, all of them at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from config import DEV_ENCRYPTION_KEY, Seller, Settings, SettingsError

GOOD = Settings(
    portal_env="production",
    database_url="mysql+pymysql://portal@db/empfang",
    secret_key="x" * 40,
    encryption_keys=(Fernet.generate_key().decode(),),
    portal_base_url="https://portal.example",
    stripe_secret_key="sk_live_x",
    stripe_webhook_secret="whsec_x",
    smtp_url="smtp://mail",
    seller=Seller("Firma GmbH", "Weg 1", "12345", "Ort", "DE", "1/2/3", "", "a@firma.example", "+49 30 1"),
)


def test_the_defaults_serve_development_and_never_production() -> None:
    Settings.from_env({}).check()
    with pytest.raises(SettingsError) as refusal:
        Settings.from_env({"PORTAL_ENV": "production"}).check()
    for name in ("SECRET_KEY", "ENCRYPTION_KEYS", "DATABASE_URL", "PORTAL_BASE_URL", "STRIPE", "SMTP_URL", "SELLER"):
        assert name in str(refusal.value)


def test_good_settings_pass() -> None:
    assert GOOD.check() is GOOD


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"encryption_keys": (DEV_ENCRYPTION_KEY,)}, "ENCRYPTION_KEYS"),
        ({"secret_key": "short"}, "SECRET_KEY"),
        ({"portal_base_url": "http://portal.example"}, "PORTAL_BASE_URL"),
        ({"stripe_api_base": "http://127.0.0.1:1", "stripe_secret_key": "sk_test_x"}, "STRIPE_API_BASE"),
        ({"stripe_api_base": "http://127.0.0.1:1"}, "live key"),
        ({"stripe_webhook_secret": "whsec_demo"}, "STRIPE_WEBHOOK_SECRET"),
        ({"stripe_webhook_secret": ""}, "STRIPE_WEBHOOK_SECRET"),
        ({"encryption_keys": ("nonsense",)}, "ENCRYPTION_KEYS"),
        ({"encryption_keys": ()}, "ENCRYPTION_KEYS"),
        ({"database_url": "postgresql://x"}, "DATABASE_URL"),
        ({"portal_env": "staging"}, "PORTAL_ENV"),
        ({"recording_hosts": ("127.0.0.1:8080",)}, "RECORDING_HOSTS"),
        ({"seller": Seller()}, "SELLER_NAME"),
        ({"seller": replace(GOOD.seller, street=Seller().street)}, "SELLER_STREET"),
        ({"seller": replace(GOOD.seller, tax_number=Seller().tax_number, vat_id=Seller().vat_id)}, "SELLER_VAT_ID"),
    ],
)
def test_each_wrong_setting_is_named(change: dict[str, object], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        replace(GOOD, **change).check()


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from a file\n")
    assert Settings.from_env({"SECRET_KEY_FILE": str(secret)}).secret_key == "from a file"
    assert Settings.from_env({"SECRET_KEY": "direct", "SECRET_KEY_FILE": str(secret)}).secret_key == "direct"
    with pytest.raises(SettingsError, match="SECRET_KEY_FILE"):
        Settings.from_env({"SECRET_KEY_FILE": str(tmp_path / "missing")})


def test_lists_addresses_and_the_seller_are_read_from_the_environment() -> None:
    read = Settings.from_env(
        {
            "ENCRYPTION_KEYS": "a, b",
            "PORTAL_BASE_URL": "https://portal.example/",
            "SELLER_NAME": "Firma GmbH",
            "SELLER_SMALL_BUSINESS": "yes",
        }
    )
    assert read.encryption_keys == ("a", "b")
    assert read.portal_base_url == "https://portal.example"
    assert (read.seller.name, read.seller.small_business) == ("Firma GmbH", True)
