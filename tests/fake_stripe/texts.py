"""The simulator's own words in German and English. It is no part of the portal and has no catalogue."""

from decimal import Decimal
from typing import Any

WORDS: dict[str, dict[str, str]] = {
    "de": {
        "title_pay": "Zahlung (Simulation)",
        "title_setup": "Zahlungsmittel merken (Simulation)",
        "simulation": "Simulation: hier wird nichts bezahlt. Sie entscheiden, was die Bank antwortet.",
        "cancel": "Abbrechen",
        "for": "Zahlung von",
        "setup_head": "Zahlungsmittel für spätere Aufladungen",
        "setup_sum": "Heute wird nichts abgebucht",
        "total": "Zu zahlen",
        "reference": "Beleg",
        "session": "Sitzung",
        "valid_until": "Gültig bis",
        "how": "Womit bezahlen?",
        "how_setup": "Womit später bezahlen?",
        "card": "Karte",
        "card_hint": "4242 4242 4242 4242, sofort bezahlt",
        "card_hint_setup": "4242 4242 4242 4242",
        "sepa": "SEPA-Lastschrift",
        "sepa_hint": "DE89 3704 0044 0532 0130 00, erst unterwegs",
        "sepa_hint_auto": "DE89 3704 0044 0532 0130 00, erst unterwegs, nach %s Sekunden bezahlt",
        "sepa_hint_setup": "DE89 3704 0044 0532 0130 00",
        "save": "Für spätere Zahlungen merken",
        "will_save": "Das Zahlungsmittel wird für spätere Zahlungen gemerkt.",
        "later": "Bei späteren Abbuchungen",
        "later_ok": "wird gezahlt",
        "later_generic_decline": "lehnt die Bank ab",
        "later_insufficient_funds": "reicht das Konto nicht",
        "later_expired_card": "ist die Karte abgelaufen",
        "later_authentication_required": "verlangt die Bank eine Bestätigung",
        "later_bounces": "kommt die Lastschrift zurück",
        "pay_button": "%s bezahlen",
        "setup_button": "Zahlungsmittel merken",
        "otherwise": "oder etwas anderes geschehen lassen",
        "decline": "Bank lehnt ab",
        "expire": "Zeit läuft ab",
        "declined_head": "Die Bank hat abgelehnt.",
        "declined_body": "Es wurde nichts gebucht. Versuchen Sie es noch einmal oder brechen Sie ab.",
        "footer": "Sendet dieselben signierten Meldungen wie im Betrieb, auch doppelt und in falscher Reihenfolge.",
        "back": "Zurück zum Portal",
        "done_paid": "Bezahlt",
        "done_saved": "Zahlungsmittel gemerkt",
        "done_pending": "Lastschrift unterwegs",
        "done_failed": "Lastschrift zurückgekommen",
        "done_expired": "Diese Sitzung ist abgelaufen",
        "pending_body": "Der Auftrag ist erteilt, das Geld noch nicht da. Was soll geschehen?",
        "pending_auto": "Ohne Zutun kommt das Geld nach %s Sekunden an.",
        "settle": "Geld kommt an",
        "bounce": "Lastschrift kommt zurück",
        "control": "Steuerung der Simulation",
        "receipt": "Quittung (Simulation)",
        "paid_on": "Bezahlt am",
    },
    "en": {
        "title_pay": "Payment (simulation)",
        "title_setup": "Save a payment method (simulation)",
        "simulation": "Simulation: nothing is paid here. You decide what the bank answers.",
        "cancel": "Cancel",
        "for": "Payment by",
        "setup_head": "Payment method for later top-ups",
        "setup_sum": "Nothing is charged today",
        "total": "To pay",
        "reference": "Reference",
        "session": "Session",
        "valid_until": "Valid until",
        "how": "How do you want to pay?",
        "how_setup": "How do you want to pay later?",
        "card": "Card",
        "card_hint": "4242 4242 4242 4242, paid at once",
        "card_hint_setup": "4242 4242 4242 4242",
        "sepa": "SEPA direct debit",
        "sepa_hint": "DE89 3704 0044 0532 0130 00, pending first",
        "sepa_hint_auto": "DE89 3704 0044 0532 0130 00, pending first, paid after %s seconds",
        "sepa_hint_setup": "DE89 3704 0044 0532 0130 00",
        "save": "Save for later payments",
        "will_save": "The payment method is saved for later payments.",
        "later": "When charged later",
        "later_ok": "it is paid",
        "later_generic_decline": "the bank declines",
        "later_insufficient_funds": "there is not enough money",
        "later_expired_card": "the card has expired",
        "later_authentication_required": "the bank asks for a confirmation",
        "later_bounces": "the debit is returned",
        "pay_button": "Pay %s",
        "setup_button": "Save payment method",
        "otherwise": "or let something else happen",
        "decline": "Bank declines",
        "expire": "Time runs out",
        "declined_head": "The bank has declined.",
        "declined_body": "Nothing was charged. Try again, or cancel.",
        "footer": "Sends the same signed messages as the real service, also twice and in the wrong order.",
        "back": "Back to the portal",
        "done_paid": "Paid",
        "done_saved": "Payment method saved",
        "done_pending": "Debit under way",
        "done_failed": "Debit returned",
        "done_expired": "This session has expired",
        "pending_body": "The debit is ordered, the money has not arrived. What shall happen?",
        "pending_auto": "Left alone, the money arrives after %s seconds.",
        "settle": "Money arrives",
        "bounce": "Debit is returned",
        "control": "Control of the simulation",
        "receipt": "Receipt (simulation)",
        "paid_on": "Paid on",
    },
}


def language(locale: str | None, accepted: str | None) -> str:
    """`de` or `en`, by the Session's locale, else by the browser's."""
    chosen = locale if locale not in {None, "auto"} else accepted
    return "de" if (chosen or "").lower().startswith("de") else "en"


def money(cents: int | None, currency: str | None, lang: str) -> str:
    """11900, "eur" → "119,00 €" or "€119.00"."""
    if cents is None:
        return ""
    euros = f"{Decimal(cents).scaleb(-2):,.2f}"
    sign = "€" if (currency or "eur") == "eur" else (currency or "").upper() + " "
    if lang == "de":
        return euros.translate(str.maketrans(",.", ".,")) + "\u00a0" + sign.strip()
    return sign + euros


def labels(lang: str) -> Any:
    return WORDS[lang]
