"""python -m tests.fake_stripe: the simulator on an address of its own. Prints that address once it answers."""

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from werkzeug.serving import BaseWSGIServer, make_server

from tests.fake_stripe import DEFAULT_SECRET, Simulator, create_fake_stripe


def options(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fake_stripe", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 = any free one")
    parser.add_argument("--webhook-url", help="where signed events go, e.g. http://127.0.0.1:8000/webhooks/stripe")
    parser.add_argument("--secret", default=DEFAULT_SECRET, help="signs the webhooks")
    parser.add_argument("--state", type=Path, help="file that keeps everything over a restart")
    parser.add_argument("--public-url", help="address that browsers use, if it is not the one the portal uses")
    parser.add_argument(
        "--settle-after", type=float, default=60.0, help="seconds until a debit settles; negative = never"
    )
    return parser.parse_args(argv)


def build(wanted: argparse.Namespace) -> tuple[Simulator, BaseWSGIServer]:
    sim = create_fake_stripe(
        webhook_url=wanted.webhook_url,
        secret=wanted.secret,
        state_file=wanted.state,
        base_url=wanted.public_url.rstrip("/") if wanted.public_url else None,
        settle_after=wanted.settle_after if wanted.settle_after >= 0 else None,
    )
    server = make_server(wanted.host, wanted.port, sim.app, threaded=True)
    sim.payments.receipts = sim.base_url or f"http://{wanted.host}:{server.port}"
    return sim, server


def main(argv: Sequence[str] | None = None) -> int:
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    wanted = options(argv)
    sim, server = build(wanted)

    def leave(signum: int, frame: FrameType | None) -> None:
        # shutdown() waits for the loop that this very thread is running: so ask for it from another one
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    sim.start()
    print(f"Stripe simulator: http://{wanted.host}:{server.port}", flush=True)
    server.serve_forever()
    sim.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
