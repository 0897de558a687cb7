/**
 * A worker's checkpoints: when one is due, what is in it, and how training goes on from one. All replicas have the same bits
 * after a step, so any worker can write it; rank 0 does.
 */

import {
  checkpointsFolder,
  readCheckpoint,
  type CheckpointDescription,
  type CheckpointState,
} from '../../shared/checkpoint/checkpoint.js';
import { join } from 'node:path';
import { endsWith, parseInterval, type Interval } from '../../shared/config/interval.js';
import { toWireError } from '../../shared/errors.js';
import { elementCount } from '../../shared/layout.js';
import type { WorkerMessage } from '../../shared/protocol/messages.js';
import type { FlatParameter } from '../executor/gradient-buckets.js';
import type { Optimizer } from '../optimizer/optimizer.js';
import { readStatistics, statisticsOf, writeStatistics, type Replica } from '../replica.js';
import { CheckpointWriter } from './writer.js';

export type CheckpointContext = Omit<CheckpointDescription, 'step'>;

export class Checkpoints {
  readonly #replica: Replica;
  readonly #context: CheckpointContext;
  readonly #send: (message: WorkerMessage) => void;
  readonly #interval: Interval | undefined;
  readonly #writer = new CheckpointWriter();
  #lastMs = performance.now();
  #due = false;
  /** The one that is being written. */
  #current: Promise<void> | undefined;
  #complaint = '';
  #written = 0;

  constructor(replica: Replica, context: CheckpointContext, send: (message: WorkerMessage) => void) {
    this.#replica = replica;
    this.#context = context;
    this.#send = send;
    const { checkpointEvery } = replica.config;
    this.#interval = checkpointEvery === null ? undefined : parseInterval(checkpointEvery);
  }

  /** After a step is committed: begins to write one if it is due; training goes on at once. */
  after(step: number, stepsPerEpoch: number, optimizer: Optimizer, out: string | null): void {
    if (this.#interval === undefined || out === null) return;
    this.#due = this.#isDue(this.#interval, step, stepsPerEpoch) || this.#due;
    if (!this.#due || this.#current) return;
    this.#due = false;
    void this.write(step, optimizer, out);
  }

  /** After the last step: waits until that one is written, where checkpoints are. */
  async last(step: number, optimizer: Optimizer, out: string | null): Promise<void> {
    if (this.#interval !== undefined && out !== null) await this.write(step, optimizer, out);
  }

  /** Writes one, after the one before, and says so; a failure is said too and is no reason to stop. */
  async write(step: number, optimizer: Optimizer, out: string): Promise<void> {
    await this.#current;
    if (step === this.#written) return;
    this.#current = this.#write(step, optimizer, out).finally(() => (this.#current = undefined));
    await this.#current;
  }

  async #write(step: number, optimizer: Optimizer, out: string): Promise<void> {
    const task = {
      directory: join(out, checkpointsFolder),
      about: { ...this.#context, step },
      layout: this.#replica.layout,
      state: this.#state(optimizer),
      keep: this.#replica.config.keep,
      inject: this.#replica.config.inject,
    };
    try {
      const path = await this.#writer.write(task);
      this.#complaint = '';
      this.#written = step;
      this.#send({ type: 'checkpointed', step, path, error: null });
    } catch (error) {
      const wire = toWireError(error);
      // Once for each reason, not once a step.
      const reason = wire.message.replaceAll(/\d+/g, '#');
      const again = reason === this.#complaint;
      this.#complaint = reason;
      this.#send({ type: 'checkpointed', step, path: '', error: again ? '' : wire.message.slice(0, 4_000) });
    }
  }

  /** Brings replica and optimizer to a checkpoint's state; its step. @throws CheckpointError */
  async restore(path: string, optimizer: Optimizer): Promise<number> {
    const { layout } = this.#replica;
    const { step, weights, first, second } = await readCheckpoint(path, layout);
    const trainable = layout.flatMap((entry, weight) => (entry.trainable ? [weight] : []));
    const flat = (of: (parameter: FlatParameter) => Float32Array | undefined): Float32Array =>
      optimizer.flatten((parameter) => of(parameter) ?? new Float32Array(parameter.size));
    optimizer.restore({
      parameters: flat(({ weight }) => weights[weight]),
      first: flat(({ weight }) => first[trainable.indexOf(weight)]),
      second: flat(({ weight }) => second[trainable.indexOf(weight)]),
    });
    const statistics = statisticsOf(this.#replica).map(
      ({ weight }) => weights[weight] ?? new Float32Array(0),
    );
    const all = new Float32Array(statistics.reduce((total, { length }) => total + length, 0));
    let offset = 0;
    for (const values of statistics) {
      all.set(values, offset);
      offset += values.length;
    }
    writeStatistics(this.#replica, all);
    return step;
  }

  close(): Promise<void> {
    return this.#writer.close();
  }

  #isDue(interval: Interval, step: number, stepsPerEpoch: number): boolean {
    if (interval.unit !== 'time') return endsWith(interval, step, stepsPerEpoch);
    const nowMs = performance.now();
    if (nowMs - this.#lastMs < interval.count) return false;
    this.#lastMs = nowMs;
    return true;
  }

  /** Copies. */
  #state(optimizer: Optimizer): CheckpointState {
    const { layout } = this.#replica;
    const saved = optimizer.save();
    const places = new Map(optimizer.parameters.map((parameter) => [parameter.weight, parameter]));
    const statistics = readStatistics(this.#replica);
    let offset = 0;
    const cut = (values: Float32Array, weight: number): Float32Array => {
      const place = places.get(weight);
      return place ? values.subarray(place.offset, place.offset + place.size) : new Float32Array(0);
    };
    const weights = layout.map(({ shape, trainable }, weight) => {
      if (trainable) return cut(saved.parameters, weight);
      const size = elementCount(shape);
      offset += size;
      return statistics.subarray(offset - size, offset);
    });
    const trainable = layout.flatMap((entry, weight) => (entry.trainable ? [weight] : []));
    return {
      weights,
      first: trainable.map((weight) => cut(saved.first, weight)),
      second: trainable.map((weight) => cut(saved.second, weight)),
    };
  }
}
