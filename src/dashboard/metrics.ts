/** A run in Prometheus' words, kept up by its events: base units, `_total` for what only grows. One registry a run. */

import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { TimedEvent } from '../shared/runs/run-events.js';
import { stepParts, totalOf } from '../shared/timeline/step-parts.js';

/** Seconds; from a small model on many workers to a large one on few. */
const stepBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const recoveryBuckets = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export class RunMetrics {
  readonly #registry = new Registry();
  /** Counters can't be set: what they have counted of a total that others keep. */
  #refused = 0;

  readonly #info = this.#gauge('run_info', 'The run, in its labels', ['run_id', 'name']);
  readonly #steps = this.#counter('steps_total', 'Steps that were committed');
  readonly #images = this.#counter('images_total', 'Samples that were trained on');
  readonly #stepSeconds = this.#histogram('step_seconds', 'Time from one step to the next', stepBuckets);
  readonly #step = this.#gauge('step', 'Number of the last step');
  readonly #stepGoal = this.#gauge('steps_planned', 'Number of the last step of the run');
  readonly #epoch = this.#gauge('epoch', 'Epoch of the last step, from 1');
  readonly #loss = this.#gauge('loss', 'Mean loss of the last batch');
  readonly #learningRate = this.#gauge('learning_rate', 'Learning rate of the last step');
  readonly #rate = this.#gauge('images_per_second', 'Samples a second, smoothed');
  readonly #evalLoss = this.#gauge('evaluation_loss', 'Mean loss of the last evaluation', ['split']);
  readonly #evalAccuracy = this.#gauge('evaluation_accuracy', 'Share of right answers, 0 to 1', ['split']);
  readonly #evalMetric = this.#gauge('evaluation_metric', 'Mean of a metric in the last evaluation', [
    'split',
    'metric',
  ]);
  readonly #workers = this.#gauge('workers', 'Workers of the current generation');
  readonly #generation = this.#gauge('generation', 'Number of the current membership');
  readonly #recoveries = this.#counter('recoveries_total', 'Memberships that went on after another one');
  readonly #recovery = this.#histogram(
    'recovery_seconds',
    'From the end of one to the next',
    recoveryBuckets,
  );
  readonly #lost = this.#counter('workers_lost_total', 'Workers that were lost');
  readonly #refusals = this.#counter('refused_frames_total', 'Messages and frames that were refused');
  readonly #checkpoints = this.#counter('checkpoints_total', 'Checkpoints that were written');
  readonly #warnings = this.#counter('warnings_total', 'Warnings that were given');
  readonly #workerStep = this.#gauge('worker_step', 'Last step of a worker', ['rank']);
  readonly #workerShards = this.#gauge('worker_shards', 'Shards that a worker computes', ['rank']);
  readonly #workerTime = this.#gauge('worker_step_part_seconds', "A part of a worker's mean step", [
    'rank',
    'part',
  ]);
  readonly #workerTotal = this.#gauge('worker_step_seconds', "A worker's mean step", ['rank']);

  /** Of the text that `text` gives. */
  readonly contentType = this.#registry.contentType;

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  note(event: TimedEvent): void {
    switch (event.event) {
      case 'run':
        this.#info.set({ run_id: event.runId, name: event.config.name }, 1);
        break;
      case 'start':
        this.#stepGoal.set(event.steps);
        break;
      case 'step':
        this.#steps.inc();
        this.#images.inc(event.samples);
        this.#stepSeconds.observe(event.seconds);
        this.#step.set(event.step);
        this.#epoch.set(event.epoch);
        this.#loss.set(event.loss);
        this.#learningRate.set(event.learningRate);
        this.#rate.set(event.imagesPerSecond);
        break;
      case 'status':
        this.#onStatus(event);
        break;
      case 'generation':
        if (event.reason === 'membership') {
          this.#recoveries.inc();
          this.#recovery.observe(event.seconds);
        }
        this.#generation.set(event.generation);
        this.#workers.set(event.workers.length);
        break;
      case 'worker':
        if (event.state === 'lost') this.#lost.inc();
        break;
      case 'eval':
        this.#evalLoss.set({ split: event.split }, event.loss);
        if (event.accuracy !== undefined) this.#evalAccuracy.set({ split: event.split }, event.accuracy);
        for (const [metric, value] of Object.entries(event.metrics))
          this.#evalMetric.set({ split: event.split, metric }, value);
        break;
      case 'checkpoint':
        this.#checkpoints.inc();
        break;
      case 'warning':
        this.#warnings.inc();
        break;
      case 'coordinator':
      case 'misclassified':
      case 'model':
      case 'histograms':
      case 'resumed':
      case 'timeline':
      case 'saved':
      case 'dashboard':
      case 'done':
      case 'error':
        break;
    }
  }

  #onStatus({ workers, generation, refused }: Extract<TimedEvent, { event: 'status' }>): void {
    this.#generation.set(generation);
    // A coordinator's successor begins to count anew.
    this.#refusals.inc(refused < this.#refused ? refused : refused - this.#refused);
    this.#refused = refused;
    const members = workers.filter(({ rank }) => rank !== null);
    this.#workers.set(members.length);
    for (const gauge of [this.#workerStep, this.#workerShards]) gauge.reset();
    for (const { rank, step, shards, parts } of members) {
      const label = { rank: String(rank) };
      this.#workerStep.set(label, step);
      this.#workerShards.set(label, shards);
      if (!parts) continue;
      this.#workerTotal.set(label, totalOf(parts) / 1000);
      for (const part of stepParts) this.#workerTime.set({ ...label, part }, parts[part] / 1000);
    }
  }

  #gauge<Label extends string = never>(name: string, help: string, labelNames: Label[] = []): Gauge<Label> {
    return new Gauge({ name: `lockstep_${name}`, help, labelNames, registers: [this.#registry] });
  }

  #counter(name: string, help: string): Counter {
    return new Counter({ name: `lockstep_${name}`, help, registers: [this.#registry] });
  }

  #histogram(name: string, help: string, buckets: number[]): Histogram {
    return new Histogram({ name: `lockstep_${name}`, help, buckets, registers: [this.#registry] });
  }
}
