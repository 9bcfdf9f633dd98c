"""Certificates and passwords at work: who may ask, and how that is changed without a restart."""

import base64
import binascii
import hashlib
import hmac
import os
import ssl
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from memwatchd.errors import ConfigError
from memwatchd.exporter.webconfig import Tls, WebConfig, read_web_config

_KEPT = 64
# What nobody has is compared with this, so that a name cannot be found out by the time it takes: a bcrypt
# hash of random bytes.
_NOBODYS_COST = 10
_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_VERIFY = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
# What a file is to be, by its key or by what OpenSSL says of it.
_EXPECTED = {
    "cert_file": "a certificate in PEM, and in key_file its key, without a password",
    "KEY_VALUES_MISMATCH": "the certificate that belongs to the key in key_file",
    "client_ca_file": "certificates in PEM",
}
Say = Callable[[str], None]


class Passwords:
    """Compares passwords with their bcrypt hashes; what was right or wrong is remembered for a while.

    A comparison takes a twentieth of a second of one core, by design.

    Args:
        users: Name to hash.

    Raises:
        ConfigError: bcrypt is not installed.
    """

    def __init__(self, users: Mapping[str, str]) -> None:
        try:
            import bcrypt  # optional, and 1 MiB
        except ImportError as error:
            raise ConfigError(
                "basic_auth_users: needs bcrypt (python3-bcrypt, or memwatchd[auth])"
            ) from error
        self._users = {name.encode(): hash_.encode() for name, hash_ in users.items()}
        self._check: Callable[[bytes, bytes], bool] = bcrypt.checkpw
        self._nobodys = bcrypt.hashpw(os.urandom(16).hex().encode(), bcrypt.gensalt(_NOBODYS_COST))
        self._key = os.urandom(32)
        # Apart, so that whoever guesses does not make the server forget those who know.
        self._right: set[bytes] = set()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()

    def remembered(self, header: str) -> bool | None:
        """Whether this Authorization header is right; None when that has to be found out."""
        credentials = _credentials(header)
        if credentials is None:
            return False
        digest = self._digest(credentials)
        return True if digest in self._right else False if digest in self._wrong else None

    def compare(self, header: str) -> bool:
        """Find out; takes long, so it is not for the loop."""
        credentials = _credentials(header)
        if credentials is None:
            return False
        name, _, password = credentials.partition(b":")
        # bcrypt looks at 72 bytes; newer versions raise where older ones cut.
        right = self._check(password[:72], self._users.get(name, self._nobodys)) and name in self._users
        digest = self._digest(credentials)
        if not right:
            self._wrong[digest] = None
            if len(self._wrong) > _KEPT:
                self._wrong.popitem(last=False)
        elif len(self._right) < _KEPT:  # more than one for each user only if they differ beyond 72 bytes
            self._right.add(digest)
        return right

    def _digest(self, credentials: bytes) -> bytes:
        """What is remembered in place of the password."""
        return hmac.digest(self._key, credentials, hashlib.sha256)


def _credentials(header: str) -> bytes | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        credentials = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    # A NUL ends what bcrypt sees, and newer versions raise.
    return credentials if b":" in credentials and b"\0" not in credentials else None


def make_context(tls: Tls) -> ssl.SSLContext:
    """Load certificate and key.

    Raises:
        ConfigError: They cannot be read, or do not belong together: key, file, and what was expected.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.maximum_version = _VERSIONS[tls.max_version]
    context.verify_mode = _VERIFY[tls.client_auth]
    for key, path in tls.named_files.items():
        _try_to_read(key, path)
    key, path = "cert_file", tls.cert_file
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(tls.cert_file, tls.key_file, password=lambda: b"")
        if tls.client_ca_file is not None:
            key, path = "client_ca_file", tls.client_ca_file
            context.load_verify_locations(path)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        expected = _EXPECTED.get(getattr(error, "reason", None) or key, _EXPECTED[key])
        raise ConfigError(f"tls_server_config.{key}: {path}: expected {expected}") from error
    return context


def _try_to_read(key: str, path: Path) -> None:
    """OpenSSL does not say which of its files it cannot read."""
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise ConfigError(
            f"tls_server_config.{key}: {path}: expected a file that can be read; {error.strerror}"
        ) from error


def has_allowed_name(certificate: Mapping[str, Any] | None, sans: tuple[str, ...]) -> bool:
    """Whether a certificate, as `ssl` gives it, has one of these names; where none is named any will do."""
    if not sans:
        return True
    names = (certificate or {}).get("subjectAltName", ())
    return any(value in sans for _, value in names)


class Access:
    """The web configuration at work: looked at again and again; a wrong one does not replace a good one.

    Args:
        path: The web configuration.
        say: Tells the administrator something.

    Raises:
        ConfigError: It is wrong at the start.
    """

    def __init__(self, path: Path, say: Say) -> None:
        self._path = path
        self._say = say
        self._refused: tuple[Any, ...] | None = None
        self._config = WebConfig()
        self.context: ssl.SSLContext | None = None
        self.passwords: Passwords | None = None
        self._take(read_web_config(path))
        self._signature = self._sign()

    @property
    def headers(self) -> Mapping[str, str]:
        """Sent with every answer."""
        return self._config.headers

    def admits(self, certificate: Mapping[str, Any] | None) -> bool:
        """Whether a client with this certificate, whose signature is right, may ask."""
        return self._config.tls is None or has_allowed_name(certificate, self._config.tls.sans)

    def look(self) -> None:
        """Take the configuration, or the certificate, if it is another one than before."""
        signature = self._sign()
        if signature in (self._signature, self._refused):
            return
        try:
            self._take(read_web_config(self._path))
        except ConfigError as error:
            self._refused = signature
            self._say(f"the web configuration is kept as it was: {'; '.join(str(error).splitlines())}")
            return
        # Its files may be others now.
        self._signature, self._refused = self._sign(), None
        self._say(f"{self._path} has been read anew")

    def _take(self, config: WebConfig) -> None:
        try:
            context = None if config.tls is None else make_context(config.tls)
            passwords = Passwords(config.users) if config.users else None
        except ConfigError as error:
            raise ConfigError(f"{self._path}: {error}") from error
        self._config, self.context, self.passwords = config, context, passwords

    def _sign(self) -> tuple[Any, ...]:
        files = () if self._config.tls is None else self._config.tls.files
        return tuple(_signature(path) for path in (self._path, *files))


def _signature(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
