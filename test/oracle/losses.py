"""Losses and metrics in PyTorch, float64, as one small fixture: `python3 losses.py OUT.safetensors`."""

import json
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

SEED = 17
torch.manual_seed(SEED)
out = {}
N = 7


def single(*shape):
    return (torch.randn(*shape) * 2).double()


def keep(name, x, loss, **targets):
    """`loss` has one value a sample."""
    loss.sum().backward()
    out[f"{name}_sum"], out[f"{name}_gradient"] = loss.sum().detach().reshape(1), x.grad
    out[f"{name}_x"] = x.detach().float()
    for key, value in targets.items():
        out[f"{name}_{key}"] = value if value.dtype == torch.int32 else value.float()


x, labels = single(N, 10).requires_grad_(), torch.randint(0, 10, (N,))
keep("smoothed", x, F.cross_entropy(x, labels, reduction="none", label_smoothing=0.1), target=labels.int())
x, labels = single(N, 5, 10).requires_grad_(), torch.randint(0, 10, (N, 5))
keep("places", x, F.cross_entropy(x.permute(0, 2, 1), labels, reduction="none").mean(1), target=labels.int())
x = torch.cat([single(N - 1, 3), torch.tensor([[80.0, -80.0, 0.0]]).double()]).requires_grad_()
t = torch.randint(0, 2, (N, 3)).double()
keep("binary", x, F.binary_cross_entropy_with_logits(x, t, reduction="none").mean(1), target=t)
for name, loss in {"squared": F.mse_loss, "absolute": F.l1_loss,
                   "huber": lambda a, b, reduction: F.huber_loss(a, b, reduction=reduction, delta=1.5)}.items():
    x, t = single(N, 4).requires_grad_(), single(N, 4).float().double()
    keep(name, x, loss(x, t, reduction="none").mean(1), target=t)

x, labels = single(200, 10).float(), torch.randint(0, 10, (200,))
out["metric_x"], out["metric_target"] = x, labels.int()
top = x.topk(3, dim=1).indices
out["metric_top1"] = (x.argmax(1) == labels).sum().reshape(1).int()
out["metric_top3"] = (top == labels[:, None]).any(1).sum().reshape(1).int()

save_file({k: v.contiguous() for k, v in out.items()}, sys.argv[1],
          metadata={"about": json.dumps({"torch": torch.__version__, "seed": SEED})})
