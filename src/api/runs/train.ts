/** `train()`: trains a definition on the workers of this machine, as `lockstep train` does, from the code of another program. */

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError, fromWireError, type ErrorCode } from '../../shared/errors.js';
import type { RunEvent, TimedEvent } from '../../shared/runs/run-events.js';
import type { ConfigInput } from '../config-input.js';
import { placeOfDefinition, type TrainingDefinition } from '../define-training.js';
import type { CommandEnd } from './command-child.js';
import { EventQueue } from './event-queue.js';
import { loadRun, type Run } from './run.js';

/**
 * Options of `train`, and values of configuration fields, which take precedence over the definition and over environment variables.
 * Functions (`model`, a loss, a metric, callbacks) belong to the definition.
 */
export interface TrainOptions extends ConfigInput {
  /** Folder of the run; default: a new one in `runs/`. An unfinished run in it is continued, a finished one is refused. */
  readonly out?: string;
  /** Run whose newest checkpoint the training continues from; `auto`: from `out`, or from the latest run with checkpoints. */
  readonly resume?: string;
  /** True to move an earlier run in `out` aside and to start a new one. */
  readonly fresh?: boolean;
  /** Its abort saves the state after the current step and ends the run, which can then be resumed. */
  readonly signal?: AbortSignal;
  /** Receives each event of the run. */
  readonly onEvent?: (event: TimedEvent) => void;
  /** Receives lines that are not events, such as the address of the dashboard with its token. */
  readonly onLog?: (line: string) => void;
  /** True, a port or `HOST:PORT`: a web page with live charts. */
  readonly dashboard?: boolean | string;
  /** True, or the folder of TensorBoard's event files. */
  readonly tensorboard?: boolean | string;
  /** Sends metrics and a trace to an OpenTelemetry collector, at its address or at the default one. */
  readonly otlp?: boolean | string;
  /** Folder of CURVE keys. */
  readonly keys?: string;
  /** True to train in one process of its own, without worker processes. The result is the same. */
  readonly singleProcess?: boolean;
}

/** A training that runs: a promise of its result, and an async iterable of its events. */
export type TrainingRun = Promise<Run> & AsyncIterable<TimedEvent>;

/**
 * Trains, and resolves with the run when it is done. The training has processes of its own, which end with it. This process keeps its
 * tfjs, its signals and its environment, so that several trainings can run at the same time.
 *
 * When `signal` is aborted, the state is saved, and the promise resolves with a run whose `outcome` is `interrupted`. It rejects with
 * the signal's reason if nothing had been trained yet. When this process ends first, the run is saved and stopped as well.
 *
 * @example
 * const run = train('lockstep.config.ts', { workers: 2, epochs: 3, out: 'runs/first' });
 * for await (const event of run) if (event.event === 'step') console.log(event.step, event.loss);
 * const { history, evaluations } = await run;
 *
 * @param definition path of a training definition, or a definition that is the default export of a file; default: as for
 * `lockstep train`
 * @throws OperationalError with a `code`, for example ConfigError: the promise rejects
 */
export function train(
  definition?: string | URL | TrainingDefinition,
  options: TrainOptions = {},
): TrainingRun {
  const queue = new EventQueue<TimedEvent>();
  const result = runTraining(definition, options, queue);
  // The iteration throws the error as well.
  result.catch(() => undefined);
  return Object.assign(result, { [Symbol.asyncIterator]: () => queue.iterate() });
}

async function runTraining(
  definition: string | URL | TrainingDefinition | undefined,
  { signal, onEvent, onLog, ...options }: TrainOptions,
  queue: EventQueue<TimedEvent>,
): Promise<Run> {
  try {
    signal?.throwIfAborted();
    const args = argumentsOf(definition, options);
    const { runCommand } = await import('./command-child.js');
    let folder: string | undefined;
    let error: Extract<RunEvent, { event: 'error' }> | undefined;
    let hasStarted = false as boolean;
    const end = await runCommand(args, {
      signal,
      stopWith: 'SIGTERM',
      onLine: onLog,
      onOutput: (value) => {
        const event = value as TimedEvent;
        if (event.event === 'run') folder = event.out ?? undefined;
        if (event.event === 'start') hasStarted = true;
        if (event.event === 'error') error = event;
        queue.push(event);
        onEvent?.(event);
      },
    });
    if (!hasStarted) signal?.throwIfAborted();
    if (error && error.code !== 'INTERRUPTED')
      throw fromWireError({ code: error.code as ErrorCode, message: error.message });
    if (folder === undefined || (end.status !== 0 && !error)) throw await reasonOf(end);
    return await loadRun(folder);
  } catch (error) {
    queue.fail(error);
    throw error;
  } finally {
    queue.end();
  }
}

async function reasonOf(end: CommandEnd): Promise<Error> {
  const { unexpectedEnd } = await import('./command-child.js');
  return end.error ?? unexpectedEnd('train', end);
}

function argumentsOf(
  definition: string | URL | TrainingDefinition | undefined,
  options: Omit<TrainOptions, 'signal' | 'onEvent' | 'onLog'>,
): string[] {
  const { out, resume, fresh, dashboard, tensorboard, otlp, keys, singleProcess, ...values } = options;
  const args = ['train', '--json', '--stop-with-parent', '--launcher', 'none', '--values', JSON.stringify(values)];
  const add = (flag: string, value: string | boolean | undefined): void => {
    if (value === undefined || value === false) return;
    args.push(flag);
    if (value !== true) args.push(value);
  };
  add('--config', definition === undefined ? undefined : pathOf(definition));
  add('--out', out);
  add('--resume', resume);
  add('--fresh', fresh);
  add('--dashboard', dashboard);
  add('--tensorboard', tensorboard);
  add('--otlp', otlp);
  add('--keys', keys);
  add('--single-process', singleProcess);
  return args;
}

/** @throws ConfigError if the file of a definition is not known */
function pathOf(definition: string | URL | TrainingDefinition): string {
  if (typeof definition === 'string') return resolve(definition);
  if (definition instanceof URL) return fileURLToPath(definition);
  const place = placeOfDefinition(definition);
  if (place !== undefined && existsSync(place)) return place;
  throw new ConfigError(
    'train: expected a training definition of a file, got one without a file. The workers are processes of their own, which load the ' +
      'file again. Write `export default defineTraining({ ... })` in a file of its own, and pass its path.',
  );
}
