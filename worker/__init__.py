"""Take a chunk, label it, store it: models, weights, decoding and engines. `celery -A worker worker` runs it."""
