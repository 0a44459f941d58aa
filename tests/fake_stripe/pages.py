"""The Checkout page, the receipt and the control page: plain HTML without script, German or English."""

from datetime import datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from flask import Blueprint, Flask, Response, abort, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from tests.fake_stripe.core import FakeStripe
from tests.fake_stripe.payments import DECLINES, Method
from tests.fake_stripe.texts import labels, language, money
from tests.fake_stripe.wire import JSON, ApiError

METHODS: dict[str, Method] = {"card": "card", "sepa": "sepa_debit"}
LATER = ("ok", "generic_decline", "insufficient_funds", "expired_card", "authentication_required", "bounces")


def register(app: Flask, sim: FakeStripe) -> None:
    app.register_blueprint(_checkout(sim))
    app.register_blueprint(_receipts(sim))
    app.after_request(_safe)


def _safe(response: Response) -> Response:
    """No script, no foreign files; a form may lead back only to where the Session itself returns."""
    if response.mimetype != "text/html":
        return response
    goals = " ".join(["'self'", *sorted(response.headers.pop("X-Form-Goals", "").split())])
    nothing = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    response.headers["Content-Security-Policy"] = (
        f"{nothing}; style-src 'self'; img-src 'self' data:; form-action {goals}"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _checkout(sim: FakeStripe) -> Blueprint:
    pages = Blueprint("checkout", __name__)

    @pages.get("/c/pay/<id>")
    def show(id: str) -> Response:
        sim.tick()
        return _page(sim, _session(sim, id))

    @pages.post("/c/pay/<id>")
    def act(id: str) -> AnyResponse:
        session = _session(sim, id)
        try:
            return _act(sim, session, request.form.get("outcome", ""))
        except ApiError:  # somebody was faster, or the back button: show how it is now
            return redirect(f"/c/pay/{id}", 303)

    return pages


def _session(sim: FakeStripe, id: str) -> JSON:
    try:
        return sim.get(id, "checkout.session")
    except ApiError:
        abort(404)


def _act(sim: FakeStripe, session: JSON, outcome: str) -> AnyResponse:
    id = session["id"]
    if outcome == "pay":
        later = request.form.get("later", "ok")
        method = METHODS.get(request.form.get("method", "card"), "card")
        sim.pay(id, method, save="save" in request.form, later=_fitting(method, later))
        return redirect(_goal(session["success_url"], id), 303)
    if outcome == "decline":
        sim.decline(id)
        return _page(sim, sim.get(id), status=402, declined=True)
    if outcome == "expire":
        sim.expire(id)
    elif outcome == "settle":
        sim.settle(id)
    elif outcome == "bounce":
        sim.bounce(id)
    return redirect(f"/c/pay/{id}", 303)


def _fitting(method: Method, later: str) -> str:
    """A card can't be returned, a debit can't be declined: the nearest that the chosen method can do."""
    if method == "sepa_debit":
        return "ok" if later == "ok" else "bounces"
    return "generic_decline" if later == "bounces" else later if later in DECLINES else "ok"


def _goal(url: str, session_id: str) -> str:
    return url.replace("{CHECKOUT_SESSION_ID}", session_id)


def _page(sim: FakeStripe, session: JSON, status: int = 200, declined: bool = False) -> Response:
    lang = language(session["locale"], request.accept_languages.best)
    html = render_template(
        "fake_stripe/checkout.html",
        s=session,
        t=labels(lang),
        lang=lang,
        state=_state(sim, session),
        payer=_payer(sim, session),
        lines=sim.store.lines(session["id"])["data"],
        money=lambda cents: money(cents, session["currency"], lang),
        until=_clock(session["expires_at"], lang),
        back=_goal(session["cancel_url"] or "", session["id"]),
        onward=_goal(session["success_url"], session["id"]),
        declined=declined,
        keeps=_keeps(sim, session),
        later=LATER,
        settle_after=None if sim.payments.settle_after is None else round(sim.payments.settle_after),
    )
    goals = {_origin(session["success_url"]), _origin(session["cancel_url"] or "")} - {""}
    return Response(html, status, headers={"X-Form-Goals": " ".join(goals)}, content_type="text/html; charset=utf-8")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def _state(sim: FakeStripe, session: JSON) -> str:
    """open, expired, paid, saved, pending or failed: what the page has to show."""
    if session["status"] != "complete":
        return str(session["status"])
    if session["mode"] == "setup":
        return "saved"
    intent = sim.get(session["payment_intent"])
    return {"succeeded": "paid", "processing": "pending"}.get(intent["status"], "failed")


def _payer(sim: FakeStripe, session: JSON) -> str:
    customer = sim.store.tables["customer"].get(session["customer"] or "", {})
    return customer.get("name") or session["customer_email"] or ""


def _keeps(sim: FakeStripe, session: JSON) -> str:
    """`always`: the method is kept for later; `asks`: the person is asked; empty: it isn't kept."""
    wanted = sim.store.side["intent_data"].get(session["id"], {})
    if session["mode"] == "setup" or wanted.get("setup_future_usage"):
        return "always"
    if session["payment_intent"] and sim.get(session["payment_intent"])["setup_future_usage"]:
        return "always"
    asks = (session["saved_payment_method_options"] or {}).get("payment_method_save") == "enabled"
    return "asks" if asks and session["customer"] else ""


def _clock(seconds: int, lang: str) -> str:
    when = datetime.fromtimestamp(seconds, ZoneInfo("Europe/Berlin"))
    return when.strftime("%d.%m.%Y, %H:%M" if lang == "de" else "%d/%m/%Y, %H:%M")


def _receipts(sim: FakeStripe) -> Blueprint:
    pages = Blueprint("receipts", __name__)

    @pages.get("/receipts/<id>")
    def show(id: str) -> str:
        charge = sim.store.tables["charge"].get(id)
        if charge is None or not charge["paid"]:
            abort(404)
        lang = language(None, request.accept_languages.best)
        return render_template(
            "fake_stripe/receipt.html",
            c=charge,
            t=labels(lang),
            lang=lang,
            amount=money(charge["amount"], charge["currency"], lang),
            when=_clock(charge["created"], lang),
        )

    return pages
