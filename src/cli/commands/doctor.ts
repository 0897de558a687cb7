/** `lockstep doctor`: what of this machine matters to a training, what is wrong with it and what to do. Changes nothing. */

import { diagnose, type Finding } from '../diagnosis.js';
import { exitStatus } from '../exit.js';

const marks = { ok: 'ok', warning: 'warn', problem: 'FAIL' } as const;

/** Status 1 when a training can't work here as it is. */
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
  return `\n${problems} to mend before training, ${warnings} to know about.`;
}
