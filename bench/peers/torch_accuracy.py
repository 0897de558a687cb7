"""Trains the MNIST ConvNet with PyTorch to a target accuracy, as the counterpart for `bench/time-to-accuracy.ts`.

`python3 torch_accuracy.py --data FOLDER --processes P --threads T --batch N --layout contiguous|channels_last --seed S --every STEPS
--target FRACTION --epochs E` prints one JSON line per evaluation with the step and the test accuracy. All P processes train
(DistributedDataParallel over Gloo), and each evaluates its part of the test set. The run ends when the target is reached.
"""

import argparse
import json
import os
import socket

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from idx import read
from torch_models import convnet


def split(folder, name):
    images = torch.from_numpy(read(folder, f"{name}-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28).copy())
    return images, torch.from_numpy(read(folder, f"{name}-labels-idx1-ubyte", 8).astype(np.int64))


def work(rank, options, port):
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    layout = torch.channels_last if options.layout == "channels_last" else torch.contiguous_format
    plain = convnet().to(memory_format=layout)
    model = plain
    if options.processes > 1:
        dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=options.processes)
        model = nn.parallel.DistributedDataParallel(plain)
        # Each process draws its own dropout masks.
        torch.manual_seed(options.seed * options.processes + rank)
    (images, labels), (test_images, test_labels) = split(options.data, "train"), split(options.data, "t10k")
    shuffle = torch.Generator().manual_seed(options.seed)

    def inputs(pixels):
        return ((pixels.float() / 255 - 0.5) / 0.5).contiguous(memory_format=layout)

    def correct():
        plain.eval()
        right = torch.zeros(1, dtype=torch.int64)
        with torch.inference_mode():
            for start in range(250 * rank, len(test_images), 250 * options.processes):
                chosen = slice(start, start + 250)
                right += (plain(inputs(test_images[chosen])).argmax(1) == test_labels[chosen]).sum()
        plain.train()
        if options.processes > 1:
            dist.all_reduce(right)
        return right.item() / len(test_images)

    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=6, gamma=0.1)
    loss_of = nn.CrossEntropyLoss()
    step, reached = 0, 0.0
    for _ in range(options.epochs):
        for batch in torch.randperm(len(images), generator=shuffle).split(options.batch):
            chosen = batch.tensor_split(options.processes)[rank]
            optimizer.zero_grad()
            loss_of(model(inputs(images[chosen])), labels[chosen]).backward()
            optimizer.step()
            step += 1
            if step % options.every:
                continue
            reached = correct()
            if rank == 0:
                print(json.dumps({"step": step, "accuracy": reached}), flush=True)
            if reached >= options.target:
                break
        if reached >= options.target:
            break
        schedule.step()
    if options.processes > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    for name in ("processes", "threads", "batch", "seed", "every", "epochs"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--target", type=float, required=True)
    parser.add_argument("--layout", choices=["contiguous", "channels_last"], required=True)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    if options.processes == 1:
        work(0, options, 0)
    else:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        mp.spawn(work, (options, port), nprocs=options.processes)
