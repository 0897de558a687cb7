/** `lockstep chaos --soak`: one long run with repeated faults, whose resources must not grow. */

import type { RunReport } from '../../chaos/chaos-run.js';
import { summarize, tableOf } from '../../chaos/chaos-table.js';
import { median } from '../../chaos/recovery.js';
import { soak } from '../../chaos/soak.js';
import { exitStatus } from '../../shared/exit-status.js';

/** Resolves with the exit status. */
export async function soakAndReport(options: Parameters<typeof soak>[0], json: boolean): Promise<number> {
  const report = await soak(options);
  const { growth, faults, problems } = report;
  const print = options.say;
  for (const { role, what, over, from, to, seconds, grew } of growth) {
    const range = `${from.toFixed(1)} to ${to.toFixed(1)} in ${Math.round(seconds)} s`;
    const basis = over === 'age' ? 'at equal age' : `over its ${over}`;
    print(`${grew ? 'GREW' : 'flat'}: ${what} of ${role}, ${basis}: ${range}`);
  }
  // The table counts runs: each fault is entered as a run of its own.
  const reports = faults.map((fault): RunReport => ({
    run: 0,
    scenario: { workers: options.workers, resumeWorkers: 0, sharedMemory: 'off', faults: [] },
    faults: [fault],
    weightsSha256: '',
    problems: [],
  }));
  for (const line of tableOf(summarize(reports, ({ planned: { kind } }) => ({ kind, point: 'all' }))))
    print(line);
  for (const problem of problems) print(`FAILED: ${problem}`);
  const times = faults.flatMap((fault) => (fault.nobodySurvived ? [] : (fault.recoveryMs ?? [])));
  print(
    `${report.steps} steps, ${report.generations} generations, ${faults.length} faults; ` +
      `recovery median ${(median(times) / 1000).toFixed(2)} s, maximum ${(Math.max(...times) / 1000).toFixed(2)} s.`,
  );
  if (json) process.stdout.write(`${JSON.stringify({ event: 'soak', ...report })}\n`);
  return problems.length === 0 && growth.every(({ grew }) => !grew) ? exitStatus.done : exitStatus.failed;
}
