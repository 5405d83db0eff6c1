"""What an error of Redis means: an outage, which is waited for, or something that a person has to fix.

Judged by redis-py's classes, by the code of Redis's reply, and by OpenSSL's reason; by words where there is no code.
"""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING

from kombu.exceptions import BatchPublishError, OperationalError
from redis import exceptions as redis
from redis.sentinel import MasterNotFoundError

from common.errors import BrokerBusyError, BrokerError
from common.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What kombu and redis-py raise where Redis cannot be used.
REDIS_ERRORS = (BatchPublishError, OperationalError, redis.RedisError, OSError)
#: Codes of refusals that waiting may end: a server that is full, whose disk is full, that starts, that is busy with a
#: script, or that has lost its primary or its replicas. Source: Redis, src/server.c, `createSharedObjects`
_TRANSIENT_CODES = frozenset(("OOM", "MISCONF", "LOADING", "BUSY", "MASTERDOWN", "NOREPLICAS", "TRYAGAIN"))
#: Connection errors that waiting does not end.
_AUTHENTICATION = (redis.AuthenticationError, redis.AuthorizationError)
#: Where redis-py and Redis put their own words before those of the command that failed, in a batch and a transaction.
#: There, and only there, the code stands in the middle of the text.
_WRAPPED = re.compile(r".*(?:caused error: |because of: )", re.DOTALL)
_CODE = re.compile(r"[A-Z]{2,}")
#: OpenSSL's reasons for which a server asks for a certificate, as parts of `SSLError.reason`.
_ASKS_FOR_CERTIFICATE = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "BAD_CERTIFICATE", "UNKNOWN_CA")
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER")
#: How a connection ends that does not suit the server, or that breaks; nobody can tell which it was.
_BROKEN = (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
#: The same where there is only a sentence: redis-py's own, for an empty answer, and Python's, for a `TimeoutError`.
_BROKEN_WORDS = ("closed by server", "handshake operation timed out")
_HELP = "Is NIGHTLABEL_BROKER_URL right, and is the server up?"
_HELP_WITHOUT_TLS = "Is the server up? If it wants TLS, write rediss:// for redis://."
_HELP_WITH_TLS = (
    "Is the server up? If it has no TLS, write redis:// for rediss://; if it asks for a certificate of ours, add"
    " ssl_certfile=FILE and ssl_keyfile=FILE to the URL."
)
_NO_CLUSTER = "It is part of a cluster, which cannot hold the queue: name a single server."
_ADVICE: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (_AUTHENTICATION, "Write the right user and password into the URL, as in redis://USER:PASSWORD@HOST:6379/0."),
    (redis.NoPermissionError, "docs/several-hosts.md lists the permissions that nightlabel needs."),
    (redis.ReadOnlyError, "It is a replica, which takes no messages: name its primary."),
    ((redis.AskError, redis.ClusterError, redis.ClusterCrossSlotError), _NO_CLUSTER),
    (redis.InvalidResponse, "What listens there is no Redis, or wants TLS, which is rediss://."),
    (MasterNotFoundError, "Is master_name right, and is the server up?"),
    (PermissionError, "This user may not open the socket."),
)
_ADVICE_BY_CODE = {
    "WRONGTYPE": "Another program has a key of this name: set another NIGHTLABEL_KEY_PREFIX.",
    "DENIED": "Give the server a password, and write it into the URL.",
    "MISCONF": "Its log says why; mostly its disk is full.",
    "OOM": "It is full: give it more memory.",
    "LOADING": "It is starting; try again in a moment.",
}
#: Of replies with the code ERR, which Redis gives to whatever has no code of its own: only the words tell them apart.
_ADVICE_BY_WORDS = (
    ("DB index", "The number behind the host is that of a database, mostly 0."),
    ("cluster mode", _NO_CLUSTER),
)


def broker_error(url: str, error: BaseException) -> BrokerError:
    """Return what to raise for an error of Redis: a `BrokerBusyError` if it may go away by itself.

    Args:
        url: of the broker; its password is not shown.
        error: as kombu or redis-py raised it.

    """
    causes = list(_causes(error))
    cause = causes[0]
    reason = _said(cause).strip().rstrip(".") or type(cause).__name__
    advice = _advice(causes, is_tls=url.startswith("rediss"))
    kind = BrokerBusyError if is_transient(error) else BrokerError
    return kind(f"Redis at {redact(url)} does not take messages: {reason}. {advice}")


def is_transient(error: BaseException) -> bool:
    """Tell whether an error may go away while one waits."""
    causes = list(_causes(error))
    if any(isinstance(cause, (PermissionError, *_AUTHENTICATION)) or _is_about_tls(cause) for cause in causes):
        return False
    cause = causes[0]
    if isinstance(cause, redis.ResponseError):
        return reply_code(cause) in _TRANSIENT_CODES
    return isinstance(
        cause, redis.ConnectionError | redis.TimeoutError | OSError | BatchPublishError | OperationalError
    )


def reply_code(error: BaseException) -> str:
    """Return the code of an error that Redis replied with, like `WRONGTYPE`; an empty string for any other error.

    It is the first word of the reply. redis-py has a class for some codes, takes them out of the text and keeps them as
    `status_code`; of a transaction that was aborted, the code that counts is that of the command which was refused.
    Source: redis-py 8.1, `BaseParser.parse_error`.
    """
    known: str | None = getattr(error, "status_code", None)
    if known and not isinstance(error, redis.ExecAbortError):
        return known
    first = _said(error).partition(" ")[0]
    return first if isinstance(error, redis.RedisError) and _CODE.fullmatch(first) else ""


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
        if isinstance(cause, ssl.SSLError) and _is_about_tls(cause):
            return _tls_advice(cause)
        for kinds, advice in _ADVICE:
            if isinstance(cause, kinds):
                return advice
    code = reply_code(causes[0])
    if code in _ADVICE_BY_CODE:
        return _ADVICE_BY_CODE[code]
    if _is_broken(causes):
        return _HELP_WITH_TLS if is_tls else _HELP_WITHOUT_TLS
    return next((advice for words, advice in _ADVICE_BY_WORDS if words in str(causes[0])), _HELP)


def _is_broken(causes: list[BaseException]) -> bool:
    return any(isinstance(cause, _BROKEN) or any(words in str(cause) for words in _BROKEN_WORDS) for cause in causes)


def _tls_advice(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            "Name the file of the CA that signed its certificate, as in rediss://HOST:6379/0?ssl_ca_certs=/etc/ca.pem."
        )
    reason = error.reason or ""
    if any(known in reason for known in _ASKS_FOR_CERTIFICATE):
        return "It asks for a certificate of ours: add ssl_certfile=FILE and ssl_keyfile=FILE to the URL."
    if any(known in reason for known in _NO_TLS):
        return "What listens there does not speak TLS: redis:// is without."
    return "Are ssl_ca_certs, ssl_certfile and ssl_keyfile in the URL right?"
