"""One file a view: its routes, and what each answers."""
