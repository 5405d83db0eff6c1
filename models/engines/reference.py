"""The model as torchvision builds it, from pixels to probabilities: what every engine is measured against."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum, get_model, get_model_weights

from common.errors import ModelError
from storage.records import Preprocessing

if TYPE_CHECKING:
    from pathlib import Path

    from storage.records import Model

#: Untrained models must be the same in every process of a run.
_RANDOM_SEED = 0


class Reference(nn.Module):
    """Normalise, run the network, and turn its logits into probabilities."""

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).view(1, 3, 1, 1))

    def forward(self, batch: Tensor) -> Tensor:
        """Map uint8 `[N, H, W, 3]` to probabilities `[N, classes]` in the network's dtype."""
        pixels = batch.permute(0, 3, 1, 2).to(self.mean.dtype).div(255)  # type: ignore[arg-type]
        logits = self.network((pixels - self.mean) / self.std)  # type: ignore[operator]  # registered buffers
        return torch.softmax(logits, dim=1)


def build_reference(model: Model, weights_path: Path | None) -> Reference:
    """Return the model with its weights, in fp32, for inference.

    Raises:
        ModelError: the file is damaged, or holds the weights of another model.

    """
    if weights_path is None:
        if not model.is_random:  # an untrained network under a trained one's name would give labels that look right
            raise ModelError(f"The weights of {model} are not on this machine.")
        torch.manual_seed(_RANDOM_SEED)
        network = get_model(model.architecture, weights=None, **_quiet(model.architecture))
    else:
        network = _with_weights(model, _load_state(weights_path), weights_path)
    return Reference(network, model.preprocessing).eval()


def recipe_of(architecture: str, recipe: str) -> Any:  # noqa: ANN401 - a member of torchvision's enum
    """Return torchvision's entry for the weights: its URL, transforms and categories."""
    return get_model_weights(architecture)[recipe]


def preprocessing_of(recipe: Any) -> Preprocessing:  # noqa: ANN401 - a member of torchvision's enum
    """Read resize, crop, interpolation, mean and std off `weights.transforms()`."""
    transforms = recipe.transforms()
    (resize_size,), (crop_size,) = transforms.resize_size, transforms.crop_size
    return Preprocessing(
        resize_size=resize_size,
        crop_size=crop_size,
        interpolation=transforms.interpolation.value,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
    )


def _load_state(path: Path) -> dict[str, Tensor]:
    _check_records(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails in a dozen ways, from KeyError to UnpicklingError
        raise ModelError(f"The weights file {path} is damaged, or is not a state_dict: {_first_line(error)}") from error
    if not isinstance(state, dict):
        raise ModelError(f"The weights file {path} holds a {type(state).__name__}, not a state_dict.")
    if broken := [name for name, value in state.items() if torch.is_tensor(value) and not value.isfinite().all()]:
        raise ModelError(f"The weights file {path} is damaged: {broken[0]} holds values that are not finite numbers.")
    return state


def _check_records(path: Path) -> None:
    """Compare the checksums in the file, which `torch.load` does not: a flipped bit would give labels that look right.

    A file that was saved without them has zeros there (`torch.serialization.set_crc32_options(False)`), and torch's
    format before 1.6 knows none: both pass.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        checked = (record.filename for record in archive.infolist() if record.CRC)
        broken = next((name for name in checked if not _is_whole(archive, name)), None)
    if broken:
        raise ModelError(f"The weights file {path} is damaged: its record {broken} does not match its checksum.")


def _is_whole(archive: zipfile.ZipFile, name: str) -> bool:
    try:
        with archive.open(name) as record:
            while record.read(1 << 20):
                pass
    except zipfile.BadZipFile:
        return False
    return True


def _with_weights(model: Model, state: dict[str, Tensor], path: Path) -> nn.Module:
    # Some builders set flags of the network only when they are given weights (inception's transform_input),
    # so torchvision builds it in its own way, with its download replaced by what was loaded.
    with patch.object(WeightsEnum, "get_state_dict", lambda *_args, **_kwargs: state):
        try:
            network: nn.Module = get_model(model.architecture, weights=recipe_of(model.architecture, model.recipe))
        except RuntimeError as error:
            raise ModelError(
                f"The weights file {path} does not fit {model.architecture}: {_first_line(error)}"
            ) from error
    return network


def _quiet(architecture: str) -> dict[str, bool]:
    """Inception and GoogLeNet warn unless told how to initialise."""
    return {"init_weights": True} if architecture in ("googlenet", "inception_v3") else {}


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) or type(error).__name__
