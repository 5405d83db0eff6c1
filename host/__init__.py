"""The machine that this runs on: its CPUs, its memory, its processes, and a process's own scratch folder."""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "machine",
    "memory",
    "private_folder",
    "process",
]
