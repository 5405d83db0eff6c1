"""From a name to a loaded engine: catalogue, weights, preparing, quantising, engines."""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "calibrate",
    "calibrated",
    "catalogue",
    "engines",
    "listing",
    "precisions",
    "ready_model",
    "resolve",
    "stages",
    "subprocess_steps",
    "weights",
]
