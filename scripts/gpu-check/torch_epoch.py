"""Trains one epoch of the MNIST ConvNet with PyTorch on CUDA, as the counterpart of the stage `epoch`.

`python3 torch_epoch.py --data FOLDER --batch N` prints one JSON line: the speed, the test accuracy, or the reason why it was not run.
"""

import argparse
import json
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True)
parser.add_argument("--batch", type=int, required=True)
options = parser.parse_args()


def stop(reason):
    print(json.dumps({"missing": reason}))
    sys.exit()


try:
    import numpy as np
    import torch
except ImportError as error:
    stop(f"this Python has no {error.name}")
if not torch.cuda.is_available():
    stop(f"PyTorch {torch.__version__} finds no CUDA GPU")

sys.path.insert(0, str(Path(__file__).parents[2] / "bench" / "peers"))
from torch_train import network, read  # noqa: E402

torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
torch.manual_seed(1)
device = torch.device("cuda")


def split(name):
    images = torch.from_numpy(read(options.data, f"{name}-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28).copy())
    labels = torch.from_numpy(read(options.data, f"{name}-labels-idx1-ubyte", 8).astype(np.int64))
    return ((images.float() / 255 - 0.5) / 0.5).to(device), labels.to(device)


images, labels = split("train")
test_images, test_labels = split("t10k")
model = network().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
loss_of = torch.nn.CrossEntropyLoss()
order = torch.randperm(len(images), device=device)
times = []
start = time.perf_counter()
for first in range(0, len(images), options.batch):
    begin = time.perf_counter()
    chosen = order[first : first + options.batch]
    optimizer.zero_grad()
    loss = loss_of(model(images[chosen]), labels[chosen])
    loss.backward()
    optimizer.step()
    # Lockstep reads the loss of each step as well.
    loss.item()
    times.append(time.perf_counter() - begin)
seconds = time.perf_counter() - start
model.eval()
with torch.inference_mode():
    right = sum(
        int((model(test_images[i : i + 500]).argmax(1) == test_labels[i : i + 500]).sum())
        for i in range(0, len(test_images), 500)
    )
print(
    json.dumps(
        {
            "version": f"torch {torch.__version__}",
            "device": torch.cuda.get_device_name(),
            "imagesPerSecond": options.batch / float(np.median(times)),
            "accuracy": right / len(test_images),
            "seconds": seconds,
        }
    )
)
