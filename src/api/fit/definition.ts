/**
 * The training definition of a call of `fit`: its model, its data and its functions come from the files that the call has written.
 * Every worker loads it. The loss and the metrics are those of tfjs, computed per sample.
 */

import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { InvariantError } from '../../shared/errors.js';
import type { DataSplit, SampleBuffers, SourceData, TensorValues } from '../../shared/data/training-data.js';
import { elementCount } from '../../shared/model/layout.js';
import { defineTraining, type ModelContext, type TrainingDefinition } from '../define-training.js';
import type { MetricFunction, OutputLoss } from '../objective.js';
import { withHooks, type OptimizerState, type TrainingHooks } from '../training-hooks.js';
import { compile, perSample, unpack } from './compiled-functions.js';
import {
  metricName,
  modelName,
  permissionName,
  specName,
  type FitPermission,
  type FitSpec,
  type SplitFiles,
} from './fit-spec.js';

/** @param place the folder of the call's files, e.g. `new URL('.', import.meta.url)` */
export function fitDefinition(place: URL): TrainingDefinition {
  const folder = fileURLToPath(place);
  const spec = JSON.parse(readFileSync(join(folder, specName), 'utf8')) as FitSpec;
  const functions = new FitFunctions(spec);
  const loss = Object.fromEntries(spec.outputs.map(({ name }, i) => [name, functions.loss(i)]));
  const definition = defineTraining({
    ...spec.values,
    model: (context) => functions.model(context, join(folder, modelName)),
    data: { load: () => loadFiles(folder, spec) },
    loss: spec.outputs.length === 1 ? functions.loss(0) : loss,
    metrics: spec.metrics.map(({ output }, i) => ({
      name: metricName(i),
      compute: functions.metric(i, output),
      output: spec.outputs[output]?.name ?? '',
    })),
  });
  return withHooks(definition, hooksOf(folder, spec));
}

/** The functions of the compiled model, which exist once the model has been built. */
class FitFunctions {
  readonly #spec: FitSpec;
  #compiled: ReturnType<typeof compile> | undefined;

  constructor(spec: FitSpec) {
    this.#spec = spec;
  }

  async model({ tf, loadModel }: ModelContext, folder: string): Promise<LayersModel> {
    const model = await loadModel(folder);
    const { lossFunctions, metricsTensors } = compile(tf, model, this.#spec.compile);
    this.#compiled = { lossFunctions, metricsTensors };
    // The functions above take the place of the model's own; the worker takes the optimizer over.
    return Object.assign(model, { loss: undefined, metrics: undefined });
  }

  loss(output: number): Extract<OutputLoss, { compute: unknown }> {
    return {
      compute: ({ tf, prediction, target }) => {
        const { target: expected, weights } = unpack(tf, target, this.#spec, output);
        const values = this.#functions.lossFunctions[output]?.(expected, prediction);
        const [samples = 0] = prediction.shape;
        const losses = perSample(
          tf,
          values ?? tf.scalar(Number.NaN),
          samples,
          this.#spec.values['shards'],
          'the loss',
        );
        return weights ? tf.mul(losses, weights) : losses;
      },
    };
  }

  metric(index: number, output: number): MetricFunction {
    return ({ tf, prediction, target }) => {
      const { outputs, values: config } = this.#spec;
      // The losses of a model's single outputs are the first of its metrics.
      if (outputs.length > 1 && index < outputs.length)
        return this.loss(index).compute({ tf, prediction, target });
      const { target: expected } = unpack(tf, target, this.#spec, output);
      const values = this.#functions.metricsTensors[index]?.[0](expected, prediction);
      const [samples = 0] = prediction.shape;
      return perSample(tf, values ?? tf.scalar(Number.NaN), samples, config['shards'], 'a metric');
    };
  }

  get #functions(): ReturnType<typeof compile> {
    if (!this.#compiled) throw new InvariantError('a function of fit is called before its model is built');
    return this.#compiled;
  }
}

function hooksOf(folder: string, { asksPermission, optimizerState }: FitSpec): TrainingHooks {
  const file = join(folder, permissionName);
  const beforeEpoch = (epoch: number): 'wait' | 'begin' | 'stop' => {
    const { epochs, stops } = JSON.parse(readFileSync(file, 'utf8')) as FitPermission;
    if (epoch < epochs) return 'begin';
    return stops ? 'stop' : 'wait';
  };
  const vectors = Object.entries(optimizerState?.vectors ?? {}).map(([name, files]) => [
    name,
    files.map((one) => floatsOf(readFileSync(join(folder, one)))),
  ]);
  const state: OptimizerState | undefined = optimizerState
    ? { updates: optimizerState.updates, vectors: Object.fromEntries(vectors) as OptimizerState['vectors'] }
    : undefined;
  return { ...(asksPermission && { beforeEpoch }), ...(state && { optimizerState: state }) };
}

async function loadFiles(folder: string, { dataSha256, train, validation }: FitSpec): Promise<SourceData> {
  const test = validation && (await openSplit(folder, validation));
  return {
    name: 'data of fit',
    sha256: dataSha256,
    train: await openSplit(folder, train),
    ...(test && { test }),
  };
}

async function openSplit(folder: string, { count, inputs, targets }: SplitFiles): Promise<DataSplit> {
  const read = async (files: SplitFiles['inputs']): Promise<TensorValues[]> =>
    Promise.all(
      files.map(async ({ file, dtype }) => {
        const bytes = await readFile(join(folder, file));
        return dtype === 'int32' ? new Int32Array(floatsOf(bytes).buffer) : floatsOf(bytes);
      }),
    );
  const held = { inputs: await read(inputs), targets: await read(targets) };
  const copy = (
    kind: 'inputs' | 'targets',
    files: SplitFiles['inputs'],
    indices: Int32Array,
    into: SampleBuffers,
  ): void => {
    for (const [i, { shape }] of files.entries()) {
      const size = elementCount(shape);
      for (const [at, index] of indices.entries())
        into[kind][i]?.set(held[kind][i]?.subarray(index * size, (index + 1) * size) ?? [], at * size);
    }
  };
  const specOf = ({ shape, dtype }: SplitFiles['inputs'][number]): DataSplit['inputs'][number] => ({
    shape,
    dtype,
  });
  return {
    count,
    inputs: inputs.map(specOf),
    targets: targets.map(specOf),
    fill: (indices, into) => {
      copy('inputs', inputs, indices, into);
      copy('targets', targets, indices, into);
    },
  };
}

/** Copies the bytes, because a buffer of Node need not be aligned. */
function floatsOf(bytes: Buffer): Float32Array<ArrayBuffer> {
  const values = new Float32Array(bytes.length / 4);
  new Uint8Array(values.buffer).set(bytes);
  return values;
}
