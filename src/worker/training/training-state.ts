/**
 * Everything that training changes. The replica's model holds the weights and BatchNorm's running statistics. This object holds the
 * optimizer's vectors, the moving average of the weights and the scheduler state. `save` copies all of it except the
 * scheduler state to named vectors, for checkpoints. `restore` takes such vectors and the scheduler state. Workers that join receive the same
 * vectors one by one (`vector`).
 */

import {
  vectorOf,
  type NamedVectors,
  type ParameterVector,
  type StatisticsVector,
  type VectorName,
  type PinnedVectors,
} from '../../shared/model/named-vectors.js';
import { allocatePinned, type PinnedVector } from '../../shared/memory/pinned-vector.js';
import type { OptimizerState } from '../../api/training-hooks.js';
import { ModelError } from '../../shared/errors.js';
import type { FlatParameter } from '../executor/gradient-buckets.js';
import { copyOf } from '../kernels/host-updates.js';
import { clipNorm } from '../optimizer/clip.js';
import { initialSchedulerState, type SchedulerState } from '../optimizer/evaluation-decisions.js';
import { Optimizer } from '../optimizer/optimizer.js';
import { optimizerVectors } from '../../shared/model/optimizer-vectors.js';
import { WeightAverage } from '../optimizer/weight-average.js';
import type { Replica } from './replica.js';
import { readStatistics, statisticsSize, writeStatistics } from './weights.js';

export class TrainingState {
  readonly #replica: Replica;
  readonly optimizer: Optimizer;
  readonly #average: WeightAverage | undefined;
  /** Names of the saved vectors over the trainable parameters; the same on every worker. */
  readonly parameterVectors: readonly ParameterVector[];
  /** Names of the saved vectors over the weights that are not trainable; the same on every worker. */
  readonly statisticsVectors: readonly StatisticsVector[];
  /** Decisions from the evaluations so far, by name. Only evaluations change them; see ../optimizer/evaluation-decisions.ts. */
  readonly schedulerState: SchedulerState;
  readonly #clipped: PinnedVector | undefined;
  /** Updates that the optimizer has made before step 1. */
  readonly #updatesBefore: number;

  /**
   * @param parameters the model's trainable parameters, in backward order
   * @param onPart called after each parameter and each vector that is made or restored
   */
  constructor(replica: Replica, parameters: readonly FlatParameter[], onPart?: () => void) {
    this.#replica = replica;
    const { engine, kernels, model, config } = replica;
    const { ema } = config;
    this.optimizer = new Optimizer(engine.tf, kernels, model, parameters, config.optimizer, onPart);
    this.#updatesBefore = replica.hooks?.optimizerState?.updates ?? 0;
    if (replica.hooks?.optimizerState) this.#continueFrom(replica.hooks.optimizerState);
    this.#average =
      ema === null ? undefined : new WeightAverage(ema, this.vector('weights'), this.vector('statistics'));
    this.#clipped = config.clipNorm === null ? undefined : allocatePinned(this.optimizer.size);
    this.schedulerState = initialSchedulerState(config);
    const vectors = optimizerVectors(config.optimizer);
    this.parameterVectors = this.#average ? [...vectors, 'ema'] : vectors;
    this.statisticsVectors = this.#average ? ['statistics', 'ema.statistics'] : ['statistics'];
  }

  /**
   * Applies update `step` (counted from 1). The running statistics of the step must be in the model already. Does not change
   * `gradient`, since other workers may still read it.
   * @param hashes receives the ledger's hash of each parameter, 8 bytes each, in backward order
   */
  update(gradient: PinnedVector, step: number, learningRate: number, hashes?: Uint8Array): void {
    const { clipNorm: maxNorm } = this.#replica.config;
    let applied = gradient;
    if (this.#clipped && maxNorm !== null) {
      clipNorm(gradient, maxNorm, this.#clipped);
      applied = this.#clipped;
    }
    const average = this.#average;
    const update = this.#updatesBefore + step;
    if (!average) {
      this.optimizer.apply(applied, update, learningRate, hashes);
      return;
    }
    this.optimizer.apply(applied, update, learningRate, hashes, ({ offset }, values) =>
      average.add(step, offset, values),
    );
    average.addStatistics(step, readStatistics(this.#replica));
  }

  /**
   * Runs `body` with the weights that are evaluated, hashed and saved. If there is a moving average, these are the averaged weights and
   * statistics, and the model gets its own weights back afterwards.
   */
  async withResult<T>(body: () => Promise<T>): Promise<T> {
    if (!this.#average) return body();
    const statistics = readStatistics(this.#replica);
    this.optimizer.loadIntoModel(this.#average.weights);
    writeStatistics(this.#replica, this.#average.statistics);
    try {
      return await body();
    } finally {
      this.optimizer.loadIntoModel(this.vector('weights'));
      writeStatistics(this.#replica, statistics);
    }
  }

  /** Copies all vectors. @param into a result of `allocateSnapshot` that receives the copies; undefined: allocates new vectors */
  save(into?: PinnedVectors): NamedVectors {
    const vectors = new Map<VectorName, Float32Array>(this.optimizer.save(into));
    vectors.set('statistics', readStatistics(this.#replica, into?.get('statistics')));
    if (this.#average) {
      vectors.set('ema', copyOf(this.#average.weights, into?.get('ema')));
      vectors.set('ema.statistics', copyOf(this.#average.statistics, into?.get('ema.statistics')));
    }
    return vectors;
  }

  /** Copies one vector of the state. */
  vector(name: VectorName): Float32Array {
    if (name === 'statistics') return readStatistics(this.#replica);
    const average = this.#average;
    if (average && name === 'ema') return copyOf(average.weights);
    if (average && name === 'ema.statistics') return copyOf(average.statistics);
    return vectorOf(this.optimizer.save(undefined, name as ParameterVector), name);
  }

  /** Allocates vectors for `save` in memory that threads can share. @throws RangeError if there is not enough memory */
  allocateSnapshot(): PinnedVectors {
    const snapshot = new Map<VectorName, PinnedVector>();
    for (const name of this.parameterVectors) snapshot.set(name, allocatePinned(this.optimizer.size));
    for (const name of this.statisticsVectors)
      snapshot.set(name, allocatePinned(statisticsSize(this.#replica)));
    return snapshot;
  }

  /** Continues from a saved state. The caller must not change `vectors` afterwards, since the moving average is not copied. */
  restore(vectors: NamedVectors, schedulerState: ReadonlyMap<string, number>): void {
    // If a model has no statistics, a checkpoint of it does not contain this vector.
    const statistics = (name: StatisticsVector): Float32Array =>
      statisticsSize(this.#replica) === 0 ? new Float32Array(0) : vectorOf(vectors, name);
    this.optimizer.restore(vectors);
    writeStatistics(this.#replica, statistics('statistics'));
    if (this.#average) {
      this.#average.weights = vectorOf(vectors, 'ema');
      this.#average.statistics = statistics('ema.statistics');
    }
    for (const [name, value] of schedulerState) this.schedulerState.set(name, value);
  }

  /** @throws ModelError if the state is not that of this optimizer and this model */
  #continueFrom({ vectors }: OptimizerState): void {
    const { layout, config } = this.#replica;
    const trainable = layout.flatMap(({ trainable: isTrained }, weight) => (isTrained ? [weight] : []));
    const state = new Map<VectorName, Float32Array>([['weights', this.vector('weights')]]);
    for (const name of optimizerVectors(config.optimizer)) {
      const values = vectors[name];
      if (name === 'weights' || values === undefined) continue;
      state.set(
        name,
        this.optimizer.flatten(({ weight, size }) => {
          const found = values[trainable.indexOf(weight)];
          if (found?.length === size) return found;
          throw new ModelError(
            `Optimizer state "${name}": expected ${size} values for weight ${weight}, got ${found?.length ?? 'none'}.`,
          );
        }),
      );
    }
    if (optimizerVectors(config.optimizer).every((name) => state.has(name))) this.optimizer.restore(state);
  }

  dispose(): void {
    this.optimizer.dispose();
  }
}
