/** The table of runs, in which runs are selected for comparison with the displayed one. */

import type { RunSummary } from '../../shared/runs/run-list.js';
import type { RunUpdate } from '../run-view/run-view.js';
import { maxCompared, type Address } from './address.js';
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
  readonly #address: Address;
  readonly #changed: () => void;
  /** Loaded runs, which stay here when they are deselected. */
  readonly #loaded = new Map<string, RunData>();

  /** @param changed called when other runs are compared */
  constructor(address: Address, changed: () => void) {
    this.#address = address;
    this.#changed = changed;
  }

  /** Selected runs that are loaded, in the order of their selection. */
  get compared(): RunData[] {
    return this.#address.settings.compare.flatMap((name) => this.#loaded.get(name) ?? []);
  }

  /** Loads the runs that the address selects. A run that does not exist any more is deselected. */
  async loadSelected(): Promise<void> {
    for (const name of this.#address.settings.compare) {
      if (!this.#loaded.has(name)) await this.#load(name).catch(() => this.#select(name, false));
    }
    this.#changed();
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
        h('a', { href: this.#address.linkTo(name) }, name),
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
    const { compare } = this.#address.settings;
    const box = h('input', { type: 'checkbox', 'aria-label': `Compare with ${name}` });
    box.checked = compare.includes(name);
    if (!box.checked && compare.length >= maxCompared) {
      box.disabled = true;
      box.title = `At most ${maxCompared} runs are compared with this one. Deselect another one first.`;
    }
    box.addEventListener('change', () => {
      this.#select(name, box.checked);
      void this.loadSelected();
    });
    return box;
  }

  #select(name: string, wanted: boolean): void {
    const others = this.#address.settings.compare.filter((other) => other !== name);
    this.#address.change({ compare: wanted ? [...others, name] : others });
  }

  async #load(name: string): Promise<void> {
    this.#loaded.set(name, await fetchRun(name));
  }
}
