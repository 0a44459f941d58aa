"""Pages as a test looks at them: a few CSS selectors over lxml, which the portal needs anyway.

Understood are tag, ``#id``, ``.class``, ``[name]``, ``[name=value]``, ``[name^=value]``, ``:not(#id)`` and descendants.
"""

from __future__ import annotations

import re

import lxml.html
from lxml.etree import _Element

_PART = re.compile(r"""(\[[^\]]+\]|:not\(#[\w-]+\)|[#.]?[\w-]+|\*)""")


class Node:
    """An element of a page."""

    def __init__(self, element: _Element) -> None:
        self.element = element

    def select(self, css: str) -> list[Node]:
        return [Node(found) for found in self.element.xpath(_xpath(css))]

    def select_one(self, css: str) -> Node | None:
        return next(iter(self.select(css)), None)

    def one(self, css: str) -> Node:
        """The first such element; the test fails without one."""
        found = self.select_one(css)
        assert found is not None, f"no {css}"
        return found

    def __getitem__(self, name: str) -> str:
        value = self.element.get(name)
        assert value is not None, f"no attribute {name}"
        return str(value)

    def __contains__(self, name: str) -> bool:
        return self.element.get(name) is not None

    @property
    def text(self) -> str:
        """Everything that is to be read in it, with single spaces."""
        said = " ".join(part.strip() for part in self.element.itertext() if part.strip())
        return re.sub(r"\s+", " ", said.replace("\xa0", " ")).strip()


def parse(html: str) -> Node:
    """A whole page or a part of one; rows of a table may stand alone."""
    if re.match(r"\s*<(tr|tbody)\b", html):
        html = f"<table>{html}</table>"
    return Node(lxml.html.fromstring(html if "<html" in html else f"<html><body>{html}</body></html>"))


def _xpath(css: str) -> str:
    return "".join(f".//{_step(part)}" if not index else f"//{_step(part)}" for index, part in enumerate(css.split()))


def _step(compound: str) -> str:
    tag, conditions = "*", ""
    for part in _PART.findall(compound):
        if part.startswith("#"):
            conditions += f"[@id='{part[1:]}']"
        elif part.startswith("."):
            conditions += f"[contains(concat(' ', normalize-space(@class), ' '), ' {part[1:]} ')]"
        elif part.startswith(":not"):
            conditions += f"[not(@id='{part[6:-1]}')]"
        elif part.startswith("["):
            conditions += _attribute(part[1:-1])
        else:
            tag = part
    return tag + conditions


def _attribute(inside: str) -> str:
    name, sign, value = re.fullmatch(r"""([\w-]+)(\^?=)?["']?(.*?)["']?""", inside).groups()  # type: ignore[union-attr]
    if not sign:
        return f"[@{name}]"
    return f"[starts-with(@{name}, '{value}')]" if sign == "^=" else f"[@{name}='{value}']"
