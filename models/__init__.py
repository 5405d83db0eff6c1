"""From a name to a loaded engine: catalogue, weights, preparing, quantising, engines."""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "apart",
    "catalogue",
    "engines",
    "listing",
    "precisions",
    "quantise",
    "ready",
    "resolve",
    "weights",
]
