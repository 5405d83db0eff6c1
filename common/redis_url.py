"""How Redis may be named: one form of URL for each way that there is to reach it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from common.urls import check_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from urllib.parse import SplitResult

_TCP = {"redis": False, "valkey": False, "rediss": True, "valkeys": True}  #: scheme: whether it is TLS
_SOCKET = ("unix", "redis+socket", "redis+unix")
_SENTINEL = "sentinel"
_FORMS = (
    "redis://HOST:6379/0, rediss://… for TLS, unix:///PATH/redis.sock, or"
    " sentinel://HOST:26379,HOST:26379/0?master_name=NAME"
)
_PORT = 6379
_SENTINEL_PORT = 26379
_HIGHEST_PORT = 65535
#: As redis-py names them; `ssl_cert_reqs=none` takes any certificate.
_TLS_OPTIONS = ("ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname")
#: Those of them that name something on the disk.
TLS_PATHS = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
_CERT_REQS = ("none", "optional", "required")
_BARE_IPV6 = re.compile(r"[a-z+]+://(?:[0-9A-Fa-f]*:){2,}[0-9A-Fa-f.]*(?:$|[/?])")
_ESCAPE = "write every special character of a user name or a password as %XX, like / as %2F and # as %23"


@dataclass(frozen=True, kw_only=True)
class RedisAddress:
    """Where Redis is, and how it is spoken to."""

    hosts: Sequence[tuple[str, int]] = ()  #: of the server, or of the sentinels that know it
    path: str | None = None  #: of a unix socket
    master_name: str | None = None  #: what sentinels call the server
    user: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    tls: Mapping[str, str | bool] | None = None  #: redis-py's options; None: no TLS

    @classmethod
    def parse(cls, url: str) -> Self:
        """Take a URL apart.

        Raises:
            ValueError: it names nothing that can be reached; no piece of it is in the sentence.

        """
        scheme = url.partition("://")[0]
        if "cluster" in scheme:
            raise ValueError(f"a Redis cluster cannot hold the queue, which is one list; use a single server: {_FORMS}")
        if scheme not in (*_TCP, *_SOCKET, _SENTINEL):
            raise ValueError(f"use {_FORMS}")
        if _BARE_IPV6.match(url):
            raise ValueError("an IPv6 address stands in brackets, as in redis://[::1]:6379/0")
        url = url.replace(f";{_SENTINEL}://", ",")
        check_url(re.sub(r",[^@/?#]*(?=[/?]|$)", "", url, count=1) if scheme == _SENTINEL else url)
        try:
            parts = urlsplit(url)
        except ValueError:  # it cites what it could not read
            raise ValueError(f"it cannot be taken apart: {_ESCAPE}") from None
        if parts.fragment:
            raise ValueError(f"it has a #: {_ESCAPE}")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if scheme in _SOCKET:
            return cls._of_socket(parts, options)
        return cls._of_hosts(parts, options)

    @classmethod
    def _of_socket(cls, parts: SplitResult, options: dict[str, str]) -> Self:
        user, password, host = _credentials(parts.netloc)
        if host or not parts.path.strip("/"):
            raise ValueError("a unix socket needs its whole path: unix:///run/redis/redis.sock")
        database = options.pop("db", None) or options.pop("virtual_host", "0")
        _raise_if_unknown(options)
        return cls(path=unquote(parts.path), user=user, password=password, database=_database(database))

    @classmethod
    def _of_hosts(cls, parts: SplitResult, options: dict[str, str]) -> Self:
        is_sentinel = parts.scheme == _SENTINEL
        user, password, hosts = _credentials(parts.netloc)
        master_name = options.pop("master_name", None)
        if is_sentinel and not master_name:
            raise ValueError("say what the sentinels call the server: sentinel://HOST:26379/0?master_name=mymaster")
        tls = _tls(options) if _TCP.get(parts.scheme) else None
        _raise_if_unknown(options if is_sentinel or master_name is None else {"master_name": master_name})
        port = _SENTINEL_PORT if is_sentinel else _PORT
        found = [_host(host, port) for host in hosts.split(",")]
        if len(found) > 1 and not is_sentinel:
            raise ValueError("it names several hosts, which only sentinel:// does")
        return cls(
            hosts=tuple(found),
            master_name=master_name,
            user=user,
            password=password,
            database=_database(parts.path.strip("/") or "0"),
            tls=tls,
        )

    @property
    def url(self) -> str:
        """The URL that kombu reads as this address, of sentinels the first."""
        user_info = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@" if self.password else ""
        if self.path:
            number = f"?virtual_host={self.database}" if self.database else ""
            return f"redis+socket://{user_info}{quote(self.path)}{number}"
        host, port = self.hosts[0]
        scheme = _SENTINEL if self.master_name else "rediss" if self.tls is not None else "redis"
        return f"{scheme}://{user_info}{f'[{host}]' if ':' in host else host}:{port}/{self.database}"


def _credentials(netloc: str) -> tuple[str, str, str]:
    """Return the user, the password and the rest of what stands between `//` and `/`."""
    user_info, _, rest = netloc.rpartition("@")
    user, _, password = user_info.partition(":")
    if user and not password:
        raise ValueError("it names a user without a password; a password alone is written as redis://:PASSWORD@HOST")
    return unquote(user), unquote(password), rest


def _host(text: str, default_port: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        host, port = text, str(default_port)
    is_ipv6 = host.startswith("[") and host.endswith("]")
    if not port.isdecimal() or not 0 < int(port) <= _HIGHEST_PORT:
        raise ValueError(f"its port is no number from 1 to {_HIGHEST_PORT}, or {_ESCAPE}")
    return (unquote(host[1:-1] if is_ipv6 else host) or "localhost", int(port))


def _database(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError("what follows the host must be the number of a database, as in redis://HOST:6379/0")
    return int(text)


def _tls(options: dict[str, str]) -> dict[str, str | bool]:
    """Take redis-py's TLS options out of the URL's; without any, the server's certificate is verified."""
    tls: dict[str, str | bool] = {name: options.pop(name) for name in _TLS_OPTIONS if name in options}
    wanted = str(tls.get("ssl_cert_reqs", "required")).lower().removeprefix("cert_")
    if wanted not in _CERT_REQS:
        raise ValueError(f"ssl_cert_reqs is one of {', '.join(_CERT_REQS)}")
    check = str(tls.get("ssl_check_hostname", "true")).lower()
    if check not in ("true", "false"):
        raise ValueError("ssl_check_hostname is true or false")
    return tls | {"ssl_cert_reqs": wanted, "ssl_check_hostname": check == "true" and wanted != "none"}


def _raise_if_unknown(options: Mapping[str, str]) -> None:
    if options:
        known = ", ".join(_TLS_OPTIONS)
        raise ValueError(
            f"it has options that are not known here. There are {known} for rediss://, db for unix://, and master_name"
            " for sentinel://"
        )
