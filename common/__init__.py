"""Settings and errors: what every part may use, and nothing else."""
