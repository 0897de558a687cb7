/**
 * The settings of the page in its address, after the `#`: a reload, a bookmark or a copied link shows the same runs in the same way.
 * Unknown or invalid values of an address are ignored.
 */

import { isRunName } from '../../shared/runs/run-name.js';

export const axisNames = ['step', 'time', 'epoch'] as const;
export type AxisName = (typeof axisNames)[number];

export interface PageSettings {
  /** The displayed run; null for the live run, or the latest one. */
  readonly run: string | null;
  /** Runs that are compared with the displayed one, in the order of their selection. */
  readonly compare: readonly string[];
  readonly x: AxisName;
  /** Weight of the previous values in the smoothed ones, from 0 to `maxSmoothing`. */
  readonly smoothing: number;
  /** True for a logarithmic loss axis. */
  readonly log: boolean;
  /** Lines that are hidden, as `chart/line`. */
  readonly hidden: readonly string[];
  /** Column by which the runs are sorted; a minus sign reverses the order. */
  readonly sort: string;
  /** Text of the search field of the runs. */
  readonly search: string;
  /** The outcome of the listed runs; empty for any. */
  readonly outcome: string;
  /** True to list only the fields of the configuration that differ between the runs. */
  readonly differences: boolean;
}

export const maxSmoothing = 0.99;
/** Number of runs that have colours of their own beside the displayed one. */
export const maxCompared = 7;

const defaults: PageSettings = {
  run: null,
  compare: [],
  x: 'step',
  smoothing: 0,
  log: false,
  hidden: [],
  sort: '-startedMs',
  search: '',
  outcome: '',
  differences: false,
};

/** @param hash the part of an address from its `#` */
export function parseSettings(hash: string): PageSettings {
  const found = new URLSearchParams(hash.replace(/^#/, ''));
  const run = found.get('run');
  const x = found.get('x');
  const smoothing = Number(found.get('smoothing') ?? 0);
  return {
    run: run !== null && isRunName(run) ? run : null,
    compare: [...new Set(listIn(found.get('compare')))]
      .filter((name) => isRunName(name) && name !== run)
      .slice(0, maxCompared),
    x: axisNames.find((name) => name === x) ?? defaults.x,
    smoothing: smoothing >= 0 && smoothing <= maxSmoothing ? smoothing : defaults.smoothing,
    log: found.get('log') === '1',
    hidden: listIn(found.get('hidden')).map((key) => key.replaceAll('%2C', ',')),
    sort: found.get('sort') ?? defaults.sort,
    search: found.get('search') ?? defaults.search,
    outcome: found.get('outcome') ?? defaults.outcome,
    differences: found.get('differences') === '1',
  };
}

const listIn = (text: string | null): string[] => (text ?? '').split(',').filter((item) => item !== '');

/** Returns the address of these settings, from its `#`. Settings with their default value are left out. */
export function formatSettings(settings: PageSettings): string {
  const { run, compare, x, smoothing, log, hidden, sort, search, outcome, differences } = settings;
  const entries: [string, string, boolean][] = [
    ['run', run ?? '', run === defaults.run],
    ['compare', compare.join(','), compare.length === 0],
    ['x', x, x === defaults.x],
    ['smoothing', String(smoothing), smoothing === defaults.smoothing],
    ['log', '1', !log],
    // A name of a line may contain a comma.
    ['hidden', hidden.map((key) => key.replaceAll(',', '%2C')).join(','), hidden.length === 0],
    ['sort', sort, sort === defaults.sort],
    ['search', search, search === defaults.search],
    ['outcome', outcome, outcome === defaults.outcome],
    ['differences', '1', !differences],
  ];
  const given = entries.filter(([, , isDefault]) => !isDefault).map(([name, value]) => [name, value]);
  return `#${new URLSearchParams(given).toString().replaceAll('%2C', ',').replaceAll('%2F', '/')}`;
}

/** The settings of this page. Changing them changes the address and adds no entry to the browser's history. */
export class Address {
  #settings = parseSettings(location.hash);

  get settings(): PageSettings {
    return this.#settings;
  }

  change(change: Partial<PageSettings>): void {
    this.#settings = { ...this.#settings, ...change };
    history.replaceState(null, '', formatSettings(this.#settings));
  }

  /** Returns the address of another run with the same settings. */
  linkTo(run: string): string {
    const compare = this.#settings.compare.filter((name) => name !== run);
    return formatSettings({ ...this.#settings, run, compare });
  }
}
