/** Formats a run's events as lines of text, each with its log level. It does not decide where the lines are written. */

import { describeChange } from '../../shared/config/resume-policy.js';
import type { RunEvent } from '../../shared/runs/run-events.js';
import { totalOf, waitingOf } from '../../shared/timeline/step-parts.js';
import { timelineTable } from '../tables/timeline-table.js';
import { EpochSummary } from './epoch-summary.js';
import type { LogLevel } from './log-level.js';

export interface LogLine {
  readonly level: Exclude<LogLevel, 'silent'>;
  readonly text: string;
}

type EventOf<Name extends RunEvent['event']> = Extract<RunEvent, { event: Name }>;

const info = (text: string): LogLine => ({ level: 'info', text });
const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;

/** Number of workers that a line about shards lists. */
const mostListedWorkers = 8;

export class EventFormatter {
  readonly #withRate: boolean;
  readonly #epochSummary = new EpochSummary();
  #logEvery = 100;
  #epochs = 1;
  #stepsPerEpoch = 1;
  #steps = 0;

  /** @param withRate true to include samples per second in the line of a step */
  constructor({ withRate }: { readonly withRate: boolean }) {
    this.#withRate = withRate;
  }

  format(event: RunEvent): readonly LogLine[] {
    const epoch = this.#epochSummary.next(event);
    const lines = this.#linesOf(event);
    if (epoch === undefined) return lines;
    // The line of an epoch follows its evaluation, and precedes every later event.
    return event.event === 'eval' ? [...lines, info(epoch)] : [info(epoch), ...lines];
  }

  #linesOf(event: RunEvent): readonly LogLine[] {
    switch (event.event) {
      case 'run':
        this.#logEvery = event.config.logEvery;
        return [info(formatRun(event))];
      case 'worker':
        return [formatWorker(event)];
      case 'generation':
        return [info(formatGeneration(event))];
      case 'start':
        this.#epochs = event.epochs;
        this.#stepsPerEpoch = event.stepsPerEpoch;
        this.#steps = event.steps;
        return [info(`${count(event.parameters, 'parameter')}, ${count(event.steps, 'step')}`)];
      case 'step':
        return [this.#formatStep(event)];
      case 'status':
        return event.workers.map((worker) => ({ level: 'debug', text: formatStatus(worker) }));
      case 'eval':
        return [info(this.#formatEvaluation(event))];
      case 'checkpoint':
        return [info(`Checkpoint of step ${event.step}${durationOf(event)}: ${event.path}`)];
      case 'resumed':
        return [
          ...event.skipped.map((reason): LogLine => ({ level: 'warn', text: `Skipped: ${reason}` })),
          info(`Resumed after step ${event.step} from ${event.path}`),
        ];
      case 'changed':
        return [info(`Changed: ${describeChange(event)} from step ${event.step}`)];
      case 'timeline':
        return timelineTable(event).map(info);
      case 'saved':
        return [info(`Model saved to ${event.path}`)];
      case 'done':
        return this.#formatDone(event).map(info);
      case 'warning':
        return [{ level: 'warn', text: `Warning: ${event.message}` }];
      case 'error':
        return [{ level: 'error', text: `Error (${event.code}): ${event.message}` }];
      case 'coordinator':
      case 'misclassified':
      case 'confusion':
      case 'model':
      case 'histograms':
      case 'scalars':
      case 'gap':
      // The address is printed with its token when the dashboard opens; the event does not contain the token.
      case 'dashboard':
        return [];
    }
  }

  #formatStep({ epoch, step, loss, imagesPerSecond }: EventOf<'step'>): LogLine {
    const inEpoch = ((step - 1) % this.#stepsPerEpoch) + 1;
    const rate = this.#withRate ? `, ${Math.round(imagesPerSecond)} samples/s` : '';
    return {
      level: inEpoch % this.#logEvery === 0 ? 'info' : 'debug',
      text: `Epoch:${epoch}/${this.#epochs}, step:${inEpoch}, loss:${loss.toFixed(4)}${rate}`,
    };
  }

  #formatEvaluation({ split, epoch, step, loss, metrics, ...event }: EventOf<'eval'>): string {
    const { accuracy, correct } = event;
    const name = split === 'test' ? 'Test set' : 'Train set';
    const classified =
      accuracy === undefined || correct === undefined
        ? []
        : [`Accuracy: ${correct}/${event.count} (${(accuracy * 100).toFixed(3)}%)`];
    const others = Object.entries(metrics)
      .filter(([metric]) => metric !== 'accuracy')
      .map(([metric, value]) => `${metric}: ${value.toFixed(4)}`);
    const results = [`Average loss: ${loss.toFixed(4)}`, ...classified, ...others];
    const withinEpoch = step % this.#stepsPerEpoch > 0;
    const when = epoch === 0 ? '' : withinEpoch ? `, step ${step}` : `, epoch ${epoch}`;
    return `${name}${when}: ${results.join(', ')}`;
  }

  #formatDone({ steps, seconds, imagesPerSecond, weightsSha256 }: EventOf<'done'>): string[] {
    const summary =
      `Done: ${count(steps, 'step')} in ${seconds.toFixed(1)} s, ` +
      `${Math.round(imagesPerSecond)} samples/s, weights ${weightsSha256.slice(0, 16)}`;
    if (steps >= this.#steps) return [summary];
    return [`Stopped after step ${steps} of ${this.#steps}: the test set had stopped improving`, summary];
  }
}

function formatRun({ config }: EventOf<'run'>): string {
  const { name, workers, shards, batchSize, threads, seed } = config;
  return (
    `${name}: ${count(workers, 'worker')}, ${count(shards, 'shard')}, batch ${batchSize}, ` +
    `${count(threads, 'thread')} per worker, seed ${seed}`
  );
}

function formatWorker({ state, rank, pid, host, engine, reason }: EventOf<'worker'>): LogLine {
  if (state === 'joined') return info(`rank ${rank ?? '?'} (pid ${pid} on ${host}): ${engine}`);
  return { level: state === 'lost' ? 'warn' : 'info', text: reason ?? `rank ${rank ?? '?'} left` };
}

function formatGeneration(event: EventOf<'generation'>): string {
  const took = `(${event.seconds.toFixed(1)} s)`;
  if (event.reason === 'balance')
    return `Shards reassigned after step ${event.step}: ${formatShards(event)} ${took}`;
  return `Continuing after step ${event.step} with ${count(event.workers.length, 'worker')} ${took}`;
}

/** For example `11 to rank 0 (5.1 ms each), 5 to rank 1 (11.9 ms each)`. */
function formatShards({ workers }: EventOf<'generation'>): string {
  const listed = workers.slice(0, mostListedWorkers).map(({ rank, shards, shardMs }) => {
    const time = shardMs === null ? '' : ` (${shardMs.toFixed(1)} ms each)`;
    return `${shards.end - shards.start} to rank ${rank}${time}`;
  });
  return `${listed.join(', ')}${workers.length > mostListedWorkers ? ', …' : ''}`;
}

function formatStatus({
  rank,
  pid,
  state,
  step,
  shards,
  parts,
}: EventOf<'status'>['workers'][number]): string {
  const times = parts
    ? `, ${totalOf(parts).toFixed(1)} ms per step, ${waitingOf(parts).toFixed(1)} ms of it waiting`
    : '';
  return `rank ${rank ?? '–'} (pid ${pid}): ${state}, step ${step}, ${count(shards, 'shard')}${times}`;
}

/** The time that a save took, which a supervisor must grant a run that it stops. */
function durationOf({ seconds }: Extract<RunEvent, { event: 'checkpoint' }>): string {
  return seconds === undefined ? '' : ` in ${seconds.toFixed(2)} s`;
}
