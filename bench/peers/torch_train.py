"""Trains a model of torch_models.py, as the counterpart of `lockstep train`.

`python3 torch_train.py --model NAME --data FOLDER --processes P --threads T --batch N --steps S --warm-up W --precision
float32|bfloat16 --layout contiguous|channels_last --compile no|yes` prints one JSON line with the median of the total samples per second,
the CPU time per sample in microseconds over all processes, and the floating-point operations per sample. With P > 1,
DistributedDataParallel over Gloo averages the gradients of P processes on this machine. N is the global batch size. BatchNorm
statistics stay local to each process, because PyTorch does not support SyncBatchNorm on the CPU. FOLDER holds MNIST's files, which
only the model `convnet` reads.
"""

import argparse
import json
import os
import socket
import time

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torch_models import MODELS, batches_of, loss_of, optimizer_of


def work(rank, options, port, rates, cpu_us):
    torch.manual_seed(1)
    torch.set_num_threads(options.threads)
    model = MODELS[options.model]()
    is_channels_last = options.layout == "channels_last"
    if is_channels_last:
        model = model.to(memory_format=torch.channels_last)
    if options.processes > 1:
        dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=options.processes)
        model = nn.parallel.DistributedDataParallel(model)
    if options.compile == "yes":
        model = torch.compile(model)
    batch_at = batches_of(options.model, options.data, options.batch, rank, options.processes)
    optimizer = optimizer_of(options.model, model)
    criterion = loss_of(options.model)
    times, losses, began = [], [], 0.0
    for step in range(options.steps):
        if step == options.warm_up:
            began = time.process_time()
        start = time.perf_counter()
        x, y = batch_at(step)
        if is_channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.precision == "bfloat16"):
            loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        times.append(time.perf_counter() - start)
    measured = options.steps - options.warm_up
    assert np.all(np.isfinite(losses)), "the loss is not finite"
    rates[rank] = options.batch / float(np.median(times[options.warm_up :]))
    cpu_us[rank] = (time.process_time() - began) * 1e6 / (measured * options.batch)
    if options.processes > 1:
        dist.destroy_process_group()


def flops_per_sample(name, data):
    """Counts the multiplications and additions of matrix products and convolutions in one training step of one sample."""
    if name in ("lstm", "gru"):
        # The counter does not see inside the fused recurrences: per step, gates x (64 + 64) x 64, forward and twice backward.
        gates = 4 if name == "lstm" else 3
        return 3 * 2 * 80 * gates * (64 + 64) * 64
    model = MODELS[name]()
    # Two samples, because BatchNorm refuses to normalize a single one.
    x, y = batches_of(name, data, 2, 0, 1)(0)
    with FlopCounterMode(display=False) as counter:
        loss_of(name)(model(x), y).backward()
    return counter.get_total_flops() / 2


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=MODELS, default="convnet")
    parser.add_argument("--data", required=True)
    for name in ("processes", "threads", "batch", "steps", "warm-up"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--layout", choices=["contiguous", "channels_last"], default="contiguous")
    parser.add_argument("--compile", choices=["no", "yes"], default="no")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    context = mp.get_context("spawn")
    rates, cpu_us = context.Array("d", options.processes), context.Array("d", options.processes)
    if options.processes == 1:
        work(0, options, 0, rates, cpu_us)
    else:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        mp.spawn(work, (options, port, rates, cpu_us), nprocs=options.processes)
    print(
        json.dumps(
            {
                "imagesPerSecond": min(rates),
                "cpuUsPerSample": sum(cpu_us),
                "flopsPerSample": flops_per_sample(options.model, options.data),
                "version": f"torch {torch.__version__}",
            }
        )
    )
