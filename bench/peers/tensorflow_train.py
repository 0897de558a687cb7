"""Trains the MNIST ConvNet with TensorFlow and Keras, as the counterpart of `lockstep train`.

`python3 tensorflow_train.py --data FOLDER --processes P --threads T --batch N --steps S --warm-up W --precision float32|bfloat16
--batch-norm own|synchronized` prints one JSON line with the total images per second. With P > 1, MultiWorkerMirroredStrategy averages
the gradients of P processes on this machine. N is the global batch size, and the first W steps are excluded from the median.
"""

import argparse
import json
import multiprocessing
import os
import socket
import time

import numpy as np
from idx import read


def network(keras, synchronized):
    layers = keras.layers

    def norm():
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=synchronized)

    def block(filters):
        return [layers.Conv2D(filters, 3, padding="same"), norm(), layers.ReLU()]

    hidden = [layer for _ in range(2) for layer in (layers.Dropout(0.5), layers.Dense(512), norm(), layers.ReLU())]
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            *block(32),
            *block(32),
            layers.MaxPooling2D(2),
            *block(64),
            *block(64),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            *hidden,
            layers.Dropout(0.5),
            layers.Dense(10, dtype="float32"),
        ]
    )


def work(rank, options, ports, results):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if options.processes > 1:
        task = {"type": "worker", "index": rank}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": [f"127.0.0.1:{p}" for p in ports]}, "task": task})
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    strategy = tf.distribute.MultiWorkerMirroredStrategy() if options.processes > 1 else tf.distribute.get_strategy()
    keras.utils.set_random_seed(1)
    if options.precision == "bfloat16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    with strategy.scope():
        model = network(keras, options.batch_norm == "synchronized")
        optimizer = keras.optimizers.Adam(1e-3)
        optimizer.build(model.trainable_variables)

    images = read(options.data, "train-images-idx3-ubyte", 16).reshape(-1, 28, 28, 1)
    labels = read(options.data, "train-labels-idx1-ubyte", 8).astype(np.int32)
    order = np.random.default_rng(1).permutation(len(images))
    local_batch = options.batch // options.processes

    def replica(x, y):
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)) / options.batch
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    @tf.function
    def step(x, y):
        return strategy.run(replica, (x, y))

    times, losses = [], []
    for i in range(options.steps):
        start = time.perf_counter()
        first = (i * options.batch + rank * local_batch) % (len(images) - local_batch)
        chosen = order[first : first + local_batch]
        x = (images[chosen].astype(np.float32) / 255 - 0.5) / 0.5
        losses.append(float(step(tf.constant(x), tf.constant(labels[chosen]))))
        times.append(time.perf_counter() - start)
    assert np.mean(losses[-5:]) < losses[0], "the loss did not decrease"
    results[rank] = options.batch / float(np.median(times[options.warm_up :]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    for name in ("processes", "threads", "batch", "steps", "warm-up"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--batch-norm", choices=["own", "synchronized"], default="own")
    options = parser.parse_args()
    # Spawned processes import TensorFlow themselves, so that each can set its number of threads.
    context = multiprocessing.get_context("spawn")
    results = context.Array("d", options.processes)
    reserved = [socket.socket() for _ in range(options.processes)]
    for reservation in reserved:
        reservation.bind(("127.0.0.1", 0))
    ports = [reservation.getsockname()[1] for reservation in reserved]
    for reservation in reserved:
        reservation.close()
    workers = [context.Process(target=work, args=(rank, options, ports, results)) for rank in range(options.processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("tensorflow_train.py: a worker process failed; its traceback is above.")
    from importlib.metadata import PackageNotFoundError, version

    for name in ("tensorflow", "tensorflow-cpu"):
        try:
            found = version(name)
            break
        except PackageNotFoundError:
            found = "?"
    print(json.dumps({"imagesPerSecond": min(results), "version": f"tensorflow {found}"}))
