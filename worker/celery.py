"""The app, where Celery looks for it: `celery -A worker worker`."""

from common.settings import load_settings
from worker.service import make_worker_app

app = make_worker_app(load_settings())
