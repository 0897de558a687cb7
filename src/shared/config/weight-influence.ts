/**
 * Which fields of the configuration influence the weights after a step. This differs from the rule for a resumed run: a run may resume
 * with another precision, and its weights then differ. A field that is not listed here influences the weights.
 */

import { isDeepStrictEqual } from 'node:util';
import type { ConfigField, ResolvedConfig } from './run-config.js';

/** Fields that influence no weight: the same step has the same bits for all of their values. */
const withoutInfluence: readonly ConfigField[] = [
  // The values of `set` are in the fields that they set.
  'set',
  'name',
  'workers',
  'minWorkers',
  'balance',
  'onMismatch',
  'allowOtherData',
  'sharedMemory',
  'collective',
  'bucketBytes',
  'logEvery',
  'statusMs',
  'histogramEvery',
  'audit',
  'trace',
  'checkpointEvery',
  'keep',
  'heartbeatMs',
  'peerTimeoutMs',
  'coordinatorTimeoutMs',
  'stepTimeoutMs',
  'joinTimeoutMs',
];

/** Fields of the length of a run. They influence the weights only if the learning rate depends on the length. */
const ofLength: readonly ConfigField[] = ['epochs', 'maxSteps'];

/** Fields of evaluations. They influence the weights only if the learning rate or the last step depends on an evaluation. */
const ofEvaluations: readonly ConfigField[] = ['evaluate', 'evaluateEvery', 'evalBatchSize', 'metrics'];

/** Returns true for a field that can influence the weights, the length of a run or its evaluations. */
export const influencesWeights = (field: string): boolean =>
  !(withoutInfluence as readonly string[]).includes(field);

/** Returns the fields that differ and can make the weights of the two runs differ, in the order of `a`. */
export function weightDifferences(a: ResolvedConfig, b: ResolvedConfig): ConfigField[] {
  const runs = [a, b];
  const dependsOnLength = runs.some(({ schedule }) => ['cosine', 'oneCycle'].includes(schedule.kind));
  const dependsOnEvaluations = runs.some(
    ({ schedule, earlyStopping }) => schedule.kind === 'plateau' || earlyStopping !== null,
  );
  return (Object.keys(a) as ConfigField[]).filter((field) => {
    if (withoutInfluence.includes(field)) return false;
    if (ofLength.includes(field) && !dependsOnLength) return false;
    if (ofEvaluations.includes(field) && !dependsOnEvaluations) return false;
    return !isDeepStrictEqual(a[field], b[field]);
  });
}
