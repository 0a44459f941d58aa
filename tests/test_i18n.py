"""Which language and which zone a page speaks."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from flask import Flask, g
from flask_babel import Babel, get_timezone
from flask_login import LoginManager, UserMixin, login_user

from portal import i18n


@dataclass
class Person(UserMixin):
    language: str | None = None
    timezone: str | None = None
    id: int = 1


@pytest.fixture
def small_app():
    """An application with nothing but what decides about languages and zones."""
    made = Flask(__name__)
    made.secret_key = "test"
    manager = LoginManager(made)
    manager.user_loader(lambda _: None)
    i18n.init_app(made, Babel())
    made.add_url_rule("/", view_func=lambda: f"{i18n.language()} {i18n.zone().key}")
    return made


def spoken(app, *, user=None, path="/", session=None, company=None, **headers):
    """(language, zone) of one request."""
    with app.test_request_context(path, headers={name.replace("_", "-"): value for name, value in headers.items()}):
        from flask import session as current

        current.update(session or {})
        if user is not None:
            login_user(user)
        if company is not None:
            g.company = company
        return i18n.language(), i18n.zone().key


def test_german_and_berlin_unless_somebody_says_otherwise(small_app):
    assert spoken(small_app) == ("de", "Europe/Berlin")


@pytest.mark.parametrize(
    ("wish", "language"),
    [
        ("en", "en"),
        ("en-US,en;q=0.9", "en"),
        ("de-AT", "de"),
        ("de;q=0.5,en;q=0.9", "en"),
        ("fr", "de"),
        ("fr,en;q=0.2", "en"),
        ("*", "de"),
        ("", "de"),
        (";;;", "de"),
    ],
)
def test_the_browser_is_asked_by_strangers(small_app, wish, language):
    assert spoken(small_app, Accept_Language=wish)[0] == language


def test_the_address_counts_more_than_the_browser(small_app):
    assert spoken(small_app, path="/?lang=en")[0] == "en"
    assert spoken(small_app, path="/?lang=de", Accept_Language="en")[0] == "de"


def test_the_address_counts_more_than_the_session(small_app):
    assert spoken(small_app, path="/?lang=de", session={"lang": "en"})[0] == "de"
    assert spoken(small_app, session={"lang": "en"})[0] == "en"


@pytest.mark.parametrize("nonsense", ["fr", "", "EN", "../../etc", "de_DE"])
def test_languages_that_we_do_not_speak_are_passed_over(small_app, nonsense):
    assert spoken(small_app, path=f"/?lang={nonsense}", session={"lang": nonsense})[0] == "de"
    assert spoken(small_app, user=Person(language=nonsense), Accept_Language="en")[0] == "en"


def test_a_signed_in_person_has_the_first_word(small_app):
    assert spoken(small_app, user=Person(language="en"), path="/?lang=de", session={"lang": "de"})[0] == "en"
    assert spoken(small_app, user=Person(language="de"), Accept_Language="en")[0] == "de"


def test_the_address_is_remembered(small_app):
    client = small_app.test_client()
    assert client.get("/?lang=en").text == "en Europe/Berlin"
    assert client.get("/").text == "en Europe/Berlin"
    assert client.get("/?lang=xx").text == "en Europe/Berlin"
    assert client.get("/?lang=de").text == "de Europe/Berlin"
    assert client.get("/").text == "de Europe/Berlin"


def test_the_persons_zone_counts_more_than_the_companys(small_app):
    vienna = SimpleNamespace(timezone="Europe/Vienna", country="AT")
    assert spoken(small_app, company=vienna)[1] == "Europe/Vienna"
    assert spoken(small_app, user=Person(timezone="Europe/London"), company=vienna)[1] == "Europe/London"
    assert spoken(small_app, user=Person(), company=vienna)[1] == "Europe/Vienna"


@pytest.mark.parametrize("nonsense", ["Mars/Olympus", "", "../../etc/passwd", "/etc/passwd", "Europe"])
def test_zones_that_do_not_exist_are_passed_over(small_app, nonsense):
    assert spoken(small_app, user=Person(timezone=nonsense))[1] == "Europe/Berlin"


def test_a_branchs_zone_counts_most_and_can_be_taken_back(small_app):
    with small_app.test_request_context("/"):
        login_user(Person(timezone="Europe/London"))
        assert str(get_timezone()) == "Europe/London"
        i18n.set_zone("Europe/Lisbon")
        assert i18n.zone().key == str(get_timezone()) == "Europe/Lisbon"
        i18n.set_zone(None)
        assert i18n.zone().key == "Europe/London"


def test_the_zone_of_one_page_is_not_the_zone_of_the_next(small_app):
    small_app.add_url_rule("/branch", "branch", view_func=lambda: i18n.set_zone("Europe/Lisbon") or "")
    client = small_app.test_client()
    client.get("/branch")
    assert client.get("/").text == "de Europe/Berlin"


def test_mails_are_written_in_the_readers_language_and_zone(small_app):
    with small_app.app_context():
        with i18n.speaking("en", "Europe/London"):
            assert (i18n.language(), i18n.zone().key) == ("en", "Europe/London")
        assert (i18n.language(), i18n.zone().key) == ("de", "Europe/Berlin")
        with i18n.speaking("xx"):
            assert (i18n.language(), i18n.zone().key) == ("de", "Europe/Berlin")


def test_without_an_application_it_is_german_and_berlin():
    assert (i18n.language(), i18n.zone().key, i18n.country()) == ("de", "Europe/Berlin", "DE")


def test_without_a_login_manager_nobody_is_asked():
    bare = Flask(__name__)
    bare.secret_key = "test"
    i18n.init_app(bare, Babel())
    assert spoken(bare) == ("de", "Europe/Berlin")


def test_the_country_is_the_companys(small_app):
    with small_app.app_context():
        assert i18n.country() == "DE"
        g.company = SimpleNamespace(country="AT")
        assert i18n.country() == "AT"
        g.company = SimpleNamespace(country=None)
        assert i18n.country() == "DE"
