/** Trains a model case in this process: as one worker, as several, and with tfjs's own `fit`. */

import type { RunConfigInput } from '../../../src/shared/config/run-config.js';
import type { TrainingData } from '../../../src/shared/data/training-data.js';
import { shardRanges } from '../../../src/shared/sharding/ranges.js';
import type { Engine } from '../../../src/worker/engine/engine.js';
import type { GenerationContext } from '../../../src/worker/training/generation-context.js';
import { joinGeneration } from '../../../src/worker/training/join-generation.js';
import { replicaHashes } from '../../../src/worker/training/replica-hashes.js';
import { trainStep } from '../../../src/worker/training/train-step.js';
import { readWeights } from '../../../src/worker/training/weights.js';
import { toTensors } from '../../../src/worker/data/batch-reader.js';
import { joinAlone, replicaOf } from '../in-process.js';
import { Recording, ReplayingCommunicator, recordingCommunicator } from '../workers-in-process.js';
import { dataOf, perturb, shapesOf, type ModelCase } from './model-case.js';
import { fitWithTfjs, type Fit, type ReferencePrecision } from './tfjs-fit.js';

export interface CaseSize {
  readonly samples: number;
  readonly batchSize: number;
  readonly epochs: number;
  readonly shards: number;
  readonly seed: number;
}

/** Batches of 8, 8 and 2 samples in one shard. */
export const smallSize: CaseSize = { samples: 18, batchSize: 8, epochs: 2, shards: 1, seed: 5 };

export interface Trained {
  readonly losses: readonly number[];
  readonly initialWeights: readonly Float32Array[];
  readonly weights: readonly Float32Array[];
  readonly names: readonly string[];
  readonly trainable: readonly boolean[];
  readonly weightsSha256: string;
  /** The trainable weights in the order of the flat gradient. */
  readonly parameters: readonly { readonly name: string; readonly size: number }[];
  /** Outputs on the training samples in the order of the first epoch, concatenated; empty unless requested. */
  readonly predictions: readonly number[];
}

const defaultLearningRate = 0.1;

const rateOf = ({ learningRate = defaultLearningRate }: ModelCase): number => learningRate;

function configOf(modelCase: ModelCase, { batchSize, shards, seed, epochs }: CaseSize): RunConfigInput {
  const optimizer = { kind: 'sgd', learningRate: rateOf(modelCase), momentum: 0 } as const;
  const { loss = 'meanSquaredError' } = modelCase;
  return { batchSize, shards, seed, epochs, optimizer, loss, workers: shards };
}

export class CaseTraining {
  readonly #engine: Engine;
  readonly #case: ModelCase;
  readonly #size: CaseSize;
  readonly #extra: RunConfigInput;
  readonly #data: TrainingData;

  constructor(engine: Engine, modelCase: ModelCase, size: CaseSize, extra: RunConfigInput = {}) {
    this.#engine = engine;
    this.#case = modelCase;
    this.#size = size;
    this.#extra = extra;
    const probe = modelCase.build(engine.tf);
    this.#data = dataOf(modelCase, shapesOf(probe), size.samples);
    probe.dispose();
  }

  /** Trains as one worker with all shards. */
  async alone({
    predict = false,
    recording = new Recording(),
  }: { predict?: boolean; recording?: Recording } = {}): Promise<Trained> {
    return this.#train(
      (replica) =>
        joinAlone(replica, undefined, (communicator) => recordingCommunicator(communicator, recording)),
      predict,
    );
  }

  /**
   * Trains as each of several workers, one after the other, which must contribute what the single worker contributed.
   * @returns the hash of each worker's weights
   */
  async workers(count: number, recording: Recording): Promise<string[]> {
    const { shards } = this.#size;
    const ranges = shardRanges(shards, count);
    const hashes: string[] = [];
    for (const [rank, local] of ranges.entries()) {
      const communicator = new ReplayingCommunicator(recording, local);
      const workers = ranges.map((range, peer) => ({
        rank: peer,
        shards: range,
        endpoint: 'replayed',
        memory: null,
        pid: peer + 1,
        host: 'test',
      }));
      const trained = await this.#train((replica) =>
        Promise.resolve(joinGeneration(replica, communicator, { generation: 1, rank, workers })),
      );
      communicator.finish();
      hashes.push(trained.weightsSha256);
    }
    return hashes;
  }

  /** The weights before the first step. */
  async initialWeights(): Promise<Float32Array[]> {
    const context = await this.#open((replica) => joinAlone(replica));
    const weights = readWeights(context.replica);
    close(context);
    return weights;
  }

  /** tfjs's own `fit`, from the same weights, on the same batches. */
  async fit(
    { initialWeights, weights }: Pick<Trained, 'initialWeights' | 'weights'>,
    precision: ReferencePrecision = 'float64',
  ): Promise<Fit> {
    const context = await this.#open((replica) => joinAlone(replica));
    try {
      const { sampler } = context;
      const epochs = Array.from({ length: this.#size.epochs }, (_, epoch) =>
        Array.from({ length: sampler.stepsPerEpoch }, (__, i) => {
          const batch = sampler.plan(epoch * sampler.stepsPerEpoch + i + 1);
          return [...sampler.indices(batch, { start: 0, end: batch.count })];
        }).flat(),
      );
      return await fitWithTfjs(
        this.#engine.tf,
        this.#case,
        this.#data,
        {
          arithmetic: this.#extra.arithmetic ?? 'pytorch',
          learningRate: rateOf(this.#case),
          batchSize: this.#size.batchSize,
          epochs: epochs.map((order) => Int32Array.from(order)),
          initialWeights,
          finalWeights: weights,
        },
        precision,
      );
    } finally {
      close(context);
    }
  }

  async #open(
    join: (replica: GenerationContext['replica']) => Promise<GenerationContext>,
  ): Promise<GenerationContext> {
    const build = this.#case.build;
    const replica = await replicaOf(
      this.#engine,
      ({ tf }) => perturb(tf, build(tf), 3),
      { ...configOf(this.#case, this.#size), ...this.#extra },
      this.#data,
    );
    return join(replica);
  }

  async #train(
    join: (replica: GenerationContext['replica']) => Promise<GenerationContext>,
    predict = false,
  ): Promise<Trained> {
    const context = await this.#open(join);
    try {
      const { replica, sampler, state } = context;
      const initialWeights = readWeights(replica);
      const steps = this.#size.epochs * sampler.stepsPerEpoch;
      const losses: number[] = [];
      for (let step = 1; step <= steps; step++) {
        losses.push(trainStep(context, sampler.plan(step)).loss);
        // As in a run, the event loop turns after each step.
        await new Promise((resolve) => setImmediate(resolve));
      }
      return {
        losses,
        initialWeights,
        weights: readWeights(replica),
        names: replica.layout.map(({ name }) => name),
        trainable: replica.layout.map(({ trainable }) => trainable),
        weightsSha256: replicaHashes(replica).weightsSha256,
        parameters: state.optimizer.parameters.map(({ weight, size }) => ({
          name: replica.layout[weight]?.name ?? '',
          size,
        })),
        predictions: predict ? this.#predict(context) : [],
      };
    } finally {
      close(context);
    }
  }

  /** The executor's inference on all samples in the order of the first epoch. */
  #predict({ executor, reader, sampler, replica }: GenerationContext): number[] {
    const { tf } = this.#engine;
    const { samples } = this.#size;
    return tf.tidy(() => {
      const batches = Array.from({ length: sampler.stepsPerEpoch }, (_, i) => sampler.plan(i + 1));
      const perBatch = batches.map((batch) => {
        const { inputs, count } = reader.samplesAt(batch, { start: 0, end: batch.count });
        const tensors = toTensors(tf, replica.data.train.inputs, inputs, count);
        const step = {
          training: false,
          step: 0,
          shards: [{ local: 0, start: 0, count }],
          gradient: () => undefined,
        };
        return executor
          .infer(
            step,
            tensors.map((tensor) => [tensor]),
          )
          .map(([output]) => [...(output?.dataSync() ?? [])]);
      });
      const outputs = perBatch[0]?.length ?? 0;
      const joined = Array.from({ length: outputs }, (_, output) =>
        perBatch.flatMap((batch) => batch[output] ?? []),
      );
      if (samples === 0) return [];
      return joined.flat();
    });
  }
}

function close({ state, replica }: GenerationContext): void {
  state.dispose();
  replica.model.dispose();
}
