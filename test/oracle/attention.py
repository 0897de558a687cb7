"""Scaled dot-product attention in PyTorch's autograd as one small fixture: `python3 attention.py OUT.safetensors`. In float64 and, for
the size of float32's rounding, in float32. The script asserts that the case without a mask is PyTorch's own function. A query that
ignores all keys has the result 0."""

import json
import sys

import torch
from safetensors.torch import save_file

SEED = 29
torch.manual_seed(SEED)
torch.set_num_threads(1)
out, meta = {}, {}


def attend(q, k, v, mask, dropout, scale, causal):
    """The arguments are [samples, steps, heads, size], mask [samples, queries or 1, keys], dropout [samples, heads, queries, keys]."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    scores = scale * q @ k.transpose(2, 3)
    allowed = mask[:, None].expand_as(scores) != 0
    if causal:
        allowed = allowed & torch.ones(scores.shape[2:], dtype=torch.bool).tril()
    scores = scores.masked_fill(~allowed, -1e30)
    p = torch.softmax(scores, -1) * allowed
    return ((p * dropout) @ v).transpose(1, 2)


def case(name, samples, queries, keys, heads, size, value_size, rows=0, causal=False, dropped=False):
    """rows: 0 for no mask, 1 for a mask of the keys, 2 for one per query, in which one query ignores all keys."""
    inputs = {
        "q": torch.randn(samples, queries, heads, size),
        "k": torch.randn(samples, keys, heads, size),
        "v": torch.randn(samples, keys, heads, value_size),
    }
    mask = (torch.rand(samples, queries if rows == 2 else 1, keys) < 0.6).float()
    if rows == 0:
        mask = torch.ones_like(mask)
    if rows == 2:
        mask[0, 1] = 0
    dropout = (torch.rand(samples, heads, queries, keys) < 0.8).float() / 0.8
    if not dropped:
        dropout = torch.ones_like(dropout)
    dy = torch.randn(samples, queries, heads, value_size)
    scale = size**-0.5

    def results(dtype):
        leaves = {key: value.to(dtype).requires_grad_() for key, value in inputs.items()}
        y = attend(*leaves.values(), mask.to(dtype), dropout.to(dtype), scale, causal)
        (y * dy.to(dtype)).sum().backward()
        return {"y": y.detach()} | {f"g{key}": leaf.grad for key, leaf in leaves.items()}

    exact, single = results(torch.float64), results(torch.float32)
    for key, value in inputs.items() | {"dy": dy}.items():
        out[f"{name}_{key}"] = value.contiguous()
    if rows:
        out[f"{name}_mask"] = mask
    if dropped:
        out[f"{name}_dropout"] = dropout
    errors = {}
    for key, value in exact.items():
        out[f"{name}_{key}_64"] = value.contiguous()
        errors[key] = float((single[key].double() - value).norm() / value.norm())
    meta[name] = {"scale": scale, "causal": causal, "errors": errors}
    return inputs, exact


inputs, exact = case("plain", 2, 5, 5, 3, 16, 16)
own = torch.nn.functional.scaled_dot_product_attention(*(x.double().transpose(1, 2) for x in inputs.values()))
assert torch.allclose(own.transpose(1, 2), exact["y"], rtol=1e-12, atol=1e-12)

case("keys_masked", 3, 7, 7, 2, 8, 8, rows=1)
case("queries_masked", 2, 9, 18, 2, 5, 7, rows=2)
case("causal", 2, 19, 19, 2, 4, 4, causal=True)
case("causal_masked", 2, 6, 11, 2, 4, 3, rows=1, causal=True)
case("dropout", 2, 17, 5, 2, 6, 4, dropped=True)
# More queries than the kernel holds scores of at a time.
case("long", 1, 130, 35, 1, 4, 4, rows=1)

about = json.dumps({"torch": torch.__version__, "seed": SEED})
save_file(out, sys.argv[1], metadata={"cases": json.dumps(meta), "about": about})
