"""From a name to a loaded engine: catalogue, weights, preparing, quantising, engines."""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "catalogue",
    "engines",
    "listing",
    "precisions",
    "quantise",
    "ready_model",
    "resolve",
    "subprocess_steps",
    "weights",
]
