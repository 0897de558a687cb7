"""Trains a model of bench/zoo or the recipe's ConvNet with JAX on the CPU, as the counterpart of `lockstep train`.

`python3 jax_train.py --model NAME --processes P --batch N --steps S --warm-up W` prints one JSON line with the median of the total
samples per second and the CPU time per sample in microseconds. The P processes compute with one thread each, and JAX's collectives over
Gloo average their gradients inside the compiled step. N is the global batch size. BatchNorm statistics stay local to each process.
Inputs are noise for each model.
"""

import argparse
import json
import os
import socket
import time

import numpy as np


def parameters(name, rng):
    """Returns the initial parameters as a flat dictionary of arrays."""
    values = {}

    def add(key, *shape):
        fan_in = int(np.prod(shape[:-1]))
        values[key] = (rng.standard_normal(shape) * (2 / fan_in) ** 0.5).astype(np.float32)

    def dense(key, inputs, outputs, bias=True):
        add(f"{key}/w", inputs, outputs)
        if bias:
            values[f"{key}/b"] = np.zeros(outputs, np.float32)

    def norm(key, channels):
        values[f"{key}/scale"], values[f"{key}/shift"] = np.ones(channels, np.float32), np.zeros(channels, np.float32)

    def conv_norm(key, size, inputs, outputs):
        add(f"{key}/w", size, size, inputs, outputs)
        norm(f"{key}/n", outputs)

    if name == "convnet":
        for i, pair in enumerate([(1, 32), (32, 32), (32, 64), (64, 64)]):
            conv_norm(f"c{i}", 3, *pair)
        for i, inputs in enumerate([3136, 512]):
            dense(f"d{i}", inputs, 512)
            norm(f"d{i}/n", 512)
        dense("logits", 512, 10)
    elif name == "mlp":
        for i, inputs in enumerate([784, 1024, 1024]):
            dense(f"d{i}", inputs, 1024)
        dense("logits", 1024, 10)
    elif name == "resnet":
        conv_norm("stem", 3, 1, 16)
        for i, (inputs, outputs, stride) in enumerate(RESIDUAL_BLOCKS):
            conv_norm(f"r{i}/a", 3, inputs, outputs)
            conv_norm(f"r{i}/b", 3, outputs, outputs)
            if (inputs, stride) != (outputs, 1):
                conv_norm(f"r{i}/s", 1, inputs, outputs)
        dense("logits", 64, 10)
    elif name == "mobilenet":
        conv_norm("stem", 3, 3, 32)
        inputs = 32
        for i, (outputs, _) in enumerate(MOBILE_BLOCKS):
            conv_norm(f"m{i}/d", 3, 1, inputs)
            conv_norm(f"m{i}/p", 1, inputs, outputs)
            inputs = outputs
        dense("logits", 256, 10)
    elif name == "unet":
        for key, inputs, outputs in [("first", 1, 16), ("second", 16, 32), ("bottom", 32, 64), ("up2", 64, 32), ("up1", 32, 16)]:
            conv_norm(f"{key}/a", 3, inputs, outputs)
            conv_norm(f"{key}/b", 3, outputs, outputs)
        for key, inputs, outputs in [("t2", 64, 32), ("t1", 32, 16)]:
            add(f"{key}/w", 2, 2, inputs, outputs)
            values[f"{key}/b"] = np.zeros(outputs, np.float32)
        add("logits/w", 1, 1, 16, 1)
        values["logits/b"] = np.zeros(1, np.float32)
    elif name in ("lstm", "gru"):
        gates = 4 if name == "lstm" else 3
        add("embedding", 5000, 64)
        dense("x", 64, 64 * gates)
        dense("h", 64, 64 * gates)
        dense("logits", 64, 2)
    elif name == "embedding-bag":
        add("embedding", 20_000, 64)
        dense("d0", 64, 64)
        dense("logits", 64, 2)
    else:
        add("embedding", 5000, 64)
        for i in range(2):
            norm(f"t{i}/n0", 64)
            dense(f"t{i}/qkv", 64, 192, bias=False)
            dense(f"t{i}/o", 64, 64, bias=False)
            norm(f"t{i}/n1", 64)
            dense(f"t{i}/h", 64, 256)
            dense(f"t{i}/r", 256, 64)
        dense("logits", 64, 2)
    return values


RESIDUAL_BLOCKS = [(16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)]
MOBILE_BLOCKS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1)]
SAMPLES = {
    "convnet": ((28, 28, 1), 10, 0),
    "mlp": ((784,), 10, 0),
    "resnet": ((28, 28, 1), 10, 0),
    "mobilenet": ((32, 32, 3), 10, 0),
    "unet": ((32, 32, 1), 0, 0),
    "lstm": ((80,), 2, 5000),
    "gru": ((80,), 2, 5000),
    "transformer": ((80,), 2, 5000),
    "transformer-custom": ((80,), 2, 5000),
    "embedding-bag": ((64,), 2, 20_000),
}


def forward(name, p, x, key):
    import jax
    import jax.numpy as jnp
    from jax import lax, nn

    def dense(key, x):
        y = x @ p[f"{key}/w"]
        return y + p[f"{key}/b"] if f"{key}/b" in p else y

    def normalize(key, x, axes, epsilon):
        mean = x.mean(axes, keepdims=True)
        variance = jnp.square(x - mean).mean(axes, keepdims=True)
        return (x - mean) * lax.rsqrt(variance + epsilon) * p[f"{key}/scale"] + p[f"{key}/shift"]

    def batch_norm(key, x):
        return normalize(key, x, tuple(range(x.ndim - 1)), 1e-5)

    def layer_norm(key, x):
        return normalize(key, x, (-1,), 1e-3)

    def conv(key, x, stride=1, groups=1):
        numbers = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(
            x, p[f"{key}/w"], (stride, stride), "SAME", dimension_numbers=numbers, feature_group_count=groups
        )

    def conv_norm(key, x, stride=1, groups=1):
        return batch_norm(f"{key}/n", conv(key, x, stride, groups))

    def max_pool(x):
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    if name == "convnet":
        for i in range(4):
            x = nn.relu(conv_norm(f"c{i}", x))
            x = max_pool(x) if i % 2 else x
        x = x.reshape(x.shape[0], -1)
        keys = jax.random.split(key, 3)

        def dropout(x, key):
            return jnp.where(jax.random.bernoulli(key, 0.5, x.shape), x * 2, 0)

        for i in range(2):
            x = nn.relu(batch_norm(f"d{i}/n", dense(f"d{i}", dropout(x, keys[i]))))
        return dense("logits", dropout(x, keys[2]))
    if name == "mlp":
        for i in range(3):
            x = nn.relu(dense(f"d{i}", x))
        return dense("logits", x)
    if name == "resnet":
        x = nn.relu(conv_norm("stem", x))
        for i, (_, _, stride) in enumerate(RESIDUAL_BLOCKS):
            y = conv_norm(f"r{i}/b", nn.relu(conv_norm(f"r{i}/a", x, stride)))
            x = nn.relu(y + (conv_norm(f"r{i}/s", x, stride) if f"r{i}/s/w" in p else x))
        return dense("logits", x.mean((1, 2)))
    if name == "mobilenet":
        x = nn.relu6(conv_norm("stem", x))
        for i, (_, stride) in enumerate(MOBILE_BLOCKS):
            x = nn.relu6(conv_norm(f"m{i}/d", x, stride, x.shape[-1]))
            x = nn.relu6(conv_norm(f"m{i}/p", x))
        return dense("logits", x.mean((1, 2)))
    if name == "unet":

        def block(key, x):
            return nn.relu(conv_norm(f"{key}/b", nn.relu(conv_norm(f"{key}/a", x))))

        def up(key, x):
            y = lax.conv_transpose(x, p[f"{key}/w"], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            return y + p[f"{key}/b"]

        first = block("first", x)
        second = block("second", max_pool(first))
        bottom = block("bottom", max_pool(second))
        x = block("up2", jnp.concatenate([second, up("t2", bottom)], -1))
        x = block("up1", jnp.concatenate([first, up("t1", x)], -1))
        return conv("logits", x) + p["logits/b"]
    if name in ("lstm", "gru"):
        gates_x = dense("x", p["embedding"][x]).transpose(1, 0, 2)
        zero = jnp.zeros((x.shape[0], 64), jnp.float32)

        def lstm(state, gx):
            h, c = state
            i, f, g, o = jnp.split(gx + dense("h", h), 4, -1)
            c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
            return (nn.sigmoid(o) * jnp.tanh(c), c), None

        def gru(h, gx):
            (rx, zx, nx), (rh, zh, nh) = jnp.split(gx, 3, -1), jnp.split(dense("h", h), 3, -1)
            z = nn.sigmoid(zx + zh)
            return (1 - z) * jnp.tanh(nx + nn.sigmoid(rx + rh) * nh) + z * h, None

        last = lax.scan(lstm, (zero, zero), gates_x)[0][0] if name == "lstm" else lax.scan(gru, zero, gates_x)[0]
        return dense("logits", last)
    if name == "embedding-bag":
        return dense("logits", nn.relu(dense("d0", p["embedding"][x].mean(1))))
    x = p["embedding"][x]
    for i in range(2):
        qkv = dense(f"t{i}/qkv", layer_norm(f"t{i}/n0", x)).reshape(*x.shape[:2], 3, 4, 16)
        mixed = nn.dot_product_attention(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2])
        x = x + dense(f"t{i}/o", mixed.reshape(x.shape))
        x = x + dense(f"t{i}/r", nn.relu(dense(f"t{i}/h", layer_norm(f"t{i}/n1", x))))
    return dense("logits", x.mean(1))


def work(rank, options, port, rates, cpu_us):
    core = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core[rank % len(core)]})  # One thread of XLA's pool, like the other programs.
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
    import jax.numpy as jnp
    from jax.experimental import multihost_utils
    from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

    if options.processes > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(f"127.0.0.1:{port}", options.processes, rank)
    mesh = Mesh(np.array(jax.devices()), "data")
    name, local = options.model, options.batch // options.processes
    shape, classes, vocabulary = SAMPLES[name]
    rng = np.random.default_rng(1)
    p = {key: jnp.asarray(value) for key, value in parameters(name, rng).items()}

    def loss(p, x, y, key):
        logits = forward(name, p, x, key)
        if classes == 0:
            return (jnp.maximum(logits, 0) - logits * y + jnp.log1p(jnp.exp(-jnp.abs(logits)))).mean()
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1).mean()

    def update(p, state, x, y, step):
        value, g = jax.value_and_grad(loss)(p, x, y, jax.random.fold_in(jax.random.key(1), step[0]))
        g = jax.lax.pmean(g, "data")
        if name == "resnet":
            g = {k: v + 5e-4 * p[k] for k, v in g.items()}
            m = {k: 0.9 * state["m"][k] + v for k, v in g.items()}
            return {k: p[k] - 0.1 * (g[k] + 0.9 * m[k]) for k in p}, {"m": m, "v": state["v"]}, value[None]
        t = step[0] + 1.0
        m = {k: 0.9 * state["m"][k] + 0.1 * v for k, v in g.items()}
        v = {k: 0.999 * state["v"][k] + 0.001 * jnp.square(w) for k, w in g.items()}
        rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        return {k: p[k] - rate * m[k] / (jnp.sqrt(v[k]) + 1e-8) for k in p}, {"m": m, "v": v}, value[None]

    data = P("data")
    sharded = jax.shard_map(
        update, mesh=mesh, in_specs=(P(), P(), data, data, P()), out_specs=(P(), P(), data), check_vma=False
    )
    train = jax.jit(sharded, donate_argnums=(0, 1))
    state = {kind: {key: jnp.zeros_like(value) for key, value in p.items()} for kind in ("m", "v")}
    if options.processes > 1:
        p, state = multihost_utils.host_local_array_to_global_array((p, state), mesh, P())
    count = 512
    inputs = rng.integers(0, vocabulary, (count, *shape)) if vocabulary else rng.random((count, *shape), np.float32) * 2 - 1
    targets = np.arange(count) % classes if classes else (inputs > 0).astype(np.float32)
    placed = NamedSharding(mesh, data)
    times, began = [], 0.0
    for step in range(options.steps):
        if step == options.warm_up:
            began = time.process_time()
        start = time.perf_counter()
        chosen = (np.arange(local) + step * local) % count
        x, y = (jax.make_array_from_process_local_data(placed, a[chosen]) for a in (inputs, targets))
        p, state, value = train(p, state, x, y, np.array([step], np.int32))
        assert np.isfinite(np.asarray(value.addressable_data(0))[0])
        times.append(time.perf_counter() - start)
    measured = options.steps - options.warm_up
    rates[rank] = options.batch / float(np.median(times[options.warm_up :]))
    cpu_us[rank] = (time.process_time() - began) * 1e6 / (measured * options.batch)


if __name__ == "__main__":
    import multiprocessing as mp

    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=SAMPLES, default="convnet")
    for name in ("processes", "batch", "steps", "warm-up"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()
    context = mp.get_context("spawn")
    rates, cpu_us = context.Array("d", options.processes), context.Array("d", options.processes)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = [
        context.Process(target=work, args=(rank, options, port, rates, cpu_us)) for rank in range(options.processes)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    if any(child.exitcode for child in children):
        raise SystemExit(1)
    from importlib.metadata import version

    print(json.dumps({"imagesPerSecond": min(rates), "cpuUsPerSample": sum(cpu_us), "version": f"jax {version('jax')}"}))
