"""Models side by side: their figures, which one to choose, and how that is shown."""
