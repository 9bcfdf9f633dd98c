"""The web configuration: certificate, passwords and headers, in the format of Prometheus' exporter-toolkit.

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md; a file that serves
node_exporter serves here, too::

    tls_server_config:
      cert_file: server.crt                # relative to this file
      key_file: server.key
      client_auth_type: RequireAndVerifyClientCert
      client_ca_file: ca.crt
      client_allowed_sans: [prometheus.example]
      min_version: TLS12                   # TLS10, TLS11, TLS12 (default), TLS13
      max_version: TLS13
    http_server_config:
      http2: true                          # taken, and without effect: HTTP/1.1 is spoken
      headers: {Strict-Transport-Security: max-age=31536000}
    basic_auth_users:
      prometheus: $2y$10$...               # bcrypt

Whatever it has beyond that is an error with its line, not something to pass over: who believes that he has
restricted something must not be wrong. That goes for what OpenSSL as Python drives it cannot do, too: Go's
names of cipher suites and curves, keys within the file, and certificates that are asked for but not verified.
"""

import re
from collections.abc import Mapping as ReadMapping
from dataclasses import dataclass, field
from pathlib import Path

from memwatchd.config.nodes import Mapping, Node, Scalar, Sequence, read_tree
from memwatchd.config.positions import Mark
from memwatchd.errors import ConfigError

_VERSIONS = ("TLS10", "TLS11", "TLS12", "TLS13")
_TLS = (
    "cert_file",
    "key_file",
    "client_auth_type",
    "client_ca_file",
    "client_allowed_sans",
    "min_version",
    "max_version",
)
_UNABLE = {
    "cert": "name a file with cert_file",
    "key": "name a file with key_file",
    "client_ca": "name a file with client_ca_file",
    "cipher_suites": "OpenSSL's own choice is used",
    "curve_preferences": "OpenSSL's own choice is used",
}
_AUTH_TYPES = ("NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
_HEADERS = {
    "Strict-Transport-Security": None,
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": None,
    "Content-Security-Policy": None,
}
_HASH = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
# 14 is a second of one core already, at each first login.
_COSTS = (4, 14)
_HEADER_TEXT = re.compile(r"[\x20-\x7e]*")
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Tls:
    """How connections are encrypted.

    Attributes:
        client_auth: One of `_AUTH_TYPES`.
        sans: Names of which a client's certificate must have one; empty for any.
    """

    cert_file: Path
    key_file: Path
    client_auth: str = "NoClientCert"
    client_ca_file: Path | None = None
    sans: tuple[str, ...] = ()
    min_version: str = "TLS12"
    max_version: str = "TLS13"

    @property
    def files(self) -> tuple[Path, ...]:
        """All files it is made of."""
        return tuple(self.named_files.values())

    @property
    def named_files(self) -> dict[str, Path]:
        """All files it is made of, by their keys."""
        named = {
            "cert_file": self.cert_file,
            "key_file": self.key_file,
            "client_ca_file": self.client_ca_file,
        }
        return {key: path for key, path in named.items() if path is not None}


@dataclass(frozen=True, slots=True)
class WebConfig:
    """What a web configuration says; nothing of it by default.

    Attributes:
        users: Name to bcrypt hash; empty where nobody is asked for a password.
        headers: Sent with every answer.
    """

    tls: Tls | None = None
    users: ReadMapping[str, str] = field(default_factory=dict)
    headers: ReadMapping[str, str] = field(default_factory=dict)


def read_web_config(path: Path) -> WebConfig:
    """Read the file; relative paths in it begin where it is.

    Raises:
        ConfigError: It cannot be read, or something is wrong with it: one line a problem, each with file and
        line.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    if len(raw) > _MAX_BYTES:
        raise ConfigError(f"{path}: expected at most 1 MiB")
    return parse_web_config(raw, path)


def parse_web_config(raw: bytes, path: Path) -> WebConfig:
    """Read a text; see `read_web_config`."""
    tree = read_tree(raw)
    reader = _Reader(path)
    for flaw in tree.flaws:
        reader.complain(flaw.mark, flaw.message)
    nothing = tree.root is None or (isinstance(tree.root, Scalar) and tree.root.nothing)
    found = WebConfig() if nothing or tree.root is None else reader.read(tree.root)
    if reader.problems:
        raise ConfigError("\n".join(reader.problems))
    return found


class _Reader:
    """Goes through the tree and notes what is wrong."""

    def __init__(self, path: Path) -> None:
        self.problems: list[str] = []
        self._path = path

    def complain(self, mark: Mark, message: str) -> None:
        """Note a problem."""
        self.problems.append(f"{self._path}:{mark.line}:{mark.column}: {message}")

    def read(self, root: Node) -> WebConfig:
        """Read the whole."""
        parts = self._mapping(
            root, ("tls_server_config", "http_server_config", "basic_auth_users"), {"rate_limit": _NO_RATE}
        )
        tls = self._tls(parts["tls_server_config"]) if "tls_server_config" in parts else None
        headers = self._http(parts["http_server_config"]) if "http_server_config" in parts else {}
        users = self._users(parts["basic_auth_users"]) if "basic_auth_users" in parts else {}
        return WebConfig(tls, users, headers)

    # ---- its parts

    def _tls(self, node: Node) -> Tls | None:
        parts = self._mapping(node, (*_TLS, "prefer_server_cipher_suites"), _UNABLE)
        if not parts and not self.problems:
            return None  # an empty section is what exporter-toolkit takes for no encryption
        texts = {key: self._text(each) for key, each in parts.items() if key != "client_allowed_sans"}
        for key in ("cert_file", "key_file"):
            if not texts.get(key):
                self.complain(node.mark, f"tls_server_config: expected {key}")
        self._one_of(parts, texts, "client_auth_type", _AUTH_TYPES)
        for key in ("min_version", "max_version"):
            self._one_of(parts, texts, key, _VERSIONS)
        auth, ca = texts.get("client_auth_type") or _AUTH_TYPES[0], texts.get("client_ca_file")
        if (auth != _AUTH_TYPES[0]) != bool(ca):
            self.complain(
                node.mark,
                f"client_auth_type {auth}: client_ca_file belongs to a type that verifies, and only there",
            )
        sans = self._texts(parts["client_allowed_sans"]) if "client_allowed_sans" in parts else ()
        if sans and auth != _AUTH_TYPES[2]:
            self.complain(
                parts["client_allowed_sans"].mark, f"client_allowed_sans: expected with {_AUTH_TYPES[2]}"
            )
        lowest, highest = texts.get("min_version") or "TLS12", texts.get("max_version") or "TLS13"
        if lowest > highest:
            self.complain(node.mark, f"expected a min_version up to max_version; got {lowest} and {highest}")
        if self.problems:
            return None
        return Tls(
            self._file(texts["cert_file"]),
            self._file(texts["key_file"]),
            auth,
            self._file(ca) if ca else None,
            sans,
            lowest,
            highest,
        )

    def _http(self, node: Node) -> dict[str, str]:
        parts = self._mapping(node, ("http2", "headers"))
        if "http2" in parts and self._text(parts["http2"]) not in ("true", "false"):
            self.complain(parts["http2"].mark, "http2: expected true or false")
        if "headers" not in parts:
            return {}
        headers = self._mapping(parts["headers"], tuple(_HEADERS))
        texts = {name: self._text(each) for name, each in headers.items()}
        for name, text in texts.items():
            allowed = _HEADERS[name]
            if allowed and text and text not in allowed:
                self.complain(headers[name].mark, f"{name}: expected {' or '.join(allowed)}")
            elif not _HEADER_TEXT.fullmatch(text):
                self.complain(headers[name].mark, f"{name}: expected printable ASCII in one line")
        return {name: text for name, text in texts.items() if text}

    def _users(self, node: Node) -> dict[str, str]:
        users = {}
        for key, value in self._pairs(node):
            name, text = key.text, self._text(value)
            found = _HASH.fullmatch(text)
            if ":" in name or not name:
                self.complain(key.mark, "basic_auth_users: expected names without a colon")
            elif found is None or not _COSTS[0] <= int(found[1]) <= _COSTS[1]:
                # The text is not repeated: it may be the password itself.
                self.complain(
                    value.mark,
                    f"basic_auth_users: {name[:40]!r}: expected a bcrypt hash ($2y$10$…) of a cost from "
                    f"{_COSTS[0]} to {_COSTS[1]}",
                )
            users[name] = text
        return users

    # ---- nodes

    def _mapping(
        self, node: Node, keys: tuple[str, ...], unable: ReadMapping[str, str] | None = None
    ) -> dict[str, Node]:
        found = {}
        for key, value in self._pairs(node):
            name = key.text
            if name in keys:
                found[name] = value
            elif unable and name in unable:
                self.complain(key.mark, f"{name}: not supported: {unable[name]}")
            else:
                self.complain(key.mark, f"unknown key {name[:40]!r}; expected one of {', '.join(keys)}")
        return found

    def _pairs(self, node: Node) -> list[tuple[Scalar, Node]]:
        if isinstance(node, Scalar) and node.nothing:
            return []
        if not isinstance(node, Mapping):
            self.complain(node.mark, "expected a mapping")
            return []
        named = []
        for key, value in node.pairs:
            if isinstance(key, Scalar):
                named.append((key, value))
            else:
                self.complain(key.mark, "expected a name")
        return named

    def _text(self, node: Node) -> str:
        if isinstance(node, Scalar):
            return "" if node.nothing else node.text
        self.complain(node.mark, "expected a text")
        return ""

    def _texts(self, node: Node) -> tuple[str, ...]:
        if isinstance(node, Sequence):
            return tuple(self._text(each) for each in node.items)
        self.complain(node.mark, "expected a list")
        return ()

    def _one_of(
        self, parts: dict[str, Node], texts: dict[str, str], key: str, words: tuple[str, ...]
    ) -> None:
        if texts.get(key) and texts[key] not in words:
            self.complain(parts[key].mark, f"{key}: expected {' or '.join(words)}; got {texts[key][:40]!r}")

    def _file(self, text: str) -> Path:
        return self._path.parent / text


_NO_RATE = "connections are limited by themselves"
