"""Single layers and the optimizer in PyTorch, float64, as one small fixture: `python3 layers.py OUT.safetensors`. Lockstep's
layouts: pictures [n, h, w, c], kernels [h, w, in, out] and [in, out]."""

import json
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

SEED = 5
torch.manual_seed(SEED)
torch.set_num_threads(1)
out = {}


def rand(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def keep(**tensors):
    for name, value in tensors.items():
        exact = value.dtype in (torch.int32, torch.float64) and name.split("_")[-1] not in INPUTS
        out[name] = (value if exact else value.float()).detach().contiguous()


# The inputs of a layer are float32 values; the outputs are compared in float64.
INPUTS = {"x", "k", "dy", "b"}


def single(t):
    return t.float().double().requires_grad_()


x, k, dy = single(rand(2, 8, 8, 16)), single(rand(3, 3, 16, 32)), rand(2, 8, 8, 32).float().double()
y = F.conv2d(x.permute(0, 3, 1, 2), k.permute(3, 2, 0, 1), padding=1).permute(0, 2, 3, 1)
y.backward(dy)
keep(conv_x=x, conv_k=k, conv_dy=dy, conv_y=y, conv_gx=x.grad, conv_gk=k.grad)

# Few distinct values, so that most windows have ties.
x, dy = single(torch.randint(-1, 2, (2, 8, 8, 16)).double()), rand(2, 4, 4, 16).float().double()
y = F.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
y.backward(dy)
keep(pool_x=x, pool_dy=dy, pool_y=y, pool_gx=x.grad)

x, dy = single(torch.cat([rand(4, 31), torch.zeros(4, 1)], 1)), rand(4, 32).float().double()
y = F.relu(x)
y.backward(dy)
keep(relu_x=x, relu_dy=dy, relu_y=y, relu_gx=x.grad)

x, k, b, dy = single(rand(5, 48)), single(rand(48, 32)), single(rand(32)), rand(5, 32).float().double()
y = x @ k + b
y.backward(dy)
keep(linear_x=x, linear_k=k, linear_b=b, linear_dy=dy, linear_y=y)
keep(linear_gx=x.grad, linear_gk=k.grad, linear_gb=b.grad)

x = single(torch.cat([rand(6, 10) * 3, torch.full((1, 10), 80.0).double()]))
labels = torch.randint(0, 10, (7,))
loss = F.cross_entropy(x, labels, reduction="none")
loss.sum().backward()
keep(entropy_x=x, entropy_labels=labels.int(), entropy_y=loss, entropy_gx=x.grad)

# Gradients from 1 down to 1e-12: where they are small, eps decides; a third of them changes sign from step to step.
count, steps = 60, 200
scale = 10.0 ** -(torch.arange(count) % 13).double()
signs = torch.where(torch.arange(count) % 3 == 0, -1.0, 1.0)
p = single(rand(count))
start = p.detach().clone()
optimizer = torch.optim.Adam([p], lr=1e-3, betas=(0.9, 0.999), eps=1e-8)
gradients, path = [], {}
for step in range(steps):
    g = (rand(count) * scale * signs**step).float().double()
    gradients.append(g.float())
    p.grad = g
    optimizer.step()
    if step + 1 in (1, 10, 100, 200):
        path[f"adam_p{step + 1}"] = p.detach().clone()
out["adam_start"], out["adam_gradients"] = start.float(), torch.stack(gradients)
out.update(path)

w = torch.nn.Parameter(torch.zeros(1))
optimizer = torch.optim.SGD([w], lr=0.001)
schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=6, gamma=0.1)
rates = []
for _ in range(14):
    rates.append(optimizer.param_groups[0]["lr"])
    optimizer.step()
    schedule.step()
out["steplr"] = torch.tensor(rates, dtype=torch.float64)

# BatchNorm over five steps: running statistics of a layer whose batches have 64, 64, 64, 64 and 32 rows.
bn = torch.nn.BatchNorm1d(16, eps=1e-5, momentum=0.1).double()
sizes = [64, 64, 64, 64, 32]
rows = (rand(sum(sizes), 16) * 3 + 20).float()
for part in rows.double().split(sizes):
    bn(part)
out["bn_rows"], out["bn_mean"], out["bn_variance"] = rows, bn.running_mean, bn.running_var

# The rows are far from zero, so a variance by E[x^2] - E[x]^2 would lose digits. 19 columns are no whole vector of a CPU.
for name, columns in {"norm": 48, "thin": 19}.items():
    x, g, b = single(rand(5, 7, columns) + 6), single(rand(columns)), single(rand(columns))
    dy = rand(5, 7, columns).float().double()
    y = F.layer_norm(x, (columns,), g, b, eps=1e-3)
    y.backward(dy)
    out.update({f"{name}_{key}": value.detach().float() for key, value in dict(x=x, g=g, b=b, dy=dy).items()})
    out.update({f"{name}_y": y.detach(), f"{name}_gx": x.grad, f"{name}_gg": g.grad, f"{name}_gb": b.grad})

# Three transposed convolutions whose windows meet, overlap, and leave gaps, with a ReLU after the first.
x, dy = single(rand(2, 4, 3, 5)), rand(2, 19, 26, 2).float().double()
kernels = [single(rand(*shape)) for shape in [(2, 2, 6, 5), (3, 3, 4, 6), (3, 1, 2, 4)]]
biases = [single(rand(filters)) for filters in [6, 4, 2]]
strides, gaps = [(2, 2), (2, 2), (1, 2)], [0, 0, (0, 1)]
y = x.permute(0, 3, 1, 2)
for i in range(3):
    y = F.conv_transpose2d(y, kernels[i].permute(3, 2, 0, 1), biases[i], strides[i], output_padding=gaps[i])
    y = F.relu(y) if i == 0 else y
y = y.permute(0, 2, 3, 1)
y.backward(dy)
keep(transposed_x=x, transposed_dy=dy, transposed_y=y)
for i in range(3):
    keep(**{f"transposed{i}_k": kernels[i], f"transposed{i}_b": biases[i]})
    keep(**{f"transposed{i}_gk": kernels[i].grad, f"transposed{i}_gb": biases[i].grad})

save_file(out, sys.argv[1], metadata={"about": json.dumps({"torch": torch.__version__, "seed": SEED})})
