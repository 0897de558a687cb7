/**
 * Decides when a worker writes a checkpoint, and restores the replica from one. All replicas have the same bits after a step, so
 * any worker could write it; the writer of the plan does. A failed write is reported to the coordinator, which warns, or ends the
 * run if the checkpoint was its last.
 */

import { join } from 'node:path';
import {
  checkpointsFolder,
  readManifest,
  type CheckpointDescription,
} from '../../shared/checkpoint/manifest.js';
import { readCheckpoint } from '../../shared/checkpoint/read-checkpoint.js';
import type { StateLayout } from '../../shared/checkpoint/state-tensors.js';
import { endsWith, parseInterval, type Interval } from '../../shared/config/interval.js';
import { CheckpointError, InvariantError, invariant, toWireError } from '../../shared/errors.js';
import type { PinnedVectors } from '../../shared/model/named-vectors.js';
import type { WorkerMessage } from '../../shared/protocol/messages.js';
import { inPlace, type FoundCheckpoint, type RunStorage } from '../storage/run-storage.js';
import type { Replica } from '../training/replica.js';
import type { TrainingState } from '../training/training-state.js';
import { checkOrigin } from './origin.js';
import { checkFinite } from './check-finite.js';
import { stateLayoutOf } from './state-layout.js';
import { CheckpointWriter, type ToWriter } from './writer.js';

export type CheckpointContext = Omit<CheckpointDescription, 'step'>;

/** The part of a training state that checkpoints use. */
export type CheckpointedState = Pick<
  TrainingState,
  'optimizer' | 'parameterVectors' | 'schedulerState' | 'save' | 'allocateSnapshot' | 'restore'
>;

/** The part of a communicator that checkpoints use. */
export interface CheckpointReports {
  send(message: WorkerMessage): void;
  /** Counts one piece of a checkpoint that is read or written. */
  tick(): void;
  /** Called when a save that the coordinator waits for begins and ends. */
  saving?(isSaving: boolean): void;
}

const maxErrorLength = 4_000;

export class Checkpoints {
  readonly #replica: Pick<Replica, 'layout' | 'config'>;
  readonly #context: CheckpointContext;
  readonly #send: (message: WorkerMessage) => void;
  readonly #tick: () => void;
  readonly #saving: (isSaving: boolean) => void;
  readonly #interval: Interval | undefined;
  readonly #writer: CheckpointWriter;
  readonly #storage: RunStorage;
  #lastMs = performance.now();
  #due = false;
  /** The write in progress. */
  #current: Promise<void> | undefined;
  /** Receives the copy of the state that is written. Kept, since an allocation takes longer than the copy. */
  #snapshot: PinnedVectors | undefined;
  /** The last reported failure, without its numbers. */
  #lastFailure = '';
  #written: { readonly step: number; readonly path: string } | undefined;
  /** The checkpoint that `check` has found. */
  #found: FoundCheckpoint | undefined;

  /**
   * @param communicator is told of each piece of a checkpoint that is read or written, because a slow disk is no hung worker
   * @param faultRequests folder of fault requests, for tests
   * @param storage default: the run's folder
   */
  constructor(
    replica: Pick<Replica, 'layout' | 'config'>,
    context: CheckpointContext,
    communicator: CheckpointReports,
    faultRequests?: string,
    storage = inPlace,
  ) {
    this.#tick = () => communicator.tick();
    this.#saving = (isSaving) => communicator.saving?.(isSaving);
    this.#writer = new CheckpointWriter(this.#tick, faultRequests);
    this.#storage = storage;
    this.#replica = replica;
    this.#context = context;
    this.#send = (message) => communicator.send(message);
    const { checkpointEvery } = replica.config;
    this.#interval = checkpointEvery === null ? undefined : parseInterval(checkpointEvery);
  }

  /**
   * Must be called after each committed step. If a checkpoint is due, copies the state before it returns and writes the copy in the
   * background. A checkpoint that is due while another one is being written is written after a later step.
   */
  after(step: number, stepsPerEpoch: number, state: CheckpointedState, out: string | null): void {
    if (out === null) return;
    const interval = this.#interval;
    this.#due = (interval !== undefined && this.#isDue(interval, step, stepsPerEpoch)) || this.#due;
    if (!this.#due || this.#current) return;
    this.#due = false;
    void this.#begin(step, state, out);
  }

  /** Makes a checkpoint due at the next call of `after`, also if the run has none at intervals. */
  request(): void {
    this.#due = true;
  }

  /** Writes the checkpoint after the last step and waits for it, if the run has checkpoints. */
  async last(step: number, state: CheckpointedState, out: string | null): Promise<void> {
    if (this.#interval !== undefined && out !== null) await this.write(step, state, out);
  }

  /**
   * Waits for the write in progress, then writes a checkpoint and reports it. If the checkpoint of this step exists already, only
   * reports it. Does not reject: a failure is reported.
   */
  async write(step: number, state: CheckpointedState, out: string): Promise<void> {
    this.#saving(true);
    try {
      await this.#writeOnce(step, state, out);
    } finally {
      this.#saving(false);
    }
  }

  async #writeOnce(step: number, state: CheckpointedState, out: string): Promise<void> {
    // Another call may have begun a write meanwhile: one that the end of its generation has left behind still writes.
    while (this.#current) await this.#current;
    if (step === this.#written?.step && !this.#storage.isGone(this.#written.path)) {
      this.#send({ type: 'checkpointed', ...this.#written, error: null });
      return;
    }
    await this.#begin(step, state, out);
  }

  /**
   * Finds the checkpoint from which the run continues, and compares its data and its model with those of this run.
   * @param path the checkpoint's folder on the coordinator's host
   * @throws DataError, ModelError naming the difference
   * @throws CheckpointError if the checkpoint is damaged
   */
  async check(step: number, path: string): Promise<void> {
    this.#found = await this.#storage.find(step, path);
    checkOrigin(path, await readManifest(this.#found.path), this.#context);
  }

  /**
   * Restores the replica from the checkpoint that `check` has found, and returns the checkpoint's step.
   * @throws CheckpointError if the checkpoint is damaged or belongs to another model
   */
  async restore(state: CheckpointedState): Promise<number> {
    const found = this.#found;
    invariant(found, 'a checkpoint is restored before it was checked');
    await found.complete();
    const numbers = [...state.schedulerState.keys()];
    const { step, vectors, schedulerState } = await readCheckpoint(
      found.path,
      this.#layoutOf(state),
      numbers,
      this.#tick,
    );
    state.restore(vectors, schedulerState);
    await found.discard();
    return step;
  }

  /** Waits for the write in progress, if there is one. */
  async settled(): Promise<void> {
    await this.#current;
  }

  /** Ends a write in progress. */
  close(): Promise<void> {
    return this.#writer.close();
  }

  /** Copies the state before it returns. The returned promise is fulfilled when the write has ended, also if it has failed. */
  #begin(step: number, state: CheckpointedState, out: string): Promise<void> {
    const startMs = performance.now();
    let task: ToWriter;
    try {
      task = this.#taskOf(step, state, out);
      checkFinite(task);
    } catch (cause) {
      if (cause instanceof InvariantError) throw cause;
      if (cause instanceof CheckpointError) {
        this.#reportFailure(step, cause);
        return Promise.resolve();
      }
      this.#reportFailure(step, copyFailed(step, cause));
      return Promise.resolve();
    }
    this.#current = this.#write(task, startMs).finally(() => (this.#current = undefined));
    return this.#current;
  }

  #taskOf(step: number, state: CheckpointedState, out: string): ToWriter {
    this.#snapshot ??= state.allocateSnapshot();
    return {
      directory: join(this.#storage.folderFor(out), checkpointsFolder),
      about: { ...this.#context, step },
      layout: this.#layoutOf(state),
      state: {
        vectors: state.save(this.#snapshot),
        schedulerState: new Map(state.schedulerState),
      },
      keep: this.#storage.keepOf(this.#replica.config.keep),
    };
  }

  async #write(task: ToWriter, startMs: number): Promise<void> {
    const { step } = task.about;
    try {
      const path = await this.#storage.deliverCheckpoint(await this.#writer.write(task));
      this.#lastFailure = '';
      this.#written = { step, path };
      const seconds = (performance.now() - startMs) / 1000;
      this.#send({ type: 'checkpointed', step, path, error: null, seconds });
    } catch (error) {
      this.#reportFailure(step, error);
    }
  }

  /** Reports a failure; its message is sent once per reason and not once per step. */
  #reportFailure(step: number, error: unknown): void {
    const { message } = toWireError(error);
    const reason = message.replaceAll(/\d+/g, '#');
    const isRepeated = reason === this.#lastFailure;
    this.#lastFailure = reason;
    const reported = isRepeated ? '' : message.slice(0, maxErrorLength);
    this.#send({ type: 'checkpointed', step, path: '', error: reported });
  }

  #layoutOf({ optimizer, parameterVectors }: CheckpointedState): StateLayout {
    return stateLayoutOf(this.#replica.layout, optimizer.parameters, parameterVectors);
  }

  #isDue(interval: Interval, step: number, stepsPerEpoch: number): boolean {
    if (interval.unit !== 'time') return endsWith(interval, step, stepsPerEpoch);
    const nowMs = performance.now();
    if (nowMs - this.#lastMs < interval.count) return false;
    this.#lastMs = nowMs;
    return true;
  }
}

function copyFailed(step: number, cause: unknown): CheckpointError {
  const got = cause instanceof Error ? cause.message : String(cause);
  return new CheckpointError(
    `Checkpoint of step ${step} can't be written: expected memory for a copy of the training state, got "${got}". ` +
      'Training continues without it; free some memory on this machine.',
    { step },
    cause,
  );
}
