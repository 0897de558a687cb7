/**
 * A worker's checkpoints: when one is due, what is in it, and how training goes on from one. All replicas have the same bits
 * after a step, so any worker can write it; rank 0 does.
 */

import {
  checkpointsFolder,
  readCheckpoint,
  type CheckpointDescription,
} from '../../shared/checkpoint/checkpoint.js';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { endsWith, parseInterval, type Interval } from '../../shared/config/interval.js';
import { toWireError } from '../../shared/errors.js';
import type { WorkerMessage } from '../../shared/protocol/messages.js';
import type { Replica } from '../training/replica.js';
import type { RuleState } from '../optimizer/update-rule.js';
import type { TrainingState } from '../training/training-state.js';
import { checkpointNames, fromCheckpoint, toCheckpoint } from './state-layout.js';
import { CheckpointWriter } from './writer.js';

export type CheckpointContext = Omit<CheckpointDescription, 'step'>;

export class Checkpoints {
  readonly #replica: Replica;
  readonly #context: CheckpointContext;
  readonly #send: (message: WorkerMessage) => void;
  readonly #interval: Interval | undefined;
  readonly #writer: CheckpointWriter;
  #lastMs = performance.now();
  #due = false;
  /** The one that is being written. */
  #current: Promise<void> | undefined;
  /** The step waits for no more than a copy into it. Kept, since new memory costs more than the copy. */
  #room: RuleState | undefined;
  #complaint = '';
  #written: { readonly step: number; readonly path: string } | undefined;

  /** @param faultRequests folder of fault requests, for tests */
  constructor(
    replica: Replica,
    context: CheckpointContext,
    send: (message: WorkerMessage) => void,
    faultRequests?: string,
  ) {
    this.#writer = new CheckpointWriter(faultRequests);
    this.#replica = replica;
    this.#context = context;
    this.#send = send;
    const { checkpointEvery } = replica.config;
    this.#interval = checkpointEvery === null ? undefined : parseInterval(checkpointEvery);
  }

  /** After a step is committed: begins to write one if it is due; training goes on at once. */
  after(step: number, stepsPerEpoch: number, state: TrainingState, out: string | null): void {
    if (this.#interval === undefined || out === null) return;
    this.#due = this.#isDue(this.#interval, step, stepsPerEpoch) || this.#due;
    if (!this.#due || this.#current) return;
    this.#due = false;
    void this.write(step, state, out);
  }

  /** After the last step: waits until that one is written, where checkpoints are. */
  async last(step: number, state: TrainingState, out: string | null): Promise<void> {
    if (this.#interval !== undefined && out !== null) await this.write(step, state, out);
  }

  /** Writes one, after the one before, and says so, also where it is there already; a failure is said too and is no reason to stop. */
  async write(step: number, state: TrainingState, out: string): Promise<void> {
    await this.#current;
    if (step === this.#written?.step && existsSync(this.#written.path)) {
      this.#send({ type: 'checkpointed', ...this.#written, error: null });
      return;
    }
    this.#current = this.#write(step, state, out).finally(() => (this.#current = undefined));
    await this.#current;
  }

  async #write(step: number, state: TrainingState, out: string): Promise<void> {
    this.#room ??= state.allocateSnapshot();
    const task = {
      directory: join(out, checkpointsFolder),
      about: { ...this.#context, step },
      layout: this.#replica.layout,
      state: toCheckpoint(this.#replica, state, state.save(this.#room)),
      keep: this.#replica.config.keep,
    };
    try {
      const path = await this.#writer.write(task);
      this.#complaint = '';
      this.#written = { step, path };
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

  /** Brings the replica to a checkpoint's state; its step. @throws CheckpointError */
  async restore(path: string, state: TrainingState): Promise<number> {
    const { layout } = this.#replica;
    const { step, ...saved } = await readCheckpoint(
      path,
      layout,
      checkpointNames(this.#replica, state.names),
    );
    state.restore(fromCheckpoint(this.#replica, state, saved));
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
}
