/**
 * A worker's copy of what is being trained: the model, its data and, once a generation has been joined, the executor and
 * the optimizer. Every worker's replica has the same bits after each step.
 */

import type { LayersModel } from '@tensorflow/tfjs';
import type { DataSource } from '../api/define-training.js';
import type { LoadedDefinition } from '../api/load-definition.js';
import type { ResolvedConfig } from '../shared/config/run-config.js';
import { loadIdxDirectory, loadMnist } from '../shared/data/dataset.js';
import { useExactMath } from '../shared/arithmetic/exact-math.js';
import type { ExchangeSpec } from '../shared/collectives/exchange.js';
import { Sampler } from '../shared/data/sampler.js';
import { imageData, type TrainingData } from '../shared/data/training-data.js';
import { InvariantError, ModelError, invariant } from '../shared/errors.js';
import { elementCount, layoutHash, weightsSha256, type Layout } from '../shared/layout.js';
import { hashBytes, hashFloats } from '../shared/ledger/hash.js';
import type { Plan } from '../shared/protocol/messages.js';
import { PhiloxSequence, philoxKey } from '../shared/random/philox.js';
import { withMathRandom } from '../shared/random/math-random.js';
import type { Range } from '../shared/words.js';
import type { Communicator, ExchangeHandle } from './communicator/communicator.js';
import type { Engine } from './engine/load.js';
import type { Evaluator } from './evaluate.js';
import { Executor } from './executor/executor.js';
import { GradientBuckets, flatten } from './executor/gradient-buckets.js';
import type { LayerVariable } from './executor/layer-op.js';
import type { Kernels } from './kernels/kernels.js';
import { kernelsOf } from './kernels/choose.js';
import { reachingExchanges, type Reach } from './faults/injected-faults.js';
import { tamperOf } from './faults/tamper.js';
import { Ledger } from './ledger.js';
import { Optimizer } from './optimizer/optimizer.js';
import { PhaseClock } from './phase-clock.js';
import { measuringWaits, Tracer, type Measure } from './tracer.js';

/** What exists before the worker knows who else takes part. */
export interface Replica {
  readonly engine: Engine;
  readonly kernels: Kernels;
  readonly config: ResolvedConfig;
  readonly model: LayersModel;
  readonly data: TrainingData;
  readonly layout: Layout;
}

/** What depends on the generation: which shards are local, and the exchanges over them. */
export interface Participation {
  readonly replica: Replica;
  readonly communicator: Communicator;
  readonly executor: Executor;
  readonly optimizer: Optimizer;
  readonly buckets: GradientBuckets;
  readonly sampler: Sampler;
  /** With `--audit`. */
  readonly ledger: Ledger | undefined;
  /** With `--trace`. */
  readonly tracer: Tracer | undefined;
  readonly clock: PhaseClock;
  readonly measure: Measure;
  /** With `--inject orders:...`. */
  readonly reach: Reach | undefined;
  readonly localShards: Range;
  /** [sum of the samples' losses / N]. */
  readonly loss: ExchangeHandle;
  /** What isn't trained, for a worker that joins. */
  readonly statistics: ExchangeHandle;
  /** [sum of losses, correct, count]. */
  readonly evaluation: ExchangeHandle;
}

/** @throws ModelError, DataError */
export async function createReplica(
  engine: Engine,
  config: ResolvedConfig,
  definition: LoadedDefinition,
): Promise<Replica> {
  useExactMath();
  const data = await loadData(config, definition.source);
  const random = new PhiloxSequence(philoxKey(config.seed, 'initialization'), 0);
  const model = withMathRandom(
    () => random.unit(),
    () => definition.model({ tf: engine.tf, seed: config.seed }),
  );
  checkFit(model, data);
  return {
    engine,
    kernels: kernelsOf(engine, config.precision),
    config,
    model,
    data,
    layout: layoutOf(model),
  };
}

/** What evaluates a saved model: no optimizer, nobody to talk to. @throws ModelError, DataError */
export async function openEvaluator(
  engine: Engine,
  config: ResolvedConfig,
  model: LayersModel,
  source: DataSource | undefined,
): Promise<Evaluator> {
  const data = await loadData(config, source);
  checkFit(model, data);
  const kernels = kernelsOf(engine, config.precision);
  const unused = (): never => {
    throw new InvariantError('an evaluation in one process exchanges nothing');
  };
  const register = (spec: Omit<ExchangeSpec, 'id'>): ExchangeHandle => ({
    spec: { ...spec, id: 0 },
    inputs: [],
    output: new Float64Array(0),
    start: unused,
    wait: unused,
  });
  const communicator = { register, tick: () => undefined };
  const executor = new Executor({ tf: engine.tf, kernels, model, communicator, seed: config.seed });
  return { replica: { engine, config, kernels, data }, executor };
}

async function loadData(config: ResolvedConfig, source: DataSource | undefined): Promise<TrainingData> {
  if (config.data !== null) return imageData(await loadIdxDirectory(config.data), config.normalize);
  if (source) return source.load();
  return imageData(await loadMnist(), config.normalize);
}

function checkFit(model: LayersModel, data: TrainingData): void {
  if (model.inputs.length !== 1 || model.outputs.length !== 1) {
    throw new ModelError(
      `Model "${model.name}": expected one input and one output, got ${model.inputs.length} and ${model.outputs.length}.`,
    );
  }
  const input = model.inputs[0]?.shape.slice(1) ?? [];
  if (input.join('x') !== data.train.sampleShape.join('x')) {
    throw new ModelError(
      `Model "${model.name}" expects samples of ${input.join('x')}, but ${data.name} has ` +
        `${data.train.sampleShape.join('x')}. Set the first layer's inputShape.`,
    );
  }
  const output = model.outputs[0]?.shape ?? [];
  if (output.length !== 2 || (output[1] ?? 0) < data.classCount) {
    throw new ModelError(
      `Model "${model.name}" gives ${output.slice(1).join('x')} values a sample, but ${data.name} has ` +
        `${data.classCount} classes. End with a Dense layer of ${data.classCount} units and no activation.`,
    );
  }
}

function layoutOf(model: LayersModel): Layout {
  return (model.weights as unknown as LayerVariable[]).map((variable) => ({
    name: variable.originalName,
    shape: variable.shape.map(Number),
    dtype: variable.read().dtype,
    trainable: variable.trainable,
  }));
}

/** Every weight's values, in layout order. */
export function readWeights({ model }: Replica): Float32Array[] {
  return model.weights.map((variable) => Float32Array.from(variable.read().dataSync<'float32'>()));
}

/** The weights that aren't trained, BatchNorm's statistics: their indices in the layout, and elements. */
export function statisticsOf({
  layout,
}: Replica): { weight: number; shape: readonly number[]; size: number }[] {
  return layout.flatMap(({ shape, trainable }, weight) =>
    trainable ? [] : [{ weight, shape, size: elementCount(shape) }],
  );
}

/** Their values, one after the other. */
export function readStatistics(replica: Replica): Float32Array {
  const all = statisticsOf(replica);
  const values = new Float32Array(all.reduce((total, { size }) => total + size, 0));
  let offset = 0;
  for (const { weight, size } of all) {
    const read = replica.model.weights[weight]?.read().dataSync<'float32'>();
    if (read) values.set(read, offset);
    offset += size;
  }
  return values;
}

export function writeStatistics(replica: Replica, values: Float32Array): void {
  const { tf } = replica.engine;
  const variables = replica.model.weights as unknown as LayerVariable[];
  let offset = 0;
  tf.tidy(() => {
    for (const { weight, shape, size } of statisticsOf(replica)) {
      variables[weight]?.write(tf.tensor(values.slice(offset, offset + size), [...shape]));
      offset += size;
    }
  });
}

/** The ledger's hash of what isn't trained: BatchNorm's statistics. */
export function hashStatistics(replica: Replica): Uint8Array {
  const target = new Uint8Array(hashBytes);
  (replica.engine.memory?.hash ?? hashFloats)(readStatistics(replica), target);
  return target;
}

export function replicaHashes(replica: Replica): {
  layoutHash: string;
  weightsSha256: string;
  parameterCount: number;
} {
  return {
    layoutHash: layoutHash(replica.layout),
    weightsSha256: weightsSha256(readWeights(replica)),
    parameterCount: replica.layout.reduce((sum, { shape }) => sum + elementCount(shape), 0),
  };
}

/**
 * Registers the exchanges of a joined generation. The same calls in the same order on every worker.
 * @param held the optimizer of an earlier generation, whose state goes on
 */
export function participate(
  replica: Replica,
  communicator: Communicator,
  { rank, workers, generation }: Pick<Plan, 'rank' | 'workers' | 'generation'>,
  held?: Optimizer,
  reach?: Reach,
): Participation {
  const { engine, kernels, config, model, layout, data } = replica;
  const { tf } = engine;
  const tracer =
    config.trace === null ? undefined : new Tracer((spans) => communicator.send({ type: 'spans', spans }));
  const clock = new PhaseClock();
  const measure: Measure = tracer
    ? (kind, name, work) => clock.measure(kind, name, () => tracer.measure(kind, name, work))
    : clock.measure;
  const measured = measuringWaits(communicator, measure);
  const others = reach ? reachingExchanges(measured, reach) : measured;
  const executor = new Executor({ tf, kernels, model, communicator: others, seed: config.seed, measure });
  const parameters = flatten(layout, executor.backwardOrder);
  const localShards = workers[rank]?.shards;
  invariant(localShards, `rank ${rank} is not in the plan`);
  const tamper = tamperOf(config.inject, layout);
  const ledger = config.audit
    ? new Ledger({
        names: parameters.map(({ weight }) => layout[weight]?.name ?? String(weight)),
        weights: parameters.map(({ weight }) => weight),
        rank,
        worldSize: workers.length,
        firstShard: localShards.start,
        hash: engine.memory?.hash ?? hashFloats,
        send: (entries) => communicator.send({ type: 'ledger', generation, entries }),
      })
    : undefined;
  return {
    replica,
    communicator,
    executor,
    optimizer: held ?? new Optimizer(tf, kernels, model, parameters, config.optimizer),
    buckets: new GradientBuckets(others, parameters, executor.uses, config, {
      store: (value, target, weight, local) =>
        kernels.store(value, target, ledger?.gradientPlace(weight, local)),
      complete:
        ledger || tamper
          ? (step, weight, local, gradient, stored) => {
              tamper?.(step, weight, localShards.start + local, gradient);
              if (tamper || !stored) ledger?.gradient(weight, local, gradient);
            }
          : undefined,
    }),
    ledger,
    tracer,
    clock,
    measure,
    reach,
    sampler: new Sampler({
      seed: config.seed,
      count: data.train.count,
      batchSize: config.batchSize,
      shards: config.shards,
    }),
    localShards,
    loss: others.register({ name: 'loss', reduction: 'sum-float64', elementCount: 1 }),
    statistics: others.register({
      name: 'statistics',
      reduction: 'sum-float32',
      elementCount: Math.max(
        1,
        statisticsOf(replica).reduce((total, { size }) => total + size, 0),
      ),
    }),
    evaluation: others.register({ name: 'evaluation', reduction: 'sum-float64', elementCount: 3 }),
  };
}
