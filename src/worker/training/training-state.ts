/**
 * All that training changes in a replica: weights, the optimizer's slots, their average, BatchNorm's statistics, and a few
 * numbers that schedules remember. Owns what of it travels to a newcomer or into a checkpoint, as named vectors of a few
 * kinds, so that neither has to know what an optimizer is.
 */

import type { FlatParameter } from '../executor/gradient-buckets.js';
import { clipNorm } from '../optimizer/clip.js';
import { initialSchedulerState, type SchedulerState } from '../optimizer/evaluation-decisions.js';
import { Optimizer } from '../optimizer/optimizer.js';
import { slotNames, type RuleState } from '../optimizer/update-rule.js';
import { WeightAverage } from '../optimizer/weight-average.js';
import type { Replica } from './replica.js';
import { readStatistics, writeStatistics } from './weights.js';
import { copyOf } from '../kernels/host-updates.js';

const averageSlot = 'ema';

/** Copies, of one and the same step. */
export interface SavedState {
  /** Flat, in backward order, as is each of `slots`. */
  readonly parameters: Float32Array;
  readonly slots: ReadonlyMap<string, Float32Array>;
  /** One after the other, in layout order, as is each of `statisticsSlots`. */
  readonly statistics: Float32Array;
  readonly statisticsSlots: ReadonlyMap<string, Float32Array>;
  readonly schedulerState: ReadonlyMap<string, number>;
}

/** The names in a SavedState; a function of the config, the same on every worker. */
export interface StateNames {
  readonly slots: readonly string[];
  readonly statisticsSlots: readonly string[];
  readonly schedulerState: readonly string[];
}

export class TrainingState {
  readonly #replica: Replica;
  readonly optimizer: Optimizer;
  readonly #average: WeightAverage | undefined;
  readonly names: StateNames;
  /** What evaluations have decided; see optimizer/evaluation-decisions.ts. */
  readonly schedulerState: SchedulerState;
  readonly #clipped: Float32Array | undefined;

  constructor(replica: Replica, parameters: readonly FlatParameter[]) {
    this.#replica = replica;
    const { engine, kernels, model, config } = replica;
    this.optimizer = new Optimizer(engine.tf, kernels, model, parameters, config.optimizer);
    this.#average =
      config.ema === null
        ? undefined
        : new WeightAverage(config.ema, this.optimizer.save().parameters, readStatistics(replica));
    this.#clipped = config.clipNorm === null ? undefined : new Float32Array(this.optimizer.size);
    this.schedulerState = initialSchedulerState(config);
    const averages = this.#average ? [averageSlot] : [];
    this.names = {
      slots: [...slotNames(config.optimizer), ...averages],
      statisticsSlots: averages,
      schedulerState: [...this.schedulerState.keys()],
    };
  }

  /**
   * Update `step` with the averaged gradient, which is left as it is: other workers may still be reading it. BatchNorm's
   * statistics of the step are in the model already.
   */
  update(gradient: Float32Array, step: number, learningRate: number, hashes?: Uint8Array): void {
    const { clipNorm: longest } = this.#replica.config;
    let applied = gradient;
    if (this.#clipped && longest !== null) {
      clipNorm(gradient, longest, this.#clipped);
      applied = this.#clipped;
    }
    const average = this.#average;
    if (!average) {
      this.optimizer.apply(applied, step, learningRate, hashes);
      return;
    }
    this.optimizer.apply(applied, step, learningRate, hashes, ({ offset }, values) =>
      average.add(step, offset, values),
    );
    average.addStatistics(step, readStatistics(this.#replica));
  }

  /** Runs `body` with the averaged weights in the model, where there is an average: what is evaluated, hashed and saved. */
  async withResult<T>(body: () => Promise<T>): Promise<T> {
    if (!this.#average) return body();
    const statistics = readStatistics(this.#replica);
    this.optimizer.loadIntoModel(this.#average.parameters);
    writeStatistics(this.#replica, this.#average.statistics);
    try {
      return await body();
    } finally {
      this.optimizer.loadIntoModel(this.optimizer.save().parameters);
      writeStatistics(this.#replica, statistics);
    }
  }

  /** @param into vectors to copy into instead of new ones, made by `room` */
  save(into?: RuleState): SavedState {
    const { parameters, slots } = this.optimizer.save(into);
    const average = this.#average;
    const averaged = average && copyOf(average.parameters, into?.slots.get(averageSlot));
    return {
      parameters,
      slots: averaged ? new Map([...slots, [averageSlot, averaged]]) : slots,
      statistics: readStatistics(this.#replica),
      statisticsSlots: new Map(average ? [[averageSlot, average.statistics.slice()]] : []),
      schedulerState: new Map(this.schedulerState),
    };
  }

  /** For `save`, again and again, in memory that threads share. */
  allocateSnapshot(): RuleState {
    const vector = (): Float32Array => new Float32Array(new SharedArrayBuffer(4 * this.optimizer.size));
    return {
      parameters: vector(),
      slots: new Map(this.names.slots.map((name) => [name, vector()])),
    };
  }

  /** Goes on from a saved state; takes its vectors. */
  restore({ parameters, slots, statistics, statisticsSlots, schedulerState }: SavedState): void {
    this.optimizer.restore({ parameters, slots });
    writeStatistics(this.#replica, statistics);
    if (this.#average) {
      this.#average.parameters = slots.get(averageSlot) ?? parameters;
      this.#average.statistics = statisticsSlots.get(averageSlot) ?? statistics;
    }
    for (const [name, value] of schedulerState) this.schedulerState.set(name, value);
  }

  dispose(): void {
    this.optimizer.dispose();
  }
}
