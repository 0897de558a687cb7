/** Values of a run by name, and the sorting, filtering and choice of runs by them. */

import { ConfigError } from '../../shared/errors.js';
import type { RunSummary } from '../../shared/runs/run-list.js';

/** Fields of a summary that are numbers or texts and can be named as they are. */
const summaryFields = ['name', 'outcome', 'steps', 'seconds', 'testLoss', 'testAccuracy', 'imagesPerSecond', 'recoveries', 'ettr', 'startedMs'] as const;

/**
 * Returns the number of a run under a name: `loss` and the metrics of the last evaluation on the test set, a field of the summary, or a
 * field of the configuration such as `optimizer.learningRate`. Undefined if the run has none.
 */
export function valueOf(run: RunSummary, name: string): number | undefined {
  const value = fieldOf(run, name);
  return typeof value === 'number' ? value : undefined;
}

/** As `valueOf`, for values of any type. */
export function fieldOf(run: RunSummary, name: string): unknown {
  if (name === 'loss') return run.testLoss ?? undefined;
  if (Object.hasOwn(run.testMetrics, name)) return run.testMetrics[name];
  if (name === 'tags') return run.tags;
  if (summaryFields.some((field) => field === name)) return run[name as (typeof summaryFields)[number]] ?? undefined;
  return name
    .split('.')
    .reduce<unknown>(
      (value, part) => (typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[part] : undefined),
      run.config ?? undefined,
    );
}

export function isBetter(mode: 'min' | 'max', one: number, other: number): boolean {
  return mode === 'min' ? one < other : one > other;
}

/** Losses and errors are better if they are lower, everything else if it is higher. */
export function modeOf(name: string): 'min' | 'max' {
  return /loss$|Error$|^seconds$|^recoveries$/i.test(name) ? 'min' : 'max';
}

/** Sorts by a name, `-name` for the reverse order. Runs without the value come last. */
export function sortRuns(runs: readonly RunSummary[], by: string): RunSummary[] {
  const name = by.replace(/^-/, '');
  const sign = by.startsWith('-') ? -1 : 1;
  return [...runs].sort((a, b) => {
    const [one, other] = [fieldOf(a, name), fieldOf(b, name)];
    if (one === undefined || other === undefined) return Number(one === undefined) - Number(other === undefined);
    if (typeof one === 'number' && typeof other === 'number') return sign * (one - other);
    return sign * text(one).localeCompare(text(other), 'en', { numeric: true });
  });
}

const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

const operators: Readonly<Record<string, (one: unknown, other: string) => boolean>> = {
  '>=': (one, other) => Number(one) >= Number(other),
  '<=': (one, other) => Number(one) <= Number(other),
  '!=': (one, other) => text(one) !== other,
  '>': (one, other) => Number(one) > Number(other),
  '<': (one, other) => Number(one) < Number(other),
  '=': (one, other) => (typeof one === 'number' ? one === Number(other) : text(one) === other),
  '~': (one, other) => text(one).toLowerCase().includes(other.toLowerCase()),
};

/**
 * Keeps the runs that meet every condition, e.g. `accuracy>0.99`, `optimizer.kind=sgd` or `tags~baseline`. A run without the value meets
 * only `!=`.
 * @throws ConfigError for a text that is no condition
 */
export function filterRuns(runs: readonly RunSummary[], conditions: readonly string[]): RunSummary[] {
  const tests = conditions.map((condition) => {
    const [, name = '', operator = '', value = ''] = /^([\w.]+)\s*(>=|<=|!=|>|<|=|~)\s*(.*)$/.exec(condition) ?? [];
    const test = operators[operator];
    const needsNumber = /[<>]/.test(operator);
    if (!test || (needsNumber && (value === '' || Number.isNaN(Number(value))))) {
      throw new ConfigError(
        `--filter: expected a condition such as accuracy>0.99, optimizer.kind=sgd or name~mnist, got "${condition}". Quote it for the shell.`,
      );
    }
    return (run: RunSummary): boolean => {
      const own = fieldOf(run, name);
      if (own === undefined || own === null) return operator === '!=';
      return Array.isArray(own) && operator !== '!=' ? own.some((one) => test(one, value)) : test(own, value);
    };
  });
  return runs.filter((run) => tests.every((test) => test(run)));
}

/** Returns the run with the best value; undefined if no run has one. */
export function bestRun(runs: readonly RunSummary[], name: string): RunSummary | undefined {
  const mode = modeOf(name);
  return runs.reduce<RunSummary | undefined>((best, run) => {
    const value = valueOf(run, name);
    if (value === undefined || Number.isNaN(value)) return best;
    const before = best && valueOf(best, name);
    return before === undefined || isBetter(mode, value, before) ? run : best;
  }, undefined);
}
