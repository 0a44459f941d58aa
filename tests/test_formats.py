"""Money, numbers, days and times in both languages."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal import formats

BERLIN = ZoneInfo("Europe/Berlin")
SATURDAY = date(2026, 11, 28)
D = Decimal


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "options", "german", "english"),
    [
        ("1234.56", {}, "1.234,56\u00a0€", "€1,234.56"),
        ("44.58", {}, "44,58\u00a0€", "€44.58"),
        ("50", {"sign": True}, "+50,00\u00a0€", "+€50.00"),
        ("-1.10", {"sign": True}, "\u22121,10\u00a0€", "\u2212€1.10"),
        ("-1.10", {}, "\u22121,10\u00a0€", "\u2212€1.10"),
        ("0", {}, "0,00\u00a0€", "€0.00"),
        ("0", {"sign": True}, "0,00\u00a0€", "€0.00"),
        ("-0.00", {}, "0,00\u00a0€", "€0.00"),
        ("-0.004", {"sign": True}, "0,00\u00a0€", "€0.00"),
        ("0.005", {}, "0,01\u00a0€", "€0.01"),
        ("1234567.80", {}, "1.234.567,80\u00a0€", "€1,234,567.80"),
        ("0.4200", {"up_to": 4}, "0,42\u00a0€", "€0.42"),
        ("0.4205", {"up_to": 4}, "0,4205\u00a0€", "€0.4205"),
        ("1.099", {"up_to": 4}, "1,099\u00a0€", "€1.099"),
        ("0.001", {"up_to": 4, "sign": True}, "+0,001\u00a0€", "+€0.001"),
    ],
)
def test_money(value, options, german, english):
    assert formats.money(D(value), "de", **options) == german
    assert formats.money(D(value), "en", **options) == english


@pytest.mark.parametrize(
    ("value", "places", "german", "english"),
    [
        (1234, None, "1.234", "1,234"),
        (-12, None, "\u221212", "\u221212"),
        (D("10.60"), None, "10,6", "10.6"),
        (D("10.605"), None, "10,61", "10.61"),
        (D("10.6"), 2, "10,60", "10.60"),
        (4.25, 1, "4,3", "4.3"),
        (0, None, "0", "0"),
        (-0.001, None, "0", "0"),
        (1_000_000, 0, "1.000.000", "1,000,000"),
    ],
)
def test_numbers(value, places, german, english):
    assert formats.number(value, "de", places) == german
    assert formats.number(value, "en", places) == english


@pytest.mark.parametrize(
    ("share", "places", "german", "english"),
    [
        (D("0.64"), 0, "64\u00a0%", "64%"),
        (0.052, 1, "5,2\u00a0%", "5.2%"),
        (D("0.19"), 0, "19\u00a0%", "19%"),
        (1, 0, "100\u00a0%", "100%"),
        (D("0.005"), 0, "1\u00a0%", "1%"),
        (D("-0.12"), 0, "\u221212\u00a0%", "\u221212%"),
    ],
)
def test_shares(share, places, german, english):
    assert formats.percent(share, "de", places) == german
    assert formats.percent(share, "en", places) == english


def test_amounts_for_form_fields_have_no_separators_of_thousands():
    assert formats.typed_amount(D("1234.5"), "de") == "1234,50"
    assert formats.typed_amount(D("1234.5"), "en") == "1234.50"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (7, "0:07"), (60, "1:00"), (157, "2:37"), (3599, "59:59"), (3757, "1:02:37"), (-3, "0:00")],
)
def test_durations(seconds, text):
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(
    ("function", "german", "english"),
    [
        (formats.day, "28.11.2026", "28\u00a0Nov\u00a02026"),
        (formats.short_day, "28.11.", "28\u00a0Nov"),
        (formats.weekday_day, "Sa.,\u00a028.11.", "Sat\u00a028\u00a0Nov"),
        (formats.long_day, "Samstag, 28. November", "Saturday, 28 November"),
        (formats.month, "November 2026", "November 2026"),
        (formats.weekday, "Sa.", "Sat"),
    ],
)
def test_days(function, german, english):
    assert function(SATURDAY, "de", BERLIN) == german
    assert function(SATURDAY, "en", BERLIN) == english


def test_long_forms():
    assert formats.long_day(date(2026, 11, 24), "de", BERLIN) == "Dienstag, 24. November"
    assert formats.long_day(date(2026, 11, 24), "de", BERLIN, year=True) == "Dienstag, 24. November 2026"
    assert formats.long_day(date(2026, 11, 24), "en", BERLIN, year=True) == "Tuesday, 24 November 2026"
    assert formats.weekday(SATURDAY, "de", BERLIN, full=True) == "Samstag"
    assert formats.month(date(2027, 3, 1), "de", BERLIN) == "März 2027"


def test_weekdays_by_their_iso_number():
    assert [formats.weekday(n, "de", BERLIN) for n in range(1, 8)] == ["Mo.", "Di.", "Mi.", "Do.", "Fr.", "Sa.", "So."]
    assert [formats.weekday(n, "en", BERLIN) for n in (1, 7)] == ["Mon", "Sun"]
    assert formats.weekday(3, "de", BERLIN, full=True) == "Mittwoch"
    with pytest.raises(ValueError, match="ISO weekday"):
        formats.weekday(0, "de", BERLIN)


def test_an_instant_belongs_to_the_day_of_its_zone():
    late = utc(2026, 11, 28, 23, 30)
    assert formats.weekday_day(late, "de", BERLIN) == "So.,\u00a029.11."
    assert formats.weekday_day(late, "de", ZoneInfo("UTC")) == "Sa.,\u00a028.11."
    assert formats.local_day(late, BERLIN) == date(2026, 11, 29)


def test_times_have_24_hours_in_both_languages():
    moment = utc(2026, 11, 22, 13, 5)
    assert formats.clock(moment, "de", BERLIN) == formats.clock(moment, "en", BERLIN) == "14:05"
    assert formats.when(moment, "de", BERLIN) == "22.11.2026, 14:05"
    assert formats.when(moment, "en", BERLIN) == "22\u00a0Nov\u00a02026, 14:05"
    assert formats.clock(time(9, 0), "de", BERLIN) == "09:00"
    assert formats.span(moment, moment + timedelta(minutes=3), "de", BERLIN) == "14:05–14:08"


def test_naive_times_are_refused():
    naive = datetime(2026, 11, 22, 14, 5)  # noqa: DTZ001
    for function in (formats.clock, formats.when, formats.day, formats.zone_name):
        with pytest.raises(ValueError, match="naive"):
            function(naive, "de", BERLIN)


# ---- The two nights of 2027 ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instant", "german", "english"),
    [
        (utc(2027, 3, 27, 22, 59), "27.03.2027, 23:59", "27 Mar 2027, 23:59"),
        (utc(2027, 3, 27, 23, 0), "28.03.2027, 00:00 MEZ", "28 Mar 2027, 00:00 CET"),
        (utc(2027, 3, 28, 0, 59), "28.03.2027, 01:59 MEZ", "28 Mar 2027, 01:59 CET"),
        (utc(2027, 3, 28, 1, 0), "28.03.2027, 03:00 MESZ", "28 Mar 2027, 03:00 CEST"),
        (utc(2027, 3, 28, 21, 59), "28.03.2027, 23:59 MESZ", "28 Mar 2027, 23:59 CEST"),
        (utc(2027, 3, 28, 22, 0), "29.03.2027, 00:00", "29 Mar 2027, 00:00"),
        (utc(2027, 10, 30, 21, 59), "30.10.2027, 23:59", "30 Oct 2027, 23:59"),
        (utc(2027, 10, 30, 22, 0), "31.10.2027, 00:00 MESZ", "31 Oct 2027, 00:00 CEST"),
        (utc(2027, 10, 31, 0, 30), "31.10.2027, 02:30 MESZ", "31 Oct 2027, 02:30 CEST"),
        (utc(2027, 10, 31, 1, 30), "31.10.2027, 02:30 MEZ", "31 Oct 2027, 02:30 CET"),
        (utc(2027, 10, 31, 22, 59), "31.10.2027, 23:59 MEZ", "31 Oct 2027, 23:59 CET"),
        (utc(2027, 10, 31, 23, 0), "01.11.2027, 00:00", "1 Nov 2027, 00:00"),
    ],
)
def test_change_days_name_the_zone_and_others_do_not(instant, german, english):
    assert formats.when(instant, "de", BERLIN).replace("\u00a0", " ") == german
    assert formats.when(instant, "en", BERLIN).replace("\u00a0", " ") == english


def test_the_zone_can_be_asked_for_or_left_out():
    assert formats.clock(utc(2027, 10, 31, 1, 30), "de", BERLIN, named=False) == "02:30"
    assert formats.clock(utc(2026, 11, 22, 13, 5), "de", BERLIN, named=True) == "14:05\u00a0MEZ"


def test_a_span_names_the_zone_once_unless_it_crosses_the_change():
    assert formats.span(utc(2027, 3, 28, 8), utc(2027, 3, 28, 9), "de", BERLIN) == "10:00–11:00\u00a0MESZ"
    assert (
        formats.span(utc(2027, 3, 28, 0, 30), utc(2027, 3, 28, 1, 30), "de", BERLIN) == "01:30\u00a0MEZ–03:30\u00a0MESZ"
    )
    assert (
        formats.span(utc(2027, 10, 31, 0, 30), utc(2027, 10, 31, 1, 30), "de", BERLIN)
        == "02:30\u00a0MESZ–02:30\u00a0MEZ"
    )


def test_headings_of_change_days_say_what_happens():
    assert formats.change_note(date(2027, 3, 28), "de", BERLIN) == "MEZ → MESZ"
    assert formats.change_note(date(2027, 10, 31), "en", BERLIN) == "CEST → CET"
    assert formats.change_note(date(2027, 10, 30), "de", BERLIN) == ""


def test_zones_elsewhere():
    summer = utc(2027, 7, 1, 12)
    assert formats.zone_name(summer, "de", ZoneInfo("Europe/Lisbon")) == "WESZ"
    assert formats.zone_name(summer, "de", ZoneInfo("Europe/London")) == "BST"
    assert formats.zone_name(summer, "en", ZoneInfo("America/Sao_Paulo")) == "UTC\u22123"
    assert formats.zone_name(summer, "en", ZoneInfo("Asia/Dubai")) == "UTC+4"
    assert formats.zone_name(summer, "en", ZoneInfo("UTC")) == "UTC"


# ---- How long ago ---------------------------------------------------------------------------------------

NOW = utc(2026, 11, 24, 9, 20)


@pytest.mark.parametrize(
    ("back", "german", "short", "english"),
    [
        (timedelta(seconds=59), "", "", ""),
        (timedelta(seconds=60), "vor 1 Minute", "vor 1 Min.", "1 minute ago"),
        (timedelta(minutes=24, seconds=59), "vor 24 Minuten", "vor 24 Min.", "24 minutes ago"),
        (timedelta(minutes=59), "vor 59 Minuten", "vor 59 Min.", "59 minutes ago"),
        (timedelta(minutes=119), "vor 1 Stunde", "vor 1 Std.", "1 hour ago"),
        (timedelta(hours=23, minutes=59), "vor 23 Stunden", "vor 23 Std.", "23 hours ago"),
        (timedelta(days=6, hours=23), "vor 6 Tagen", "vor 6 Tagen", "6 days ago"),
        (timedelta(days=40), "vor 40 Tagen", "vor 40 Tagen", "40 days ago"),
        (-timedelta(minutes=5), "in 5 Minuten", "in 5 Min.", "in 5 minutes"),
        (-timedelta(seconds=30), "", "", ""),
        (-timedelta(days=1, hours=3), "in 1 Tag", "in 1 Tag", "in 1 day"),
    ],
)
def test_how_long_ago(back, german, short, english):
    assert formats.relative(NOW - back, NOW, "de") == german
    assert formats.relative(NOW - back, NOW, "de", short=True) == short
    assert formats.relative(NOW - back, NOW, "en") == english


@given(st.decimals("-99999999", "99999999", places=2), st.booleans())
def test_money_never_shows_a_hyphen_or_a_space_that_breaks(value, sign):
    for language in ("de", "en"):
        shown = formats.money(value, language, sign=sign)
        assert "-" not in shown
        assert " " not in shown
        assert shown.startswith("\u2212") == (value < 0)
        assert shown.startswith("+") == (sign and value > 0)
