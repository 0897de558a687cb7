"""The ConvNet as the PyTorch tutorial writes it, thin: `python3 torch_module.py FOLDER` writes its state dict, as a person would
save it, and its answers to a few pictures. Weights and statistics are drawn, so that no two are alike."""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

SEED, WIDTH = 7, 16


class ConvNet(nn.Module):
    def __init__(self, c=WIDTH):
        super().__init__()

        def block(i, o):
            return [nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU()]

        pool = nn.MaxPool2d(2, 2)
        self.features = nn.Sequential(*block(1, c), *block(c, c), pool, *block(c, c), *block(c, c), pool)
        dense = [nn.Dropout(0.5), nn.Linear(c * 49, c), nn.BatchNorm1d(c), nn.ReLU()]
        again = [nn.Dropout(0.5), nn.Linear(c, c), nn.BatchNorm1d(c), nn.ReLU()]
        self.classifier = nn.Sequential(*dense, *again, nn.Dropout(0.5), nn.Linear(c, 10))

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def main(folder):
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    net = ConvNet()
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if name.endswith("running_var"):
                value.copy_(torch.rand_like(value) + 0.5)
            elif value.dim() == 1 and value.is_floating_point():
                value.copy_(torch.randn_like(value) * 0.3 + 1)
    net.eval()
    images = torch.randn(3, 1, 28, 28)
    with torch.no_grad():
        logits = net(images)
    about = {"torch": torch.__version__, "seed": str(SEED)}
    save_file(net.state_dict(), folder / "torch-module.safetensors", about)
    answers = {"images": images.permute(0, 2, 3, 1).contiguous(), "logits": logits}
    save_file(answers, folder / "torch-module-answers.safetensors", about)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
