"""Write the manifest, publish its chunks, follow the run, and publish again what got lost."""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "enqueue",
    "lease",
    "manifest_writer",
    "publish",
    "reconcile",
    "run_follower",
]
