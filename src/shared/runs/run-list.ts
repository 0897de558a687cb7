/** Lists the runs in a folder with their outcome, from their event logs. Changes nothing. */

import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ResolvedConfig } from '../config/run-config.js';
import { EffectiveTime } from './effective-time.js';
import { readLabels } from './labels.js';
import type { TimedEvent } from './run-events.js';
import { LogFollower } from './log-follower.js';
import { bulky, eventsName } from './read-events.js';

export interface RunSummary {
  /** Name of the run's folder. */
  readonly name: string;
  readonly path: string;
  /** `open` if the run trains, or ended without a final event. */
  readonly outcome: 'done' | 'failed' | 'interrupted' | 'open';
  readonly config: ResolvedConfig | null;
  readonly startedMs: number;
  readonly seconds: number | null;
  readonly steps: number;
  /** Result of the last evaluation on the test set. */
  readonly testLoss: number | null;
  readonly testAccuracy: number | null;
  /** Metrics of that evaluation by name. */
  readonly testMetrics: Readonly<Record<string, number>>;
  readonly imagesPerSecond: number | null;
  readonly recoveries: number;
  /** Effective training time ratio, from 0 to 1. */
  readonly ettr: number | null;
  readonly weightsSha256: string | null;
  readonly error: string | null;
  /** Tags that a person gave the run. */
  readonly tags: readonly string[];
  readonly note: string | null;
}

/**
 * Lists the runs, newest first. Folders without an event log are skipped.
 * @param live a run whose events are at hand, so that its log is not read
 */
export async function listRuns(folder: string, live?: RunSummarizer): Promise<RunSummary[]> {
  const names = await readdir(folder).catch((): string[] => []);
  const runs: RunSummary[] = [];
  for (const name of names) {
    const path = join(folder, name);
    const summary = await (live?.path === path ? labelled(live.summary) : summarizeRun(path)).catch(
      () => undefined,
    );
    if (summary) runs.push(summary);
  }
  return runs.sort((a, b) => b.startedMs - a.startedMs || b.name.localeCompare(a.name));
}

/** Returns the name of the run whose log was written last; null if there is none. Reads no log. */
export async function newestRun(folder: string): Promise<string | null> {
  let newest: { name: string | null; mtimeMs: number } = { name: null, mtimeMs: -1 };
  for (const name of await readdir(folder).catch((): string[] => [])) {
    const mtimeMs = await stat(join(folder, name, eventsName)).then(
      (log) => log.mtimeMs,
      () => -1,
    );
    if (mtimeMs > newest.mtimeMs) newest = { name, mtimeMs };
  }
  return newest.name;
}

const logs = new Map<string, RunLog>();

/** Reads what the log has received since the last call. @throws the file system's error if there is no log */
export async function summarizeRun(path: string): Promise<RunSummary> {
  const log = logs.get(path) ?? new RunLog(path);
  logs.set(path, log);
  try {
    return await labelled(await log.summary());
  } catch (error) {
    logs.delete(path);
    throw error;
  }
}

/** The summary of a run whose log may still grow. */
class RunLog {
  readonly #path: string;
  readonly #follower: LogFollower;
  #summarizer: RunSummarizer;
  #last: Promise<unknown> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
    this.#follower = new LogFollower(path, bulky);
    this.#summarizer = new RunSummarizer(path);
  }

  /** Two readings at once would count events twice, so they follow each other. */
  summary(): Promise<RunSummary> {
    const result = this.#last.then(() => this.#read());
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #read(): Promise<RunSummary> {
    await this.#follower.read(
      (event) => this.#summarizer.note(event),
      () => (this.#summarizer = new RunSummarizer(this.#path)),
    );
    const { summary } = this.#summarizer;
    if (summary.startedMs > 0) return summary;
    // In old logs events have no time.
    const { birthtimeMs } = await stat(join(this.#path, eventsName));
    return { ...summary, startedMs: birthtimeMs };
  }
}

const labelled = async (summary: RunSummary): Promise<RunSummary> => ({
  ...summary,
  ...(await readLabels(summary.path)),
});

/** Collects the summary of a run, without its labels, from its events. */
export class RunSummarizer {
  readonly path: string;
  readonly #time = new EffectiveTime();
  #summary: RunSummary;

  /** @param path the run's folder */
  constructor(path: string) {
    this.path = path;
    this.#summary = {
      name: basename(path), path, outcome: 'open', config: null, startedMs: 0, seconds: null, steps: 0,
      testLoss: null, testAccuracy: null, testMetrics: {}, imagesPerSecond: null, recoveries: 0, ettr: null,
      weightsSha256: null, error: null, tags: [], note: null,
    };
  }

  note(event: TimedEvent): void {
    this.#time.note(event);
    this.#summary = { ...this.#summary, ...changeBy(this.#summary, event) };
  }

  get summary(): RunSummary {
    return { ...this.#summary, ettr: this.#time.ratio };
  }
}

function changeBy(summary: RunSummary, event: TimedEvent): Partial<RunSummary> {
  const { timeMs } = event;
  if (event.event === 'run')
    return { config: event.config, outcome: 'open', error: null, startedMs: summary.startedMs || timeMs };
  if (event.event === 'resumed') return { outcome: 'open', error: null };
  if (event.event === 'step') return { steps: event.step, imagesPerSecond: event.imagesPerSecond };
  if (event.event === 'generation')
    return event.reason === 'membership' ? { recoveries: summary.recoveries + 1 } : {};
  if (event.event === 'eval')
    return event.split === 'test'
      ? { testLoss: event.loss, testAccuracy: event.accuracy ?? null, testMetrics: event.metrics }
      : {};
  if (event.event === 'done') {
    const { steps, seconds, imagesPerSecond, weightsSha256 } = event;
    return { outcome: 'done', steps, seconds, imagesPerSecond, weightsSha256 };
  }
  if (event.event !== 'error') return {};
  return { outcome: event.code === 'INTERRUPTED' ? 'interrupted' : 'failed', error: event.message };
}
