"""A database as users name it: a URL, or the name of a SQLite file."""

from __future__ import annotations

import os
import re
from urllib.parse import quote_from_bytes

from common.urls import check_url, is_url

#: How libpq's other way of naming a database begins, and URLs without their slashes.
_MISTYPED = re.compile(
    r"\s*(?:(?:host|hostaddr|port|dbname|user|password|passfile|service|sslmode)\s*="
    r"|(?:postgres\w*|sqlite|mysql|mariadb)(?:\+\w+)?:.*[/@])",
    re.IGNORECASE,
)
#: `USER:PASSWORD@HOST/`, which is a name as well, where there is such a folder.
_NO_SCHEME = re.compile(r"([^/\s]*:[^/\s]*@[^/]*)/")


def database_url_of(value: str) -> str:
    """Return a URL: of a name, that of exactly this SQLite file; and name the Postgres driver that is installed.

    Raises:
        ValueError: it names no database that could be used.

    """
    if not is_url(value):
        return f"sqlite:///{quote_from_bytes(os.fsencode(_file_name(value)), safe='/~:')}"
    scheme, rest = value.strip().split("://", 1)
    scheme = scheme.lower()
    if scheme.split("+")[0] not in ("sqlite", "postgres", "postgresql"):
        raise ValueError(
            "use sqlite:///FILE, postgresql://USER@HOST/NAME, or just the name of a file; ./NAME is always one"
        )
    if scheme.split("+")[0] == "sqlite":
        if rest and not rest.startswith("/"):
            raise ValueError("SQLite has no hosts: use sqlite:///FILE, or the name of a file")
        _check_file(rest.removeprefix("/").split("?")[0])
    else:
        check_url(value)
    return f"{'postgresql+psycopg' if scheme in ('postgres', 'postgresql') else scheme}://{rest}"


def _file_name(value: str) -> str:
    without_scheme = _NO_SCHEME.match(value)
    if _MISTYPED.match(value) or (without_scheme and not os.path.isdir(without_scheme[1])):
        raise ValueError("a server is named by a URL, postgresql://USER@HOST/NAME; a file of this name as ./FILE")
    name = os.path.expanduser(value)
    if name == value and value.startswith("~"):
        raise ValueError("nobody here has that home; a file of this name is named as ./~FILE")
    _check_file(name)
    return name


def _check_file(name: str) -> None:
    if name in ("", ":memory:"):
        raise ValueError("name a file, in which the labels stay and which the workers open too; `./NAME` is always one")
    if "\0" in name:
        raise ValueError("no file has a name with a zero byte")
    if name.endswith("/") or os.path.isdir(name):
        raise ValueError("that is a folder; name a file in it")
