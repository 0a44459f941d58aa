"""``flask demo``: data to look at."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import click
from flask.cli import AppGroup

from portal import settings
from portal.db import utcnow

demo = AppGroup("demo", help="Data to look at; refused in production.")
COMMANDS = [demo]


@demo.command("seed")
@click.option("--large", is_flag=True, help="Many companies besides, one of them with very many calls.")
@click.option("--companies", default=200, show_default=True, type=click.IntRange(1), help="With --large.")
@click.option("--calls", default=1_000_000, show_default=True, type=click.IntRange(1), help="With --large.")
def seed(large: bool, companies: int, calls: int) -> None:
    """Put the demo's data in; what is there already stays as it is."""
    # Here, because no other process needs the demo's story.
    from portal.demo import large as large_data
    from portal.demo import seed as seed_data

    if settings().production:
        raise click.ClickException("This is production: the demo's people and their password stay out of it.")
    with Bars() as bars:
        written = seed_data.seed(utcnow(), bars)
        try:
            written += large_data.seed(utcnow(), bars, companies, calls) if large else []
        except large_data.Unfinished as error:
            raise click.ClickException(str(error)) from error
    click.echo(f"Written: {', '.join(written)}" if written else "The demo's data is here already; nothing was changed.")


@demo.command("call")
@click.option("--url", envvar="PORTAL_DEMO_URL", help="Where the demo runs; found by itself after make run.")
@click.option("--speed", default=1.0, show_default=True, type=click.FloatRange(0.1, 1000), help="2 is twice as fast.")
def call(url: str | None, speed: float) -> None:
    """Play one AI call against the running demo, at speaking pace."""
    from random import SystemRandom

    from portal.demo import call as demo_call

    if settings().production:
        raise click.ClickException("This is production: calls are made by callers here.")
    where = (url or demo_call.running_at() or "").rstrip("/")
    if not where:
        raise click.ClickException("The demo is not running here: start it with make run, or name it with --url.")
    rng = SystemRandom()
    click.echo(f"Open {where}/calls as owner@salon-morgenrot.example to see it live.\n")
    try:
        script = demo_call.prepare(utcnow(), rng)
        demo_call.Player(where, speed, click.echo, hosts=settings().recording_hosts).play(script, rng)
    except demo_call.CallError as error:
        raise click.ClickException(str(error)) from error
    found = demo_call.call_row_id(script.call_id)
    click.echo(f"\nThe call: {where}/calls{f'/{found}' if found else ''}")


class Bars:
    """Progress on the terminal, one bar after the other."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._bar: Any = None

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def begin(self, label: str, steps: int) -> None:
        self._open.close()
        self._bar = self._open.enter_context(click.progressbar(length=steps, label=f"{label:<28}"))

    def step(self, count: int = 1) -> None:
        self._bar.update(count)
