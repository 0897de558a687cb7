"""The ecosystem's own readers of what `lockstep export` writes: `python3 export_readers.py FOLDER` reads FOLDER/model.safetensors,
pytorch.safetensors, saved_model and case.safetensors (images, outputs) and prints, as JSON, the largest distance of each from
the outputs."""

import json
import sys
from pathlib import Path

import torch
from safetensors.numpy import load_file
from torch_module import ConvNet

folder = Path(sys.argv[1])
case = load_file(folder / "case.safetensors")
images, outputs = case["images"], case["outputs"]

import tensorflow as tf  # noqa: E402

served = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
(name,) = served.structured_input_signature[1]
(answer,) = served(**{name: tf.constant(images)}).values()
distances = {"savedmodel": float(abs(answer.numpy() - outputs).max())}

# PyTorch's tensors of each layer, in order, into the tutorial's own module.
ours = {k: torch.from_numpy(v) for k, v in load_file(folder / "pytorch.safetensors").items()}
layers = json.loads((folder / "layers.json").read_text())
net = ConvNet()
modules = [n for n, m in net.named_modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear)) or hasattr(m, "running_mean")]
named = dict(zip(layers, modules, strict=True))
state = {f"{named[k.rsplit('.', 1)[0]]}.{k.rsplit('.', 1)[1]}": v for k, v in ours.items()}
missing = net.load_state_dict(state, strict=False)
assert all(k.endswith("num_batches_tracked") for k in missing.missing_keys) and not missing.unexpected_keys, missing
net.eval()
with torch.no_grad():
    logits = net(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()
distances["pytorch"] = float(abs(logits - outputs).max())

# Plain safetensors: every weight, bit for bit.
weights = load_file(folder / "model.safetensors")
expected = load_file(folder / "weights.safetensors")
assert weights.keys() == expected.keys()
distances["safetensors"] = max(float(abs(weights[k] - expected[k]).max()) for k in weights)
print(json.dumps(distances))
