"""A second reader of calendar files, by the letter of RFC 5545: what the library forgives fails here."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

NAME = r"[A-Za-z0-9-]+"
SAFE = r'[^\x00-\x08\x0a-\x1f\x7f";:,]*'
QUOTED = r'"[^\x00-\x08\x0a-\x1f\x7f"]*"'
VALUES = rf"(?:{QUOTED}|{SAFE})"
LINE = re.compile(rf"(?P<name>{NAME})(?P<params>(?:;{NAME}={VALUES}(?:,{VALUES})*)*):(?P<value>.*)", re.DOTALL)
PARAM = re.compile(rf";({NAME})=({VALUES})")
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
UTC_TIME = re.compile(r"\d{8}T\d{6}Z")
ONCE = {"UID", "DTSTAMP", "DTSTART", "DTEND", "SEQUENCE", "STATUS", "SUMMARY", "LOCATION", "DESCRIPTION", "TRANSP"}


@dataclass
class Property:
    name: str
    params: dict[str, str]
    value: str

    @property
    def text(self) -> str:
        """A TEXT value: every backslash must escape what may be escaped, every comma and semicolon must be."""
        assert not re.search(r"(?<!\\)(?:\\\\)*[,;]", self.value), f"not escaped: {self.value!r}"
        return ESCAPE.sub(_unescaped, self.value)


@dataclass
class Component:
    name: str
    properties: list[Property] = field(default_factory=list)
    children: list[Component] = field(default_factory=list)

    def one(self, name: str) -> Property:
        (found,) = [one for one in self.properties if one.name == name]
        return found

    def text(self, name: str) -> str:
        return self.one(name).text

    def has(self, name: str) -> bool:
        return any(one.name == name for one in self.properties)


def read(file: bytes) -> Component:
    """The calendar in a file. Fails on whatever a strict program might trip over."""
    assert file.endswith(b"\r\n")
    raw = file[:-2].split(b"\r\n")
    assert all(len(line) <= 75 for line in raw), "a line is longer than 75 octets"
    assert not any(b"\n" in line or b"\r" in line for line in raw), "a line break that is not CRLF"
    lines = [line.decode("utf-8", "strict") for line in raw]  # a fold inside a character fails here
    assert all(line.strip(" ") for line in lines), "an empty line"
    assert not any(CONTROL.search(line) for line in lines), "a control character"
    return _component(_unfolded(lines))


def _unfolded(lines: list[str]) -> list[str]:
    whole: list[str] = []
    for line in lines:
        if line[0] in " \t":
            whole[-1] += line[1:]
        else:
            whole.append(line)
    return whole


def _component(lines: list[str]) -> Component:
    stack: list[Component] = [Component("")]
    for line in lines:
        found = LINE.fullmatch(line)
        assert found, f"no content line: {line!r}"
        params = {name: value.strip('"') for name, value in PARAM.findall(found["params"])}
        one = Property(found["name"].upper(), params, found["value"])
        if one.name == "BEGIN":
            stack.append(Component(one.value))
        elif one.name == "END":
            done = stack.pop()
            assert done.name == one.value
            _check(done)
            stack[-1].children.append(done)
        else:
            stack[-1].properties.append(one)
    (root,) = stack
    (calendar,) = root.children
    return calendar


def _check(component: Component) -> None:
    counts = Counter(one.name for one in component.properties)
    if component.name == "VCALENDAR":
        assert counts["VERSION"] == counts["PRODID"] == 1
        assert component.text("VERSION") == "2.0"
        return
    assert component.name == "VEVENT"
    assert all(counts[name] == 1 for name in ("UID", "DTSTAMP", "DTSTART"))
    assert all(counts[name] <= 1 for name in ONCE)
    for name in ("DTSTAMP", "DTSTART", "DTEND", "LAST-MODIFIED"):
        assert UTC_TIME.fullmatch(component.one(name).value), component.one(name)
    assert component.one("DTEND").value > component.one("DTSTART").value
    assert component.one("STATUS").value in {"TENTATIVE", "CONFIRMED", "CANCELLED"}
    assert component.one("SEQUENCE").value.isdecimal()


def _unescaped(found: re.Match[str]) -> str:
    assert found[1] in set("\\;,nN"), f"no such escape: {found[0]!r}"
    return "\n" if found[1] in "nN" else found[1]
