/** Runs the checks of `lockstep doctor` one after another. */

import { resourceChecks } from './resource-checks.js';
import { softwareChecks } from './software-checks.js';
import { systemChecks } from './system-checks.js';
import type { Check, Finding } from './finding.js';

const checks: readonly Check[] = [...softwareChecks, ...resourceChecks, ...systemChecks];

export async function diagnose(): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const check of checks) findings.push(await check());
  return findings;
}
