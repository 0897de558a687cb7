/** A run's events in words: at most a few lines each, with the level they are logged at. Decides nothing about where they go. */

import type { RunEvent } from '../../shared/runs/run-events.js';
import { totalOf, waitingOf } from '../../shared/timeline/step-parts.js';
import { timelineTable } from '../tables/timeline-table.js';

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface Line {
  readonly level: Exclude<LogLevel, 'silent'>;
  readonly text: string;
}

const info = (text: string): Line => ({ level: 'info', text });
const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

/** Whether what is said at `level` is wanted. */
export function isLogged(level: LogLevel, wanted: LogLevel): boolean {
  return logLevels.indexOf(level) >= logLevels.indexOf(wanted);
}

export class Lines {
  readonly #rateInLine: boolean;
  #logEvery = 100;
  #epochs = 1;
  #stepsPerEpoch = 1;
  #steps = 0;

  /** @param rateInLine the images a second belong into a step's line, since nothing else shows them */
  constructor({ rateInLine }: { readonly rateInLine: boolean }) {
    this.#rateInLine = rateInLine;
  }

  of(event: RunEvent): readonly Line[] {
    switch (event.event) {
      case 'run': {
        const { config } = event;
        this.#logEvery = config.logEvery;
        return [
          info(
            `${config.name}: ${count(config.workers, 'worker')}, ${config.shards} shards, batch ${config.batchSize}, ${config.threads} threads a worker, seed ${config.seed}`,
          ),
        ];
      }
      case 'coordinator':
        return [];
      case 'worker':
        if (event.state === 'joined')
          return [info(`rank ${event.rank ?? '?'} (pid ${event.pid} on ${event.host}): ${event.engine}`)];
        return [
          {
            level: event.state === 'lost' ? 'warn' : 'info',
            text: event.reason ?? `rank ${event.rank ?? '?'} left`,
          },
        ];
      case 'generation': {
        const took = `(${event.seconds.toFixed(1)} s)`;
        const workers = count(event.workers.length, 'worker');
        if (event.reason === 'membership')
          return [info(`Going on after step ${event.step} with ${workers} ${took}`)];
        return [info(`Shards dealt anew after step ${event.step}: ${shares(event)} ${took}`)];
      }
      case 'start':
        this.#epochs = event.epochs;
        this.#stepsPerEpoch = event.stepsPerEpoch;
        this.#steps = event.steps;
        return [info(`${event.parameters} parameters, ${event.steps} steps`)];
      case 'step': {
        const inEpoch = ((event.step - 1) % this.#stepsPerEpoch) + 1;
        const rate = this.#rateInLine ? `, ${Math.round(event.imagesPerSecond)} images/s` : '';
        return [
          {
            level: inEpoch % this.#logEvery === 0 ? 'info' : 'debug',
            text: `Epoch:${event.epoch}/${this.#epochs}, step:${inEpoch}, loss:${event.loss.toFixed(4)}${rate}`,
          },
        ];
      }
      case 'status':
        return event.workers.map(({ rank, pid, state, step, shards, parts }) => ({
          level: 'debug',
          text:
            `rank ${rank ?? '–'} (pid ${pid}): ${state}, step ${step}, ${count(shards, 'shard')}` +
            (parts
              ? `, ${totalOf(parts).toFixed(1)} ms a step, ${waitingOf(parts).toFixed(1)} of them waiting`
              : ''),
        }));
      case 'eval': {
        const { accuracy, correct, metrics } = event;
        const name = event.split === 'test' ? 'Test set' : 'Train set';
        const classified =
          accuracy === undefined || correct === undefined
            ? []
            : [`Accuracy: ${correct}/${event.count} (${(accuracy * 100).toFixed(3)}%)`];
        const others = Object.entries(metrics)
          .filter(([metric]) => metric !== 'accuracy')
          .map(([metric, value]) => `${metric}: ${value.toFixed(4)}`);
        const results = [`Average loss: ${event.loss.toFixed(4)}`, ...classified, ...others];
        const within = event.step % this.#stepsPerEpoch > 0;
        const when = event.epoch === 0 ? '' : within ? `, step ${event.step}` : `, epoch ${event.epoch}`;
        return [info(`${name}${when}: ${results.join(', ')}`)];
      }
      case 'checkpoint':
        return [info(`Checkpoint of step ${event.step}: ${event.path}`)];
      case 'resumed':
        return [
          ...event.skipped.map((reason): Line => ({ level: 'warn', text: `Skipped: ${reason}` })),
          info(`Going on after step ${event.step} from ${event.path}`),
        ];
      case 'timeline':
        return timelineTable(event).map(info);
      case 'misclassified':
      case 'model':
      case 'histograms':
      // Said by the one who knows the token.
      case 'dashboard':
        return [];
      case 'saved':
        return [info(`Model saved to ${event.path}`)];
      case 'done':
        return [
          ...(event.steps < this.#steps
            ? [
                info(
                  `Stopped after step ${event.steps} of ${this.#steps}: the test set had stopped getting better`,
                ),
              ]
            : []),
          info(
            `Done: ${event.steps} steps in ${event.seconds.toFixed(1)} s, ${Math.round(event.imagesPerSecond)} images/s, weights ${event.weightsSha256.slice(0, 16)}`,
          ),
        ];
      case 'warning':
        return [{ level: 'warn', text: `Warning: ${event.message}` }];
      case 'error':
        return [{ level: 'error', text: `Error (${event.code}): ${event.message}` }];
    }
  }
}

/** Workers beyond these are left to the log. */
const mostShares = 8;

/** `11 to rank 0 (5.1 ms each), 5 to rank 1 (11.9 ms each)` */
function shares({ workers }: Extract<RunEvent, { event: 'generation' }>): string {
  const shown = workers.slice(0, mostShares).map(({ rank, shards, shardMs }) => {
    const pace = shardMs === null ? '' : ` (${shardMs.toFixed(1)} ms each)`;
    return `${shards.end - shards.start} to rank ${rank}${pace}`;
  });
  return `${shown.join(', ')}${workers.length > mostShares ? ', …' : ''}`;
}
