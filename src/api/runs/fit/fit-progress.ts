/**
 * Converts the events of a run to the calls of tfjs's callbacks. At the end of an epoch it waits for the evaluation and, if there are
 * callbacks, for the epoch's checkpoint, copies the weights into the caller's model, and permits the next epoch.
 */

import type { CallbackList } from '@tensorflow/tfjs-layers';
import type { TimedEvent } from '../../../shared/runs/run-events.js';
import { metricName, type FitPermission } from '../../fit/fit-spec.js';
import { readState } from './fit-weights.js';

type State = Awaited<ReturnType<typeof readState>>;
type StepEvent = Extract<TimedEvent, { event: 'step' }>;
type EvaluationEvent = Extract<TimedEvent, { event: 'eval' }>;
type Logs = Record<string, number>;

export interface FitProgressOptions {
  readonly list: CallbackList;
  /** `loss` and the names of the metrics. */
  readonly labels: readonly string[];
  readonly initialEpoch: number;
  readonly epochs: number;
  readonly validates: boolean;
  readonly asksPermission: boolean;
  readonly stepsPerEpoch: number;
  /** Copies the weights of a checkpoint into the model. */
  readonly assign: (state: State) => void;
  readonly permit: (permission: FitPermission) => Promise<void>;
  /** True once a callback has set `model.stopTraining`. */
  readonly hasStopped: () => boolean;
  readonly verbose: number;
}

export class FitProgress {
  readonly #options: FitProgressOptions;
  /** Sums over the samples of the present epoch, in the order of the labels. */
  #sums: number[] = [];
  #samples = 0;
  #steps = 0;
  /** Number of epochs whose callbacks have been called. */
  #ended = 0;
  #evaluation: EvaluationEvent | undefined;
  /** The last state that was read, and its step. */
  #read: { readonly step: number; readonly state: State } | undefined;

  constructor(options: FitProgressOptions) {
    this.#options = options;
  }

  /** Steps that have been trained. */
  get steps(): number {
    return this.#steps;
  }

  /** The newest state that was read. */
  get state(): State | undefined {
    return this.#read?.state;
  }

  /** Calls the callbacks that belong to an event. @throws the error of a callback */
  async add(event: TimedEvent): Promise<void> {
    if (event.event === 'step' && event.step > this.#steps) await this.#step(event);
    else if (event.event === 'eval') this.#evaluation = event;
    else if (event.event === 'checkpoint') await this.#checkpoint(event);
    else return;
    if (this.#isComplete()) await this.#endEpoch();
  }

  async #step(event: StepEvent): Promise<void> {
    const { list, labels, stepsPerEpoch } = this.#options;
    const { step, samples, loss, metrics = {} } = event;
    this.#steps = step;
    const values = [loss, ...labels.slice(1).map((_, i) => metrics[metricName(i)] ?? Number.NaN)];
    this.#sums = values.map((value, i) => (this.#sums[i] ?? 0) + value * samples);
    this.#samples += samples;
    const batch = (step - 1) % stepsPerEpoch;
    await list.onBatchBegin(batch, {});
    await list.onBatchEnd(batch, { batch, size: samples, ...logsOf(labels, values) });
  }

  async #checkpoint({ step, path }: Extract<TimedEvent, { event: 'checkpoint' }>): Promise<void> {
    const isNew = (this.#read?.step ?? 0) < step;
    if (isNew && path !== '') this.#read = { step, state: await readState(path) };
  }

  /** True if everything that belongs to the end of the present epoch has arrived. */
  #isComplete(): boolean {
    const { epochs, initialEpoch, stepsPerEpoch, validates, asksPermission } = this.#options;
    const last = (this.#ended + 1) * stepsPerEpoch;
    if (this.#ended >= epochs - initialEpoch || this.#steps < last) return false;
    const isLast = this.#ended + 1 === epochs - initialEpoch;
    const needsState = asksPermission || isLast;
    return (!validates || this.#evaluation?.step === last) && (!needsState || this.#read?.step === last);
  }

  async #endEpoch(): Promise<void> {
    const { list, labels, epochs, initialEpoch, asksPermission, assign, permit, hasStopped } = this.#options;
    const epoch = initialEpoch + this.#ended;
    const isLast = epoch + 1 === epochs;
    if (this.#read && (asksPermission || isLast)) assign(this.#read.state);
    const means = this.#sums.map((sum) => sum / this.#samples);
    const logs: Logs = { ...this.#validationLogs(), ...logsOf(labels, means) };
    [this.#sums, this.#samples, this.#evaluation] = [[], 0, undefined];
    this.#ended++;
    this.#print(epoch, logs);
    await list.onEpochEnd(epoch, logs);
    if (isLast || !asksPermission) return;
    const stops = hasStopped();
    if (!stops) await list.onEpochBegin(epoch + 1);
    await permit({ epochs: stops ? this.#ended : this.#ended + 1, stops });
  }

  #validationLogs(): Logs {
    if (!this.#evaluation) return {};
    const { loss, metrics } = this.#evaluation;
    const { labels } = this.#options;
    const values = [loss, ...labels.slice(1).map((_, i) => metrics[metricName(i)] ?? Number.NaN)];
    return logsOf(labels.map((name) => `val_${name}`), values);
  }

  #print(epoch: number, logs: Logs): void {
    const { verbose, epochs, labels, validates } = this.#options;
    if (verbose === 0) return;
    const names = [...labels, ...(validates ? labels.map((name) => `val_${name}`) : [])];
    const shown = names.map((name) => `${name}: ${(logs[name] ?? Number.NaN).toPrecision(4)}`);
    process.stderr.write(`Epoch ${epoch + 1}/${epochs} - ${shown.join(' - ')}\n`);
  }
}

function logsOf(names: readonly string[], values: readonly number[]): Logs {
  return Object.fromEntries(names.map((name, i) => [name, values[i] ?? Number.NaN]));
}
