"""timm's inference recipe: a DataLoader with two workers, batch 64, channels-last; fp32, or under bf16 autocast."""

import json
import sys
import time
from contextlib import nullcontext

import timm
import torch
from timm.data import ImageDataset, create_loader

BATCH_SIZE = 64


def main(archive: str, weights: str, precision: str) -> None:
    torch.set_num_threads(2)
    model = timm.create_model("resnet18.tv_in1k", pretrained=False)
    model.load_state_dict(torch.load(weights, weights_only=True))
    model = model.eval().to(memory_format=torch.channels_last)
    config = timm.data.resolve_data_config({}, model=model)
    loader = create_loader(
        ImageDataset(archive), batch_size=BATCH_SIZE, use_prefetcher=False, num_workers=2, **_loader_arguments(config)
    )
    autocast = torch.autocast("cpu", dtype=torch.bfloat16) if precision == "bf16" else nullcontext()
    images, started = 0, 0.0
    with torch.inference_mode(), autocast:
        for batch, _ in loader:
            model(batch.to(memory_format=torch.channels_last)).softmax(1).topk(3)
            if not started:
                started = time.perf_counter()  # the first batch pays for starting the loader
            else:
                images += len(batch)
    print(json.dumps({"images": images, "seconds": time.perf_counter() - started}))


def _loader_arguments(config: dict[str, object]) -> dict[str, object]:
    return {name: config[name] for name in ("input_size", "interpolation", "mean", "std", "crop_pct")}


if __name__ == "__main__":
    main(*sys.argv[1:4])
