/** The results of the numerics check as text. */

import type { NumericsResult } from '../../worker/numerics/check-case.js';
import { textTable } from './text-table.js';

/** Ops that only move or convert values are left out beside others. */
const plumbing: readonly string[] = ['Cast', 'Reshape'];
const longestOps = 44;

export function numericsTable(results: readonly NumericsResult[]): string[] {
  const header = [
    '-operation',
    '-TensorFlow ops',
    '-shapes',
    '-precision',
    'calls',
    'outputs',
    'not finite',
    '-verdict',
  ];
  return textTable(
    header,
    results.map(({ operation, tensorflowOps, shapes, precision, calls, distinct, nonFinite, stable }) => [
      operation,
      opsColumn(tensorflowOps),
      shapes,
      precision,
      String(calls),
      String(distinct),
      String(nonFinite),
      stable ? 'stable' : 'UNSTABLE',
    ]),
  );
}

export function numericsSummary(results: readonly NumericsResult[]): string {
  const unstable = results.filter(({ stable }) => !stable);
  if (unstable.length === 0) return `All ${results.length} operations are stable.`;
  const names = [...new Set(unstable.map(({ operation, precision }) => `${operation} in ${precision}`))];
  return `${unstable.length} of ${results.length} operations are UNSTABLE, so runs do not repeat: ${names.join('; ')}.`;
}

function opsColumn(ops: readonly string[]): string {
  const main = ops.filter((name) => !plumbing.includes(name));
  const text = (main.length > 0 ? main : ops).join(' ');
  return text.length <= longestOps ? text : `${text.slice(0, longestOps - 1)}…`;
}
