"""Whether the page works and whether it is ready, for programs without a token; neither tells what nobody may know."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from storage.database import Database
from storage.schema_version import ensure_schema
from tests.command import wait_until
from tests.unit.storage.nights import change

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

    from tests.unit.web.serving import Served

TOKEN = "a token that nobody guesses"
#: Seconds; a kept answer is older than that.
SOON_S = 30.0


def once_it_says(page: Served, status: int) -> httpx2.Response:
    """Ask until an answer is no kept one."""

    def answer() -> httpx2.Response | None:
        got = page.get("/readyz")
        return got if got.status_code == status else None

    return wait_until(answer, SOON_S)


def test_a_page_is_ready_once_its_database_is_and_no_longer(serve: Callable[..., Served]) -> None:
    page = serve(web_token=TOKEN)
    url = page.state.settings.database_url
    assert page.get("/gallery").status_code == 401

    assert page.get("/healthz").status_code == 200
    unready = page.get("/readyz")
    assert (unready.status_code, unready.text) == (503, "The database cannot be used; the page's log says why.\n")

    with closing(Database(url)) as database:
        ensure_schema(database)
        assert once_it_says(page, 200).text == "The database answers.\n"
        change(database, "UPDATE alembic_version SET version_num = '9999'")
        outdated = once_it_says(page, 503)
    assert outdated.text == unready.text
    assert outdated.headers["cache-control"] == "no-store"
    assert page.get("/healthz").status_code == 200
