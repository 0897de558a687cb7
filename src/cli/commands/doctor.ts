/** `lockstep doctor`: checks whether training can work on this machine and prints what to do. It changes nothing. */

import { diagnose } from '../diagnosis/diagnose.js';
import type { Finding } from '../diagnosis/finding.js';
import { exitStatus } from '../../shared/exit-status.js';

const marks = { ok: 'ok', warning: 'warn', problem: 'FAIL' } as const;

/** Resolves with the exit status: 1 if training cannot work on this machine as it is. */
export async function doctor({ json = false }: { readonly json?: boolean }): Promise<number> {
  const findings = await diagnose();
  if (json) process.stdout.write(`${JSON.stringify({ event: 'doctor', findings })}\n`);
  else process.stdout.write(`${findings.map(describe).join('\n')}\n${summary(findings)}\n`);
  return findings.some(({ state }) => state === 'problem') ? exitStatus.failed : exitStatus.done;
}

function describe({ name, state, found, advice }: Finding): string {
  const line = `${marks[state].padEnd(5)}${name.padEnd(16)}${found}`;
  return advice === undefined ? line : `${line}\n${' '.repeat(21)}-> ${advice}`;
}

function summary(findings: readonly Finding[]): string {
  const count = (state: Finding['state']): number =>
    findings.filter((finding) => finding.state === state).length;
  const [problems, warnings] = [count('problem'), count('warning')];
  if (problems + warnings === 0) return '\nReady: lockstep train';
  const plural = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;
  return `\n${plural(problems, 'problem')} to fix before training, ${plural(warnings, 'warning')}.`;
}
