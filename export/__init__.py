"""Results for other programs: CSV, JSON lines, Parquet; XMP sidecars."""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "sidecars",
    "writers",
]
