"""What tests of the page start from: a page that is served."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

import web.thumbnails.service
import web.warm_model
from common.settings import load_settings
from tests.command import wait_until
from tests.unit.web.sending import classify
from tests.unit.web.serving import serve_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from common.settings import Settings
    from models.ready_model import ReadyModel
    from tests.unit.web.serving import Served


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Served]]:
    """Serve a page with these settings, until the module's tests are done; without any, over no database.

    Its processes give way to nobody: beside other tests, they would not get on for minutes.
    """
    with ExitStack() as pages, pytest.MonkeyPatch.context() as patches:
        patches.setattr(web.thumbnails.service, "NICENESS", 0)
        patches.setattr(web.warm_model, "NICENESS", 0)

        def begin(**given: Any) -> Served:
            folder = tmp_path_factory.mktemp("page")
            own = {"database_url": str(folder / "none.db"), "cache_dir": folder / "cache"}
            return pages.enter_context(serve_page(load_settings(**own | given)))

        yield begin


@pytest.fixture(scope="module")
def served(serve: Callable[..., Served]) -> Served:
    """A page over no database."""
    return serve()


@pytest.fixture(scope="module")
def model_page(serve: Callable[..., Served], resnet18: ReadyModel, settings: Settings, goldfinch: bytes) -> Served:
    """A page with a real model, loaded, over no database; with low limits on what is sent."""
    cache = {"weights_dir": settings.weights_dir, "cache_dir": settings.cache_dir}
    page = serve(**cache, precision="fp32", web_upload_mb=4, max_file_mb=2)
    wait_until(lambda: classify(page, ("a.jpg", goldfinch)).is_success or None)
    return page


@pytest.fixture(scope="module")
def goldfinch(photos: Path) -> bytes:
    """A photo of a goldfinch, which ResNet-18 is sure of."""
    return (photos / "n01531178_goldfinch.jpg").read_bytes()
