"""Settings, errors and logging: what every part may use, and nothing else."""
