"""Certificates and passwords at work."""

import base64
import os
import shutil
import ssl
from pathlib import Path

import pytest

bcrypt = pytest.importorskip("bcrypt", reason="needs bcrypt: memwatchd[auth], python3-bcrypt")

from tests.conftest import FIXTURES  # noqa: E402

from memwatchd.errors import ConfigError  # noqa: E402
from memwatchd.exporter.access import Access, Passwords, has_allowed_name, make_context  # noqa: E402
from memwatchd.exporter.webconfig import Tls  # noqa: E402

TLS = FIXTURES / "tls"


def hashed(password: str) -> str:
    found: str = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    return found


def basic(credentials: str | bytes) -> str:
    raw = credentials.encode() if isinstance(credentials, str) else credentials
    return "Basic " + base64.b64encode(raw).decode()


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords({"alice": hashed("secret:1"), "bob": hashed("x" * 72)})


@pytest.mark.parametrize(
    ("header", "right"),
    [
        (basic("alice:secret:1"), True),
        (basic("alice:secret:1").replace("Basic", "bAsIc"), True),
        (basic("bob:" + "x" * 72), True),
        (basic("alice:secret"), False),
        (basic("alice:"), False),
        (basic("bob:secret:1"), False),
        (basic("carol:secret:1"), False),
        (basic(b"alice:secret:1\0"), False),
        (basic(b"\xff:\xff"), False),
        (basic("alice"), False),
        ("Basic !!!", False),
        ("Bearer " + basic("alice:secret:1")[6:], False),
        ("", False),
    ],
)
def test_passwords(passwords: Passwords, header: str, right: bool) -> None:
    """Somebody would get in, or the server that should get in would not."""
    assert passwords.compare(header) is right
    assert passwords.remembered(header) is right


def test_a_name_that_is_not_there() -> None:
    """A name that is not there would be let in with the hash of nobody."""
    found = Passwords({"alice": hashed("a")})
    assert found.remembered(basic("alice:a")) is None
    assert not found.compare(basic("mallory:a"))


def test_who_guesses_pushes_nobody_out() -> None:
    """After each wave of guesses the server's own scrape would have to wait behind all of them."""
    found = Passwords({"alice": hashed("a")})
    assert found.compare(basic("alice:a"))
    for number in range(200):
        assert not found.compare(basic(f"alice:{number}"))
    assert found.remembered(basic("alice:a")) is True
    assert found.remembered(basic("alice:0")) is None
    assert found.remembered(basic("alice:199")) is False


@pytest.mark.parametrize(
    ("names", "allowed"),
    [
        ((), True),
        (("prometheus.example",), True),
        (("10.0.0.1",), True),
        (("example",), False),
        (("*.example",), False),
    ],
)
def test_names_of_a_certificate(names: tuple[str, ...], allowed: bool) -> None:
    """Any client of the authority would be let in, or none."""
    certificate = {"subjectAltName": (("DNS", "prometheus.example"), ("IP Address", "10.0.0.1"))}
    assert has_allowed_name(certificate, names) is allowed
    assert has_allowed_name(None, names) is not bool(names)


def test_the_context_is_what_was_asked_for() -> None:
    """The strictest of settings would be without effect."""
    pair = TLS / "server.crt", TLS / "server.key"
    context = make_context(Tls(*pair, "RequireAndVerifyClientCert", TLS / "ca.crt", (), "TLS13", "TLS13"))
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert [ca["subject"] for ca in context.get_ca_certs()] == [((("commonName", "ca"),),)]
    context = make_context(Tls(*pair))
    assert (context.verify_mode, context.minimum_version) == (ssl.CERT_NONE, ssl.TLSVersion.TLSv1_2)


_ABSENT = "expected a file that can be read; No such file or directory"
_NO_PAIR = "expected a certificate in PEM, and in key_file its key, without a password"


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (("missing", "server.key"), f"cert_file: {TLS}/missing: {_ABSENT}"),
        (("server.crt", "missing"), f"key_file: {TLS}/missing: {_ABSENT}"),
        (("server.crt", "client.key", "missing"), f"client_ca_file: {TLS}/missing: {_ABSENT}"),
        (
            ("server.crt", "client.key"),
            f"cert_file: {TLS}/server.crt: expected the certificate that belongs to the key in key_file",
        ),
        (("make", "server.key"), f"cert_file: {TLS}/make: {_NO_PAIR}"),
        (("server.crt", "make"), f"cert_file: {TLS}/server.crt: {_NO_PAIR}"),
        (("server.crt", "server.key", "make"), f"client_ca_file: {TLS}/make: expected certificates in PEM"),
    ],
)
def test_files_that_do_not_fit(files: tuple[str, ...], problem: str) -> None:
    """The exporter would end with a traceback, or nobody would know which of its files is the wrong one."""
    certificate, key, authority = (*(TLS / name for name in files), None)[:3]
    auth = "RequireAndVerifyClientCert" if authority else "NoClientCert"
    assert certificate is not None
    assert key is not None
    with pytest.raises(ConfigError) as caught:
        make_context(Tls(certificate, key, auth, authority))
    assert str(caught.value) == f"tls_server_config.{problem}"


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A web configuration with a certificate of its own."""
    for name in ("crt", "key"):
        shutil.copy(TLS / f"server.{name}", tmp_path / f"a.{name}")
    path = tmp_path / "web.yaml"
    path.write_text("tls_server_config: {cert_file: a.crt, key_file: a.key}\n")
    return path


def test_another_certificate_is_taken(web: Path) -> None:
    """It would run out, although a new one is there."""
    said: list[str] = []
    access = Access(web, said.append)
    before = access.context
    access.look()
    assert access.context is before
    for name in ("crt", "key"):
        beside = web.with_name("new")
        shutil.copy(TLS / f"server2.{name}", beside)
        beside.rename(web.with_name(f"a.{name}"))
    access.look()
    assert access.context is not before
    assert said == [f"{web} has been read anew"]


def test_a_wrong_one_does_not_replace_a_good_one(web: Path) -> None:
    """In the middle of a renewal certificate and key do not fit: the exporter would be open, or gone."""
    said: list[str] = []
    access = Access(web, said.append)
    before = access.context
    shutil.copy(TLS / "client.key", web.with_name("a.key"))
    access.look()
    access.look()
    assert access.context is before
    (line,) = said
    problem = f"{web}: tls_server_config.cert_file: {web.with_name('a.crt')}: "
    assert line.startswith(f"the web configuration is kept as it was: {problem}")
    shutil.copy(TLS / "server.key", web.with_name("a.key"))
    access.look()
    assert access.context is not before
    web.write_text("nonsense: 1\n")
    access.look()
    assert "unknown key 'nonsense'" in said[-1]
    assert access.context is not None
    web.write_text(f"basic_auth_users: {{alice: {hashed('a')}}}\n")
    access.look()
    assert access.context is None
    assert access.passwords is not None
    os.unlink(web)
    access.look()
    assert access.passwords is not None


def test_wrong_at_the_start(tmp_path: Path) -> None:
    """It would serve everybody, for want of a configuration."""
    with pytest.raises(ConfigError):
        Access(tmp_path / "web.yaml", print)
