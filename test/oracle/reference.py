"""PyTorch's side of the oracle. `python3 reference.py FOLDER` reads FOLDER/request.json and request.safetensors, trains
the ConvNet from Lockstep's initial weights on Lockstep's batches, and writes for each asked step n the state before it, and
loss, gradients and statistics of one step on the next batch in float64, with float32's own distance from them.

Tensors are in Lockstep's layout throughout: the order of the model's weights, kernels [h, w, in, out] and [in, out], pictures
flattened with channels last. Autograd differentiates through the permutations, so gradients come in that layout too.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

EPS, MOMENTUM = 1e-5, 0.1
TRAINABLE = 26


def forward(parameters, statistics, images, masks):
    """Logits; updates `statistics` in place, as PyTorch does in training."""
    p, s = iter(parameters), iter(statistics)

    def norm(x):
        gamma, beta = next(p), next(p)
        mean, variance = next(s), next(s)
        return F.relu(F.batch_norm(x, mean, variance, gamma, beta, True, MOMENTUM, EPS))

    def conv(x):
        kernel, bias = next(p), next(p)
        return norm(F.conv2d(x, kernel.permute(3, 2, 0, 1), bias, padding=1))

    def drop(x, mask):
        return x if mask is None else x * mask.to(x.dtype).reshape(x.shape) * 2

    x = images.permute(0, 3, 1, 2)
    x = F.max_pool2d(conv(conv(x)), 2)
    x = F.max_pool2d(conv(conv(x)), 2)
    x = x.permute(0, 2, 3, 1).flatten(1)
    for i in range(2):
        kernel, bias = next(p), next(p)
        x = norm(drop(x, masks[i]) @ kernel + bias)
    kernel, bias = next(p), next(p)
    return drop(x, masks[2]) @ kernel + bias


def one_step(state, batch, masks, dtype):
    """Loss, gradients and statistics after a step from `state`; changes nothing."""
    parameters = [w.to(dtype).clone().requires_grad_() for w in state[:TRAINABLE]]
    statistics = [w.to(dtype).clone() for w in state[TRAINABLE:]]
    images, labels = batch
    loss = F.cross_entropy(forward(parameters, statistics, images.to(dtype), masks), labels)
    loss.backward()
    return loss.item(), [w.grad for w in parameters], statistics


def train(initial, batches, masks_of, threads, visit=None):
    """Float32 training; returns the losses. `visit(n, state, optimizer)` sees the state after n steps."""
    torch.set_num_threads(threads)
    parameters = [w.clone().requires_grad_() for w in initial[:TRAINABLE]]
    statistics = [w.clone() for w in initial[TRAINABLE:]]
    optimizer = torch.optim.Adam(parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8)
    losses = []
    for n, (images, labels) in enumerate(batches):
        if visit:
            visit(n, [w.detach() for w in parameters] + statistics, optimizer, parameters)
        optimizer.zero_grad()
        loss = F.cross_entropy(forward(parameters, statistics, images, masks_of(n)), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main(folder):
    request = json.loads((folder / "request.json").read_text())
    given = load_file(folder / "request.safetensors")
    initial = [given[f"w{i}"] for i in range(TRAINABLE + 12)]
    batches = [(given[f"images{n}"], given[f"labels{n}"].long()) for n in range(request["batches"])]
    none = [None, None, None]

    def masks_of(n):
        """Without Lockstep's masks PyTorch trains without Dropout; any state is suitable."""
        return [given[f"mask{n}/{i}"] for i in range(3)] if f"mask{n}/0" in given else none

    def visit(n, state, optimizer, parameters):
        if n not in request["visits"]:
            return
        exact = one_step(state, batches[n], masks_of(n), torch.float64)
        singles = []
        for onednn in (True, False):
            with torch.backends.mkldnn.flags(enabled=onednn):
                singles.append(one_step(state, batches[n], masks_of(n), torch.float32))
        out = {f"w{i}": w.contiguous().clone() for i, w in enumerate(state)}
        for i, p in enumerate(parameters):
            moments = optimizer.state.get(p, {})
            out[f"m{i}"] = moments.get("exp_avg", torch.zeros_like(p)).detach().contiguous().clone()
            out[f"v{i}"] = moments.get("exp_avg_sq", torch.zeros_like(p)).detach().contiguous().clone()
            out[f"g{i}"] = exact[1][i].contiguous()
        for i, s in enumerate(exact[2]):
            out[f"s{i}"] = s
        distances = [[float((a.double() - b).norm()) for a, b in zip(s[1], exact[1])] for s in singles]
        about = {
            "torch": torch.__version__,
            "seed": request["seed"],
            "n": n,
            "loss": exact[0],
            "distances32": [max(pair) for pair in zip(*distances)],
            "distances32_own_kernels": distances[1],
        }
        save_file(out, folder / f"state{n}.safetensors", metadata={"about": json.dumps(about)})

    results = {"torch": torch.__version__, "losses": {}}
    # PyTorch's oneDNN convolutions are 1.6e-5 away from float64 in the loss on some CPUs (measured with 2.13 on an Emerald Rapids
    # without AMX), its own kernels 2e-8: as a teacher the better one trains, beside Lockstep the one that people have.
    torch.backends.mkldnn.enabled = request["onednn"]
    for threads in request["threads"]:
        results["losses"][str(threads)] = train(initial, batches, masks_of, threads, visit if threads == 1 else None)
    (folder / "results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
