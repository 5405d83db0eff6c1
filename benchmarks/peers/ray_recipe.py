"""Ray Data's documented batch inference: read_images, a transform, map_batches with a class that holds the model."""

import json
import os
import sys
import time

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import numpy as np
import ray
import torch
from torchvision.models import ResNet18_Weights, resnet18

BATCH_SIZE = 64


class Classifier:
    def __init__(self, weights: str) -> None:
        torch.set_num_threads(1)
        self.model = resnet18()
        self.model.load_state_dict(torch.load(weights, weights_only=True))
        self.model.eval()

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            scores = self.model(torch.from_numpy(np.stack(list(batch["image"])))).softmax(1).topk(3)
        return {
            "path": batch["path"],
            "classes": scores.indices.numpy(),
            "at": np.full(len(batch["path"]), time.time()),
        }


def transform(row: dict[str, object]) -> dict[str, object]:
    transforms = ResNet18_Weights.IMAGENET1K_V1.transforms()
    return {"path": row["path"], "image": transforms(torch.from_numpy(row["image"]).permute(2, 0, 1)).numpy()}


def main(archive: str, weights: str) -> None:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    dataset = ray.data.read_images(archive, mode="RGB", include_paths=True).map(transform)
    rows = dataset.map_batches(
        Classifier, fn_constructor_args=(weights,), batch_size=BATCH_SIZE, concurrency=1, num_cpus=1
    ).take_all()
    # The first batch pays for starting the actor and loading the model.
    started = min(row["at"] for row in rows)
    images = sum(row["at"] > started for row in rows)
    print(json.dumps({"images": images, "seconds": max(row["at"] for row in rows) - started}))


if __name__ == "__main__":
    main(*sys.argv[1:3])
