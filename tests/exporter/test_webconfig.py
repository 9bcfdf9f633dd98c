"""The web configuration: what Prometheus' own programs take is taken, all else is an error with its line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memwatchd.errors import ConfigError
from memwatchd.exporter.webconfig import Tls, WebConfig, parse_web_config, read_web_config

FILE = Path("/etc/x/web.yaml")
HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"
PAIR = "cert_file: a.crt, key_file: a.key"
TLS = f"tls_server_config: {{{PAIR}"


def test_the_whole_file() -> None:
    """A file that serves node_exporter would not serve here."""
    text = f"""
tls_server_config:
  cert_file: server.crt
  key_file: /secret/server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [prometheus.example, 10.0.0.1]
  min_version: TLS13
  max_version: TLS13
  prefer_server_cipher_suites: true
http_server_config:
  http2: false
  headers:
    Strict-Transport-Security: max-age=31536000
    X-Frame-Options: sameorigin
    X-XSS-Protection:
basic_auth_users:
  alice: {HASH}
  bob: {HASH}
"""
    assert parse_web_config(text.encode(), FILE) == WebConfig(
        tls=Tls(
            cert_file=Path("/etc/x/server.crt"),
            key_file=Path("/secret/server.key"),
            client_auth="RequireAndVerifyClientCert",
            client_ca_file=Path("/etc/x/ca.crt"),
            sans=("prometheus.example", "10.0.0.1"),
            min_version="TLS13",
            max_version="TLS13",
        ),
        users={"alice": HASH, "bob": HASH},
        headers={"Strict-Transport-Security": "max-age=31536000", "X-Frame-Options": "sameorigin"},
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "~", "tls_server_config:\nbasic_auth_users:\n"])
def test_nothing(text: str) -> None:
    """An empty file is allowed by exporter-toolkit, and restricts nothing."""
    assert parse_web_config(text.encode(), FILE) == WebConfig()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("basic_auth_user: {}", "1:1: unknown key 'basic_auth_user'; expected one of tls_server_config, "),
        ("a: 1\nrate_limit: {burst: 3}", "2:1: rate_limit: not supported: "),
        ("[]", "1:1: expected a mapping"),
        ("basic_auth_users: [alice]", "1:19: expected a mapping"),
        ("? [a]\n: b", "1:3: expected a name"),
        (f"{TLS}, cipher_suites: [X]}}", "cipher_suites: not supported: OpenSSL's own choice is used"),
        (f"{TLS}, key: X}}", "key: not supported: name a file with key_file"),
        ("tls_server_config: {cert_file: a}", "1:20: tls_server_config: expected key_file"),
        ("tls_server_config: {cert_file: [a], key_file: b}", "1:32: expected a text"),
        (f"{TLS}, min_version: TLS9}}", "min_version: expected TLS10 or TLS11 or TLS12 or TLS13; got 'TLS9'"),
        (f"{TLS}, min_version: TLS13, max_version: TLS12}}", "expected a min_version up to max_version"),
        (f"{TLS}, client_auth_type: RequireAnyClientCert}}", "client_auth_type: expected NoClientCert or "),
        (f"{TLS}, client_auth_type: RequireAndVerifyClientCert}}", "client_ca_file belongs to a type"),
        (f"{TLS}, client_ca_file: ca}}", "client_ca_file belongs to a type that verifies, and only there"),
        (f"{TLS}, client_allowed_sans: [a]}}", "client_allowed_sans: expected with RequireAndVerify"),
        ("http_server_config: {http2: maybe}", "1:29: http2: expected true or false"),
        ("http_server_config: {headers: {Server: x}}", "1:32: unknown key 'Server'; expected one of Strict-"),
        (
            "http_server_config: {headers: {X-Frame-Options: all}}",
            "X-Frame-Options: expected deny or sameorigin",
        ),
        (
            'http_server_config: {headers: {X-XSS-Protection: "1\\r\\nSet-Cookie: a"}}',
            "expected printable ASCII",
        ),
        ("basic_auth_users: {alice: secret}", "basic_auth_users: 'alice': expected a bcrypt hash"),
        (f"basic_auth_users: {{alice: {HASH.replace('10', '31')}}}", "of a cost from 4 to 14"),
        (f'basic_auth_users: {{"a:b": {HASH}}}', "expected names without a colon"),
        (f"basic_auth_users: {{a: {HASH}, a: {HASH}}}", "expected 'a' once; it stands on line 1 already"),
        ("a: [", "expected YAML"),
        ("a: !!python/object:os.system x", "expected no tag"),
    ],
)
def test_mistakes(text: str, expected: str) -> None:
    """Who believes that he has restricted something would be wrong."""
    with pytest.raises(ConfigError) as caught:
        parse_web_config(text.encode(), FILE)
    lines = str(caught.value).splitlines()
    assert any(expected in line for line in lines), lines
    assert all(line.startswith(f"{FILE}:") for line in lines)


def test_a_password_in_the_wrong_place_is_not_repeated() -> None:
    """It would stand in the journal."""
    with pytest.raises(ConfigError) as caught:
        parse_web_config(b"basic_auth_users: {alice: correct-horse}", FILE)
    assert "correct-horse" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """One would have to guess which one."""
    with pytest.raises(ConfigError, match=r"web.yaml: No such file or directory$"):
        read_web_config(tmp_path / "web.yaml")


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    """A disk image named by mistake would be read into memory as YAML."""
    path = tmp_path / "big"
    path.write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(ConfigError, match="at most 1 MiB"):
        read_web_config(path)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_whatever_it_holds(raw: bytes) -> None:
    """A traceback would stand where a line and a reason should."""
    try:
        parse_web_config(raw, FILE)
    except ConfigError as error:
        assert str(error)
