"""What happens to money: Sessions are paid, declined or expire, debits settle or bounce, refunds take back."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from tests.fake_stripe.blanks import CHARGE_CARD, CHARGE_SEPA, EVIDENCE, METHOD_CARD, METHOD_SEPA, OUTCOME
from tests.fake_stripe.store import Store, random_id
from tests.fake_stripe.wire import JSON, ApiError, invalid, missing

Emit = Callable[..., None]
Method = Literal["card", "sepa_debit"]
DISPUTE_FEE_DAYS = 7

# outcome → (error code, decline code, the sentence Stripe sends)
DECLINES: dict[str, tuple[str, str | None, str]] = {
    "generic_decline": ("card_declined", "generic_decline", "Your card was declined."),
    "insufficient_funds": ("card_declined", "insufficient_funds", "Your card has insufficient funds."),
    "lost_card": ("card_declined", "lost_card", "Your card was declined."),
    "stolen_card": ("card_declined", "stolen_card", "Your card was declined."),
    "do_not_honor": ("card_declined", "do_not_honor", "Your card was declined."),
    "expired_card": ("expired_card", "expired_card", "Your card has expired."),
    "processing_error": (
        "processing_error",
        "processing_error",
        "An error occurred while processing your card. Try again in a little bit.",
    ),
    "authentication_required": (
        "authentication_required",
        "authentication_required",
        "Your card was declined. This transaction requires authentication.",
    ),
}
BOUNCED = ("insufficient_funds", None, "The customer's account has insufficient funds to cover this payment.")
BEHAVIOURS = ("ok", *DECLINES, "bounces")


def declined(outcome: str) -> tuple[str, str | None, str]:
    if outcome not in DECLINES:
        raise invalid(f"Unknown outcome: {outcome}", param="outcome")
    return DECLINES[outcome]


class Payments:
    """The rules. `emit(type, object, previous=None)` records an event; the caller holds the lock and sends later."""

    def __init__(self, store: Store, emit: Emit) -> None:
        self.store = store
        self.emit = emit
        self.settle_after: float | None = None  # seconds until a debit settles by itself
        self.receipts = ""  # where the receipt pages are

    # ---------- payment methods ----------

    def new_method(self, kind: Method, customer: str | None = None, behaviour: str = "ok", **fields: Any) -> JSON:
        """A card ending 4242 or a mandate ending 3000. `behaviour` says how it answers when charged off-session."""
        if behaviour not in BEHAVIOURS:
            raise invalid(f"Unknown behaviour: {behaviour}", param="behaviour")
        base = METHOD_CARD if kind == "card" else METHOD_SEPA
        fields[kind] = {**base, "fingerprint": random_id("", 16)}
        method = self.store.new("payment_method", type=kind, **fields)
        self.store.side["behaviour"][method["id"]] = behaviour
        if customer:
            self.attach(method, customer)
        return method

    def attach(self, method: JSON, customer: str) -> JSON:
        owner = self.store.get("customer", customer, "customer")
        if method["customer"] not in {None, customer}:
            raise invalid("The payment method you provided has already been attached to a customer.")
        if method["customer"] is None:
            method["customer"] = customer
            method["billing_details"] = {**method["billing_details"], "name": owner["name"], "email": owner["email"]}
            self.emit("payment_method.attached", method)
        return method

    def detach(self, method: JSON) -> JSON:
        if method["customer"] is None:
            raise invalid("The payment method you provided is not attached to a customer so detachment is impossible.")
        before, method["customer"] = method["customer"], None
        self.emit("payment_method.detached", method, previous={"customer": before})
        return method

    # ---------- checkout sessions ----------

    def open_session(self, id: str) -> JSON:
        session = self.store.get("checkout.session", id, "session")
        if session["status"] != "open":
            raise invalid(f"This Session is {session['status']}; only an open Session can be changed.", param="session")
        return session

    def pay(self, session_id: str, method: Method = "card", *, save: bool = False, later: str = "ok") -> JSON:
        """The person pays (or, in setup mode, saves) with a good card or a debit that stays pending."""
        session = self.open_session(session_id)
        if method not in session["payment_method_types"]:
            raise invalid(f"This Session does not accept {method}.", param="payment_method")
        if session["mode"] == "setup":
            return self._complete_setup(session, method, later)
        intent = self._intent_of(session)
        keep = save or intent["setup_future_usage"] is not None
        redisplay = "always" if save else "limited" if keep else "unspecified"
        made = self.new_method(method, session["customer"] if keep else None, later, allow_redisplay=redisplay)
        self._attempt(intent, made)
        self._complete(session, "paid" if method == "card" else "unpaid")
        return session

    def decline(self, session_id: str, outcome: str = "generic_decline") -> JSON:
        """The bank refuses; the Session stays open, and the person may try again."""
        session = self.open_session(session_id)
        method = self.new_method("card")
        if session["mode"] == "setup":
            self._refuse_setup(session, method, outcome)
        else:
            self._fail(self._intent_of(session), method, declined(outcome))
        return session

    def expire(self, session_id: str) -> JSON:
        session = self.open_session(session_id)
        session.update(status="expired", url=None)
        if session["payment_intent"]:
            self.cancel(self.store.get("payment_intent", session["payment_intent"]), "automatic")
        self.emit("checkout.session.expired", session)
        return session

    def _intent_of(self, session: JSON) -> JSON:
        """Made with the first attempt, not with the Session: so it is since 2022-08-01."""
        if session["payment_intent"]:
            return self.store.get("payment_intent", session["payment_intent"])
        wanted = self.store.side["intent_data"].pop(session["id"], {})
        intent = self.new_intent(
            amount=session["amount_total"],
            currency=session["currency"],
            customer=session["customer"],
            payment_method_types=session["payment_method_types"],
            description=wanted.get("description"),
            metadata=wanted.get("metadata", {}),
            receipt_email=wanted.get("receipt_email"),
            setup_future_usage=wanted.get("setup_future_usage"),
        )
        session["payment_intent"] = intent["id"]
        return intent

    def _complete(self, session: JSON, payment_status: str) -> None:
        customer = self.store.tables["customer"].get(session["customer"] or "", {})
        details = dict.fromkeys(("address", "business_name", "individual_name", "phone"))
        session["customer_details"] = {
            **details,
            "email": customer.get("email") or session["customer_email"],
            "name": customer.get("name"),
            "tax_exempt": "none",
            "tax_ids": [],
        }
        session.update(status="complete", payment_status=payment_status, url=None)
        self.emit("checkout.session.completed", session)

    def _complete_setup(self, session: JSON, method: Method, later: str) -> JSON:
        setup = self.store.get("setup_intent", session["setup_intent"])
        made = self.new_method(method, session["customer"], later, allow_redisplay="limited")
        mandate = random_id("mandate_") if method == "sepa_debit" else None
        setup.update(status="succeeded", payment_method=made["id"], mandate=mandate, last_setup_error=None)
        self.emit("setup_intent.succeeded", setup)
        self._complete(session, "no_payment_required")
        return session

    def _refuse_setup(self, session: JSON, method: JSON, outcome: str) -> None:
        code, decline_code, message = declined(outcome)
        setup = self.store.get("setup_intent", session["setup_intent"])
        error = {"code": code, "decline_code": decline_code, "message": message, "type": "card_error"}
        setup["last_setup_error"] = {**error, "payment_method": dict(method)}
        self.emit("setup_intent.setup_failed", setup)

    # ---------- payment intents ----------

    def new_intent(self, **fields: Any) -> JSON:
        intent = self.store.new("payment_intent", **fields)
        intent["client_secret"] = random_id(f"{intent['id']}_secret_")
        self.emit("payment_intent.created", intent)
        return intent

    def confirm(self, intent: JSON, *, off_session: bool) -> JSON:
        """Charges the intent's payment method. ApiError 402 with the intent inside when the bank refuses."""
        if intent["status"] not in {"requires_payment_method", "requires_confirmation"}:
            raise ApiError(
                400,
                f"You cannot confirm this PaymentIntent because it has a status of {intent['status']}.",
                code="payment_intent_unexpected_state",
                payment_intent=dict(intent),
            )
        if not intent["payment_method"]:
            raise invalid("You cannot confirm this PaymentIntent because it's missing a payment method.")
        method = self.store.get("payment_method", intent["payment_method"], "payment_method")
        behaviour = self.store.side["behaviour"].get(method["id"], "ok")
        if behaviour in DECLINES and (off_session or behaviour != "authentication_required"):
            self._fail(intent, method, declined(behaviour))
            raise self._refusal(intent)
        self._attempt(intent, method)
        return intent

    def _refusal(self, intent: JSON) -> ApiError:
        last = intent["last_payment_error"]
        return ApiError(
            402,
            last["message"],
            code=last["code"],
            decline_code=last.get("decline_code"),
            charge=intent["latest_charge"],
            payment_intent=dict(intent),
            payment_method=last["payment_method"],
        )

    def cancel(self, intent: JSON, reason: str | None = None) -> JSON:
        if intent["status"] in {"succeeded", "processing", "canceled"}:
            raise invalid(
                f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}.",
                code="payment_intent_unexpected_state",
            )
        intent.update(status="canceled", canceled_at=int(self.store.now()), cancellation_reason=reason)
        self.emit("payment_intent.canceled", intent)
        return intent

    def _attempt(self, intent: JSON, method: JSON) -> None:
        """A card succeeds at once; a debit is processing until settle() or bounce()."""
        intent.update(payment_method=method["id"], last_payment_error=None)
        charge = self._new_charge(intent, method)
        if method["type"] == "card":
            self._succeed(intent, charge)
            return
        intent["status"] = "processing"
        self.emit("charge.pending", charge)
        self.emit("payment_intent.processing", intent)
        if self.settle_after is not None:
            self.store.side["settle_at"][intent["id"]] = self.store.now() + self.settle_after

    def _succeed(self, intent: JSON, charge: JSON) -> None:
        charge.update(
            status="succeeded",
            paid=True,
            captured=True,
            amount_captured=charge["amount"],
            balance_transaction=random_id("txn_"),
            outcome=dict(OUTCOME),
            receipt_url=f"{self.receipts}/receipts/{charge['id']}",
        )
        intent.update(status="succeeded", amount_received=intent["amount"], processing=None)
        self.emit("charge.succeeded", charge)
        self.emit("payment_intent.succeeded", intent)

    def _fail(self, intent: JSON, method: JSON, why: tuple[str, str | None, str]) -> None:
        charge = self._new_charge(intent, method)
        self._note_failure(intent, charge, method, why)

    def _note_failure(self, intent: JSON, charge: JSON, method: JSON, why: tuple[str, str | None, str]) -> None:
        code, decline_code, message = why
        reason = decline_code or code
        refused = {"network_status": "declined_by_network", "reason": reason, "seller_message": message}
        charge.update(status="failed", paid=False, failure_code=code, failure_message=message)
        charge["outcome"] = {**OUTCOME, **refused, "type": "issuer_declined"}
        error = {"charge": charge["id"], "code": code, "message": message, "payment_method": dict(method)}
        error["type"] = "card_error" if method["type"] == "card" else "invalid_request_error"
        if decline_code:
            error["decline_code"] = decline_code
        intent.update(status="requires_payment_method", payment_method=None, last_payment_error=error, processing=None)
        self.emit("charge.failed", charge)
        self.emit("payment_intent.payment_failed", intent)

    def _new_charge(self, intent: JSON, method: JSON) -> JSON:
        kind = method["type"]
        fingerprint = {"fingerprint": method[kind]["fingerprint"]}
        if kind == "card":
            details = {**CHARGE_CARD, **fingerprint}
            details["overcapture"] = {"status": "unavailable", "maximum_amount_capturable": intent["amount"]}
        else:
            details = {**CHARGE_SEPA, **fingerprint, "mandate": random_id("mandate_")}
        charge = self.store.new(
            "charge",
            prefix="ch_" if kind == "card" else "py_",
            amount=intent["amount"],
            currency=intent["currency"],
            customer=intent["customer"],
            description=intent["description"],
            metadata=dict(intent["metadata"]),
            payment_intent=intent["id"],
            payment_method=method["id"],
            payment_method_details={"type": kind, kind: details},
            billing_details=dict(method["billing_details"]),
            receipt_email=intent["receipt_email"],
        )
        intent["latest_charge"] = charge["id"]
        return charge

    # ---------- debits, days later ----------

    def settle(self, id: str) -> JSON:
        """The debit arrives. `id` is that of the intent or of its Session."""
        intent, charge = self._processing(id)
        self._succeed(intent, charge)
        if session := self._session_of(intent):
            session["payment_status"] = "paid"
            self.emit("checkout.session.async_payment_succeeded", session)
        return intent

    def bounce(self, id: str) -> JSON:
        """The payer's bank sends the debit back before it was ever ours."""
        intent, charge = self._processing(id)
        method = self.store.get("payment_method", intent["payment_method"])
        self._note_failure(intent, charge, method, BOUNCED)
        if session := self._session_of(intent):
            self.emit("checkout.session.async_payment_failed", session)
        return intent

    def _processing(self, id: str) -> tuple[JSON, JSON]:
        if id.startswith("cs_"):
            id = self.store.get("checkout.session", id)["payment_intent"] or ""
        intent = self.store.get("payment_intent", id)
        if intent["status"] != "processing":
            raise invalid(f"This PaymentIntent is {intent['status']}, not processing.")
        self.store.side["settle_at"].pop(intent["id"], None)
        return intent, self.store.get("charge", intent["latest_charge"])

    def _session_of(self, intent: JSON) -> JSON | None:
        found = self.store.all("checkout.session", payment_intent=intent["id"])
        return found[0] if found else None

    def pass_time(self) -> None:
        """Expires Sessions whose time is up and settles debits that are due by themselves."""
        now = self.store.now()
        for session in self.store.all("checkout.session", status="open"):
            if session["expires_at"] <= now:
                self.expire(session["id"])
        for intent_id, due in list(self.store.side["settle_at"].items()):
            if due > now:
                continue
            method = self.store.get("payment_intent", intent_id)["payment_method"]
            bad = self.store.side["behaviour"].get(method) == "bounces"
            self.bounce(intent_id) if bad else self.settle(intent_id)

    # ---------- money going back ----------

    def charge_of(self, id: str) -> JSON:
        """The charge meant by a charge's, an intent's or a Session's id."""
        if id.startswith("cs_"):
            id = self.store.get("checkout.session", id)["payment_intent"] or ""
        if id.startswith("pi_"):
            id = self.store.get("payment_intent", id, "payment_intent")["latest_charge"] or ""
        return self.store.get("charge", id, "charge")

    def refund(self, id: str, amount: int | None = None, reason: str | None = None, **fields: Any) -> JSON:
        """Cents; without `amount` all that is left. A card's refund succeeds at once, a debit's is pending first."""
        charge = self.charge_of(id)
        left = charge["amount"] - charge["amount_refunded"]
        self._refuse_refund(charge, left, amount)
        kind = charge["payment_method_details"]["type"]
        destination: JSON = {"type": kind}
        if kind == "card":
            destination["card"] = {
                "type": "refund",
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
            }
        refund = self.store.new(
            "refund",
            prefix="re_" if kind == "card" else "pyr_",
            amount=left if amount is None else amount,
            currency=charge["currency"],
            charge=charge["id"],
            payment_intent=charge["payment_intent"],
            balance_transaction=random_id("txn_"),
            destination_details=destination,
            reason=reason,
            status="succeeded" if kind == "card" else "pending",
            **fields,
        )
        self.emit("refund.created", refund)
        self._count_refunds(charge)
        return refund

    def _refuse_refund(self, charge: JSON, left: int, amount: int | None) -> None:
        if charge["status"] != "succeeded":
            raise invalid(f"Charge {charge['id']} has not been paid and cannot be refunded.", param="charge")
        if charge["disputed"]:
            raise invalid(
                f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
            )
        if left == 0:
            raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
        if amount is not None and not 1 <= amount <= left:
            message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
            raise invalid(message, param="amount")

    def _count_refunds(self, charge: JSON) -> None:
        given = [
            one["amount"]
            for one in self.store.all("refund", charge=charge["id"])
            if one["status"] in {"succeeded", "pending"}
        ]
        before = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
        charge.update(amount_refunded=sum(given), refunded=sum(given) == charge["amount"])
        if charge["amount_refunded"] > before["amount_refunded"]:
            self.emit("charge.refunded", charge, previous=before)
        else:
            self.emit("charge.updated", charge, previous=before)

    def finish_refund(self, refund_id: str, status: str) -> JSON:
        """`succeeded`, or `failed`: then the money is back with us and the charge counts it as not refunded."""
        refund = self.store.get("refund", refund_id)
        before = {"status": refund["status"]}
        if status not in {"succeeded", "failed"} or (refund["status"], status) == ("failed", "succeeded"):
            raise invalid(f"A refund that is {refund['status']} cannot become {status}.")
        refund["status"] = status
        if status == "failed":
            refund.update({"failure_reason": "declined", "failure_balance_transaction": random_id("txn_")})
        self.emit("refund.updated", refund, previous=before)
        if status == "failed":
            self.emit("refund.failed", refund, previous=before)
            self._count_refunds(self.store.get("charge", refund["charge"]))
        return refund

    def dispute(self, id: str, amount: int | None = None, reason: str = "fraudulent") -> JSON:
        """The payer's bank takes the money back. Of a debit there is no appeal: it is lost at once."""
        charge = self.charge_of(id)
        if charge["status"] != "succeeded" or charge["disputed"]:
            raise invalid(f"Charge {charge['id']} cannot be disputed.", param="charge")
        debit = charge["payment_method_details"]["type"] == "sepa_debit"
        card = {"brand": "visa", "case_type": "chargeback", "network": "visa", "network_reason_code": "10.4"}
        made = self.store.new(
            "dispute",
            amount=charge["amount"] - charge["amount_refunded"] if amount is None else amount,
            currency=charge["currency"],
            charge=charge["id"],
            payment_intent=charge["payment_intent"],
            reason="debit_not_authorized" if debit else reason,
            evidence={**EVIDENCE, "customer_name": charge["billing_details"]["name"]},
            payment_method_details=None if debit else {"type": "card", "card": card},
        )
        due = datetime.fromtimestamp(self.store.now(), UTC) + timedelta(days=DISPUTE_FEE_DAYS)
        made["evidence_details"]["due_by"] = None if debit else int(due.timestamp())
        charge["disputed"] = True
        self.emit("charge.dispute.created", made)
        self.emit("charge.dispute.funds_withdrawn", made)
        if debit:
            self.close_dispute(made["id"], "lost")
        return made

    def close_dispute(self, id: str, status: str = "lost") -> JSON:
        if id not in self.store.tables["dispute"]:
            raise missing("dispute", id)
        dispute = self.store.get("dispute", id)
        if status not in {"won", "lost"} or dispute["status"] in {"won", "lost"}:
            raise invalid(f"This dispute is {dispute['status']}; it cannot become {status}.")
        before = {"status": dispute["status"]}
        dispute["status"] = status
        if status == "won":
            self.emit("charge.dispute.funds_reinstated", dispute, previous=before)
        self.emit("charge.dispute.closed", dispute, previous=before)
        return dispute
