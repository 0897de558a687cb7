/** A run's Prometheus metrics, updated by its events, in base units and with `_total` for counters. One registry per run. */

import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { EffectiveTime } from '../shared/runs/effective-time.js';
import type { TimedEvent } from '../shared/runs/run-events.js';
import { stepParts, totalOf } from '../shared/timeline/step-parts.js';

/** Buckets in seconds, from a small model on many workers to a large model on few. */
const stepBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const recoveryBuckets = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export class RunMetrics {
  readonly #registry = new Registry();
  /** The part of an external total that a counter has counted, since counters cannot be set. */
  #refused = 0;
  readonly #time = new EffectiveTime();

  readonly #info = this.#gauge('run_info', 'Information on the run, in labels', ['run_id', 'name']);
  readonly #steps = this.#counter('steps_total', 'Committed steps');
  readonly #images = this.#counter('images_total', 'Samples in committed steps');
  readonly #stepSeconds = this.#histogram('step_seconds', 'Time between consecutive steps', stepBuckets);
  readonly #step = this.#gauge('step', 'Number of the last step');
  readonly #stepGoal = this.#gauge('steps_planned', 'Number of the last step of the run');
  readonly #epoch = this.#gauge('epoch', 'Epoch of the last step, from 1');
  readonly #loss = this.#gauge('loss', 'Mean loss of the last batch');
  readonly #learningRate = this.#gauge('learning_rate', 'Learning rate of the last step');
  readonly #rate = this.#gauge('images_per_second', 'Samples per second, smoothed');
  readonly #evalLoss = this.#gauge('evaluation_loss', 'Mean loss of the last evaluation', ['split']);
  readonly #evalAccuracy = this.#gauge('evaluation_accuracy', 'Accuracy, 0 to 1', ['split']);
  readonly #evalMetric = this.#gauge('evaluation_metric', 'Mean of a metric in the last evaluation', [
    'split',
    'metric',
  ]);
  readonly #workers = this.#gauge('workers', 'Workers of the current generation');
  readonly #generation = this.#gauge('generation', 'Number of the current generation');
  readonly #recoveries = this.#counter('recoveries_total', 'Generations that continued after an earlier one');
  readonly #recovery = this.#histogram(
    'recovery_seconds',
    'Time from the end of a generation to the start of the next',
    recoveryBuckets,
  );
  readonly #lost = this.#counter('workers_lost_total', 'Lost workers');
  readonly #refusals = this.#counter('refused_frames_total', 'Refused messages and frames');
  readonly #effective = this.#gauge(
    'effective_training_time_ratio',
    'Share of the wall time spent in committed steps, 0 to 1',
  );
  readonly #checkpoints = this.#counter('checkpoints_total', 'Checkpoints written');
  readonly #warnings = this.#counter('warnings_total', 'Warnings');
  readonly #workerStep = this.#gauge('worker_step', 'Last step of a worker', ['rank']);
  readonly #workerShards = this.#gauge('worker_shards', 'Shards that a worker owns', ['rank']);
  readonly #workerTime = this.#gauge('worker_step_part_seconds', "Time of one part of a worker's mean step", [
    'rank',
    'part',
  ]);
  readonly #workerTotal = this.#gauge('worker_step_seconds', "Time of a worker's mean step", ['rank']);

  /** Escapes the text for a label. */
  readonly contentType = this.#registry.contentType;

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  note(event: TimedEvent): void {
    this.#time.note(event);
    const { ratio } = this.#time;
    if (ratio !== null) this.#effective.set(ratio);
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
      case 'confusion':
      case 'model':
      case 'histograms':
      case 'scalars':
      case 'resumed':
      case 'changed':
      case 'timeline':
      case 'saved':
      case 'dashboard':
      case 'gap':
      case 'done':
      case 'error':
        break;
    }
  }

  #onStatus({ workers, generation, refused }: Extract<TimedEvent, { event: 'status' }>): void {
    this.#generation.set(generation);
    // A coordinator that takes over counts from zero.
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
