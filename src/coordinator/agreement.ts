/**
 * Agreement between workers about everything that determines the result. Pure. Data, parameters and initial weights must be equal. Machine
 * and engine should be equal. If they differ, the bits can depend on the assignment of shards. `--on-mismatch` chooses between an error and
 * a warning for this case.
 */

import type { ErrorCode } from '../shared/errors.js';
import type { WorkerIdentity } from '../shared/protocol/messages.js';
import type { RunEvent } from '../shared/runs/run-events.js';
import type { ReadyMessage, ResumeCheckpoint } from './types.js';

export interface Disagreement {
  readonly code: ErrorCode;
  readonly message: string;
}

/** The reason why two workers can't train together; undefined if there is none. `from` describes the second worker. */
export function contradiction(
  reference: ReadyMessage,
  ready: ReadyMessage,
  from: string,
): Disagreement | undefined {
  for (const [field, code, what] of [
    ['layoutHash', 'LAYOUT_MISMATCH', 'parameters (names, shapes or dtypes)'],
    ['weightsSha256', 'LAYOUT_MISMATCH', 'initial weights'],
    ['dataSha256', 'DATA', 'data'],
  ] as const) {
    if (ready[field] === reference[field]) continue;
    const message =
      `Workers disagree on their ${what}: expected ${reference[field].slice(0, 12)}…, got ${ready[field].slice(0, 12)}… ` +
      `from ${from}. Use the same config file, data and version of Lockstep for every worker, and draw no unseeded random numbers.`;
    return { code, message };
  }
  return undefined;
}

/**
 * Remedies by field. The first field that differs is reported, so a cause precedes its effects. For example, another engine has other
 * kernels, so `engine` precedes `kernels`.
 */
const remedies: Readonly<Record<keyof WorkerIdentity, string>> = {
  engine: 'Install the same engine on every host (`lockstep engine status`), or choose one with --engine',
  kernels: 'Install the same Lockstep and engine on every host (`lockstep engine install`)',
  device: 'Choose the same kind of device for every worker with --devices',
  threads: 'Set --threads',
  cpu: 'Use hosts of one CPU family',
  instructions: 'Use hosts of one CPU family, or of one kind of virtual machine',
};
const identityFields = Object.keys(remedies) as (keyof WorkerIdentity)[];

const shown = (value: string): string => (value === '' ? 'none' : value);

/** A difference that makes the bits depend on the assignment of shards; undefined if there is none. */
export function mismatch(
  reference: ReadyMessage,
  ready: ReadyMessage,
  from: string,
): Disagreement | undefined {
  const field = identityFields.find((name) => ready.identity[name] !== reference.identity[name]);
  if (field === undefined) return undefined;
  return {
    code: 'ENGINE',
    message:
      `Workers differ in their ${field}: expected ${shown(reference.identity[field])}, got ${shown(ready.identity[field])} ` +
      `from ${from}, so the weights would depend on the assignment of shards to workers. ${remedies[field]}; ` +
      'or accept different bits with --on-mismatch warn.',
  };
}

/** The warning for a run whose workers differ from those that wrote its checkpoint; undefined if they are equal. */
export function resumeMismatch(
  { path, identity }: ResumeCheckpoint,
  ready: ReadyMessage,
): string | undefined {
  if (identity === null) return undefined;
  const field = identityFields.find((name) => ready.identity[name] !== identity[name]);
  if (field === undefined) return undefined;
  return (
    `Checkpoint ${path} was written with another ${field}: expected ${shown(identity[field])}, got ${shown(ready.identity[field])}. ` +
    'Training continues with different rounding, so the weights will not equal those of an uninterrupted run bit for bit.'
  );
}

/** The event for a run that resumes with other data; undefined if the data are equal. */
export function dataChange(
  { step, data, dataSha256 }: ResumeCheckpoint,
  ready: ReadyMessage,
): Extract<RunEvent, { event: 'changed' }> | undefined {
  const { trainCount, testCount } = ready;
  const isSame =
    dataSha256 === ready.dataSha256 &&
    (data === null || (data.trainCount === trainCount && data.testCount === testCount));
  if (isSame) return undefined;
  const before = `${data === null ? '' : `${data.name} of ${data.trainCount} + ${data.testCount} samples, `}SHA-256 ${dataSha256.slice(0, 12)}…`;
  const now = `${trainCount} + ${testCount} samples, SHA-256 ${ready.dataSha256.slice(0, 12)}…`;
  return { event: 'changed', step, field: 'data', before, now };
}
