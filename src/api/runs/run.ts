/** A run that is saved in a folder: its configuration, its history, its evaluations and its model. */

import { join, resolve } from 'node:path';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { ResolvedConfig } from '../../shared/config/run-config.js';
import { ConfigError, systemCode } from '../../shared/errors.js';
import { bulky, eventsName, readEvents as readLog } from '../../shared/runs/read-events.js';
import type { TimedEvent } from '../../shared/runs/run-events.js';
import { listRuns as listFolder, summarizeRun, type RunSummary } from '../../shared/runs/run-list.js';
import type { Tensorflow } from '../tensorflow.js';
import { HistoryCollector, type EpochRecord, type Evaluation } from './history.js';

export type { EpochRecord, Evaluation } from './history.js';
export type { RunEvent, TimedEvent } from '../../shared/runs/run-events.js';
export type { RunSummary } from '../../shared/runs/run-list.js';

/** A run in a folder, as it was when it was read. */
export interface Run {
  readonly folder: string;
  /** `open`: the run trains, or its process ended without a word. `interrupted`: it was stopped, and can be resumed. */
  readonly outcome: RunSummary['outcome'];
  /** The configuration with all defaults; null if the run ended before it was known. */
  readonly config: ResolvedConfig | null;
  /** Number of steps so far. */
  readonly steps: number;
  readonly history: readonly EpochRecord[];
  /** Every evaluation, in order. */
  readonly evaluations: readonly Evaluation[];
  /** Hash of the final weights, equal for any number of workers; null unless the run is done. */
  readonly weightsSha256: string | null;
  /** Message of the error that ended the run; null if there was none. */
  readonly error: string | null;
  /** Every event of the run's log, from the first one. */
  events(): AsyncGenerator<TimedEvent>;
  /**
   * Opens the saved model with the tfjs of this process. The caller disposes it.
   * @param options.tf the tfjs that builds the model; default: the one that Lockstep has installed
   * @throws ModelError if there is no model, or if it has a layer of a class that is not registered
   */
  model(options?: { readonly tf?: Tensorflow }): Promise<LayersModel>;
}

/**
 * Reads a run.
 * @param folder the run's folder, e.g. `runs/first`
 * @throws ConfigError if there is no run in the folder
 */
export async function loadRun(folder: string): Promise<Run> {
  const path = resolve(folder);
  const history = new HistoryCollector();
  for await (const event of readEvents(path, { skip: bulky })) history.add(event);
  const { outcome, config, steps, weightsSha256, error } = await summarizeRun(path);
  return {
    folder: path,
    outcome,
    config,
    steps,
    history: history.epochs(),
    evaluations: history.evaluations,
    weightsSha256: outcome === 'done' ? weightsSha256 : null,
    error,
    events: () => readEvents(path),
    model: async (options = {}) => {
      const { openSavedModel } = await import('../../worker/model-files/open-saved-model.js');
      return openSavedModel(path, options.tf);
    },
  };
}

/**
 * Lists the runs in a folder, newest first.
 * @param folder folder that contains the folders of runs
 */
export function listRuns(folder = 'runs'): Promise<RunSummary[]> {
  return listFolder(resolve(folder));
}

/**
 * Reads the events of a run's log, one after another.
 * @param folder the run's folder
 * @param options.skip kinds of events to leave out, which makes long logs fast to read
 * @throws ConfigError if there is no log
 */
export async function* readEvents(
  folder: string,
  { skip = [] }: { readonly skip?: readonly TimedEvent['event'][] } = {},
): AsyncGenerator<TimedEvent> {
  try {
    yield* readLog(folder, skip);
  } catch (cause) {
    if (systemCode(cause) === undefined) throw cause;
    throw new ConfigError(
      `Run ${folder}: expected the log ${join(folder, eventsName)}, got ${systemCode(cause) ?? 'none'}. Name the folder of a run.`,
      { folder },
      cause,
    );
  }
}
