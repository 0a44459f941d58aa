"""Fetching from addresses that others have given us: where we go, and where nothing can lead us."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from portal.clients import public_http
from portal.clients.public_http import AwayError, FetchError, GoneError, RefusedError, opened, parse
from tests.provider import Provider, answer, provider

PUBLIC, OTHER_PUBLIC = "93.184.215.14", "93.184.215.15"


@pytest.fixture
def server() -> Iterator[Provider]:
    with provider() as running:
        running.answers["/a.wav"] = answer()
        yield running


class Network:
    """Names as the test sets them, and connections that all end at the test's own server."""

    def __init__(self, port: int) -> None:
        self.names: dict[str, list[str]] = {}
        self.port, self.dialled, self.lookups = port, [], []  # type: ignore[var-annotated]

    def look_up(self, host: str, port: int, **_: Any) -> list[Any]:
        self.lookups.append(host)
        if host not in self.names:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.names[host]]

    def connect(self, address: tuple[str, int], timeout: float) -> socket.socket:
        self.dialled.append(address)
        sock = socket.socket()
        sock.settimeout(timeout)
        sock.connect(("127.0.0.1", self.port))
        return sock


@pytest.fixture
def network(server: Provider, monkeypatch: pytest.MonkeyPatch) -> Network:
    made = Network(server.port)
    monkeypatch.setattr(public_http.socket, "getaddrinfo", made.look_up)
    monkeypatch.setattr(public_http.socket, "create_connection", made.connect)
    return made


def get(url: str, *trusted: str, seconds: float = 5) -> bytes:
    with opened(url, accept="audio/*", trusted=trusted, seconds=seconds) as found:
        return b"".join(found.body)


@pytest.mark.parametrize("url", [
    "ftp://files.example.com/a.wav", "file:///etc/passwd", "gopher://example.com/", "//example.com/a.wav", "a.wav", "",
    "data:audio/wav;base64,AAAA", "http://", "http:///a.wav", "https://?x",
    "https://user:secret@example.com/a.wav", "https://user@example.com/a.wav", "https://@example.com/",
    "https://example.com:8080/a.wav", "http://example.com:22/", "https://example.com:6379/", "https://example.com:99999/",
    "https://example.com/a b.wav", "https://example.com\\@127.0.0.1/", "https://exa\nmple.com/", "https://example.com/\x00",
    "http://localhost/", "http://LOCALHOST./a", "http://api.localhost/", "http://printer.local/", "http://db/",
    "http://metadata.google.internal/", "http://metadata/computeMetadata/v1/", "http://instance-data/", "http://nas.lan/",
    "http://127.0.0.1/", "http://127.8.8.8/", "http://0.0.0.0/", "http://10.0.0.5/", "http://172.16.9.9/",
    "http://192.168.1.1/", "http://169.254.169.254/latest/meta-data/", "http://100.64.0.1/", "http://100.100.100.200/",
    "http://198.18.0.1/", "http://192.0.2.1/", "http://192.0.0.8/", "http://192.88.99.1/", "http://224.0.0.1/",
    "http://240.0.0.1/", "http://255.255.255.255/",
    "http://[::1]/", "http://[::]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:8.8.8.8]/", "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/", "http://[fc00::1]/", "http://[fd12:3456::1]/", "http://[ff02::1]/", "http://[fec0::1]/",
    "http://[2002:7f00:1::]/", "http://[2001:0:4136:e378::1]/", "http://[64:ff9b::7f00:1]/", "http://[2001:db8::1]/",
    "http://[100::1]/", "http://[::127.0.0.1]/", "http://[fd00:ec2::254]/", "http://2130706433/", "http://0x7f000001/",
    "https://" + "a" * 4000 + ".example.com/",
])  # fmt: skip
def test_an_address_that_is_not_of_the_public_web_is_refused_by_its_looks(url: str, network: Network) -> None:
    with pytest.raises(RefusedError):
        get(url)
    assert (network.lookups, network.dialled) == ([], [])


@pytest.mark.parametrize("addresses", [
    ["127.0.0.1"], ["10.1.2.3"], ["169.254.169.254"], ["100.64.3.2"], ["0.0.0.0"], ["::1"], ["fe80::1%eth0"],
    ["::ffff:10.0.0.1"], ["fd00::1"], ["2002:a00:1::1"], ["64:ff9b::a00:1"], ["224.0.0.251"],
    [PUBLIC, "10.0.0.1"], ["10.0.0.1", PUBLIC], [PUBLIC, OTHER_PUBLIC, "::1"],
])  # fmt: skip
def test_a_name_with_a_single_inside_address_is_refused(addresses: list[str], network: Network) -> None:
    network.names["evil.example.com"] = addresses
    with pytest.raises(RefusedError):
        get("https://evil.example.com/a.wav")
    assert network.dialled == []


@pytest.mark.parametrize("spelling", ["127.1", "0x7f.0.0.1", "0177.0.0.1"])
def test_an_odd_spelling_counts_by_what_it_means(spelling: str, network: Network) -> None:
    network.names[spelling] = ["127.0.0.1"]
    with pytest.raises(RefusedError):
        get(f"http://{spelling}/a.wav")
    assert network.dialled == []


def test_the_connection_goes_to_the_very_address_that_was_checked(network: Network, server: Provider) -> None:
    """A second look-up could answer something else; there is none."""
    network.names["files.example.com"] = [PUBLIC]
    assert get("http://files.example.com/a.wav").startswith(b"RIFF")
    assert network.lookups == ["files.example.com"]
    assert network.dialled == [(PUBLIC, 80)]
    assert server.asked == [("/a.wav", "files.example.com")]


def test_the_next_of_the_checked_addresses_is_tried_when_one_is_dead(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.names["files.example.com"] = [PUBLIC, OTHER_PUBLIC]
    connect = network.connect

    def dead(address: tuple[str, int], timeout: float) -> socket.socket:
        if address[0] == PUBLIC:
            raise ConnectionRefusedError
        return connect(address, timeout)

    monkeypatch.setattr(public_http.socket, "create_connection", dead)
    assert get("http://files.example.com/a.wav").startswith(b"RIFF")


@pytest.mark.parametrize("where", [
    "http://169.254.169.254/latest/", "http://inside.example.com/", "https://files.example.com:8443/",
    "ftp://files.example.com/a.wav", "http://user:pass@files.example.com/", "http://localhost/a.wav",
    "//10.0.0.1/a.wav",
])  # fmt: skip
def test_every_redirect_is_a_new_address_under_the_same_rules(where: str, network: Network, server: Provider) -> None:
    network.names |= {"files.example.com": [PUBLIC], "inside.example.com": ["10.0.0.1"]}
    server.answers["/moved"] = answer(b"", status=302, Location=where)
    with pytest.raises(RefusedError):
        get("http://files.example.com/moved")
    assert network.dialled == [(PUBLIC, 80)]


def test_a_trusted_host_may_not_send_us_to_another_inside_one(server: Provider) -> None:
    server.answers["/moved"] = answer(b"", status=307, Location="http://127.0.0.1:1/a.wav")
    with pytest.raises(RefusedError):
        get(server.url("/moved"), server.host)


@pytest.mark.parametrize(("hops", "arrives"), [(1, True), (3, True), (4, False)])
def test_three_redirects_are_enough(hops: int, arrives: bool, network: Network, server: Provider) -> None:
    network.names["files.example.com"] = [PUBLIC]
    for hop in range(hops):
        server.answers[f"/{hop}"] = answer(b"", status=302, Location=f"/{hop + 1}" if hop + 1 < hops else "/a.wav")
    if arrives:
        assert get("http://files.example.com/0").startswith(b"RIFF")
    else:
        with pytest.raises(RefusedError, match="too many"):
            get("http://files.example.com/0")


def test_only_a_named_host_and_port_may_lie_inside(server: Provider) -> None:
    assert get(server.url(), server.host).startswith(b"RIFF")
    for trusted in ((), ("127.0.0.1",), ("127.0.0.1:1",), (f"localhost:{server.port}",)):
        with pytest.raises(RefusedError):
            get(server.url(), *trusted)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Certificate and key of files.example.com, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "files.example.com")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(datetime.now(UTC) - timedelta(days=1))
    made = made.not_valid_after(datetime.now(UTC) + timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("files.example.com")]), critical=False)
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(folder / "cert.pem"), str(folder / "key.pem")


@pytest.mark.parametrize(("name", "known", "arrives"), [
    ("files.example.com", True, True), ("other.example.com", True, False), ("files.example.com", False, False),
])  # fmt: skip
def test_https_is_checked_against_the_name_although_we_dial_an_address(
    name: str, known: bool, arrives: bool, certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    with provider(tls) as secure:
        secure.answers["/a.wav"] = answer()
        network = Network(secure.port)
        network.names[name] = [PUBLIC]
        monkeypatch.setattr(public_http.socket, "getaddrinfo", network.look_up)
        monkeypatch.setattr(public_http.socket, "create_connection", network.connect)
        if known:
            monkeypatch.setattr(public_http, "_tls", lambda: ssl.create_default_context(cafile=certificate[0]))
        if arrives:
            assert get(f"https://{name}/a.wav").startswith(b"RIFF")
            assert (network.dialled, secure.asked) == ([(PUBLIC, 443)], [("/a.wav", name)])
        else:
            with pytest.raises(AwayError, match="CERTIFICATE_VERIFY_FAILED"):
                get(f"https://{name}/a.wav")
            assert secure.asked == []


def test_from_https_nothing_leads_to_http(certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    with provider(tls) as secure:
        secure.answers["/moved"] = answer(b"", status=302, Location="http://files.example.com/a.wav")
        network = Network(secure.port)
        network.names["files.example.com"] = [PUBLIC]
        monkeypatch.setattr(public_http.socket, "getaddrinfo", network.look_up)
        monkeypatch.setattr(public_http.socket, "create_connection", network.connect)
        monkeypatch.setattr(public_http, "_tls", lambda: ssl.create_default_context(cafile=certificate[0]))
        with pytest.raises(RefusedError, match="https to http"):
            get("https://files.example.com/moved")


def test_a_proxy_of_the_environment_is_not_asked(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://10.0.0.9:3128")
    network.names["files.example.com"] = [PUBLIC]
    get("http://files.example.com/a.wav")
    assert network.dialled == [(PUBLIC, 80)]


@pytest.mark.parametrize(("status", "error"), [
    (401, GoneError), (403, GoneError), (404, GoneError), (410, GoneError), (500, AwayError), (429, AwayError),
    (204, AwayError), (206, AwayError), (300, AwayError),
])  # fmt: skip
def test_what_is_no_answer_says_whether_it_may_be_better_later(
    status: int, error: type[FetchError], server: Provider
) -> None:
    server.answers["/a.wav"] = answer(b"", status=status)
    with pytest.raises(error):
        get(server.url(), server.host)


def test_half_an_answer_is_none(server: Provider) -> None:
    server.answers["/a.wav"] = answer(Content_Length="999999")
    with pytest.raises(AwayError, match="missing"):
        get(server.url(), server.host)


def test_a_packed_answer_is_not_unpacked(server: Provider) -> None:
    server.answers["/a.wav"] = answer(Content_Encoding="gzip")
    with pytest.raises(AwayError):
        get(server.url(), server.host)


def test_who_talks_too_slowly_is_cut_off(server: Provider) -> None:
    server.answers["/a.wav"] = server.stall
    with pytest.raises(AwayError, match="too slow"):
        get(server.url(), server.host, seconds=0.2)


def test_headers_that_never_end_are_cut_off_too(server: Provider) -> None:
    def drip(request: Any) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX-A: ")
        request.wfile.flush()
        server.over.wait(30)

    server.answers["/a.wav"] = drip
    with pytest.raises(AwayError, match="too slow"):
        get(server.url(), server.host, seconds=0.2)


def test_the_sockets_own_patience_says_the_same_when_it_ends_first(
    server: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.clients.public_http._Watch.guard", lambda watch, sock: None)
    server.answers["/a.wav"] = server.stall
    with pytest.raises(AwayError, match="too slow"):
        get(server.url(), server.host, seconds=0.2)


@pytest.mark.parametrize("reply", [b"nonsense\r\n\r\n", b"", b"HTTP/1.1 abc\r\n\r\n"])
def test_nonsense_is_no_answer(reply: bytes, server: Provider) -> None:
    server.answers["/a.wav"] = lambda request: request.wfile.write(reply) and None
    with pytest.raises(AwayError):
        get(server.url(), server.host)


def test_a_name_that_nobody_knows_may_be_known_later(network: Network) -> None:
    with pytest.raises(AwayError):
        get("https://nowhere.example.com/a.wav")


def test_names_and_paths_travel_as_they_are_meant() -> None:
    target = parse("https://Aufnahmen.Müller.EXAMPLE.com./a%20b/ö.wav?sig=a%2Fb&x=~1#frag")
    assert target.host == "aufnahmen.xn--mller-kva.example.com"
    assert target.path == "/a%20b/%C3%B6.wav?sig=a%2Fb&x=~1"
    assert (target.port, target.host_header) == (443, "aufnahmen.xn--mller-kva.example.com")
    assert parse("http://example.com:443/x").host_header == "example.com:443"


@pytest.mark.parametrize(("address", "public"), [
    ("8.8.8.8", True), ("93.184.215.14", True), ("2606:2800:21f:cb07::1", True), ("2a00:1450:4001::1", True),
    ("172.32.0.1", True), ("100.128.0.1", True), ("127.0.0.1", False), ("2001:1ff::1", False), ("3fff::1", False),
])  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert public_http.is_public(ip_address(address)) is public
