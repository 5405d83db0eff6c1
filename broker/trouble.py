"""What an error of Redis means: an outage, which is waited for, or something that a person has to mend."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING

from kombu.exceptions import BatchPublishError, OperationalError
from redis import exceptions as redis

from common.errors import BrokerBusyError, BrokerError
from common.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What means «no Redis» to whoever asks one.
ERRORS = (BatchPublishError, OperationalError, redis.RedisError, OSError)
#: Refusals that pass: a server that is full, starts, is busy with a script, or has lost its primary or its replicas.
_PASSING = (redis.OutOfMemoryError, redis.BusyLoadingError, redis.MasterDownError, redis.TryAgainError)
_PASSING_CODES = ("MISCONF", "BUSY", "NOREPLICAS", "OOM", "LOADING", "MASTERDOWN")
#: Where redis-py and Redis put their own words before those of the command that failed, in a batch and a transaction.
_WRAPPED = re.compile(r".*(?:caused error: |because of: )", re.DOTALL)
#: Connection errors that do not pass.
_REFUSED = (redis.AuthenticationError, redis.AuthorizationError)
_ASKS_FOR_CERTIFICATE = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "BAD_CERTIFICATE", "UNKNOWN_CA")
_HELP = "Is NIGHTLABEL_BROKER_URL right, and is the server up?"
#: How a server ends a connection that is not as it should be, or one that breaks; nobody can tell which it was.
_BROKEN = ("closed by server", "EOF occurred", "reset by peer", "Broken pipe", "handshake operation timed out")
_HELP_WITHOUT_TLS = "Is the server up? If it wants TLS, write rediss:// for redis://."
_HELP_WITH_TLS = (
    "Is the server up? If it has no TLS, write redis:// for rediss://; if it asks for a certificate of ours, add"
    " ssl_certfile=FILE and ssl_keyfile=FILE to the URL."
)
_RIGHTS = "docs/several-hosts.md lists the rights that nightlabel needs."
_NO_CLUSTER = "It is part of a cluster, which cannot hold the queue: name a single server."
_ADVICE: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (_REFUSED, "Write the right user and password into the URL, as in redis://USER:PASSWORD@HOST:6379/0."),
    (redis.NoPermissionError, _RIGHTS),
    (redis.ReadOnlyError, "It is a replica, which takes no messages: name its primary."),
    ((redis.AskError, redis.ClusterError, redis.ClusterCrossSlotError), _NO_CLUSTER),
    (redis.InvalidResponse, "What listens there is no Redis, or wants TLS, which is rediss://."),
    (PermissionError, "This user may not open the socket."),
)
_ADVICE_BY_WORDS = (
    ("WRONGTYPE", "Another program has a key of this name: set another NIGHTLABEL_KEY_PREFIX."),
    ("DENIED", "Give the server a password, and write it into the URL."),
    ("DB index", "The number behind the host is that of a database, mostly 0."),
    ("cluster mode", _NO_CLUSTER),
    ("MISCONF", "Its log says why; mostly its disk is full."),
    ("maxmemory", "It is full: give it more memory."),
    ("No master found", "Is master_name right, and is the server up?"),
    ("LOADING", "It is starting; try again in a moment."),
    ("loading", "It is starting; try again in a moment."),
)


def trouble(url: str, error: BaseException) -> BrokerError:
    """Return what to raise for an error of Redis: a `BrokerBusyError` if it may pass by itself."""
    causes = list(_causes(error))
    cause = causes[0]
    reason = _said(cause).strip().rstrip(".") or type(cause).__name__
    advice = _advice(causes, is_tls=url.startswith("rediss"))
    kind = BrokerBusyError if passes(error) else BrokerError
    return kind(f"Redis at {redact(url)} does not take messages: {reason}. {advice}")


def passes(error: BaseException) -> bool:
    """Tell whether an error may go away while one waits."""
    causes = list(_causes(error))
    if any(isinstance(cause, (PermissionError, *_REFUSED)) or _is_about_tls(cause) for cause in causes):
        return False
    cause = causes[0]
    if isinstance(cause, redis.ResponseError):
        return isinstance(cause, _PASSING) or _said(cause).startswith(_PASSING_CODES)
    return isinstance(
        cause, redis.ConnectionError | redis.TimeoutError | OSError | BatchPublishError | OperationalError
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what lies behind kombu's wrappers, which say only that it failed, and then what that came from."""
    while isinstance(error, BatchPublishError | OperationalError) and error.__cause__:
        error = error.__cause__
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__


def _said(error: BaseException) -> str:
    return _WRAPPED.sub("", str(error))


def _is_about_tls(error: BaseException) -> bool:
    """Tell whether the two ends do not agree about TLS; a connection that broke amid the handshake is an outage."""
    return isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)


def _advice(causes: list[BaseException], *, is_tls: bool) -> str:
    for cause in causes:
        if _is_about_tls(cause):
            return _tls_advice(cause)
        for kinds, advice in _ADVICE:
            if isinstance(cause, kinds):
                return advice
    words = " ".join(map(str, causes))
    found = next((advice for known, advice in _ADVICE_BY_WORDS if known in str(causes[0])), None)
    if found is None and any(known in words for known in _BROKEN):
        return _HELP_WITH_TLS if is_tls else _HELP_WITHOUT_TLS
    return found or _HELP


def _tls_advice(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            "Name the file of the CA that signed its certificate, as in rediss://HOST:6379/0?ssl_ca_certs=/etc/ca.pem."
        )
    words = str(error)
    if any(word in words for word in _ASKS_FOR_CERTIFICATE):
        return "It asks for a certificate of ours: add ssl_certfile=FILE and ssl_keyfile=FILE to the URL."
    if "WRONG_VERSION_NUMBER" in words or "RECORD_LAYER" in words:
        return "What listens there does not speak TLS: redis:// is without."
    return "Are ssl_ca_certs, ssl_certfile and ssl_keyfile in the URL right?"
