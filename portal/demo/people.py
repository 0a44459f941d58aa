"""The demo's customers: names as they are in German towns, families on one line, foreign and withheld numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from portal.demo.dialogues import Caller

# origin → (share, first names of women, of men, last names)
ORIGINS: dict[str, tuple[int, tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "german": (
        78,
        tuple(
            """
        Sabine Petra Monika Ursula Renate Brigitte Karin Andrea Claudia Susanne Gabriele Heike Martina Birgit Silke Anja
        Katrin Stefanie Nicole Melanie Sandra Julia Katharina Christina Laura Lena Anna Lea Hannah Mia Emma Sophie Marie
        Johanna Clara Charlotte Frieda Mathilda Anne-Kathrin Eva-Maria Hannelore Ingrid Dörte Käthe Jule Merle
        """.split()
        ),
        tuple(
            """
        Thomas Michael Andreas Peter Wolfgang Klaus Jürgen Günter Stefan Christian Markus Matthias Frank Uwe Ralf Bernd
        Holger Torsten Sven Jan Tobias Florian Sebastian Daniel Philipp Alexander Maximilian Lukas Felix Jonas Paul Leon
        Finn Noah Ben Elias Anton Oskar Karl-Heinz Hans-Jürgen Klaus-Dieter Jörg Björn Sören
        """.split()
        ),
        tuple(
            """
        Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Schäfer Koch Bauer Richter Klein Wolf
        Schröder Neumann Schwarz Zimmermann Braun Krüger Hofmann Hartmann Lange Schmitt Werner Krause Meier Lehmann
        Schmid Schulze Maier Köhler Herrmann König Walter Mayer Huber Kaiser Fuchs Peters Lang Scholz Möller Weiß Jung
        Hahn Vogel Friedrich Günther Keller Schubert Berger Winkler Roth Beck Lorenz Baumann Franke Albrecht Schuster
        Simon Ludwig Böhm Winter Kraus Schumacher Krämer Vogt Stein Jäger Otto Sommer Groß Seidel Brandt Haas Schreiber
        Graf Dietrich Ziegler Kuhn Kühn Pohl Engel Horn Busch Bergmann Thomas Voigt Sauer Arnold Pfeiffer Schulte-Ostrop
        Müller-Lüdenscheid Meyer-Siebrecht Bartels-Wesseling Kurz-Scherf Westermann-Brockhoff
        """.split()
        ),
    ),
    "turkish": (
        8,
        ("Ayşe", "Elif", "Zeynep", "Fatma", "Emine", "Büşra", "Gülşen", "Selin"),
        ("Mehmet", "Mustafa", "Ahmet", "Emre", "Murat", "Cem", "Oğuz", "Kaan"),
        ("Yılmaz", "Kaya", "Demir", "Çelik", "Şahin", "Öztürk", "Aydın", "Arslan", "Doğan", "Kılıç"),
    ),
    "polish": (
        6,
        ("Agnieszka", "Katarzyna", "Małgorzata", "Joanna", "Magdalena"),
        ("Piotr", "Krzysztof", "Tomasz", "Paweł", "Marek"),
        ("Nowak", "Kowalczyk", "Wójcik", "Mazur", "Krawczyk", "Kaczmarek", "Zając"),
    ),
    "russian": (
        2,
        ("Olga", "Irina", "Natalia", "Swetlana"),
        ("Dmitri", "Sergej", "Viktor"),
        ("Schewtschenko", "Melnik", "Kowalenko"),
    ),
    "arabic": (
        2,
        ("Fatima", "Leila", "Amira"),
        ("Omar", "Youssef", "Karim"),
        ("Hassan", "Haddad", "Al-Masri", "Khalil"),
    ),
    "vietnamese": (2, ("Thu Hà", "Mai Linh"), ("Minh", "Tuan"), ("Nguyễn", "Trần", "Phạm")),
    "southern": (
        2,
        ("Giulia", "Chiara", "Dragana", "Milena"),
        ("Luca", "Marco", "Dejan", "Ivan"),
        ("Rossi", "Ferrari", "Jovanović", "Marković"),
    ),
}
# A page must bear these.
LONG = (
    ("Maria-Magdalena", "von Hohenfels-Wittgenstein zu Rabenau", "female"),
    ("Konstantin-Alexander", "Papadimitriou-Schwarzenberger", "male"),
    ("Friedrich-Wilhelm", "Hausenbergerdorff-Niederlindenbaum", "male"),
    ("Ngọc Ánh", "Nguyễn Thị", "female"),
    ("Zoë", "Ó Súilleabháin", "female"),
    ("Ümit", "Gökçe-Schäuble", "male"),
    ("Li", "Wu", "female"),
)
# Prefix → digits after it. They begin with a 0 here, as hardly a number that was handed out does.
MOBILE = {
    "151": 8, "152": 8, "157": 8, "159": 8, "160": 7, "162": 7, "170": 7, "171": 7, "172": 7, "173": 7, "174": 7,
    "175": 7, "176": 8, "177": 7, "178": 7, "179": 7,
}  # fmt: skip
ABROAD = {"43": ("664", 7), "44": ("7700900", 3), "48": ("601", 6), "90": ("532", 7), "33": ("612", 6), "41": ("79", 7)}
MAIL = ("post.example", "mail.example", "web.example", "familie.example")
_PLAIN = str.maketrans({
    "ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ş": "s", "ç": "c", "ğ": "g", "ı": "i", "ł": "l", "ń": "n", "ś": "s",
    "ó": "o", "ć": "c", "č": "c", "ë": "e", "á": "a", "ễ": "e", "ầ": "a", "ọ": "o", "ị": "i", "é": "e", "í": "i",
    " ": ".",
})  # fmt: skip


@dataclass(frozen=True)
class Person:
    """A customer to be. ``phone`` is E.164 or None; people of one ``family`` share it. ``home`` is a branch's place."""

    first_name: str
    last_name: str
    gender: str
    phone: str | None
    email: str | None
    born: date | None
    home: int
    known: bool
    family: int | None = None
    language: str = "de"

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"


class Town:
    """Makes people, no two of the same name, and numbers, each once. ``areas``: landline codes of the places."""

    def __init__(self, rng: Random, today: date, areas: tuple[str, ...], shares: tuple[int, ...]) -> None:
        self.rng, self.today, self.areas, self.shares = rng, today, areas, shares
        self.numbers: set[str] = set()
        self.names: set[str] = set()
        self.families = 0

    def people(self, count: int) -> list[Person]:
        """``count`` customers: a few with remarkable names, some families, the rest one by one."""
        made = [self.person(*name) for name in LONG]
        while len(made) < count // 6:
            made += self.family()
        made += [self.person() for _ in range(count - len(made))]
        return made[:count]

    def person(
        self, first: str | None = None, last: str | None = None, gender: str | None = None, *, known: bool | None = None
    ) -> Person:
        gender = gender or self.rng.choice(("female", "female", "female", "male", "male"))
        while first is None or last is None or f"{first} {last}" in self.names:
            women, men, last_names = self._origin()
            first, last = self.rng.choice(women if gender == "female" else men), self.rng.choice(last_names)
        self.names.add(f"{first} {last}")
        home = self._home()
        return Person(
            first,
            last,
            gender,
            self.number(home),
            self._email(first, last) if self.rng.random() < 0.55 else None,
            self._born(16, 82) if self.rng.random() < 0.4 else None,
            home,
            self.rng.random() < 0.65 if known is None else known,
        )

    def caller(self, caller: Caller, home: int, language: str, country: str | None = None) -> Person:
        """The person of a dialogue, living where it is played."""
        self.names.add(f"{caller.first_name} {caller.last_name}")
        phone = self.foreign(country) if country else self.number(home)
        email = self._email(caller.first_name, caller.last_name) if caller.known else None
        return Person(
            caller.first_name, caller.last_name, caller.gender, phone, email, None, home, caller.known, None, language
        )

    def family(self) -> list[Person]:
        """Two to four people of one name on one line; the youngest is a child."""
        self.families += 1
        women, men, last_names = self._origin()
        last, home = self.rng.choice(last_names), self._home()
        number = self.number(home)
        made = []
        for position in range(self.rng.randint(2, 4)):
            gender = ("female", "male")[(position + self.families) % 2]
            names = [name for name in (women if gender == "female" else men) if f"{name} {last}" not in self.names]
            if not names:
                break
            first = self.rng.choice(names)
            self.names.add(f"{first} {last}")
            child = position == 2
            email = None if child else self._email(first, last)
            born = self._born(4, 12) if child else self._born(28, 50)
            made.append(Person(first, last, gender, number, email, born, home, True, self.families))
        return made

    def number(self, home: int) -> str:
        """A number of its own, four out of five times a mobile one."""
        while True:
            if self.rng.random() < 0.8:
                prefix, digits = self.rng.choice(list(MOBILE.items()))
                number = f"+49{prefix}0{self._digits(digits - 1)}"
            else:
                number = f"+49{self.areas[home]}{self.rng.randint(200_000, 999_999)}"
            if number not in self.numbers:
                self.numbers.add(number)
                return number

    def foreign(self, country: str | None = None) -> str:
        code = country or self.rng.choice(sorted(ABROAD))
        prefix, digits = ABROAD[code]
        number = f"+{code}{prefix}{self._digits(digits)}"
        self.numbers.add(number)
        return number

    def _digits(self, count: int) -> str:
        return str(self.rng.randint(10 ** (count - 1), 10**count - 1))

    def _origin(self) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        origins = list(ORIGINS.values())
        _, *names = self.rng.choices(origins, [origin[0] for origin in origins])[0]
        return tuple(names)  # type: ignore[return-value]

    def _home(self) -> int:
        return self.rng.choices(range(len(self.shares)), self.shares)[0]

    def _email(self, first: str, last: str) -> str:
        plain = f"{first} {last}".lower().translate(_PLAIN).encode("ascii", "ignore").decode()
        return f"{plain}@{self.rng.choice(MAIL)}"

    def _born(self, youngest: int, oldest: int) -> date:
        return self.today - timedelta(days=self.rng.randint(youngest * 365, oldest * 365))
