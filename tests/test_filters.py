"""What templates write."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from flask import Flask, g, render_template_string
from flask_babel import Babel

from portal import filters, i18n

MOMENT = datetime(2026, 11, 28, 13, 5, tzinfo=UTC)
NIGHT = datetime(2027, 10, 31, 0, 30, tzinfo=UTC)


@pytest.fixture
def write():
    """Render one expression in a language, without anything else of the application."""
    made = Flask(__name__)
    made.secret_key = "test"
    i18n.init_app(made, Babel())
    filters.init_app(made)

    def written(expression, language="de", company=None, zone=None, **values):
        with made.test_request_context(f"/?lang={language}"):
            g.company = company
            i18n.set_zone(zone)
            return render_template_string("{{ " + expression + " }}", **values)

    return written


@pytest.mark.parametrize(
    ("expression", "german", "english"),
    [
        ("x|money", "1.234,56\u00a0€", "€1,234.56"),
        ("x|money(sign=True)", "+1.234,56\u00a0€", "+€1,234.56"),
        ("(-x)|money", "\u22121.234,56\u00a0€", "\u2212€1,234.56"),
        ("(x / 1000)|rate", "1,2346\u00a0€", "€1.2346"),
        ("x|typed_amount", "1234,56", "1234.56"),
        ("x|number", "1.234,56", "1,234.56"),
        ("x|number(1)", "1.234,6", "1,234.6"),
        ("0.052|percent(1)", "5,2\u00a0%", "5.2%"),
        ("157|duration", "2:37", "2:37"),
        ("t|when", "28.11.2026, 14:05", "28\u00a0Nov\u00a02026, 14:05"),
        ("t|clock", "14:05", "14:05"),
        ("nine|clock", "09:00", "09:00"),
        ("t|clock_span(later)", "14:05–14:08", "14:05–14:08"),
        ("t|day", "28.11.2026", "28\u00a0Nov\u00a02026"),
        ("t|short_day", "28.11.", "28\u00a0Nov"),
        ("old|near_day", "28.11.2019", "28\u00a0Nov\u00a02019"),
        ("t|weekday_day", "Sa.,\u00a028.11.", "Sat\u00a028\u00a0Nov"),
        ("d|weekday_day", "Di.,\u00a024.11.", "Tue\u00a024\u00a0Nov"),
        ("d|long_day", "Dienstag, 24. November", "Tuesday, 24 November"),
        ("d|long_day(year=True)", "Dienstag, 24. November 2026", "Tuesday, 24 November 2026"),
        ("d|month", "November 2026", "November 2026"),
        ("6|weekday", "Sa.", "Sat"),
        ("d|weekday(full=True)", "Dienstag", "Tuesday"),
        ("t|zone_name", "MEZ", "CET"),
        ("night|clock", "02:30\u00a0MESZ", "02:30\u00a0CEST"),
        ("night|clock(named=False)", "02:30", "02:30"),
        ("night|when", "31.10.2027, 02:30\u00a0MESZ", "31\u00a0Oct\u00a02027, 02:30\u00a0CEST"),
        ("night|change_note", "MESZ → MEZ", "CEST → CET"),
        ("d|change_note", "", ""),
        ("t|isotime", "2026-11-28T14:05:00+01:00", "2026-11-28T14:05:00+01:00"),
        ("d|isotime", "2026-11-24", "2026-11-24"),
        ("t|ago(now=later)", "vor 3 Minuten", "3 minutes ago"),
        ("t|ago(short=True, now=later)", "vor 3 Min.", "3 min ago"),
        ("t|ago(now=later + week)", "28.11.2026", "28\u00a0Nov\u00a02026"),
        ("later|ago(now=t)", "in 3 Minuten", "in 3 minutes"),
        ("'Frau Voss möchte Strähnchen'|truncate(18)", "Frau Voss möchte …", "Frau Voss möchte …"),
        ("'+49231274870'|phone", "0231 274870", "0231 274870"),
        ("language()", "de", "en"),
    ],
)
def test_both_languages(write, expression, german, english):
    values = {
        "x": Decimal("1234.56"), "t": MOMENT, "later": MOMENT + timedelta(minutes=3), "d": date(2026, 11, 24),
        "nine": time(9), "night": NIGHT, "old": date(2019, 11, 28), "week": timedelta(days=7),
    }  # fmt: skip
    assert write(expression, "de", **values) == german
    assert write(expression, "en", **values) == english


@pytest.mark.parametrize(
    "name",
    sorted(
        function.__name__
        for function in filters.FILTERS
        if function.__name__ not in {"phone", "clock_span", "change_note"}
    ),
)
def test_nothing_is_written_as_nothing(write, name):
    assert write(f"none|{name}") == ""


@pytest.mark.parametrize("number", [None, "", "anonymous", "+266696687"])
def test_a_withheld_number_is_a_name(write, number):
    assert write("n|phone", "en", n=number) == "Withheld number"


def test_now_is_just_now(write):
    assert write("t|ago(now=t)", "en", t=MOMENT) == "just now"


def test_ago_counts_from_the_present(write):
    assert write("t|ago", "de", t=datetime.now(UTC) - timedelta(hours=2, minutes=1)) == "vor 2 Stunden"


def test_numbers_are_shown_for_the_companys_country(write):
    austria = SimpleNamespace(country="AT", timezone="Europe/Vienna")
    assert write("'+49231274870'|phone", company=austria) == "+49 231 274870"
    assert write("'+4315880400'|phone", company=austria) == "01 5880400"


def test_times_follow_the_page_and_rows_may_have_their_own_zone(write):
    assert write("t|clock", zone="Europe/London", t=MOMENT) == "13:05"
    assert write("t|clock(zone='Europe/London')", t=MOMENT) == "13:05"
    assert write("t|when('America/New_York')", t=MOMENT) == "28.11.2026, 08:05"
    assert write("t|weekday_day('Asia/Tokyo')", t=datetime(2026, 11, 28, 20, tzinfo=UTC)) == "So.,\u00a029.11."


def test_naive_times_do_not_reach_a_page(write):
    with pytest.raises(ValueError, match="naive"):
        write("t|when", t=datetime(2026, 11, 28, 13, 5))  # noqa: DTZ001


def test_a_constant_is_written_in_each_readers_language(app: Flask) -> None:
    template = app.jinja_env.from_string("{{ 1000|number }}")
    for language, shown in (("de", "1.000"), ("en", "1,000"), ("de", "1.000")):
        with app.test_request_context(), i18n.speaking(language, "Europe/Berlin"):
            assert template.render() == shown
