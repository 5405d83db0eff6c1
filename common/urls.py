"""URLs of servers and names of files: which is which, and showing a URL without any piece of its password."""

from __future__ import annotations

import re
from urllib.parse import unquote

#: What only a URL begins with; `a b://c` and `photos/a://b` are names of files.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
#: A host and a port, if any, and what follows. Anything else may be a piece of a password.
_PLACE = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]\\]*)(?::[0-9]*)?(?:[/?].*)?", re.DOTALL)
#: What drivers read a password from, among a URL's options or libpq's keywords. `passfile`, `ssl_keyfile` name files.
_SECRET_OPTION = re.compile(
    r"(?<![^?&\s])(pass(?:word|wd|phrase)?|pwd|\w*_?password|secret|token|auth)\s*=", re.IGNORECASE
)
#: Characters that mean something else in a URL, wherever they stand in a name or a password.
_RESERVED = "/?#@[]\\ "
_BAD_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
#: Pieces of a secret that are shorter tell nobody anything, and are in every sentence.
_SHORTEST_PIECE = 3
_HIDDEN = "***"


def is_url(text: str) -> bool:
    """Say whether a text is a URL; any other is the name of a file."""
    return _URL.fullmatch(text.strip()) is not None


def check_url(url: str) -> None:
    """Refuse a URL whose user name and password end elsewhere than they were meant to.

    Raises:
        ValueError: what to write instead; nothing of the URL is in it.

    """
    match = _URL.fullmatch(url.strip())
    if match is None:
        return
    rest = match[2]
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    user_info, _, place = authority.rpartition("@")
    is_clear = "@" not in rest[len(authority) :] or ":" not in authority
    if not is_clear or _bad(user_info):
        user_info = rest.rpartition("@")[0]
        raise ValueError(f"its user name or password is not written as URLs have it: {_advice(_bad(user_info))}")
    if not _PLACE.fullmatch(place):
        raise ValueError(f"what follows the host's colon is no port; if it is part of a password: {_advice([])}")
    _check_options(rest)


def redact(url: str) -> str:
    """Return the URL without its password, for logs, reports and errors; of one that is mistyped, little is left."""
    match = _URL.fullmatch(url.strip())
    if match is None:
        return _without_options(url) if "@" not in url else f"{_HIDDEN}@{_clean(url.rpartition('@')[2])}"
    scheme, rest = match.groups()
    option = _SECRET_OPTION.search(rest)
    if option and "@" in rest[option.end() :]:  # what follows the last @ would look like a host
        return f"{scheme}://{_HIDDEN}"
    user_info, at, place = rest.rpartition("@")
    user, colon, _ = user_info.partition(":")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if not at or ("@" not in authority and ":" not in authority):  # none that could hold a password
        return f"{scheme}://{_clean(rest)}"
    if re.search(r"[/?#@\[\]\\\s]", user) or (not colon and scheme.startswith("redis")):
        user = _HIDDEN
    return f"{scheme}://{user}{':' + _HIDDEN if colon else ''}@{_clean(place)}"


def scrub(text: str, url: str) -> str:
    """Return what a driver says without the secrets of the URL that it was given."""
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return text


def _clean(place: str) -> str:
    """Return a host and what follows it, without a password among the options; `***` if it is none."""
    return _without_options(place) if _PLACE.fullmatch(place) else _HIDDEN


def _without_options(text: str) -> str:
    """Cut off at the first password among the options: one with an `&` in it goes on as if it were the next ones."""
    found = _SECRET_OPTION.search(text)
    return f"{text[: found.end()]}{_HIDDEN}" if found else text


def _check_options(rest: str) -> None:
    found = _SECRET_OPTION.search(rest)
    if not found:
        return
    value, *others = rest[found.end() :].split("&")
    if _BAD_PERCENT.search(value) or re.search(r"[+#\s]", value) or not all("=" in other for other in others):
        raise ValueError(
            "the password among its options is not written as URLs have it: write & as %26, + as %2B, # as %23,"
            " % as %25 and a space as %20"
        )


def _bad(user_info: str) -> list[str]:
    """Return what a user name or a password may not hold as it is, each character once."""
    bad = [character for character in _RESERVED if character in user_info]
    if _BAD_PERCENT.search(user_info):
        bad.append("%")
    if any(character < " " or character == "\x7f" for character in user_info):
        bad.append("\n")
    return bad


def _advice(bad: list[str]) -> str:
    named = {" ": "a space", "\n": "a line break"}
    pairs = [f"{named.get(character, character)} as %{ord(character):02X}" for character in bad or "/?#@%"]
    return f"write {', '.join(pairs)}"


def _secrets(url: str) -> set[str]:
    match = _URL.fullmatch(url.strip())
    rest = match[2] if match else url
    user_info = rest.rpartition("@")[0]
    found = {user_info.partition(":")[2]}
    option = _SECRET_OPTION.search(rest)
    if option:
        tail = rest[option.end() :]
        found |= {tail.partition("&")[0], *re.split("[&=/?#@:]", tail.partition("&")[2])[::2]}
    return {piece for secret in found for piece in (secret, unquote(secret)) if len(piece) >= _SHORTEST_PIECE}
