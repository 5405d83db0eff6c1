"""Who may ask the page what: each attack that a browser can be made to carry out, and each way in that is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from common.settings import load_settings
from web.app import make_app
from web.security.guard import COOKIE
from web.security.hosts import AllowedHosts, is_loopback
from web.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "a token that nobody guesses"
OWN = "http://127.0.0.1:8420"


def client_of(tmp_path: Path, **given: object) -> TestClient:
    settings = load_settings(database_url=str(tmp_path / "none.db"), cache_dir=tmp_path, **given)
    return TestClient(make_app(State(settings)), base_url=OWN, follow_redirects=False)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """A browser on a page that is this machine's alone."""
    with client_of(tmp_path) as opened:
        yield opened


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[TestClient]:
    """A browser on a page that others can reach, and that asks for a token."""
    with client_of(tmp_path, web_host="0.0.0.0", web_token=TOKEN) as opened:
        yield opened


LOCAL = ["127.0.0.1", "127.0.0.1:8420", "localhost:8420", "LOCALHOST", "localhost.:8420", "[::1]:8420", "127.9.9.9"]
FOREIGN = [
    *("evil.example", "evil.example:8420", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.7:8420"),
    *("127.0.0.1:8420@evil.example", "evil.example#127.0.0.1", "evil.example/127.0.0.1", "127.0.0.1:99999999", "", "["),
]


@pytest.mark.parametrize("host", LOCAL)
def test_the_page_is_known_by_this_machines_own_addresses(host: str, client: TestClient) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 303


@pytest.mark.parametrize("host", FOREIGN)
def test_no_other_name_leads_to_it(host: str, client: TestClient) -> None:
    """A site that gives its own name this machine's address is known by that name."""
    refused = client.get("/", headers={"Host": host})
    assert (refused.status_code, "--allowed-host" in refused.text) == (400, True)


def test_a_request_names_one_host(client: TestClient) -> None:
    assert client.get("/", headers=[("Host", "127.0.0.1"), ("Host", "evil.example")]).status_code == 400


def test_a_name_can_be_allowed(tmp_path: Path) -> None:
    with client_of(tmp_path, web_allowed_hosts=("photos.example",)) as client:
        assert client.get("/", headers={"Host": "photos.example"}).status_code == 303
        assert client.get("/", headers={"Host": "x.photos.example"}).status_code == 400


def test_beyond_this_machine_its_addresses_and_its_name_are_right() -> None:
    hosts = AllowedHosts("0.0.0.0")
    assert hosts.allow("192.168.1.7:8420")
    assert hosts.allow("[fe80::1]")
    assert not hosts.allow("evil.example")


@pytest.mark.parametrize(
    ("host", "is_local"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)]
)
def test_what_is_this_machine_alone(host: str, *, is_local: bool) -> None:
    assert is_loopback(host) is is_local


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1"},  # another port is another site's
        {"Origin": "https://127.0.0.1:8420"},
        {"Origin": "http://127.0.0.1:8420.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {"Origin": OWN, "Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_sites_form_changes_nothing(method: str, headers: dict[str, str], client: TestClient) -> None:
    assert client.request(method, "/api/classify", headers=headers).status_code == 403


@pytest.mark.parametrize("headers", [{}, {"Origin": OWN, "Sec-Fetch-Site": "same-origin"}])
def test_our_own_forms_and_programs_are_let_through(headers: dict[str, str], client: TestClient) -> None:
    assert client.post("/nowhere", headers=headers).status_code == 404


def test_our_own_forms_come_through_a_proxy_with_tls_by_the_name_that_was_allowed(tmp_path: Path) -> None:
    headers = {"Host": "photos.example.org", "Sec-Fetch-Site": "same-origin"}
    with client_of(tmp_path, web_allowed_hosts=["photos.example.org"]) as client:
        own = client.post("/nowhere", headers=headers | {"Origin": "https://photos.example.org"})
        forged = client.post("/nowhere", headers=headers | {"Origin": "https://evil.example"})

    assert (own.status_code, forged.status_code) == (404, 403)


@pytest.mark.parametrize("dest", ["image", "script", "iframe", "object", "empty"])
def test_another_site_shows_nothing_of_ours_in_its_page(dest: str, client: TestClient) -> None:
    mode = "navigate" if dest in ("iframe", "object") else "no-cors"
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    assert client.get("/nowhere", headers=headers).status_code == 403


def test_a_link_in_a_mail_or_on_a_site_can_be_followed(client: TestClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/", headers=headers).status_code == 303


@pytest.mark.parametrize("path", ["/", "/gallery", "/sql?q=select+1", "/images/1", "/static/x/base.css", "/metrics"])
def test_without_the_token_nothing_is_told(path: str, outside: TestClient) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Cookie": f"{COOKIE}={TOKEN}"}):
        refused = outside.get(path, headers=headers)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert "nightlabel.db" not in refused.text


def test_the_token_lets_in_once_and_the_cookie_after(outside: TestClient) -> None:
    entered = outside.get(f"/gallery?q=dog&token={TOKEN}&lang=de")
    assert (entered.status_code, entered.headers["location"]) == (303, "/gallery?q=dog&lang=de")
    assert "HttpOnly" in entered.headers["set-cookie"]
    assert TOKEN not in entered.headers["set-cookie"]

    assert outside.get("/").status_code == 303


def test_the_token_leads_to_no_other_site(outside: TestClient) -> None:
    entered = outside.get(f"{OWN}//evil.example/?token={TOKEN}")
    assert entered.headers["location"] == "/evil.example/"


def test_a_program_sends_the_token_in_a_header(outside: TestClient) -> None:
    assert outside.get("/", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 303


def test_a_form_cannot_carry_the_token(outside: TestClient) -> None:
    assert outside.post(f"/?token={TOKEN}").status_code == 401


def test_who_has_no_token_is_asked_for_it(outside: TestClient) -> None:
    asked = outside.get("/gallery", headers={"Accept": "text/html"})
    assert (asked.status_code, 'name="token"' in asked.text) == (401, True)


def test_every_answer_forbids_what_is_not_ours(client: TestClient) -> None:
    for answer in (client.get("/"), client.get("/nowhere"), client.get("/", headers={"Host": "evil.example"})):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/static/x/../../page.py",
        "/static/x/%2e%2e%2fpage.py",
        "/static/x/page.py",
        "/static/x/%00",
    ],
)
def test_only_files_that_are_meant_are_served(path: str, client: TestClient) -> None:
    assert client.get(path).status_code == 404


def test_what_an_address_says_is_shown_as_it_is(client: TestClient) -> None:
    shown = client.get('/nowhere?lang="><script>alert(1)</script>&x=<img src=x>')
    assert "<script>alert" not in shown.text
    assert "<img" not in shown.text
