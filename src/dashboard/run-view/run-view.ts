/**
 * The displayed state of a run, collected from its events, live or from its log. Its size is bounded for any length of run and any
 * number of workers. `since` returns what a page does not have yet, as plain data.
 */

import { describeChange } from '../../shared/config/resume-policy.js';
import { maxMisclassified } from '../../shared/evaluation/misclassified.js';
import { EffectiveTime } from '../../shared/runs/effective-time.js';
import type { TimedEvent } from '../../shared/runs/run-events.js';
import { noTimes, stepParts, type StepPart } from '../../shared/timeline/step-parts.js';
import { describeGeneration } from './describe-generation.js';
import { HistogramHistory } from './histogram-history.js';
import type {
  EventOf,
  Happening,
  RunCursor,
  RunHistory,
  RunState,
  RunUpdate,
  ShownConfusion,
  ShownMisclassified,
} from './run-update.js';
import { livesAfter, livesAfterEnd } from './lives.js';
import { NamedSeries } from './named-series.js';
import { Series } from './series.js';
import { UsageHistory } from './usage-history.js';

const mostHappenings = 400;
const mostEvaluations = 2_000;

export class RunView {
  readonly #steps = new Series({
    loss: 'mean',
    lossMin: 'min',
    lossMax: 'max',
    learningRate: 'last',
    imagesPerSecond: 'harmonicMean',
    seconds: 'last',
  });
  readonly #parts = new Series<StepPart | 'seconds'>(
    {
      ...(Object.fromEntries(stepParts.map((part) => [part, 'mean'])) as Record<StepPart, 'mean'>),
      seconds: 'last',
    },
    1024,
  );
  readonly #usage = new UsageHistory();
  readonly #batchMetrics = new NamedSeries();
  readonly #scalars = new NamedSeries();
  readonly #histograms = new HistogramHistory();
  readonly #time = new EffectiveTime();
  #version = 0;
  #historyVersion = 0;
  #misclassifiedVersion = 0;
  #stepCount = 0;
  #partCount = 0;
  #state: RunState = {
    run: null,
    start: null,
    step: null,
    phase: 'gathering',
    generation: 0,
    refused: 0,
    workers: [],
    end: null,
    ettr: null,
    firstMs: 0,
    lastMs: 0,
    histogramStep: null,
  };
  #layers: EventOf<'model'>['layers'] | null = null;
  #layerVersion = 0;
  #confusion: (ShownConfusion & { readonly generation: number }) | null = null;
  #misclassified: ShownMisclassified | null = null;
  #history: RunHistory = { evaluations: [], happenings: [], lives: [] };

  note(event: TimedEvent): void {
    const { timeMs } = event;
    const { lastMs } = this.#state;
    this.#version++;
    this.#time.note(event);
    this.#set({ firstMs: this.#state.firstMs || timeMs, lastMs: timeMs, ettr: this.#time.ratio });
    switch (event.event) {
      case 'run':
        // Another process coordinates the run, and its next status lists the workers.
        this.#set({ run: event, end: null, phase: 'gathering', workers: [] });
        this.#keep({ lives: livesAfterEnd(this.#history.lives, lastMs) });
        break;
      case 'start':
        this.#set({ start: event, phase: 'running' });
        this.#happen(event, 'run', `Training starts with ${this.#state.workers.length || 'its'} workers`);
        break;
      case 'step':
        this.#onStep(event);
        break;
      case 'status':
        this.#onStatus(event);
        break;
      case 'worker':
        this.#onWorker(event);
        break;
      case 'generation':
        this.#set({ phase: 'running', generation: event.generation });
        if (event.reason === 'balance') this.#happen(event, 'run', 'Shards are rebalanced by throughput');
        else this.#happen(event, 'recovered', describeGeneration(event));
        break;
      case 'eval':
        this.#keep({ evaluations: [...this.#history.evaluations, event].slice(-mostEvaluations) });
        break;
      case 'misclassified':
        this.#onMisclassified(event);
        break;
      case 'confusion':
        this.#onConfusion(event);
        break;
      case 'histograms':
        this.#histograms.note(event);
        this.#set({ histogramStep: event.step });
        break;
      case 'scalars':
        this.#scalars.note(event.step, event.values, this.#secondsAt(event));
        break;
      case 'model':
        this.#layers = event.layers;
        this.#layerVersion++;
        break;
      case 'checkpoint':
        this.#happen(event, 'checkpoint', `Checkpoint of step ${event.step}`);
        break;
      default:
        this.#noteTurn(event);
    }
  }

  /** Notes the events that change the course of the run, and warnings. */
  #noteTurn(event: TimedEvent): void {
    switch (event.event) {
      case 'resumed':
        this.#goBackTo(event.step);
        this.#set({ end: null, phase: 'gathering' });
        this.#keep({ evaluations: this.#history.evaluations.filter(({ step }) => step <= event.step) });
        this.#happen(event, 'run', `Continues from the checkpoint of step ${event.step}`);
        break;
      case 'changed':
        this.#happen(event, 'run', `From step ${event.step}: ${describeChange(event)}`);
        break;
      case 'warning':
        this.#happen(event, 'warning', event.message);
        break;
      case 'gap':
        if (event.lines > 0) this.#happen(event, 'warning', `The log lacks ${event.lines} events`);
        break;
      case 'error':
        this.#happen(event, 'error', event.message);
        this.#onEnd(event, 'failed');
        break;
      case 'done':
        this.#happen(event, 'run', `Done after ${event.steps} steps`);
        this.#onEnd(event, 'done');
        break;
      default:
        break;
    }
  }

  /** Returns everything if there is no cursor. */
  since(cursor?: RunCursor): RunUpdate {
    return {
      state: cursor?.version === this.#version ? null : this.#state,
      history: cursor?.historyVersion === this.#historyVersion ? null : this.#history,
      misclassified: cursor?.mistakeVersion === this.#misclassifiedVersion ? null : this.#misclassified,
      confusion: cursor?.mistakeVersion === this.#misclassifiedVersion ? null : this.#confusion,
      steps: cursor?.stepCount === this.#stepCount ? null : this.#steps.since(cursor?.steps),
      parts: cursor?.partCount === this.#partCount ? null : this.#parts.since(cursor?.parts),
      usage: cursor?.usageCount === this.#usage.count ? null : this.#usage.since(cursor?.usage),
      batchMetrics:
        cursor?.batchMetricCount === this.#batchMetrics.count
          ? null
          : this.#batchMetrics.since(cursor?.batchMetrics),
      scalars: cursor?.scalarCount === this.#scalars.count ? null : this.#scalars.since(cursor?.scalars),
      layers: cursor?.layerVersion === this.#layerVersion ? null : this.#layers,
      cursor: {
        version: this.#version,
        historyVersion: this.#historyVersion,
        mistakeVersion: this.#misclassifiedVersion,
        steps: this.#steps.cursor,
        stepCount: this.#stepCount,
        parts: this.#parts.cursor,
        partCount: this.#partCount,
        usage: this.#usage.cursor,
        usageCount: this.#usage.count,
        batchMetrics: this.#batchMetrics.cursor,
        batchMetricCount: this.#batchMetrics.count,
        scalars: this.#scalars.cursor,
        scalarCount: this.#scalars.count,
        layerVersion: this.#layerVersion,
      },
    };
  }

  /** The recorded histograms, which are not part of the updates because of their size. */
  get histograms(): Pick<HistogramHistory, 'names' | 'of'> {
    return this.#histograms;
  }

  get #step(): number {
    return this.#state.step?.step ?? 0;
  }

  /** Seconds from the run's first event. */
  #secondsAt({ timeMs }: TimedEvent): number {
    return (timeMs - this.#state.firstMs) / 1000;
  }

  #set(change: Partial<RunState>): void {
    this.#state = { ...this.#state, ...change };
  }

  #keep(change: Partial<RunHistory>): void {
    this.#history = { ...this.#history, ...change };
    this.#historyVersion++;
  }

  #happen({ timeMs }: TimedEvent, kind: Happening['kind'], text: string): void {
    const happening = { timeMs, step: this.#step, kind, text };
    this.#keep({ happenings: [...this.#history.happenings, happening].slice(-mostHappenings) });
  }

  #onStep(event: EventOf<'step'>): void {
    const { step, loss, learningRate, imagesPerSecond } = event;
    // In the log of a resumed run the event of the resume may be missing.
    if (step <= this.#step) this.#goBackTo(step - 1);
    const seconds = this.#secondsAt(event);
    this.#steps.append(step, { loss, lossMin: loss, lossMax: loss, learningRate, imagesPerSecond, seconds });
    this.#stepCount++;
    if (event.metrics) this.#batchMetrics.note(step, event.metrics, seconds);
    this.#set({ step: event });
  }

  #goBackTo(step: number): void {
    const values = [this.#steps, this.#parts, this.#usage, this.#batchMetrics, this.#scalars];
    for (const series of [...values, this.#histograms]) series.truncate(step);
  }

  #onStatus(event: EventOf<'status'>): void {
    const { phase, generation, refused, workers } = event;
    this.#set({ phase, generation, refused, workers });
    this.#usage.note(event, this.#secondsAt(event));
    const measured = workers.flatMap(({ parts }) => (parts ? [parts] : []));
    if (measured.length === 0) return;
    const mean = noTimes();
    for (const parts of measured) for (const part of stepParts) mean[part] += parts[part] / measured.length;
    this.#parts.append(event.step, { ...mean, seconds: this.#secondsAt(event) });
    this.#partCount++;
  }

  /** Each worker reports its part separately, and again when an evaluation is repeated. */
  #onMisclassified({ split, epoch, step, samples, picture }: EventOf<'misclassified'>): void {
    if (split !== 'test') return;
    const held = this.#misclassified?.step === step ? this.#misclassified.samples : [];
    const known = new Set(held.map(({ index }) => index));
    const all = [...held, ...samples.filter(({ index }) => !known.has(index))];
    all.sort((a, b) => b.confidence - a.confidence || a.index - b.index);
    this.#misclassified = { split, epoch, step, samples: all.slice(0, maxMisclassified), picture };
    this.#misclassifiedVersion++;
  }

  /** Each worker reports its part separately. A new generation repeats an evaluation that it interrupts. */
  #onConfusion({ split, step, generation, classes, cells }: EventOf<'confusion'>): void {
    if (split !== 'test') return;
    const held = this.#confusion;
    const continues = held?.step === step && held.generation === generation;
    const counts = new Map(
      (continues ? held.cells : []).map((cell) => [`${cell.label} ${cell.predicted}`, cell]),
    );
    for (const cell of cells) {
      const key = `${cell.label} ${cell.predicted}`;
      counts.set(key, { ...cell, count: cell.count + (counts.get(key)?.count ?? 0) });
    }
    this.#confusion = { step, generation, classes, cells: [...counts.values()] };
    this.#misclassifiedVersion++;
  }

  #onEnd(event: EventOf<'done'> | EventOf<'error'>, phase: string): void {
    this.#set({ end: event, phase });
    this.#keep({ lives: livesAfterEnd(this.#history.lives, event.timeMs) });
  }

  #onWorker(event: EventOf<'worker'>): void {
    const { state, rank, pid, host, reason } = event;
    this.#keep({ lives: livesAfter(this.#history.lives, event) });
    if (state === 'joined')
      this.#happen(event, 'joined', `Rank ${rank ?? '–'} joins (pid ${pid} on ${host})`);
    else this.#happen(event, state, reason ?? `Rank ${rank ?? '–'} ${state}`);
  }
}
