"""Measures the rate of float32 matrix products: `python3 torch_peak.py --processes P` prints the sum over P processes of one thread each.

Each process multiplies matrices of 1024 x 1024 for two seconds at the same time; its rate is that of the median product.
"""

import argparse
import json
import time

import numpy as np
import torch
import torch.multiprocessing as mp


def work(rank, barrier, rates):
    torch.set_num_threads(1)
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    for _ in range(5):
        a @ b
    barrier.wait()
    times, end = [], time.perf_counter() + 2
    while time.perf_counter() < end:
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    rates[rank] = 2 * 1024**3 / float(np.median(times))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--processes", type=int, required=True)
    options = parser.parse_args()
    context = mp.get_context("spawn")
    rates = context.Array("d", options.processes)
    mp.spawn(work, (context.Barrier(options.processes), rates), nprocs=options.processes)
    print(json.dumps({"flopsPerSecond": sum(rates)}))
