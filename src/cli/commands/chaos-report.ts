/** Formats the result of one run of `lockstep chaos`. */

import type { FaultReport, RunReport } from '../../chaos/chaos-run.js';
import { formatRatio } from '../../shared/runs/effective-time.js';

export function describeRun({ run, scenario, faults, ettr, problems }: RunReport): string {
  const verdict = problems.length === 0 ? 'ok' : `FAILED: ${problems.join('; ')}`;
  const share = `ETTR ${formatRatio(ettr)}`;
  return `run ${run}, ${scenario.workers} workers, ${faults.map(describeFault).join(' and ')}, ${share}: ${verdict}`;
}

function describeFault({ planned: { kind, point, step }, recoveryMs, nobodySurvived }: FaultReport): string {
  const restart = nobodySurvived ? ' including the start of an engine' : '';
  const took = recoveryMs === undefined ? '' : `, ${(recoveryMs / 1000).toFixed(2)} s${restart}`;
  return `${kind} at ${point} (step ${step}${took})`;
}
