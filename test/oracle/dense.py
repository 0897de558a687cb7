"""Dense layers in PyTorch's autograd as one small fixture: `python3 dense.py OUT.safetensors`. In float64 and, for the size of
float32's rounding, in float32."""

import json
import sys

import torch
from safetensors.torch import save_file

SEED = 31
torch.manual_seed(SEED)
torch.set_num_threads(1)
out, meta = {}, {}


def case(name, shape, outputs, relu=False, biased=True):
    inputs = {"x": torch.randn(*shape), "w": torch.randn(shape[-1], outputs) / shape[-1] ** 0.5}
    if biased:
        inputs["b"] = torch.randn(outputs)
    dy = torch.randn(*shape[:-1], outputs)

    def results(dtype):
        leaves = {key: value.to(dtype).requires_grad_() for key, value in inputs.items()}
        y = leaves["x"] @ leaves["w"]
        if biased:
            y = y + leaves["b"]
        if relu:
            y = torch.relu(y)
        (y * dy.to(dtype)).sum().backward()
        return {"y": y.detach()} | {f"g{key}": leaf.grad for key, leaf in leaves.items()}

    exact, single = results(torch.float64), results(torch.float32)
    # A value of nearly 0 would have another sign in another order of the sum, and with it another gradient.
    assert not relu or bool(torch.equal(exact["y"] > 0, single["y"] > 0))
    errors = {}
    for key, value in inputs.items() | {"dy": dy}.items():
        out[f"{name}_{key}"] = value.contiguous()
    for key, value in exact.items():
        out[f"{name}_{key}_64"] = value.contiguous()
        errors[key] = float((single[key].double() - value).norm() / value.norm())
    meta[name] = {"relu": relu, "errors": errors}


case("whole", (2, 50, 32), 64, relu=True)
case("partial", (3, 9, 21), 45, relu=True)
case("rows", (33, 40), 10)
case("without_bias", (2, 7, 16), 16, biased=False)

about = json.dumps({"torch": torch.__version__, "seed": SEED})
save_file(out, sys.argv[1], metadata={"cases": json.dumps(meta), "about": about})
