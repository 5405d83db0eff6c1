"""From a name to a loaded engine: catalogue, weights, preparing, quantising, engines."""
