/**
 * Agreement between workers about everything that determines the result. Pure. Data, parameters and initial weights must be equal. Machine
 * and engine should be equal. If they differ, the bits can depend on the assignment of shards. `--on-mismatch` chooses between an error and
 * a warning for this case.
 */

import { compareCompiled } from '../shared/config/compiled-fields.js';
import { compiledFieldsOf, type ResolvedConfig } from '../shared/config/run-config.js';
import type { ErrorCode } from '../shared/errors.js';
import {
  describeDifference,
  fingerprintGroups,
  firstDifference,
  type Fingerprint,
} from '../shared/identity/fingerprint.js';
import type { WorkerIdentity } from '../shared/protocol/messages.js';
import type { RunEvent } from '../shared/runs/run-events.js';
import type { ReadyMessage, ResumeCheckpoint } from './types.js';

export interface Disagreement {
  readonly code: ErrorCode;
  readonly message: string;
}

/** A worker is compared with another worker, or with the coordinator, which has no engine and no model. */
export interface Reference {
  readonly fingerprint: Partial<Fingerprint>;
}

const isWorker = (reference: Reference): reference is Reference & ReadyMessage => 'identity' in reference;

/** The reason why two workers can't train together; undefined if there is none. `from` describes the second worker. */
export function contradiction(
  reference: Reference,
  ready: ReadyMessage,
  from: string,
): Disagreement | undefined {
  const difference = firstDifference(reference.fingerprint, ready.fingerprint, ['definition']);
  if (difference) {
    const message =
      `Workers have loaded different files of the definition: ${describeDifference(difference, from)}. ` +
      'Copy the file to every machine, or start the run again.';
    return { code: 'CONFIG', message };
  }
  const evaluated = firstDifference(reference.fingerprint, ready.fingerprint, ['functions', 'layers']);
  if (evaluated) {
    const message =
      `The definition evaluates to another ${describeDifference(evaluated, from)}. ` +
      'Give every worker the same environment variables and files, and draw no random numbers in the definition.';
    return { code: 'MODEL', message };
  }
  if (!isWorker(reference)) return undefined;
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

/** The engine `webgpu` has no numbers of devices, so `--devices` is refused with it. */
const webgpuDevice =
  'Select the same adapter for every worker with LOCKSTEP_WEBGPU_ADAPTERS (docs/gpu.md), or start fewer workers per host';

const remedyOf = (field: keyof WorkerIdentity, { engine }: WorkerIdentity): string =>
  field === 'device' && engine.startsWith('webgpu ') ? webgpuDevice : remedies[field];

const shown = (value: string): string => (value === '' ? 'none' : value);

/**
 * Returns the first file of Lockstep or of the engine that differs. Returns undefined if the workers have different engines: all files of
 * the engine differ then, and the comparison of the engines' names gives the better message.
 */
function otherBuild(
  identity: WorkerIdentity | null,
  fingerprint: Partial<Fingerprint>,
  ready: ReadyMessage,
): ReturnType<typeof firstDifference> {
  if (identity !== null && identity.engine !== ready.identity.engine) return undefined;
  return firstDifference(fingerprint, ready.fingerprint, ['code', 'engine']);
}

/** Returns the first field of the machine or of the engine that differs. */
function otherIdentity(identity: WorkerIdentity, ready: ReadyMessage): keyof WorkerIdentity | undefined {
  return identityFields.find((name) => ready.identity[name] !== identity[name]);
}

/** A difference that makes the bits depend on the assignment of shards; undefined if there is none. */
export function mismatch(reference: Reference, ready: ReadyMessage, from: string): Disagreement | undefined {
  const identity = isWorker(reference) ? reference.identity : null;
  const other = otherBuild(identity, reference.fingerprint, ready);
  if (other) {
    const what = other.group === 'code' ? 'run different code of Lockstep' : 'compute with different engines';
    const message =
      `Workers ${what}: ${describeDifference(other, from)}, so they may compute different weights. ` +
      'Install the same build of Lockstep and the same engine on every host, and install none during a run; ' +
      'or accept different bits with --on-mismatch warn.';
    return { code: 'ENGINE', message };
  }
  if (identity === null) return undefined;
  const field = otherIdentity(identity, ready);
  if (field === undefined) return undefined;
  return {
    code: 'ENGINE',
    message:
      `Workers differ in their ${field}: expected ${shown(identity[field])}, got ${shown(ready.identity[field])} ` +
      `from ${from}, so the weights would depend on the assignment of shards to workers. ${remedyOf(field, ready.identity)}; ` +
      'or accept different bits with --on-mismatch warn.',
  };
}

/** The warning for values of the definition that a worker evaluates to something else than the coordinator. */
export function otherValues(reference: Reference, ready: ReadyMessage, from: string): string | undefined {
  const difference = firstDifference(reference.fingerprint, ready.fingerprint, ['values']);
  if (!difference) return undefined;
  return (
    `The definition evaluates to another value of ${describeDifference(difference, from)}. ` +
    "The coordinator's value is used; give every worker the same environment variables."
  );
}

/** The warning for a coordinator that takes over workers which run something else than it was started with. */
export function takeoverMismatch(
  { fingerprint }: Reference,
  ready: ReadyMessage,
  from: string,
): string | undefined {
  const difference = firstDifference(fingerprint, ready.fingerprint, ['code', 'definition', 'functions']);
  if (!difference) return undefined;
  return (
    `The run continues with what its workers run, which is not what this coordinator was started with: ` +
    `${describeDifference(difference, from)}. Workers that join are compared with those.`
  );
}

/** Returns the message with the fingerprint of the reference if both are equal, so that thousands of workers share one. */
export function withSharedFingerprint(reference: Reference, ready: ReadyMessage): ReadyMessage {
  const { fingerprint } = reference;
  const isSame = isWorker(reference) && !firstDifference(fingerprint, ready.fingerprint, fingerprintGroups);
  return isSame ? { ...ready, fingerprint: reference.fingerprint } : ready;
}

/** The warning for a run whose workers differ from those that wrote its checkpoint; undefined if they are equal. */
export function resumeMismatch(
  { path, identity, build }: ResumeCheckpoint,
  ready: ReadyMessage,
): string | undefined {
  const other = otherBuild(identity, build ?? {}, ready);
  if (other) {
    const what = other.group === 'code' ? 'other code of Lockstep' : 'another engine';
    return (
      `Checkpoint ${path} was written by ${what}: ${describeDifference(other, 'the present workers')}. ` +
      'The weights may not equal those of an uninterrupted run bit for bit.'
    );
  }
  if (identity === null) return undefined;
  const field = otherIdentity(identity, ready);
  if (field === undefined) return undefined;
  return (
    `Checkpoint ${path} was written with another ${field}: expected ${shown(identity[field])}, got ${shown(ready.identity[field])}. ` +
    'Training continues with different rounding, so the weights will not equal those of an uninterrupted run bit for bit.'
  );
}

/**
 * Compares what `model.compile` chose for the checkpoint with what it chooses now. If the model was compiled in only one
 * of the two runs, its choice is compared with the configuration of the other run. The configurations themselves were compared before the
 * run started.
 */
export function compileChange(
  { path, step, trained }: ResumeCheckpoint,
  config: ResolvedConfig,
  ready: ReadyMessage,
): { readonly events: readonly RunEvent[]; readonly refusal?: Disagreement } {
  if (!trained.isCompiled && ready.compiled === undefined) return { events: [] };
  const now = ready.compiled ?? compiledFieldsOf(config);
  const { changes, refusals } = compareCompiled(trained.fields, now, config);
  if (refusals.length === 0)
    return { events: changes.map((change) => ({ event: 'changed', step, ...change })) };
  const message =
    `--resume: expected what model.compile chose for ${path}, got another choice: ${refusals.join('; ')}. ` +
    'Restore it, or start a new run (with --fresh in the same folder).';
  return { events: [], refusal: { code: 'CONFIG', message } };
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
