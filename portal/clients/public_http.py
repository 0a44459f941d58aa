"""Fetches from an address that somebody else has given us, without being led into our own network by it.

A name is looked up once. Every address that it has must be one of the public internet, and the connection goes to
exactly these, so that a second look-up cannot answer differently. A redirect is a new address under the same rules.
No proxy of the environment is used, because it would look the name up again.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import quote, urljoin, urlsplit

import certifi

PORTS = {"http": 80, "https": 443}
MAX_REDIRECTS = 3
REDIRECTS = {301, 302, 303, 307, 308}
EXPIRED = {401, 403, 404, 410}
TRIED = 3  # addresses of one name
STEP = 10.0  # seconds to connect, and between two bytes
CHUNK = 65_536
# Names that only mean something inside; single words are refused as well.
INSIDE = ("localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp", "private", "home.arpa")
# Public by its register, but a way into other networks: 6to4's relays; and what is set aside or for examples.
NOT_REALLY = (IPv4Network("192.88.99.0/24"), IPv4Network("192.0.0.0/24"))
UNICAST = IPv6Network("2000::/3")
NOT_UNICAST = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
_PLAIN = "/%:@!$&'()*+,;=~-._?[]{}|"  # in a path or a query: sent as it was given
Address = IPv4Address | IPv6Address


class FetchError(Exception):
    """Nothing could be fetched; the message is for the log."""


class RefusedError(FetchError):
    """We do not go to this address. Trying again changes nothing."""


class GoneError(FetchError):
    """The link leads nowhere: not yet, or not any more."""


class AwayError(FetchError):
    """No answer, half of one, or a broken one; it may be better later."""


@dataclass(frozen=True)
class Answer:
    """An answer of 200 whose body is still to be read. ``length`` in bytes, where the server tells."""

    content_type: str
    length: int | None
    body: Iterator[bytes]


@dataclass(frozen=True)
class Target:
    """One address, taken apart. ``trusted``: named in our own settings, and so not asked whether it is public."""

    scheme: str
    host: str
    port: int
    path: str
    trusted: bool

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


@contextmanager
def opened(url: str, *, accept: str, trusted: tuple[str, ...] = (), seconds: float = 60) -> Iterator[Answer]:
    """GET ``url``, for as long as the block lasts, but never longer than ``seconds`` in all.

    ``trusted`` are ``host:port`` that may lie inside. Raises :class:`FetchError`, also while the body is being read.
    """
    watch = _Watch(seconds)
    try:
        connection, response = _follow(url, accept, trusted, watch)
        try:
            yield _answer(response, watch)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise AwayError("too slow" if watch.over else f"{type(error).__name__}: {error}") from error
    finally:
        watch.stop()


def parse(url: str, trusted: tuple[str, ...] = ()) -> Target:
    """Take an address apart. Raises :class:`RefusedError` for what is no address of the public web by its looks."""
    if len(url) > 4000 or re.search(r"[\s\\\x00-\x20\x7f]", url):
        raise RefusedError("characters that no address has")
    try:
        parts = urlsplit(url)
        host, port = _host(parts.hostname or ""), parts.port
    except ValueError as error:
        raise RefusedError(f"no address: {error}") from error
    if parts.scheme not in PORTS:
        raise RefusedError(f"not of the web: {parts.scheme}")
    if "@" in parts.netloc or not host:
        raise RefusedError("a name or password in the address, or no host")
    port = port or PORTS[parts.scheme]
    path = quote(parts.path or "/", safe=_PLAIN)
    path += f"?{quote(parts.query, safe=_PLAIN)}" if parts.query else ""
    target = Target(parts.scheme, host, port, path, f"{host}:{port}" in trusted)
    if not target.trusted:
        _refuse_inside(target)
    return target


def _host(name: str) -> str:
    """A host as it is looked up: lower case, no final dot, umlauts as IDNA. Raises ValueError."""
    name = name.lower().rstrip(".")
    if "%" in name:
        raise ValueError("a zone or an escape in the host")
    return name if name.isascii() else name.encode("idna").decode()


def _refuse_inside(target: Target) -> None:
    if target.port not in PORTS.values():
        raise RefusedError(f"port {target.port}")
    if (literal := _literal(target.host)) is not None:
        if not is_public(literal):
            raise RefusedError(f"{literal} is not public")
    elif "." not in target.host or any(target.host == name or target.host.endswith(f".{name}") for name in INSIDE):
        raise RefusedError(f"{target.host} is a name of the inside")


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, itself and whatever it may carry inside."""
    if isinstance(address, IPv6Address):
        return address in UNICAST and not any(address in network for network in NOT_UNICAST)
    return address.is_global and not (
        address.is_multicast or address.is_reserved or any(address in network for network in NOT_REALLY)
    )


# ---- Asking ---------------------------------------------------------------------------------------------------


class _Watch:
    """Ends everything after so many seconds, however slowly the other side keeps talking."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._timer: threading.Timer | None = None
        self._was_cut = False

    @property
    def left(self) -> float:
        return self._end - time.monotonic()

    @property
    def over(self) -> bool:
        """Whether the time is up: the socket's own patience may end a moment before we cut."""
        return self._was_cut or self.left <= 0

    def guard(self, sock: socket.socket) -> None:
        self.stop()
        self._timer = threading.Timer(max(self.left, 0.01), self._cut, [sock])
        self._timer.daemon = True
        self._timer.start()

    def _cut(self, sock: socket.socket) -> None:
        self._was_cut = True
        with suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)  # past TLS, which would want to say good-bye

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _follow(
    url: str, accept: str, trusted: tuple[str, ...], watch: _Watch
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Ask, and go where the answers send us, at most three times."""
    target = parse(url, trusted)
    for _hop in range(MAX_REDIRECTS + 1):
        connection, response = _ask(target, accept, watch)
        if response.status not in REDIRECTS:
            return connection, response
        connection.close()
        where = urljoin(f"{target.scheme}://{target.host_header}{target.path}", response.headers.get("Location", ""))
        following = parse(where, trusted)
        if (target.scheme, following.scheme) == ("https", "http"):
            raise RefusedError("from https to http")
        target = following
    raise RefusedError("too many redirects")


def _ask(target: Target, accept: str, watch: _Watch) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = _connected(target, watch)  # a connection that has a socket looks nothing up
    try:
        headers = {"Host": target.host_header, "Accept": accept, "Accept-Encoding": "identity", "User-Agent": "Empfang"}
        connection.request("GET", target.path, headers=headers | {"Connection": "close"})
        return connection, connection.getresponse()
    except BaseException:
        connection.close()
        raise


def _connected(target: Target, watch: _Watch) -> socket.socket:
    """A socket to one of the addresses that were checked, wrapped in TLS for https."""
    sock = _first_that_answers(_addresses(target), target.port, watch)
    try:
        if target.scheme == "https":
            sock = _tls().wrap_socket(sock, server_hostname=target.host, do_handshake_on_connect=False)
        watch.guard(sock)
        if isinstance(sock, ssl.SSLSocket):
            sock.do_handshake()
        return sock
    except BaseException:
        sock.close()
        raise


def _addresses(target: Target) -> list[str]:
    """What the name means now. Raises :class:`RefusedError` when a single one of its addresses is not public."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AwayError(f"{target.host} cannot be looked up: {error}") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    inside = [address for address in addresses if not is_public(ip_address(address))]
    if inside and not target.trusted:
        raise RefusedError(f"{target.host} is {', '.join(inside)}")
    return addresses


def _first_that_answers(addresses: list[str], port: int, watch: _Watch) -> socket.socket:
    problem: OSError = OSError("no address")
    for address in addresses[:TRIED]:
        if watch.over:
            raise AwayError("too slow")
        try:
            return socket.create_connection((address, port), timeout=min(STEP, watch.left))
        except OSError as error:
            problem = error
    raise problem


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certifi.where())


# ---- The answer -----------------------------------------------------------------------------------------------


def _answer(response: http.client.HTTPResponse, watch: _Watch) -> Answer:
    if response.status in EXPIRED:
        raise GoneError(f"status {response.status}")
    if response.status != 200:
        raise AwayError(f"status {response.status}")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise AwayError("packed, though we asked for it as it is")
    kind = response.headers.get_content_type()
    return Answer(kind, response.length, _body(response, watch))


def _body(response: http.client.HTTPResponse, watch: _Watch) -> Iterator[bytes]:
    """The body in pieces; one that ends early is none."""
    missing = response.length
    while piece := response.read(CHUNK):
        if missing is not None:
            missing -= len(piece)
        yield piece
    if watch.over:
        raise AwayError("too slow")
    if missing:
        raise AwayError(f"{missing} bytes are missing")
