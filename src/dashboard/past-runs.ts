/**
 * The views of earlier runs, from their event logs. A log can be large, so one is read at a time, requests for the same run share the
 * reading, and the last few views are kept until their logs change.
 */

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { eventsName, readEvents } from '../shared/runs/read-events.js';
import { RunView } from './run-view/run-view.js';

const maxKept = 8;
/** Requests beyond this number are refused until others are answered. */
const maxWaiting = 16;

interface Kept {
  readonly stamp: string;
  readonly view: Promise<RunView>;
}

export class PastRuns {
  readonly #folder: string;
  /** The least recently used one comes first. */
  readonly #kept = new Map<string, Kept>();
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Returns the view of a run; `busy` if too many logs are waiting to be read.
   * @throws the file system's error if there is no log
   */
  async view(name: string): Promise<RunView | 'busy'> {
    const run = join(this.#folder, name);
    const { size, mtimeMs } = await stat(join(run, eventsName));
    const stamp = `${size}/${mtimeMs}`;
    const kept = this.#kept.get(name);
    if (kept?.stamp === stamp) {
      this.#keep(name, kept);
      return kept.view;
    }
    if (this.#waiting >= maxWaiting) return 'busy';
    const view = this.#afterOthers(() => read(run));
    this.#keep(name, { stamp, view });
    view.catch(() => this.#kept.delete(name));
    return view;
  }

  #keep(name: string, kept: Kept): void {
    this.#kept.delete(name);
    this.#kept.set(name, kept);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > maxKept && oldest !== undefined) this.#kept.delete(oldest);
  }

  #afterOthers<T>(action: () => Promise<T>): Promise<T> {
    this.#waiting++;
    const result = this.#last.then(action, action).finally(() => this.#waiting--);
    this.#last = result;
    return result;
  }
}

async function read(run: string): Promise<RunView> {
  const view = new RunView();
  for await (const event of readEvents(run)) view.note(event);
  return view;
}
