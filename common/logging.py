"""One format for every process's log: a sentence for people, `extra` for machines."""

import logging

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure(level: str) -> None:
    """Send log records of `level` and above to standard error."""
    logging.basicConfig(level=level.upper(), format=FORMAT)
