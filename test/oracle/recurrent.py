"""LSTM, GRU and SimpleRNN in PyTorch's autograd as one small fixture: `python3 recurrent.py OUT.safetensors`. The equations are those
of tf.layers (Keras with reset_after=False), in float64 and, for the size of float32's rounding, in float32. The script asserts that
the LSTM with sigmoid gates is torch.nn.LSTM."""

import json
import sys

import torch
from safetensors.torch import save_file

SEED = 23
torch.manual_seed(SEED)
torch.set_num_threads(1)
out, meta = {}, {}
ACTIVATIONS = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "hardSigmoid": lambda x: torch.clamp(0.2 * x + 0.5, 0, 1),
    "relu": torch.relu,
    "linear": lambda x: x,
}
GATES = {"lstm": 4, "gru": 3, "simpleRNN": 1}


def run(kind, act, rec, backwards, x, k, u, b, mask, h, c):
    """Returns the hidden states in the order of the input's time, and the last states."""
    steps = x.shape[1]
    hidden = [None] * steps
    for t in reversed(range(steps)) if backwards else range(steps):
        xk = x[:, t] @ k
        if kind == "lstm":
            i, f, g, o = (xk + h @ u + b).chunk(4, 1)
            new_c = rec(f) * c + rec(i) * act(g)
            new_h = rec(o) * act(new_c)
        elif kind == "gru":
            xz, xr, xh = (xk + b).chunk(3, 1)
            uz, ur, uh = u.chunk(3, 1)
            z, r = rec(xz + h @ uz), rec(xr + h @ ur)
            new_h, new_c = z * h + (1 - z) * act(xh + (r * h) @ uh), c
        else:
            new_h, new_c = act(xk + b + h @ u), c
        keep = mask[:, t : t + 1] != 0
        h, c = torch.where(keep, new_h, h), torch.where(keep, new_c, c)
        hidden[t] = h
    return torch.stack(hidden, 1), h, c


def case(name, kind, samples, steps, features, units, act="tanh", rec="sigmoid", backwards=False, masked=False):
    gates = GATES[kind]
    inputs = {
        "x": torch.randn(samples, steps, features),
        "k": torch.randn(features, gates * units) * 0.4,
        "u": torch.randn(units, gates * units) * 0.4,
        "b": torch.randn(gates * units) * 0.3,
        "h": torch.randn(samples, units) * 0.5,
        "c": torch.randn(samples, units) * 0.5,
    }
    mask = (torch.rand(samples, steps) < 0.6).float() if masked else torch.ones(samples, steps)
    dys = [torch.randn(samples, steps, units), torch.randn(samples, units), torch.randn(samples, units)]

    def results(dtype):
        leaves = {key: value.to(dtype).requires_grad_() for key, value in inputs.items()}
        x, k, u, b, h, c = leaves.values()
        hidden, last_h, last_c = run(kind, ACTIVATIONS[act], ACTIVATIONS[rec], backwards, x, k, u, b, mask, h, c)
        loss = sum((value * dy.to(dtype)).sum() for value, dy in zip((hidden, last_h, last_c), dys))
        loss.backward()
        found = {"hidden": hidden, "last_h": last_h}
        if kind == "lstm":
            found["last_c"] = last_c
        found |= {f"g{key}": leaf.grad for key, leaf in leaves.items() if key != "c" or kind == "lstm"}
        return {key: value.detach() for key, value in found.items()}

    exact, single = results(torch.float64), results(torch.float32)
    for key, value in inputs.items():
        out[f"{name}_{key}"] = value.contiguous()
    out[f"{name}_mask"] = mask
    for key, dy in zip(("dhidden", "dlast_h", "dlast_c"), dys):
        out[f"{name}_{key}"] = dy
    errors = {}
    for key, value in exact.items():
        out[f"{name}_{key}_64"] = value.contiguous()
        errors[key] = float((single[key].double() - value).norm() / value.norm())
    meta[name] = {
        "kind": kind, "activation": act, "recurrentActivation": rec, "backwards": backwards, "masked": masked,
        "errors": errors,
    }
    return inputs, exact


inputs, exact = case("lstm", "lstm", 5, 7, 6, 16)
lstm = torch.nn.LSTM(6, 16, batch_first=True).double()
with torch.no_grad():
    lstm.weight_ih_l0.copy_(inputs["k"].double().T)
    lstm.weight_hh_l0.copy_(inputs["u"].double().T)
    lstm.bias_ih_l0.copy_(inputs["b"].double())
    lstm.bias_hh_l0.zero_()
    hidden, _ = lstm(inputs["x"].double(), (inputs["h"].double()[None], inputs["c"].double()[None]))
assert torch.allclose(hidden, exact["hidden"], rtol=1e-12, atol=1e-12)

case("lstm_masked", "lstm", 9, 12, 5, 19, rec="hardSigmoid", masked=True)
case("lstm_backwards", "lstm", 4, 6, 3, 33, act="sigmoid", rec="tanh", backwards=True, masked=True)
case("lstm_linear", "lstm", 3, 5, 4, 8, act="linear", rec="hardSigmoid")
case("gru", "gru", 5, 7, 6, 16)
case("gru_masked", "gru", 9, 12, 5, 19, rec="hardSigmoid", masked=True)
case("gru_backwards", "gru", 4, 6, 3, 33, act="relu", backwards=True, masked=True)
case("rnn", "simpleRNN", 5, 7, 6, 16)
case("rnn_masked", "simpleRNN", 9, 12, 5, 19, act="sigmoid", backwards=True, masked=True)

about = json.dumps({"torch": torch.__version__, "seed": SEED})
save_file(out, sys.argv[1], metadata={"cases": json.dumps(meta), "about": about})
