"""Trains the MNIST ConvNet with PyTorch, as the counterpart of `lockstep train`.

`python3 torch_train.py --data FOLDER --processes P --threads T --batch N --steps S --warm-up W --precision float32|bfloat16 --layout
contiguous|channels_last` prints one JSON line with the median of the total images per second. With P > 1, DistributedDataParallel
over Gloo averages the gradients of P processes on this machine. N is the global batch size. BatchNorm statistics stay local to each
process, because PyTorch does not support SyncBatchNorm on the CPU.
"""

import argparse
import gzip
import json
import os
import socket
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn


def read(folder, name, header):
    for path in (Path(folder) / name, Path(folder) / f"{name}.gz"):
        if path.exists():
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            return np.frombuffer(data, np.uint8, offset=header)
    raise SystemExit(f"{folder}: expected the file {name} or {name}.gz, got neither.")


def network():
    def block(inputs, outputs):
        return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]

    features = [*block(1, 32), *block(32, 32), nn.MaxPool2d(2, 2), *block(32, 64), *block(64, 64), nn.MaxPool2d(2, 2)]
    hidden = [[nn.Dropout(0.5), nn.Linear(i, 512), nn.BatchNorm1d(512), nn.ReLU()] for i in (3136, 512)]
    return nn.Sequential(*features, nn.Flatten(), *hidden[0], *hidden[1], nn.Dropout(0.5), nn.Linear(512, 10))


def work(rank, options, port, results):
    torch.manual_seed(1)
    torch.set_num_threads(options.threads)
    model = network()
    if options.layout == "channels_last":
        model = model.to(memory_format=torch.channels_last)
    if options.processes > 1:
        dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=options.processes)
        model = nn.parallel.DistributedDataParallel(model)
    images = torch.from_numpy(read(options.data, "train-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28).copy())
    labels = torch.from_numpy(read(options.data, "train-labels-idx1-ubyte", 8).astype(np.int64))
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss_of = nn.CrossEntropyLoss()
    local_batch = options.batch // options.processes
    times, losses = [], []
    for step in range(options.steps):
        start = time.perf_counter()
        first = (step * options.batch + rank * local_batch) % (len(images) - local_batch)
        chosen = order[first : first + local_batch]
        x = (images[chosen].float() / 255 - 0.5) / 0.5
        if options.layout == "channels_last":
            x = x.contiguous(memory_format=torch.channels_last)
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.precision == "bfloat16"):
            loss = loss_of(model(x), labels[chosen])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        times.append(time.perf_counter() - start)
    assert np.mean(losses[-5:]) < losses[0], "the loss did not decrease"
    results[rank] = options.batch / float(np.median(times[options.warm_up :]))
    if options.processes > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    for name in ("processes", "threads", "batch", "steps", "warm-up"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--layout", choices=["contiguous", "channels_last"], default="contiguous")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    results = mp.get_context("spawn").Array("d", options.processes)
    if options.processes == 1:
        work(0, options, 0, results)
    else:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        mp.spawn(work, (options, port, results), nprocs=options.processes)
    print(json.dumps({"imagesPerSecond": min(results), "version": f"torch {torch.__version__}"}))
