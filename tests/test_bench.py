"""The measurements run, and tell what they promise."""

from __future__ import annotations

import pytest

from bench import __main__ as measure
from bench.pages import PAGES


def test_every_page_is_measured_for_both_companies(engine_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = measure.main(["--db", engine_name, "--calls-small", "60", "--calls-large", "400", "--runs", "2"])
    told = capsys.readouterr().out
    assert status == 0, told
    lines = {page.name: line for page in PAGES for line in told.splitlines() if line.startswith(f"{page.name}  ")}
    assert set(lines) == {page.name for page in PAGES}
    for line in lines.values():
        assert line.count("/") >= 5


@pytest.mark.slow
def test_charges_are_counted_and_add_up(engine_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = measure.main(["charges", "--db", engine_name, "--companies", "2", "--processes", "2", "--charges", "8"])
    told = capsys.readouterr().out
    assert status == 0, told
    assert told.count("by the portal") == 2
    assert told.count("bare loop") == (2 if engine_name == "mariadb" else 0)
