"""Short everyday calls, composed from phrases, so that a quarter of a year does not repeat sixty conversations."""

# ruff: noqa: E501 - a sentence stays whole
from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from portal.demo.dialogues import Dialogue, Turn

Choices = tuple[str, ...]

GREETINGS: dict[str, Choices] = {
    "salon": (
        "{company}, guten Tag! Sie sprechen mit der digitalen Assistentin. Das Gespräch wird aufgezeichnet, ist das in Ordnung?",
        "Guten Tag, {company}, hier ist die digitale Assistentin. Wir zeichnen das Gespräch auf, passt das für Sie?",
        "{company}, schön, dass Sie anrufen! Hier ist die digitale Assistentin. Darf das Gespräch aufgezeichnet werden?",
    ),
    "practice": (
        "{company}, guten Tag, hier ist die digitale Assistentin. Bei einem Notfall legen Sie bitte auf und wählen die eins eins zwei. Das Gespräch wird aufgezeichnet, ist das in Ordnung?",
        "Guten Tag, {company}, Sie sprechen mit der digitalen Assistentin. Im Notfall wählen Sie bitte die eins eins zwei. Ist es in Ordnung, wenn wir aufzeichnen?",
    ),
}  # fmt: skip
AGREED: Choices = (
    "Ja, kein Problem.",
    "Ja, ist gut.",
    "Passt schon.",
    "Jaja.",
    "Ja, in Ordnung.",
    "Klar.",
    "Meinetwegen.",
)
NAMED: Choices = (
    "{last_name} hier.", "Hier ist {first_name} {last_name}.", "{first_name} {last_name} mein Name.",
    "{last_name}, guten Tag.", "Guten Tag, {last_name}.",
)  # fmt: skip
GOODBYES: tuple[tuple[str, str], ...] = (
    ("Wunderbar, vielen Dank. Tschüss!", "Sehr gern. Auf Wiederhören!"),
    ("Super, danke. Bis dann!", "Bis dann, einen schönen Tag!"),
    ("Alles klar, danke schön. Wiederhören.", "Auf Wiederhören, {title} {last_name}."),
    ("Prima, das ging ja schnell.", "Das freut mich. Auf Wiederhören!"),
    ("Danke Ihnen. Schönen Tag noch!", "Danke, Ihnen auch!"),
    ("Gut, dann hab ich's. Tschüssi!", "Tschüss, {title} {last_name}!"),
)

# What people say for a service, after "Ich möchte gern …" and "Kann ich …".
WISHES: dict[str, Choices] = {
    "Damenhaarschnitt": (
        "mir die Spitzen schneiden lassen", "einen Damenhaarschnitt mit Waschen und Föhnen buchen",
        "die Haare wieder auf Schulterlänge bringen", "einen Termin zum Schneiden, der Pony hängt mir in den Augen",
        "mir Stufen schneiden lassen", "mir einen Bob schneiden lassen",
    ),
    "Herrenhaarschnitt": (
        "einen Haarschnitt, Seiten kurz, oben etwas länger", "mir die Haare schneiden lassen, wie immer",
        "einen Herrenhaarschnitt buchen", "einen Termin zum Nachschneiden", "mir mal wieder die Haare schneiden lassen",
    ),
    "Kinderhaarschnitt": (
        "meinem Sohn die Haare schneiden lassen", "einen Termin für meine Tochter, nur die Spitzen",
        "einen Kinderhaarschnitt buchen, sie ist fünf",
    ),
    "Farbberatung": (
        "mich wegen einer neuen Farbe beraten lassen", "eine Farbberatung buchen, ich möchte weg vom Schwarz",
        "mich beraten lassen, ob Blond bei mir überhaupt geht",
    ),
    "Strähnchen": (
        "meine Strähnchen auffrischen lassen", "Strähnchen am Oberkopf machen lassen",
        "einen Termin für Strähnchen, der Ansatz ist schon wieder da",
    ),
    "Hochsteckfrisur": (
        "eine Hochsteckfrisur für eine Hochzeit buchen", "mir die Haare hochstecken lassen, wir haben Abiball",
    ),
    "Bartpflege": (
        "mir den Bart in Form bringen lassen", "einen Termin für den Bart", "eine Bartpflege buchen, mit heißem Tuch",
    ),
    "Kontrolle": (
        "meinen Blutdruck kontrollieren lassen", "einen Termin zur Kontrolle, wie besprochen",
        "nach der Grippe noch einmal draufschauen lassen", "die neuen Tabletten besprechen",
    ),
    "Impfung": (
        "meine Tetanusimpfung auffrischen lassen", "mich gegen Grippe impfen lassen",
        "die zweite Impfung gegen FSME bekommen",
    ),
    "Blutabnahme": (
        "zur Blutabnahme kommen, die Frau Doktor wollte die Werte haben", "die Blutabnahme vom letzten Mal nachholen",
    ),
    "Check-up 35": ("den Check-up machen lassen", "zur Vorsorge kommen, das ist bei mir wieder dran"),
    "Erstgespräch": ("bei Ihnen aufgenommen werden", "einen ersten Termin, ich bin neu in der Stadt"),
}  # fmt: skip
OFFERS: Choices = (
    "Bei {staff} ist {date} um {time_spoken} frei.",
    "Ich kann Ihnen {date}, {time_spoken} bei {staff} anbieten.",
    "{date} um {time_spoken} hätte {staff} Zeit. Passt Ihnen das?",
    "Da wäre {date}, {time_spoken}, bei {staff}.",
)
ACCEPTED: Choices = (
    "Ja, das passt.", "Perfekt, nehm ich.", "Moment … ja, geht.", "Das ist gut, da hab ich frei.", "Ja, bitte.",
    "Etwas später ging's nicht? Na gut, passt auch.", "Da muss ich kurz schauen. Ja, das geht.",
)  # fmt: skip
CONFIRMED: Choices = (
    "Ist eingetragen, {title} {last_name}: {service} am {date} um {time_spoken}.",
    "Gebucht. {service}, {date}, {time_spoken} bei {staff}.",
    "Dann sehen wir Sie am {date} um {time_spoken}, {title} {last_name}.",
)
MOVE_REASONS: Choices = (
    "Dienst getauscht", "Kind krank", "Handwerkertermin", "Dienstreise", "Zahnarzttermin", "Besuch übers Wochenende",
    "Zug fällt aus", "Elternabend",
)  # fmt: skip
CANCEL_REASONS: Choices = (
    "krank", "beruflich verhindert", "Urlaub vorgezogen", "Kind krank", "kein Babysitter", "Termin vergessen",
    "verletzt", "Familienfeier",
)  # fmt: skip
QUESTIONS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "salon": (
        ("Haben Sie samstags auch auf?", "Samstags von neun bis sechzehn Uhr.", "Öffnungszeiten am Samstag"),
        ("Wie lange haben Sie heute offen?", "Montag bis Freitag bis neunzehn Uhr, samstags bis sechzehn Uhr.", "Öffnungszeiten"),
        ("Kann man bei Ihnen mit Karte zahlen?", "Ja, mit jeder gängigen Karte, und bar natürlich auch.", "Kartenzahlung"),
        ("Haben Sie zwischen den Jahren geöffnet?", "Das hängt von den Feiertagen ab. Ihre Filiale zeigt es im Fenster, und ich kann Ihnen gern einen Termin suchen.", "Öffnungszeiten an Feiertagen"),
        ("Gibt's bei Ihnen Parkplätze?", "Direkt vor der Tür nicht, aber ein Parkhaus ist drei Minuten entfernt.", "Parkplätze"),
        ("Verkaufen Sie auch Gutscheine?", "Ja, jeden Betrag ab zwanzig Euro, direkt im Salon.", "Gutscheine"),
    ),
    "practice": (
        ("Wann ist bei Ihnen Sprechstunde ohne Termin?", "Montag bis Freitag von acht bis neun Uhr.", "Sprechstunde ohne Termin"),
        ("Haben Sie nachmittags auch auf?", "Montag, Dienstag und Donnerstag von vierzehn bis achtzehn Uhr.", "Öffnungszeiten am Nachmittag"),
        ("Muss ich zur Blutabnahme nüchtern sein?", "Ja, bitte acht Stunden vorher nichts essen. Wasser ist erlaubt.", "nüchtern zur Blutabnahme"),
        ("Nehmen Sie noch neue Patienten auf?", "Ja. Wir beginnen mit einem Erstgespräch von dreißig Minuten.", "Aufnahme neuer Patienten"),
    ),
}  # fmt: skip
PRICES: tuple[tuple[str, str, str], ...] = (
    ("Was kostet bei Ihnen ein Herrenhaarschnitt?", "Vierunddreißig Euro, mit Waschen.", "Herrenhaarschnitt"),
    ("Was nehmen Sie für Waschen, Schneiden, Föhnen?", "Achtundfünfzig Euro für einen Damenhaarschnitt.", "Damenhaarschnitt"),
    ("Wie teuer ist die Bartpflege?", "Zweiundzwanzig Euro, mit heißem Tuch und Öl.", "Bartpflege"),
    ("Was kostet ein Kinderhaarschnitt?", "Vierundzwanzig Euro bis zwölf Jahre.", "Kinderhaarschnitt"),
)  # fmt: skip
CALLBACKS: dict[str, tuple[tuple[str, str], ...]] = {
    "salon": (
        ("Ich hab gestern meinen Schal bei Ihnen liegen lassen.", "Schal liegen gelassen"),
        ("Ich möchte wissen, welches Shampoo das beim letzten Mal war.", "Frage zum Shampoo"),
        ("Wir sind eine Hochzeitsgesellschaft, sechs Personen, das muss man wohl besprechen.", "Hochzeit, sechs Personen"),
        ("Meine Farbe wird so schnell blass, da wollte ich mal fragen.", "Farbe verblasst schnell"),
        ("Es geht um meine Bewerbung als Auszubildende.", "Bewerbung um Ausbildungsplatz"),
    ),
    "practice": (
        ("Ich wollte meine Befunde besprechen.", "Befunde besprechen"),
        ("Ich brauche ein Folgerezept.", "Folgerezept"),
        ("Ich brauche eine Überweisung zum Orthopäden.", "Überweisung zum Orthopäden"),
        ("Meine Krankenkasse will noch ein Formular von Ihnen.", "Formular für die Krankenkasse"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """What every composed call of a kind has in common."""

    intent: str
    expects: str
    summary: Choices


KINDS = {
    "book": Kind(
        "book_appointment",
        "appointment",
        (
            "{title} {last_name} bucht am Telefon: {service}, {date}, {time} Uhr bei {staff}.",
            "Termin vereinbart: {service}, {date}, {time} Uhr bei {staff}. {title} {last_name} war gleich einverstanden.",
        ),
    ),
    "move": Kind(
        "reschedule_appointment",
        "reschedule",
        ("{title} {last_name} verlegt den Termin ({reason}) auf {date}, {time} Uhr bei {staff}.",),
    ),
    "cancel": Kind(
        "cancel_appointment",
        "cancel",
        ("{title} {last_name} sagt den Termin am {date} um {time} Uhr bei {staff} ab ({reason}).",),
    ),
    "hours": Kind("opening_hours", "none", ("Frage und Antwort: {reason}.",)),
    "price": Kind("price_question", "none", ("Preisauskunft: {reason}.",)),
    "callback": Kind("callback_request", "followup", ("{title} {last_name} bittet um Rückruf: {reason}.",)),
}


def compose(kind: str, business: str, service: str | None, rng: Random) -> Dialogue:
    """A call of one of :data:`KINDS` with placeholders. ``service`` is what it is about, for those that have one."""
    made = _Composer(kind, business, service, rng)
    turns, custom, reason = getattr(made, kind)()
    described = KINDS[kind]
    summary = rng.choice(described.summary).replace("{reason}", reason)
    return Dialogue(
        id=f"{business}-{kind}",
        business=business,
        intent=described.intent,
        language="de",
        caller=None,
        sentiment=rng.choices(("positive", "neutral", "negative"), MOODS[kind])[0],
        successful=True,
        disconnection_reason=rng.choice(("user_hangup", "user_hangup", "agent_hangup")),
        service=service,
        staff=None,
        summary=summary,
        custom=custom,
        expects=described.expects,
        turns=turns,
    )


MOODS = {
    "book": (45, 53, 2),
    "move": (20, 75, 5),
    "cancel": (8, 82, 10),
    "hours": (25, 70, 5),
    "price": (15, 75, 10),
    "callback": (10, 75, 15),
}
Made = tuple[list[Turn], dict[str, Any], str]
_START = "{date_iso}T{time}:00"
_ZONE = {"time_zone": "Europe/Berlin"}
_WHO = "{first_name} {last_name}"


class _Composer:
    """Writes one call, phrase by phrase."""

    def __init__(self, kind: str, business: str, service: str | None, rng: Random) -> None:
        self.kind, self.business, self.service, self.rng = kind, business, service or "", rng

    def _pick(self, choices: Choices) -> str:
        return self.rng.choice(choices)

    def _opening(self, wish: str) -> list[Turn]:
        said = " ".join((self._pick(AGREED), self._pick(NAMED), wish))
        return [("agent", self._pick(GREETINGS[self.business])), ("user", said)]

    def _closing(self) -> list[Turn]:
        bye, answer = self.rng.choice(GOODBYES)
        return [("user", bye), ("agent", answer)]

    def _check(self) -> Turn:
        asked = {"service": "{service}", "staff": "{staff}", "date": "{date_iso}"}
        return (
            "tool",
            "check_availability_cal",
            asked,
            _ZONE | {"slots": [_START], "more_slots": self.rng.randint(0, 3)},
        )

    def _custom(self, **more: Any) -> dict[str, Any]:
        timed = {"appointment_date": "{date}", "appointment_time": "{time}"}
        return {"customer_name": _WHO, "service": "{service}", **timed, **more}

    def book(self) -> Made:
        wish = self._pick(WISHES[self.service])
        start = self._pick((f"Ich möchte gern {wish}.", f"Kann ich {wish}?", f"Ich würde gern {wish}."))
        if wish.startswith(("einen Termin", "einen Haarschnitt", "einen ersten")):
            start = f"Ich hätte gern {wish}."
        asked = {"service": "{service}", "staff": "{staff}", "start": _START, **_ZONE, "name": _WHO}
        turns = [
            *self._opening(start),
            ("agent", self._pick(("Gern. Ich schaue nach.", "Sehr gern, einen Moment.", "Da finden wir etwas."))),
            self._check(),
            ("agent", self._pick(OFFERS)),
            ("user", self._pick(ACCEPTED)),
            ("tool", "book_appointment_cal", asked, {"status": "booked"}),
            ("agent", self._pick(CONFIRMED)),
            *self._closing(),
        ]
        return turns, self._custom(), ""

    def move(self) -> Made:
        reason = self._pick(MOVE_REASONS)
        asked = {"new_start": _START, **_ZONE, "name": _WHO, "reason": reason}
        turns = [
            *self._opening(
                self._pick(("Ich muss meinen Termin leider verschieben.", "Können wir meinen Termin verlegen?"))
            ),
            ("agent", self._pick(("Kein Problem. Wann passt es Ihnen besser?", "Natürlich. Haben Sie einen Wunsch?"))),
            (
                "user",
                self._pick(
                    ("Ein paar Tage später, wenn's geht.", "Egal, nur nicht diese Woche.", "Was haben Sie denn?")
                ),
            ),
            self._check(),
            ("agent", self._pick(OFFERS)),
            ("user", self._pick(ACCEPTED)),
            ("tool", "reschedule_booking", asked, {"status": "rescheduled"}),
            ("agent", "Ist verlegt: {date} um {time_spoken} bei {staff}. Der alte Termin ist gelöscht."),
            *self._closing(),
        ]
        return turns, self._custom(reason=reason), reason

    def cancel(self) -> Made:
        reason = self._pick(CANCEL_REASONS)
        asked = {"start": _START, **_ZONE, "name": _WHO, "reason": reason}
        turns = [
            *self._opening(self._pick(("Ich muss leider absagen.", "Ich kann zu meinem Termin nicht kommen."))),
            ("agent", "Schade. Es geht um {date}, um {time_spoken} bei {staff}?"),
            ("user", self._pick(("Genau.", "Ja, der.", "Richtig, tut mir leid."))),
            ("tool", "cancel_booking", asked, {"status": "cancelled"}),
            *self._after_cancelling(),
        ]
        return turns, self._custom(reason=reason), reason

    def _after_cancelling(self) -> list[Turn]:
        if self.rng.random() < 0.4:
            return [("agent", "Ist abgesagt, danke fürs Bescheidgeben."), *self._closing()]
        answers = ("Nein, ich melde mich wieder.", "Gerade nicht, danke.", "Erst mal nicht, ich muss schauen.")
        return [
            ("agent", "Der Termin ist abgesagt. Möchten Sie gleich einen neuen?"),
            ("user", self._pick(answers)),
            ("agent", self._pick(("Gern. Auf Wiederhören!", "In Ordnung. Bis bald!"))),
        ]

    def hours(self) -> Made:
        question, answer, reason = self.rng.choice(QUESTIONS[self.business])
        greeting = self._pick(GREETINGS[self.business])
        bye = self._pick(("Super, danke, tschüss!", "Alles klar, danke.", "Gut zu wissen. Tschüss."))
        turns: list[Turn] = [
            ("agent", greeting),
            (
                "user",
                f"{self._pick(AGREED)} {self._pick(('Nur eine Frage.', 'Kurze Frage.', 'Sagen Sie,'))} {question}",
            ),
            ("agent", answer),
            ("user", bye),
        ]
        return turns, {"reason": reason}, reason

    def price(self) -> Made:
        question, answer, service = self.rng.choice(PRICES)
        turns: list[Turn] = [
            ("agent", self._pick(GREETINGS[self.business])),
            ("user", f"{self._pick(AGREED)} {question}"),
            ("agent", f"{answer} Soll ich nach einem Termin schauen?"),
            (
                "user",
                self._pick(("Nein, danke, ich überleg's mir.", "Ich meld mich noch mal.", "Gerade nicht, danke.")),
            ),
        ]
        return turns, {"service": service, "reason": "Preisauskunft"}, service

    def callback(self) -> Made:
        wish, reason = self.rng.choice(CALLBACKS[self.business])
        turns = [
            *self._opening(wish),
            ("agent", "Das kann ich nicht selbst klären. Soll Sie jemand aus dem Team zurückrufen?"),
            ("user", self._pick(("Ja, bitte. Am besten nachmittags.", "Ja, gern heute noch.", "Wenn's geht, ja."))),
            ("agent", "Ich gebe es weiter, {title} {last_name}. Jemand meldet sich unter dieser Nummer."),
            ("user", self._pick(("Danke schön.", "Gut, dann warte ich.", "Danke, tschüss."))),
        ]
        return turns, {"customer_name": _WHO, "callback_requested": True, "reason": reason}, reason
