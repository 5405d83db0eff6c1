"""The Celery app, the message's shape, the queue as it stands, and the private Redis process."""
