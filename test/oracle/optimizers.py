"""Optimizers, clipping, averages and schedules in PyTorch, float64, as one small fixture: `python3 optimizers.py OUT.safetensors`.
Gradients and start are float32, so that both sides begin with the same numbers."""

import json
import sys
import warnings

import torch
from safetensors.torch import save_file

warnings.filterwarnings("ignore")
SEED = 11
torch.manual_seed(SEED)
torch.set_num_threads(1)
out = {}

MATRIX, BIAS, STEPS = (6, 8), (12,), 100
start = [torch.randn(*shape).double() for shape in (MATRIX, BIAS)]
gradients = [[(torch.randn(*shape) * 0.5).double() for shape in (MATRIX, BIAS)] for _ in range(STEPS)]
out["start"] = torch.cat([p.flatten() for p in start]).float()
out["gradients"] = torch.stack([torch.cat([g.flatten() for g in pair]) for pair in gradients]).float()

RULES = {
    "adam": lambda p: torch.optim.Adam(p, lr=1e-2),
    "adam_l2": lambda p: torch.optim.Adam(p, lr=1e-2, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=0.1),
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-2),
    "momentum": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, dampening=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=1e-2),
    "rmsprop_all": lambda p: torch.optim.RMSprop(p, lr=1e-2, alpha=0.9, momentum=0.5, centered=True, weight_decay=0.01),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=1e-2),
    "adagrad_from": lambda p: torch.optim.Adagrad(p, lr=1e-2, initial_accumulator_value=0.1, weight_decay=0.01),
    "adadelta": lambda p: torch.optim.Adadelta(p, lr=1e-2),
    "adamax": lambda p: torch.optim.Adamax(p, lr=1e-2, weight_decay=0.01),
    "nesterov": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, nesterov=True, weight_decay=0.01),
}
for name, rule in RULES.items():
    parameters = [p.clone().requires_grad_() for p in start]
    optimizer = rule(parameters)
    if name == "nesterov":  # no decay of the bias
        optimizer = torch.optim.SGD(
            [{"params": [parameters[0]]}, {"params": [parameters[1]], "weight_decay": 0.0}],
            lr=1e-2, momentum=0.9, nesterov=True, weight_decay=0.01)
    module = torch.nn.ParameterList(parameters)
    average = torch.optim.swa_utils.AveragedModel(
        module, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    for step, pair in enumerate(gradients):
        for p, g in zip(parameters, pair):
            p.grad = g.clone()
        if name == "adamw":  # with clipping
            norm = torch.nn.utils.clip_grad_norm_(parameters, 3.0)
            out.setdefault("norms", []).append(norm)
        optimizer.step()
        average.update_parameters(module)
        if step + 1 in (1, 10, STEPS):
            out[f"{name}_{step + 1}"] = torch.cat([p.detach().flatten() for p in parameters])
    if name == "sgd":
        out["average"] = torch.cat([p.detach().flatten() for p in average.module])
out["norms"] = torch.stack(out["norms"])

L = torch.optim.lr_scheduler
PER_EPOCH, EPOCHS = 7, 9
TOTAL = PER_EPOCH * EPOCHS


def rates(make, count=TOTAL):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.02)
    schedule = make(optimizer)
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return torch.tensor(found, dtype=torch.float64)


def warm(schedule, steps):
    return lambda o: L.SequentialLR(o, [L.LinearLR(o, 0.1, 1.0, steps), schedule(o)], [steps])


out["cosine"] = rates(lambda o: L.CosineAnnealingLR(o, TOTAL, 0.001))
out["onecycle"] = rates(lambda o: L.OneCycleLR(o, 0.02, TOTAL, cycle_momentum=False))
out["onecycle_linear"] = rates(lambda o: L.OneCycleLR(
    o, 0.02, TOTAL, pct_start=0.4, anneal_strategy="linear", div_factor=10, final_div_factor=100, cycle_momentum=False))
out["warmup_constant"] = rates(warm(lambda o: L.ConstantLR(o, 1.0), 10))
out["warmup_cosine"] = rates(warm(lambda o: L.CosineAnnealingLR(o, TOTAL - 14, 0.0), 14))

losses = [1.0, 0.8, 0.81, 0.7999999, 0.79, 0.9, 0.85, 0.84, 0.83, 0.82, 0.81, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]
optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.02)
plateau = L.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, cooldown=2, min_lr=0.003, threshold=1e-4)
found = []
for loss in losses:
    plateau.step(loss)
    found.append(optimizer.param_groups[0]["lr"])
out["plateau_losses"] = torch.tensor(losses, dtype=torch.float64)
out["plateau"] = torch.tensor(found, dtype=torch.float64)

save_file({k: v.contiguous() for k, v in out.items()}, sys.argv[1],
          metadata={"about": json.dumps({"torch": torch.__version__, "seed": SEED})})
