"""Let torchvision download a model's weights: a step in a process of its own, `python -P -m models.download`."""

from __future__ import annotations

from pathlib import Path

from models.catalogue import find_entry
from models.subprocess_steps import main
from models.weights import torch_cache_dir


def _step(cache_dir: str, name: str) -> str:
    """Return the path of the file, whose hash torchvision has checked."""
    from models.engines.reference import recipe_of  # torch's threads are counted before it is imported

    entry = find_entry(name, Path(cache_dir))
    recipe_of(entry.architecture, entry.recipe).get_state_dict(check_hash=True, progress=False)
    return str(torch_cache_dir() / entry.weights_file)


if __name__ == "__main__":
    main(_step)
