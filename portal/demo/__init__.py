"""The demo and its people, whose names are a contract."""

from __future__ import annotations

PASSWORD = "empfang-demo"  # of every demo login; production refuses them

# company → (login, role)
LOGINS: dict[str, tuple[tuple[str, str], ...]] = {
    "Salon Morgenrot": (
        ("owner@salon-morgenrot.example", "owner"),
        ("manager@salon-morgenrot.example", "branch manager"),
        ("staff@salon-morgenrot.example", "branch staff"),
        ("buchhaltung@salon-morgenrot.example", "bookkeeper"),
    ),
    "Praxis Lindner": (
        ("owner@praxis-lindner.example", "owner"),
        ("manager@praxis-lindner.example", "branch manager"),
        ("staff@praxis-lindner.example", "branch staff"),
    ),
    "The platform": (("operator@empfang.example", "operator"),),
}
