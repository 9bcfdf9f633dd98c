"""Where the exporter listens, and how that is written.

Apart from the model, which brings all actions with it: the exporter is to stay small.
"""

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from memwatchd.keys import Kind, key

_CONTROLS = r"\u0000-\u001f\u007f-\u009f"
_UNIX = "unix:"
# A Unix socket's address has room for 108 bytes with the NUL; RUNTIME_DIR is longer than a name.
_SOCKET_PATTERN = rf"(?:{_UNIX})?(/[^{_CONTROLS}]{{1,106}})"
_MOST_ADDRESSES = 16
_MAX_SOCKET_BYTES = 107
_ADDRESS_PATTERN = (
    r"(\[([0-9A-Fa-f:.]{2,45}(?:%[0-9A-Za-z._-]{1,15})?)\]|[0-9A-Za-z._-]{1,253}):([1-9][0-9]{0,4})"
)
LISTEN_PATTERN = rf"{_ADDRESS_PATTERN}|{_SOCKET_PATTERN}"


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a server listens.

    Attributes:
        host: Name or address, an IPv6 address without its brackets; or the absolute path of a Unix socket.
        port: 1..65535; 0 for a Unix socket.
    """

    host: str
    port: int

    @property
    def socket(self) -> Path | None:
        """The Unix socket's path; None for an address."""
        return Path(self.host) if self.host.startswith("/") else None


def read_listen(text: str) -> Listen:
    """Read an address or a socket's path.

    Raises:
        ValueError: It is neither; the message says nothing.
    """
    path = re.fullmatch(_SOCKET_PATTERN, text)
    if path is not None:
        if len(path[1].encode()) > _MAX_SOCKET_BYTES:
            raise ValueError
        return Listen(path[1], 0)
    match = re.fullmatch(_ADDRESS_PATTERN, text)
    if match is None or int(match[3]) > 65535:
        raise ValueError
    host = match[2] or match[1]
    # Both raise ValueError. Dotted numbers that are no address would otherwise be asked of the DNS.
    if match[2]:
        IPv6Address(host)
    elif re.fullmatch(r"[0-9.]+", host):
        IPv4Address(host)
    return Listen(host, int(match[3]))


def write_listen(value: Listen) -> str:
    """Write it so that `read_listen` gives it back."""
    if value.socket is not None:
        return value.host
    return f"[{value.host}]:{value.port}" if ":" in value.host else f"{value.host}:{value.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter:
    """The Prometheus exporter."""

    enabled: bool = field(
        default=True,
        metadata=key("enabled", Kind.BOOLEAN, "Whether the exporter serves metrics at all.", example="true"),
    )
    listen: tuple[Listen, ...] = field(
        default=(Listen("127.0.0.1", 10973),),
        metadata=key(
            "listen",
            Kind.ADDRESSES,
            "Where the exporter listens; an IPv6 address stands in brackets.",
            example="127.0.0.1:10973",
            minimum=1,
            maximum=_MOST_ADDRESSES,
        ),
    )
    web_config: Path | None = field(
        default=None,
        metadata=key(
            "web_config",
            Kind.PATH,
            "File with certificate, passwords and headers, in the format of Prometheus' exporter-toolkit.",
            example="/etc/memwatchd/web.yaml",
        ),
    )
