"""From bytes to pixels: formats, depth, orientation, the model's crop."""
