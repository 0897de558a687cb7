/**
 * The displayed state of a run, collected from its events, live or from its log. Its size is bounded for any length of run and any
 * number of workers. Plain data that can be sent to a page.
 */

import { describeChange } from '../../shared/config/resume-policy.js';
import { maxMisclassified } from '../../shared/evaluation/misclassified.js';
import { EffectiveTime } from '../../shared/runs/effective-time.js';
import type { RunEvent, TimedEvent, WorkerStatus } from '../../shared/runs/run-events.js';
import { noTimes, stepParts, type StepPart } from '../../shared/timeline/step-parts.js';
import { Series, type SeriesCursor, type SeriesPart } from './series.js';

type EventOf<Name extends RunEvent['event']> = Extract<TimedEvent, { event: Name }>;

/** An entry of the list of events. */
export interface Happening {
  readonly timeMs: number;
  readonly step: number;
  readonly kind: 'joined' | 'lost' | 'left' | 'recovered' | 'checkpoint' | 'warning' | 'error' | 'run';
  readonly text: string;
}

/** A worker process from its join to its end. */
export interface Life {
  readonly rank: number | null;
  readonly pid: number;
  readonly host: string;
  readonly fromMs: number;
  readonly toMs: number | null;
  readonly end: 'lost' | 'left' | null;
}

export interface RunState {
  readonly run: EventOf<'run'> | null;
  readonly start: EventOf<'start'> | null;
  readonly step: EventOf<'step'> | null;
  readonly phase: string;
  readonly generation: number;
  readonly refused: number;
  readonly workers: readonly WorkerStatus[];
  readonly end: EventOf<'done'> | EventOf<'error'> | null;
  /** Effective training time ratio, from 0 to 1; null before the first step. */
  readonly ettr: number | null;
  readonly firstMs: number;
  readonly lastMs: number;
}

/** Data that changes rarely. */
export interface RunHistory {
  readonly evaluations: readonly EventOf<'eval'>[];
  readonly happenings: readonly Happening[];
  readonly lives: readonly Life[];
}

/** Result of the last evaluation on the test set. */
export type ShownMisclassified = Omit<EventOf<'misclassified'>, 'rank' | 'event' | 'timeMs'>;

/** Changes since a cursor; a part without changes is null. */
export interface RunUpdate {
  readonly state: RunState | null;
  readonly history: RunHistory | null;
  readonly misclassified: ShownMisclassified | null;
  readonly steps: SeriesPart | null;
  /** Milliseconds of a step by part, as the mean over the workers; x is the step. Both series have the seconds since the first event. */
  readonly parts: SeriesPart | null;
  readonly cursor: RunCursor;
}

export interface RunCursor {
  readonly version: number;
  readonly historyVersion: number;
  readonly mistakeVersion: number;
  readonly steps: SeriesCursor;
  readonly stepCount: number;
  readonly parts: SeriesCursor;
  readonly partCount: number;
}

const mostHappenings = 400;
const mostLives = 200;
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
  };
  #misclassified: ShownMisclassified | null = null;
  #history: RunHistory = { evaluations: [], happenings: [], lives: [] };

  note(event: TimedEvent): void {
    const { timeMs } = event;
    this.#version++;
    this.#time.note(event);
    this.#set({ firstMs: this.#state.firstMs || timeMs, lastMs: timeMs, ettr: this.#time.ratio });
    switch (event.event) {
      case 'run':
        this.#set({ run: event, end: null });
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
        else this.#happen(event, 'recovered', goesOn(event));
        break;
      case 'eval':
        this.#keep({ evaluations: [...this.#history.evaluations, event].slice(-mostEvaluations) });
        break;
      case 'misclassified':
        this.#onMisclassified(event);
        break;
      case 'checkpoint':
        this.#happen(event, 'checkpoint', `Checkpoint of step ${event.step}`);
        break;
      case 'resumed':
        this.#steps.truncate(event.step);
        this.#parts.truncate(event.step);
        this.#set({ end: null });
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
        this.#set({ end: event, phase: 'failed' });
        break;
      case 'done':
        this.#happen(event, 'run', `Done after ${event.steps} steps`);
        this.#set({ end: event, phase: 'done' });
        break;
      case 'coordinator':
      case 'model':
      case 'histograms':
      case 'scalars':
      case 'saved':
      case 'timeline':
      case 'dashboard':
        break;
    }
  }

  /** Returns everything if there is no cursor. */
  since(cursor?: RunCursor): RunUpdate {
    return {
      state: cursor?.version === this.#version ? null : this.#state,
      history: cursor?.historyVersion === this.#historyVersion ? null : this.#history,
      misclassified: cursor?.mistakeVersion === this.#misclassifiedVersion ? null : this.#misclassified,
      steps: cursor?.stepCount === this.#stepCount ? null : this.#steps.since(cursor?.steps),
      parts: cursor?.partCount === this.#partCount ? null : this.#parts.since(cursor?.parts),
      cursor: {
        version: this.#version,
        historyVersion: this.#historyVersion,
        mistakeVersion: this.#misclassifiedVersion,
        steps: this.#steps.cursor,
        stepCount: this.#stepCount,
        parts: this.#parts.cursor,
        partCount: this.#partCount,
      },
    };
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
    if (step <= this.#step) this.#steps.truncate(step - 1);
    const seconds = this.#secondsAt(event);
    this.#steps.append(step, { loss, lossMin: loss, lossMax: loss, learningRate, imagesPerSecond, seconds });
    this.#stepCount++;
    this.#set({ step: event });
  }

  #onStatus(event: EventOf<'status'>): void {
    const { phase, generation, refused, workers } = event;
    this.#set({ phase, generation, refused, workers });
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

  #onWorker(event: EventOf<'worker'>): void {
    const { state, rank, pid, host, timeMs, reason } = event;
    const { lives } = this.#history;
    if (state === 'joined') {
      const life: Life = { rank, pid, host, fromMs: timeMs, toMs: null, end: null };
      this.#keep({ lives: [...lives, life].slice(-mostLives) });
      this.#happen(event, 'joined', `Rank ${rank ?? '–'} joins (pid ${pid} on ${host})`);
    } else {
      const ended = (life: Life): Life =>
        life.pid === pid && life.host === host && life.toMs === null
          ? { ...life, toMs: timeMs, end: state }
          : life;
      this.#keep({ lives: lives.map(ended) });
      this.#happen(event, state, reason ?? `Rank ${rank ?? '–'} ${state}`);
    }
  }
}

function goesOn({ workers, seconds }: EventOf<'generation'>): string {
  return `Continues with ${workers.length} ${workers.length === 1 ? 'worker' : 'workers'} after ${seconds.toFixed(1)} s`;
}
