/**
 * Separates the functions of a training definition from its plain values. The values are the run's configuration, which is
 * validated, sent and stored; the functions stay in the file, which every worker loads.
 */

import { createHash } from 'node:crypto';
import type { AugmentFunction } from './augment.js';
import type { LossFunction, MetricFunction } from './objective.js';

/** Losses by output ('' for all outputs), metrics by name. */
export interface DefinitionFunctions {
  readonly losses: ReadonlyMap<string, LossFunction>;
  readonly metrics: ReadonlyMap<string, MetricFunction>;
  /** Functions in the order of the augmentations. */
  readonly augmentations: readonly AugmentFunction[];
}

/** For a model without a training definition. */
export const noFunctions: DefinitionFunctions = { losses: new Map(), metrics: new Map(), augmentations: [] };

/** Extracts the functions and returns the plain data for the configuration's schema. */
export function separateFunctions(values: Readonly<Record<string, unknown>>): {
  plain: Record<string, unknown>;
  functions: DefinitionFunctions;
} {
  const losses = new Map<string, LossFunction>();
  const metrics = new Map<string, MetricFunction>();
  const plainLoss = (loss: unknown, output: string): unknown => {
    if (typeof loss === 'function') {
      losses.set(output, loss as LossFunction);
      return { kind: 'custom' };
    }
    if (!isObject(loss) || typeof loss['compute'] !== 'function') return loss;
    const { compute, ...rest } = loss;
    losses.set(output, compute as LossFunction);
    return { ...rest, kind: 'custom' };
  };
  const plain: Record<string, unknown> = { ...values };
  const { loss, metrics: given, augment } = values;
  if (loss !== undefined) {
    // An output may have the name `kind`.
    const single =
      !isObject(loss) || typeof loss['kind'] === 'string' || typeof loss['compute'] === 'function';
    plain['loss'] = single
      ? plainLoss(loss, '')
      : Object.fromEntries(Object.entries(loss).map(([output, one]) => [output, plainLoss(one, output)]));
  }
  if (Array.isArray(given)) {
    plain['metrics'] = given.map((metric: unknown): unknown => {
      if (!isObject(metric) || typeof metric['compute'] !== 'function') return metric;
      const { compute, ...rest } = metric;
      metrics.set(String(metric['name']), compute as MetricFunction);
      return { ...rest, kind: 'custom' };
    });
  }
  const augmentations: AugmentFunction[] = [];
  if (Array.isArray(augment)) {
    plain['augment'] = augment.map((one: unknown): unknown => {
      if (typeof one !== 'function') return one;
      augmentations.push(one as AugmentFunction);
      return { kind: 'custom' };
    });
  }
  return { plain, functions: { losses, metrics, augmentations } };
}

/** Returns the SHA-256 of the source of each function by name, e.g. `loss` or `augment 1`. */
export function functionHashes({
  losses,
  metrics,
  augmentations,
}: DefinitionFunctions): Record<string, string> {
  const named: (readonly [string, unknown])[] = [
    ...[...losses].map(([output, loss]) => [output === '' ? 'loss' : `loss of ${output}`, loss] as const),
    ...[...metrics].map(([name, metric]) => [`metric ${name}`, metric] as const),
    ...augmentations.map((augment, i) => [`augment ${i + 1}`, augment] as const),
  ];
  return Object.fromEntries(
    named.map(([name, value]) => [name, createHash('sha256').update(String(value)).digest('hex')]),
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
