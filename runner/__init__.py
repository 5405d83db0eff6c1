"""One run from its start to its end; nothing of a command line."""
