/** The table of runs, in which runs are selected for comparison with the displayed one. */

import type { RunSummary } from '../../shared/runs/run-list.js';
import type { RunUpdate } from '../run-view/run-view.js';
import { byId, h, tableRows } from './dom.js';
import { day, duration, figure, integer, percent } from './format.js';
import { RunData } from './run-data.js';

export async function fetchRuns(): Promise<readonly RunSummary[]> {
  return (await fetched('/api/runs')).json() as Promise<readonly RunSummary[]>;
}

/** Names of the live run and of the latest one. */
export async function fetchCurrent(): Promise<{ live: string | null; newest: string | null }> {
  return (await fetched('/api/current')).json() as Promise<{ live: string | null; newest: string | null }>;
}

export async function fetchRun(name: string): Promise<RunData> {
  const update = (await (await fetched(`/api/runs/${encodeURIComponent(name)}`)).json()) as RunUpdate;
  const data = new RunData(name);
  data.apply(update);
  return data;
}

async function fetched(path: string): Promise<Response> {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response;
}

export class Runs {
  /** Selected runs, in the order of their selection. */
  readonly chosen = new Map<string, RunData>();
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  show(runs: readonly RunSummary[], looked: string): void {
    const header = [
      '-Compare',
      '-Run',
      '-Name',
      '-Started',
      '-Outcome',
      'Workers',
      'Batch',
      'Steps',
      'Test loss',
      'Test accuracy',
      'Images/s',
      'Took',
      'ETTR',
    ];
    const cells = runs.map((run) => {
      const {
        name,
        config,
        outcome,
        startedMs,
        steps,
        testLoss,
        testAccuracy,
        imagesPerSecond,
        seconds,
        ettr,
      } = run;
      return [
        name === looked ? 'shown' : this.#box(name),
        h('a', { href: `/#run=${encodeURIComponent(name)}` }, name),
        config?.name ?? '–',
        day(startedMs),
        outcome,
        String(config?.workers ?? '–'),
        String(config?.batchSize ?? '–'),
        integer(steps),
        figure(testLoss),
        percent(testAccuracy),
        imagesPerSecond === null ? '–' : integer(imagesPerSecond),
        seconds === null ? '–' : duration(seconds),
        percent(ettr),
      ];
    });
    byId('runs').replaceChildren(
      h('caption', { class: 'unseen' }, 'Runs of this folder'),
      ...tableRows(header, cells),
    );
  }

  #box(name: string): HTMLElement {
    const box = h('input', { type: 'checkbox', 'aria-label': `Compare with ${name}` });
    box.checked = this.chosen.has(name);
    box.addEventListener('change', () => {
      void this.#choose(name, box.checked).catch(() => (box.checked = false));
    });
    return box;
  }

  async #choose(name: string, wanted: boolean): Promise<void> {
    if (wanted) this.chosen.set(name, await fetchRun(name));
    else this.chosen.delete(name);
    this.#changed();
  }
}
