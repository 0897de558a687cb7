"""The models of bench/zoo and the recipe's ConvNet in PyTorch, with their optimizers and inputs."""

import numpy as np
import torch
import torch.nn.functional as F
from idx import read
from torch import nn


def conv_norm(inputs, outputs, kernel, stride=1, groups=1, bias=False):
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias)
    return [conv, nn.BatchNorm2d(outputs)]


def convnet():
    def block(inputs, outputs):
        return [*conv_norm(inputs, outputs, 3, bias=True), nn.ReLU()]

    features = [*block(1, 32), *block(32, 32), nn.MaxPool2d(2, 2), *block(32, 64), *block(64, 64), nn.MaxPool2d(2, 2)]
    hidden = [[nn.Dropout(0.5), nn.Linear(i, 512), nn.BatchNorm1d(512), nn.ReLU()] for i in (3136, 512)]
    return nn.Sequential(*features, nn.Flatten(), *hidden[0], *hidden[1], nn.Dropout(0.5), nn.Linear(512, 10))


def mlp():
    return nn.Sequential(
        *[layer for i in (784, 1024, 1024) for layer in (nn.Linear(i, 1024), nn.ReLU())], nn.Linear(1024, 10)
    )


class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.main = nn.Sequential(*conv_norm(inputs, outputs, 3, stride), nn.ReLU(), *conv_norm(outputs, outputs, 3))
        identity = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if identity else nn.Sequential(*conv_norm(inputs, outputs, 1, stride))

    def forward(self, x):
        return F.relu(self.main(x) + self.shortcut(x))


def resnet():
    blocks = [(16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)]
    return nn.Sequential(
        *conv_norm(1, 16, 3),
        nn.ReLU(),
        *[ResidualBlock(*block) for block in blocks],
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def mobilenet():
    layers, inputs = [*conv_norm(3, 32, 3), nn.ReLU6()], 32
    for outputs, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1)]:
        layers += [*conv_norm(inputs, inputs, 3, stride, groups=inputs), nn.ReLU6()]
        layers += [*conv_norm(inputs, outputs, 1), nn.ReLU6()]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()

        def block(inputs, outputs):
            pairs = [(inputs, outputs), (outputs, outputs)]
            return nn.Sequential(*[layer for pair in pairs for layer in (*conv_norm(*pair, 3), nn.ReLU())])

        self.first, self.second, self.bottom = block(1, 16), block(16, 32), block(32, 64)
        self.up_second, self.up_first = nn.ConvTranspose2d(64, 32, 2, 2), nn.ConvTranspose2d(32, 16, 2, 2)
        self.decode_second, self.decode_first = block(64, 32), block(32, 16)
        self.logits = nn.Conv2d(16, 1, 1)

    def forward(self, x):
        first = self.first(x)
        second = self.second(F.max_pool2d(first, 2))
        bottom = self.bottom(F.max_pool2d(second, 2))
        x = self.decode_second(torch.cat([second, self.up_second(bottom)], 1))
        return self.logits(self.decode_first(torch.cat([first, self.up_first(x)], 1)))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.embedding, self.recurrence, self.logits = nn.Embedding(5000, 64), kind(64, 64, batch_first=True), nn.Linear(64, 2)

    def forward(self, x):
        return self.logits(self.recurrence(self.embedding(x))[0][:, -1])


class TransformerBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm_attention, self.norm_hidden = nn.LayerNorm(64, 1e-3), nn.LayerNorm(64, 1e-3)
        self.qkv, self.output = nn.Linear(64, 192, bias=False), nn.Linear(64, 64, bias=False)
        self.hidden = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 64))

    def forward(self, x):
        batch, length, _ = x.shape
        q, k, v = self.qkv(self.norm_attention(x)).view(batch, length, 3, 4, 16).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, 64)
        x = x + self.output(mixed)
        return x + self.hidden(self.norm_hidden(x))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.logits = nn.Embedding(5000, 64), nn.Linear(64, 2)
        self.blocks = nn.Sequential(TransformerBlock(), TransformerBlock())

    def forward(self, x):
        return self.logits(self.blocks(self.embedding(x)).mean(1))


def embedding_bag():
    return nn.Sequential(nn.EmbeddingBag(20_000, 64, mode="mean"), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))


MODELS = {
    "convnet": convnet,
    "mlp": mlp,
    "resnet": resnet,
    "mobilenet": mobilenet,
    "unet": UNet,
    "lstm": lambda: Recurrent(nn.LSTM),
    "gru": lambda: Recurrent(nn.GRU),
    "transformer": Transformer,
    "transformer-custom": Transformer,
    "embedding-bag": embedding_bag,
}

# Shape of one sample, number of classes (0: one logit per value of the input), and size of the vocabulary (0: float inputs).
SAMPLES = {
    "mlp": ((784,), 10, 0),
    "resnet": ((1, 28, 28), 10, 0),
    "mobilenet": ((3, 32, 32), 10, 0),
    "unet": ((1, 32, 32), 0, 0),
    "lstm": ((80,), 2, 5000),
    "gru": ((80,), 2, 5000),
    "transformer": ((80,), 2, 5000),
    "transformer-custom": ((80,), 2, 5000),
    "embedding-bag": ((64,), 2, 20_000),
}


def optimizer_of(name, model):
    if name == "resnet":
        return torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def loss_of(name):
    return F.binary_cross_entropy_with_logits if name == "unet" else F.cross_entropy


def batches_of(name, folder, batch, rank, processes):
    """Returns a function from the step's number to the inputs and targets of one process."""
    local = batch // processes
    if name == "convnet":
        images = torch.from_numpy(read(folder, "train-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28).copy())
        labels = torch.from_numpy(read(folder, "train-labels-idx1-ubyte", 8).astype(np.int64))
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(1))

        def mnist(step):
            first = (step * batch + rank * local) % (len(images) - local)
            chosen = order[first : first + local]
            return (images[chosen].float() / 255 - 0.5) / 0.5, labels[chosen]

        return mnist
    shape, classes, vocabulary = SAMPLES[name]
    count = 512
    inputs = torch.randint(0, vocabulary, (count, *shape)) if vocabulary else torch.rand((count, *shape)) * 2 - 1
    targets = torch.arange(count) % classes if classes else (inputs > 0).float()

    def noise(step):
        # Gathers the samples, as a DataLoader would.
        chosen = (torch.arange(local) + step * local) % count
        return inputs[chosen], targets[chosen]

    return noise
