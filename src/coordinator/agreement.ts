/**
 * Whether workers agree on what the result depends on. Pure. Data, parameters and initial weights must be the same; what
 * the machine and its engine are should be, or the promise of the same bits doesn't hold (`--on-mismatch`).
 */

import type { ErrorCode } from '../shared/errors.js';
import type { ResumeCheckpoint } from './state.js';
import type { MessageOf, WorkerIdentity, WorkerMessage } from '../shared/protocol/messages.js';

type Ready = MessageOf<WorkerMessage, 'ready'>;

export interface Disagreement {
  readonly code: ErrorCode;
  readonly message: string;
}

/** What can't be trained together. `from` names the worker that said `ready`. */
export function contradiction(reference: Ready, ready: Ready, from: string): Disagreement | undefined {
  for (const [field, code, what] of [
    ['layoutHash', 'LAYOUT_MISMATCH', 'parameters (names, shapes or dtypes)'],
    ['weightsSha256', 'LAYOUT_MISMATCH', 'initial weights'],
    ['dataSha256', 'DATA', 'data'],
  ] as const) {
    if (ready[field] === reference[field]) continue;
    const message =
      `Workers disagree on their ${what}: expected ${reference[field].slice(0, 12)}…, got ${ready[field].slice(0, 12)}… ` +
      `from ${from}. Give every worker the same config file, data and Lockstep; draw no unseeded numbers.`;
    return { code, message };
  }
  return undefined;
}

/** The gravest first: a worker with another engine differs in its kernels too. */
const remedies: Readonly<Record<keyof WorkerIdentity, string>> = {
  engine: 'Install the same engine on every host (`lockstep engine status`), or choose one with --engine',
  kernels: 'Install the same Lockstep and engine on every host (`lockstep engine install`)',
  device: 'Choose the same kind of device for every worker with --devices',
  threads: 'Set --threads',
  cpu: 'Use hosts of one CPU family',
  instructions: 'Use hosts of one CPU family, or of one kind of virtual machine',
};

/** What would make the bits depend on who computes what. */
export function mismatch(reference: Ready, ready: Ready, from: string): Disagreement | undefined {
  const fields = Object.keys(remedies) as (keyof WorkerIdentity)[];
  const field = fields.find((name) => ready.identity[name] !== reference.identity[name]);
  if (field === undefined) return undefined;
  const shown = (value: string): string => (value === '' ? 'none' : value);
  return {
    code: 'ENGINE',
    message:
      `Workers differ in their ${field}: expected ${shown(reference.identity[field])}, got ${shown(ready.identity[field])} ` +
      `from ${from}, so the weights would depend on who computes what. ${remedies[field]}; ` +
      'or give up the same bits with --on-mismatch warn.',
  };
}

/** What a run is told that goes on with other workers than those that wrote its checkpoint. */
export function otherArithmetic({ path, identity }: ResumeCheckpoint, ready: Ready): string | undefined {
  if (identity === null) return undefined;
  const fields = Object.keys(remedies) as (keyof WorkerIdentity)[];
  const field = fields.find((name) => ready.identity[name] !== identity[name]);
  if (field === undefined) return undefined;
  return (
    `Checkpoint ${path} was written with another ${field}: ${identity[field]} then, ${ready.identity[field]} now. Training goes on ` +
    'with other roundings, so the weights will not be those of the undisturbed run to the bit.'
  );
}
