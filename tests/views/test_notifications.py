"""Bell, list and choices as a browser meets them."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.db import db, utcnow
from portal.domain import notifications
from portal.models import Notification
from portal.tenancy import tenant_scope
from tests.cast import Cast, Firm
from tests.conftest import PortalClient
from tests.factories import within
from tests.queries import Queries

LIST = "/notifications"


def tell(firm: Firm, user_id: int, title: str = "Beschwerde", **values: str) -> int:
    within(firm, lambda: notifications.notify([user_id], "x", "call", title, **values))  # type: ignore[arg-type]
    with tenant_scope(firm.id):
        return db.session.scalars(select(Notification.id).order_by(Notification.id.desc()).limit(1)).one()


def unread(firm: Firm, user_id: int) -> int:
    db.session.rollback()
    with tenant_scope(firm.id):
        return notifications.unread_count(user_id, utcnow())


def rows_in(page: str) -> list[str]:
    """The list's rows, without the bell's."""
    return re.findall(r"<li.*?</li>", page.partition("<main")[2], re.DOTALL)


# ---- The list ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["owner", "manager", "staff", "bookkeeper"])
def test_everybody_of_a_company_has_a_list_of_their_own(client: PortalClient, cast: Cast, role: str) -> None:
    user = cast.salon.users[role]
    tell(cast.salon, user.id, "für mich")
    tell(cast.praxis, cast.praxis.users[role].id, "für andere")
    page = client.sign_in(user).get(LIST)
    assert page.status_code == 200
    assert "für mich" in page.text
    assert "für andere" not in page.text


@pytest.mark.parametrize("path", [LIST, f"{LIST}/1", f"{LIST}/bell"])
def test_strangers_and_operators_have_none(client: PortalClient, cast: Cast, path: str) -> None:
    assert client.get(path).location.startswith("/login")
    assert client.sign_in(cast.operator).get(path).status_code == 403


def test_an_empty_list_says_so(client: PortalClient, cast: Cast) -> None:
    page = client.sign_in(cast.salon.owner).get(LIST).text
    assert "Nichts Neues" in page
    assert "Alle als gelesen markieren" not in page


def test_unread_ones_are_marked_in_colour_and_in_words(client: PortalClient, cast: Cast) -> None:
    owner = cast.salon.owner
    first = tell(cast.salon, owner.id, "alt")
    tell(cast.salon, owner.id, "neu", body="Näheres")
    within(cast.salon, lambda: notifications.open_one(owner.id, first, utcnow()))
    newest, oldest = rows_in(client.sign_in(owner).get(LIST).text)[:2]
    assert 'class="live"' in newest
    assert "(ungelesen)" in newest
    assert "Näheres" in newest
    assert "ungelesen" not in oldest


def test_a_long_list_has_pages(client: PortalClient, cast: Cast) -> None:
    def work() -> None:
        for number in range(70):
            db.session.add(
                Notification(
                    company_id=cast.salon.id,
                    portal_user_id=cast.salon.owner.id,
                    type="x",
                    category="team",
                    title=f"Nummer-{number}-",
                    created_at=utcnow() - timedelta(minutes=number),
                )
            )

    within(cast.salon, work)
    client.sign_in(cast.salon.owner)
    seen: list[str] = []
    address: str | None = LIST
    for _page in range(3):
        assert address
        page = client.get(address).text
        seen += re.findall(r"Nummer-(\d+)-", page.partition("<main")[2])
        older = re.search(r'href="([^"]+)" rel="next"', page)
        address = older[1] if older else None
    assert [int(number) for number in seen] == list(range(70))
    assert address is None


def test_words_of_others_are_shown_as_words(client: PortalClient, cast: Cast) -> None:
    tell(cast.salon, cast.salon.owner.id, "<script>alert(1)</script>")
    page = client.sign_in(cast.salon.owner).get(LIST).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_the_list_asks_the_database_at_most_twelve_times(client: PortalClient, cast: Cast) -> None:
    client.sign_in(cast.salon.owner)
    client.get(LIST)
    with Queries() as few:
        client.get(LIST)
    for _ in range(8):
        tell(cast.salon, cast.salon.owner.id)
    with Queries() as many:
        client.get(LIST)
    assert 0 < len(few) == len(many) <= 12


# ---- Opening and reading ----------------------------------------------------------------------------------


def test_one_click_leads_to_what_it_is_about_and_reads_it(client: PortalClient, cast: Cast) -> None:
    owner = cast.salon.owner
    one = tell(cast.salon, owner.id, action_url="/calls/17")
    answer = client.sign_in(owner).get(f"{LIST}/{one}")
    assert (answer.status_code, answer.location) == (303, "/calls/17")
    assert unread(cast.salon, owner.id) == 0


def test_one_without_a_page_leads_back_to_the_list(client: PortalClient, cast: Cast) -> None:
    one = tell(cast.salon, cast.salon.owner.id)
    assert client.sign_in(cast.salon.owner).get(f"{LIST}/{one}").location == LIST


def test_somebody_elses_is_like_none_at_all(client: PortalClient, cast: Cast) -> None:
    mine = tell(cast.salon, cast.salon.manager.id)
    foreign = tell(cast.praxis, cast.praxis.owner.id)
    client.sign_in(cast.salon.owner)
    answers = [client.get(f"{LIST}/{number}") for number in (mine, foreign, 987654321)]
    assert {answer.status_code for answer in answers} == {404}
    assert unread(cast.salon, cast.salon.manager.id) == 1


def test_all_are_read_with_one_button(client: PortalClient, cast: Cast) -> None:
    for user in (cast.salon.owner, cast.salon.owner, cast.salon.manager):
        tell(cast.salon, user.id)
    client.sign_in(cast.salon.owner)
    assert "2 ungelesen" in client.get(LIST).text
    assert client.post(f"{LIST}/read").status_code == 303
    assert (unread(cast.salon, cast.salon.owner.id), unread(cast.salon, cast.salon.manager.id)) == (0, 1)
    assert "Alle gelesen" in client.get(LIST).text


# ---- The bell ---------------------------------------------------------------------------------------------


def test_the_bell_of_every_page_shows_how_many_and_the_newest_five(client: PortalClient, cast: Cast) -> None:
    for number in range(6):
        tell(cast.salon, cast.salon.owner.id, f"Nummer-{number}-")
    page = client.sign_in(cast.salon.owner).get("/customers").text
    bell = page.partition('id="bell"')[2].partition("Alle Mitteilungen")[0]
    assert 'aria-label="Mitteilungen, 6 ungelesen"' in bell
    assert re.findall(r"Nummer-(\d)-", bell) == ["5", "4", "3", "2", "1"]


def test_the_bell_answers_204_until_something_changes(client: PortalClient, cast: Cast) -> None:
    owner = cast.salon.owner
    first = client.sign_in(owner).htmx("GET", f"{LIST}/bell")
    assert "<html" not in first.text
    version = re.search(r"\?v=([^\"]+)", first.text)
    assert version
    address = f"{LIST}/bell?v={version[1]}"
    assert client.htmx("GET", address).status_code == 204
    tell(cast.salon, cast.salon.manager.id)
    assert client.htmx("GET", address).status_code == 204
    tell(cast.salon, owner.id)
    assert client.htmx("GET", address).status_code == 200


def test_a_part_reads_no_bell(client: PortalClient, cast: Cast) -> None:
    client.sign_in(cast.salon.owner)
    with Queries() as asked:
        client.htmx("GET", "/customers")
    assert not [statement for statement in asked if "notifications" in statement]


def test_operators_have_no_bell(client: PortalClient, cast: Cast) -> None:
    assert 'id="bell"' not in client.sign_in(cast.operator).get("/operator").text


# ---- Choices ----------------------------------------------------------------------------------------------


def test_the_matrix_shows_what_one_can_be_told_about(client: PortalClient, cast: Cast) -> None:
    for role, categories in (("owner", 5), ("manager", 3), ("staff", 2), ("bookkeeper", 1)):
        page = client.sign_in(cast.salon.users[role]).get(LIST).text
        assert len(re.findall(r'type="checkbox"', page)) == 2 * categories


def test_choices_are_saved_for_oneself_alone(client: PortalClient, cast: Cast) -> None:
    client.sign_in(cast.salon.owner)
    answer = client.post(f"{LIST}/preferences", data={"billing-bell": "on", "call-mail": "on"})
    assert answer.status_code == 303
    with tenant_scope(cast.salon.id):
        mine, others = (notifications.choices(user.id) for user in (cast.salon.owner, cast.salon.manager))
    assert mine == {
        "billing": {"bell"},
        "call": {"mail"},
        "appointment": set(),
        "team": set(),
        "system": set(),
    }
    assert others["call"] == {"bell"}
    page = client.get(LIST).text
    assert re.search(r'name="billing-bell"[^>]* checked', page)
    assert not re.search(r'name="billing-mail"[^>]* checked', page)


def test_what_the_page_does_not_show_stays_as_it_was(client: PortalClient, cast: Cast) -> None:
    client.sign_in(cast.salon.bookkeeper).post(f"{LIST}/preferences", data={})
    with tenant_scope(cast.salon.id):
        found = notifications.choices(cast.salon.bookkeeper.id)
    assert found["billing"] == set()
    assert found["system"] == {"bell", "mail"}


def test_without_a_token_nothing_changes(client: PortalClient, cast: Cast) -> None:
    tell(cast.salon, cast.salon.owner.id)
    client.sign_in(cast.salon.owner)
    client.csrf = False
    for path in ("read", "preferences"):
        assert client.post(f"{LIST}/{path}").status_code == 400
    assert unread(cast.salon, cast.salon.owner.id) == 1
