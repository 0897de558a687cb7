"""Measures the float32 all-reduce of PyTorch's Gloo between processes of this machine with one thread each.

The counterpart of `lockstep bench allreduce`. `python3 gloo_allreduce.py WORKERS ROUNDS BYTES...` prints one JSON line: for
each size, the median time in microseconds of the slowest worker.
"""

import json
import socket
import sys
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def work(rank, workers, rounds, sizes, port, results):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=workers)
    for i, size in enumerate(sizes):
        vector = torch.empty(size // 4)
        times = []
        for _ in range(rounds):
            vector.fill_(rank + 1)
            start = time.perf_counter()
            dist.all_reduce(vector)
            times.append(time.perf_counter() - start)
        assert bool((vector == workers * (workers + 1) / 2).all())
        results[rank * len(sizes) + i] = 1e6 * sorted(times)[rounds // 2]
    dist.destroy_process_group()


if __name__ == "__main__":
    workers, rounds, *sizes = map(int, sys.argv[1:])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    results = mp.get_context("spawn").Array("d", workers * len(sizes))
    mp.spawn(work, (workers, rounds, sizes, port, results), nprocs=workers)
    slowest = [max(results[r * len(sizes) + i] for r in range(workers)) for i in range(len(sizes))]
    print(json.dumps({"torch": torch.__version__, "results": slowest}))
