"""URLs and names of files: which is which, and what is shown of a URL that has a password in it."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from common.urls import check_url, is_url, redact, scrub

#: Stands for any password: it must not be in any message.
HIDDEN = "s3cr3t"
#: Passwords of which each has something that a URL may not hold as it is, or that means something else there.
ODD = [
    *("S3cr/et9", "S3cr#et9", "S3cr?et9", "S3cr@et9", "S3cr:et9", "S3cr%et9", "S3cr%41et9", "S3cr[et9", "S3cr]et9"),
    *("S3cr et9", "S3cr\\et9", "S3cr@nas:1/et9", "12345/et9@nas", "://S3cr@et9", "S3cr&et9=x", "S3cr;et9", "S3cr+et9"),
    *(
        "S3crétéè9",
        "S3cr／et9",
        "пароль/пароль",
        "@@@S3cr@@@",
        "S3cr\net9",
        "?pazz=S3cr&et9",
        "'S3cr\"et9'",
        "S3cr$(et9)",
    ),
]
#: What may follow a password.
PLACES = ["@nas:5432/photos", "@nas/photos?sslmode=require", "@[::1]:6379/0", "@nas", "@", "", "@nas:port/0"]


def pieces(password: str) -> set[str]:
    """Return each three characters of a password that stand side by side, as typed and as a URL has them."""
    found = {password[start : start + 3] for start in range(len(password) - 2)}
    written = quote(password, safe="")
    # None that begins within a %XX: two hexadecimal digits are anywhere.
    found |= {
        written[start : start + 3] for start in range(len(written) - 2) if "%" not in written[max(0, start - 2) :][:3]
    }
    return found - PLACE_WORDS


#: Three characters that stand in what is shown of any place.
PLACE_WORDS = {
    text[start : start + 3] for text in ("@nas:", "://", "***", "@@@", ":1/") for start in range(len(text) - 2)
}


def refusal(url: str) -> str | None:
    try:
        check_url(url)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize("scheme", ["postgresql", "redis", "rediss", "mysql"])
@pytest.mark.parametrize("user", ["anna:", ":"])
@pytest.mark.parametrize("password", ODD)
def test_no_piece_of_an_odd_password_is_shown_or_told(scheme: str, user: str, password: str) -> None:
    for place in PLACES:
        if not place and ("@" in password or not refusal(f"{scheme}://{user}{password}")):
            continue  # a host, or a host and a port: nothing says that it was meant to be a password
        for url in [f"{scheme}://{user}{written}{place}" for written in (password, quote(password, safe=""))]:
            told = f"{redact(url)} {refusal(url)}"
            assert [piece for piece in pieces(password) if piece in told] == [], told


@pytest.mark.parametrize("password", ODD)
def test_no_piece_of_a_password_among_the_options_is_shown_or_told(password: str) -> None:
    url = f"postgresql://nas/photos?user=anna&password={password}"
    told = f"{redact(url)} {refusal(url)}"
    assert [piece for piece in pieces(password) if piece in told and piece not in "?password="] == [], told


@pytest.mark.parametrize(
    ("password", "written"),
    [
        ("S3cr/et9", "/ as %2F"),
        ("S3cr#et9", "# as %23"),
        ("S3cr?et9", "? as %3F"),
        ("S3cr@et9", "@ as %40"),
        ("S3cr%et9", "% as %25"),
        ("S3cr[et9", "[ as %5B"),
        ("S3cr]et9", "] as %5D"),
        ("S3cr et9", "a space as %20"),
        ("S3cr\\et9", "\\ as %5C"),
        ("S3cr\net9", "a line break as %0A"),
        ("1/#9", "/ as %2F, # as %23"),
    ],
)
@pytest.mark.parametrize("scheme", ["postgresql", "redis"])
def test_a_password_that_a_url_cannot_hold_is_refused_with_how_to_write_it(
    scheme: str, password: str, written: str
) -> None:
    assert written in (refusal(f"{scheme}://anna:{password}@nas/0") or "")


@pytest.mark.parametrize("password", ODD)
def test_a_password_that_is_written_as_urls_have_it_is_taken(password: str) -> None:
    assert refusal(f"postgresql://anna:{quote(password, safe='')}@nas/photos") is None


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://nas/photos?user=anna@example.org",
        "redis+socket:///run/a@b/redis.sock",
        "postgresql://anna:a:b@nas:5432/photos",
        "postgresql:///photos?host=/run/postgresql&passfile=/home/anna/.pgpass",
        "redis://[::1]:6379/0",
    ],
)
def test_a_url_that_is_clear_is_taken_and_shown(url: str) -> None:
    assert refusal(url) is None
    assert redact(url) == url.replace(":a:b@", ":***@")


@pytest.mark.parametrize("text", ["a b://c", "photos/a://b", "file:x.db", "://x", "night.db", "C:/night.db", ""])
def test_only_a_scheme_makes_a_url(text: str) -> None:
    assert not is_url(text)


def test_what_a_driver_says_of_a_piece_of_a_password_is_not_passed_on() -> None:
    url = "postgresql://nas/photos?user=anna&password=S3cr&et9=x"
    assert scrub('invalid connection option "et9", password "S3cr"', url) == (
        'invalid connection option "***", password "***"'
    )


def test_a_password_is_found_in_what_a_driver_says_as_typed_and_as_meant() -> None:
    assert scrub("no a/b/c, no a%2Fb%2Fc", "redis://:a%2Fb%2Fc@nas") == "no ***, no ***"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://anna:{HIDDEN}@nas:5432/photos", "postgresql://anna:***@nas:5432/photos"),
        (f"postgresql://anna:{HIDDEN}@{HIDDEN}@nas/photos", "postgresql://anna:***@nas/photos"),
        (f"redis://:{HIDDEN}@nas:6379/0", "redis://:***@nas:6379/0"),
        ("redis://nas:6379/0", "redis://nas:6379/0"),
        ("redis+socket:///run/redis.sock", "redis+socket:///run/redis.sock"),
        ("night.db", "night.db"),
    ],
)
def test_a_shown_url_keeps_everything_but_the_password(url: str, shown: str) -> None:
    assert redact(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://nas/photos?user=anna&password={HIDDEN}",
        f"postgresql://anna@nas/photos?password=pa@{HIDDEN}",
        f"postgresql://anna:pa@nas/photos?sslpassword=pa@{HIDDEN}",
        f"redis://nas:6379/0?password=pa@{HIDDEN}",
        f"postgresql://anna:pa/{HIDDEN}@nas/photos",
        f"postgresql://anna:pa?{HIDDEN}@nas/photos",
        f"postgresql://anna:pa#{HIDDEN}@nas/photos",
        f"postgresql://anna:{HIDDEN}@[::1/photos",
    ],
    ids=lambda url: url.replace(HIDDEN, "x"),
)
def test_a_password_is_hidden_however_the_url_is_mistyped(url: str) -> None:
    assert HIDDEN not in redact(url)
