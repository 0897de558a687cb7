"""Writes Keras 3 models as tensorflowjs_converter does (model.json, weights), with inputs and Keras's own predictions.

Usage: KERAS_BACKEND=torch python test/oracle/keras3.py test/fixtures/keras3
"""
import json
import os
import sys

import keras
import numpy as np
from keras import layers

rng = np.random.default_rng(7)


def sequential():
    return keras.Sequential([
        keras.Input((4,)),
        layers.Dense(8, activation="relu", kernel_regularizer=keras.regularizers.L2(1e-4)),
        layers.Dropout(0.25),
        layers.BatchNormalization(),
        layers.LeakyReLU(negative_slope=0.2),
        layers.Dense(3, activation="silu"),
    ])


def pictures():
    x = y = keras.Input((9, 8, 2))
    y = layers.ZeroPadding2D(((1, 0), (0, 1)))(y)
    y = layers.Conv2D(4, 3, padding="same", use_bias=False, kernel_constraint=None)(y)
    y = layers.BatchNormalization(axis=3, momentum=0.9)(y)
    y = layers.ReLU(max_value=6)(y)
    y = layers.MaxPooling2D(2)(y)
    y = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(y)
    y = layers.SeparableConv2D(5, 3, strides=2, padding="same", activation="tanh")(y)
    y = layers.UpSampling2D(2)(y)
    y = layers.Conv2DTranspose(3, 2, strides=2)(y)
    y = layers.AveragePooling2D(2)(y)
    y = layers.GlobalAveragePooling2D()(y)
    return keras.Model(x, y, name="pictures")


def branches():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = layers.Dense(5, activation="tanh", name="shared")
    both = layers.Concatenate()([shared(a), shared(b)])
    left = layers.Dense(2, name="left")(both)
    right = layers.Dense(1, name="right")(layers.Add()([both, both]))
    return keras.Model([a, b], [left, right])


def nested():
    def block(name):
        x = keras.Input((4,), name=f"{name}_in")
        y = layers.Dense(4, activation="tanh", name="fc")(x)
        return keras.Model(x, layers.BatchNormalization(name="bn")(y), name=name)

    head = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="fc")], name="head")
    x = keras.Input((4,))
    b1 = block("b1")
    y = b1(b1(x))
    return keras.Model(x, head(block("b2")(y)), name="outer")


def text():
    return keras.Sequential([
        keras.Input((6,)),
        layers.Embedding(10, 4),
        layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
        layers.GRU(3, return_sequences=True, reset_after=False),
        layers.SimpleRNN(3, return_sequences=True),
        layers.TimeDistributed(layers.Dense(4)),
        layers.LSTM(2),
    ])


def masked():
    return keras.Sequential([
        keras.Input((6,)),
        layers.Embedding(10, 4, mask_zero=True),
        layers.LSTM(3, return_sequences=True),
        layers.GRU(2, reset_after=False),
    ])


def translation():
    source, target = keras.Input((3, 2)), keras.Input((4, 2))
    _, h, c = layers.LSTM(3, return_state=True)(source)
    y = layers.LSTM(3, return_sequences=True)(target, initial_state=[h, c])
    return keras.Model([source, target], y)


def cross_attention():
    query, value, key = keras.Input((3, 4)), keras.Input((5, 6)), keras.Input((5, 2))
    y = layers.MultiHeadAttention(3, 2, value_dim=4)(query, value, key=key)
    return keras.Model([query, value, key], layers.MultiHeadAttention(2, 2, dropout=0.5)(y, value))


def inputs_of(model):
    if model.layers and any(isinstance(layer, layers.Embedding) for layer in model.layers):
        return [np.array([[1, 2, 3, 0, 0, 0], [4, 5, 6, 7, 8, 9]], "float32")]
    return [rng.normal(size=[2, *value.shape[1:]]).astype("float32") for value in model.inputs]


def flat(values):
    values = values if isinstance(values, (list, tuple)) else [values]
    return [{"shape": list(value.shape), "values": [float(x) for x in np.asarray(value).ravel()]} for value in values]


def write(folder, make):
    keras.utils.clear_session()
    keras.utils.set_random_seed(3)
    model = make()
    for weight in model.weights:
        change = rng.uniform(0.02, 0.3, size=weight.shape)
        weight.assign(np.asarray(keras.ops.convert_to_numpy(weight)) + change)
    inputs = inputs_of(model)
    outputs = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    order = [w for layer in model.layers for w in layer.trainable_weights + layer.non_trainable_weights]
    specs = [{"name": w.path, "shape": list(w.shape), "dtype": "float32"} for w in order]
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "group1-shard1of1.bin"), "wb") as file:
        for w in order:
            file.write(keras.ops.convert_to_numpy(w).astype("float32").tobytes())
    topology = {
        "keras_version": keras.__version__,
        "backend": "tensorflow",
        "model_config": json.loads(model.to_json()),
    }
    document = {
        "format": "layers-model",
        "generatedBy": f"keras v{keras.__version__}",
        "modelTopology": topology,
        "weightsManifest": [{"paths": ["group1-shard1of1.bin"], "weights": specs}],
    }
    with open(os.path.join(folder, "model.json"), "w", encoding="utf8") as file:
        json.dump(document, file, separators=(",", ":"))
    with open(os.path.join(folder, "predictions.json"), "w", encoding="utf8") as file:
        json.dump({"inputs": flat(inputs), "outputs": flat(outputs)}, file)


for function in [sequential, pictures, branches, nested, text, masked, translation, cross_attention]:
    write(os.path.join(sys.argv[1], function.__name__), function)
