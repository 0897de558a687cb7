/**
 * A worker's copy of what is being trained: the model, its data and, once a generation has been joined, the executor and
 * the optimizer. Every worker's replica has the same bits after each step.
 */

import type { LayersModel } from '@tensorflow/tfjs';
import type { DataSource } from '../../api/define-training.js';
import type { LoadedDefinition } from '../../api/load-definition.js';
import { noFunctions, type DefinitionFunctions } from '../../api/definition-functions.js';
import type { ResolvedConfig } from '../../shared/config/run-config.js';
import { loadIdxDirectory, loadMnist } from '../../shared/data/dataset.js';
import { useExactMath } from '../../shared/arithmetic/exact-math.js';
import type { CollectiveSpec } from '../../shared/collectives/collective-spec.js';
import { checkData } from '../data/check-data.js';
import { Sampler } from '../../shared/data/sampler.js';
import { imageData, type DataSplit, type TrainingData } from '../../shared/data/training-data.js';
import { DataError, InvariantError, ModelError, invariant } from '../../shared/errors.js';
import { elementCount, layoutHash, weightsSha256, type Layout } from '../../shared/model/layout.js';
import { hashFloats } from '../../shared/ledger/hash.js';
import type { Plan } from '../../shared/protocol/messages.js';
import { PhiloxSequence, philoxKey } from '../../shared/random/philox.js';
import { withMathRandomUntil } from '../random/math-random.js';
import type { Range } from '../../shared/sharding/identifiers.js';
import { createAugment } from '../data/augmentation.js';
import type { Communicator, CollectiveHandle } from '../communicator/communicator.js';
import type { Engine } from '../engine/load.js';
import { sumCount, type Evaluator } from '../evaluation/evaluate.js';
import { markFrozenWeights } from './frozen-layers.js';
import { Histograms } from './histograms.js';
import { Executor } from '../executor/executor.js';
import { GradientBuckets, flatten } from '../executor/gradient-buckets.js';
import type { LayerVariable } from '../executor/layer-op.js';
import type { Kernels } from '../kernels/kernels.js';
import { kernelsOf } from '../kernels/choose.js';
import { reportingFaultPoints, type OnFaultPoint } from '../faults/fault-points.js';
import { bitFlipper, type BitFlip } from '../faults/bit-flip.js';
import { Ledger } from './ledger.js';
import { openModel, readModelFiles } from '../model-files/load-model.js';
import { Objective } from '../objective/objective.js';
import { Regularization } from '../optimizer/regularization.js';
import { PhaseClock } from '../timing/phase-clock.js';
import { BatchReader } from '../data/batch-reader.js';
import { measuringWaits, Tracer, type Measure } from '../timing/tracer.js';
import { TrainingState } from './training-state.js';
import { readWeights, statisticsOf } from './weights.js';

/** What exists before the worker knows who else takes part. */
export interface Replica {
  readonly engine: Engine;
  readonly kernels: Kernels;
  readonly config: ResolvedConfig;
  readonly model: LayersModel;
  readonly data: TrainingData;
  readonly layout: Layout;
  readonly objective: Objective;
  readonly functions: DefinitionFunctions;
}

/** What depends on the generation: which shards are local, and the collectives over them. */
export interface GenerationContext {
  readonly replica: Replica;
  readonly communicator: Communicator;
  readonly executor: Executor;
  /** What the steps change: weights, the optimizer's memory, the average. Goes on from one generation to the next. */
  readonly state: TrainingState;
  readonly buckets: GradientBuckets;
  /** Where a layer has a regularizer. */
  readonly regularization: Regularization | undefined;
  readonly sampler: Sampler;
  readonly reader: BatchReader;
  /** With `--audit`. */
  readonly ledger: Ledger | undefined;
  /** With `--trace`. */
  readonly tracer: Tracer | undefined;
  readonly clock: PhaseClock;
  readonly measure: Measure;
  /** Undefined unless the launcher requested faults. */
  readonly onFaultPoint: OnFaultPoint | undefined;
  /** With `--histogram-every`, on rank 0. */
  readonly histograms: Histograms | undefined;
  readonly localShards: Range;
  /** [sum of the samples' losses / N]. */
  readonly loss: CollectiveHandle;
  /** What isn't trained, and the schedule's numbers, for a worker that joins. */
  readonly statistics: CollectiveHandle;
  readonly schedulerState: CollectiveHandle;
  /** The sums of an evaluation; see evaluate.ts. */
  readonly evaluation: CollectiveHandle;
}

/** @throws ModelError, DataError */
export async function createReplica(
  engine: Engine,
  config: ResolvedConfig,
  definition: LoadedDefinition,
): Promise<Replica> {
  useExactMath();
  const data = await loadData(config, definition.source);
  const model = await buildModel(engine, config, definition);
  const kernels = kernelsOf(engine, config.precision);
  const objective = objectiveOf(engine, kernels, config, model, data, definition.functions);
  const { functions } = definition;
  return { engine, kernels, config, model, data, layout: layoutOf(model), objective, functions };
}

/** The definition's model with the seed's weights. The caller disposes it. */
export async function buildModel(
  { tf }: Engine,
  { seed }: Pick<ResolvedConfig, 'seed'>,
  definition: Pick<LoadedDefinition, 'model'>,
): Promise<LayersModel> {
  const random = new PhiloxSequence(philoxKey(seed, 'initialization'), 0);
  const loadModel = async (path: string): Promise<LayersModel> => openModel(tf, await readModelFiles(path));
  const model = await withMathRandomUntil(
    () => random.unit(),
    () => definition.model({ tf, seed, loadModel }),
  );
  markFrozenWeights(model);
  return model;
}

/** What evaluates a saved model: no optimizer, nobody to talk to. @throws ModelError, DataError */
export async function openEvaluator(
  engine: Engine,
  config: ResolvedConfig,
  model: LayersModel,
  definition: Pick<LoadedDefinition, 'source' | 'functions'> | undefined,
): Promise<Evaluator> {
  const data = await loadData(config, definition?.source);
  const kernels = kernelsOf(engine, config.precision);
  const objective = objectiveOf(engine, kernels, config, model, data, definition?.functions);
  const unused = (): never => {
    throw new InvariantError('an evaluation in one process communicates with no other worker');
  };
  const register = (spec: Omit<CollectiveSpec, 'id'>): CollectiveHandle => ({
    spec: { ...spec, id: 0 },
    inputs: [],
    output: new Float64Array(0),
    start: unused,
    wait: unused,
  });
  const communicator = { allocate: unused, register, tick: () => undefined };
  const executor = new Executor({ tf: engine.tf, kernels, model, communicator, seed: config.seed });
  return { replica: { engine, config, data, objective }, executor };
}

async function loadData(config: ResolvedConfig, source: DataSource | undefined): Promise<TrainingData> {
  if (config.data !== null) return imageData(await loadIdxDirectory(config.data), config.normalize);
  if (source) return checkData(await source.load());
  return imageData(await loadMnist(), config.normalize);
}

/** @throws ModelError, ConfigError when model, data and objective don't fit each other */
function objectiveOf(
  { tf }: Engine,
  kernels: Kernels,
  config: ResolvedConfig,
  model: LayersModel,
  data: TrainingData,
  functions: DefinitionFunctions = noFunctions,
): Objective {
  checkInputs(model, data);
  const { targets } = data.train;
  return new Objective({ tf, kernels, model, config, functions, targets, dataName: data.name });
}

function checkInputs(model: LayersModel, { name, train, test }: TrainingData): void {
  if (model.inputs.length !== train.inputs.length) {
    throw new ModelError(
      `Model "${model.name}" has ${model.inputs.length} inputs, but ${name} has ${train.inputs.length} for each sample.`,
    );
  }
  const shapes = ({ inputs }: DataSplit): string[] => inputs.map(({ shape }) => shape.join('x'));
  for (const [i, given] of shapes(train).entries()) {
    const input = model.inputs[i]?.shape.slice(1) ?? [];
    const fits = input.length === given.split('x').length || given === '';
    const expected = input.map((size, at) => size ?? given.split('x')[at]).join('x');
    if (fits && expected === given) continue;
    throw new ModelError(
      `Model "${model.name}" expects samples of ${input.join('x')}, but ${name} has ${given}. ` +
        "Set the first layer's inputShape.",
    );
  }
  if (shapes(train).join() !== shapes(test).join())
    throw new DataError(
      `${name}: expected test samples of ${shapes(train).join()}, got ${shapes(test).join()}.`,
    );
}

function layoutOf(model: LayersModel): Layout {
  return (model.weights as unknown as LayerVariable[]).map((variable) => ({
    name: variable.originalName,
    shape: variable.shape.map(Number),
    dtype: variable.read().dtype,
    trainable: variable.trainable,
  }));
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

/** Faults to inject into a generation; none in production. */
export interface GenerationFaults {
  readonly onFaultPoint?: OnFaultPoint | undefined;
  readonly bitFlip?: BitFlip | undefined;
}

/**
 * Registers the collectives of a joined generation. The same calls in the same order on every worker.
 * @param held of an earlier generation
 */
export function joinGeneration(
  replica: Replica,
  communicator: Communicator,
  { rank, workers, generation }: Pick<Plan, 'rank' | 'workers' | 'generation'>,
  held?: TrainingState,
  { onFaultPoint, bitFlip }: GenerationFaults = {},
): GenerationContext {
  const { engine, kernels, config, model, layout, data } = replica;
  const { tf } = engine;
  const tracer =
    config.trace === null ? undefined : new Tracer((spans) => communicator.send({ type: 'spans', spans }));
  const clock = new PhaseClock();
  const measure: Measure = tracer
    ? (kind, name, work) => clock.measure(kind, name, () => tracer.measure(kind, name, work))
    : clock.measure;
  const measured = measuringWaits(communicator, measure);
  const others = onFaultPoint ? reportingFaultPoints(measured, onFaultPoint) : measured;
  const executor = new Executor({ tf, kernels, model, communicator: others, seed: config.seed, measure });
  const parameters = flatten(layout, executor.backwardOrder);
  const state = held ?? new TrainingState(replica, parameters);
  const localShards = workers[rank]?.shards;
  invariant(localShards, `rank ${rank} is not in the plan`);
  const flipBit = bitFlip && bitFlipper(bitFlip, layout);
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
  const sampler = new Sampler({
    seed: config.seed,
    count: data.train.count,
    batchSize: config.batchSize,
    shards: config.shards,
    parts: config.accumulate,
  });
  return {
    replica,
    communicator,
    executor,
    state,
    buckets: new GradientBuckets(others, parameters, executor.uses, config, {
      store: (value, target, weight, local) =>
        kernels.store(value, target, ledger?.gradientPlace(weight, local)),
      complete:
        ledger || flipBit
          ? (step, weight, local, gradient, stored) => {
              flipBit?.(step, weight, localShards.start + local, gradient);
              if (flipBit || !stored) ledger?.gradient(weight, local, gradient);
            }
          : undefined,
    }),
    regularization: Regularization.of(tf, model, executor.layers, parameters),
    ledger,
    tracer,
    clock,
    measure,
    onFaultPoint,
    sampler,
    histograms:
      config.histogramEvery === null || rank !== 0
        ? undefined
        : new Histograms({
            every: config.histogramEvery,
            ...{ layout, parameters, stepsPerEpoch: sampler.stepsPerEpoch },
            weights: () => readWeights(replica),
            send: (step, histograms) =>
              communicator.send({ type: 'histograms', generation, step, histograms }),
          }),
    reader: new BatchReader(
      data.train,
      sampler,
      createAugment(config, data.train, replica.functions.augmentations),
    ),
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
    schedulerState: others.register({
      name: 'numbers',
      reduction: 'sum-float64',
      elementCount: Math.max(1, state.schedulerState.size),
    }),
    evaluation: others.register({
      name: 'evaluation',
      reduction: 'sum-float64',
      elementCount: sumCount(replica),
    }),
  };
}
