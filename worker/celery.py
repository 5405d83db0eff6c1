"""The app, where Celery looks for it: `celery -A worker worker`."""

import sys

from common.errors import NightlabelError
from common.settings import load_settings
from models.engines import check_names
from worker.service import make_worker_app

try:
    settings = load_settings()
    check_names(settings)
    app = make_worker_app(settings)
except NightlabelError as error:  # of which Celery would make a traceback, and its own status
    print(f"nightlabel worker: {error}", file=sys.stderr)  # noqa: T201 - for people
    raise SystemExit(error.exit_status) from None
