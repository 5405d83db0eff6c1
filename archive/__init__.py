"""Where images lie: list them, read one; every rule on what may be opened."""
