/** `lockstep doctor --numerics`: calls every operation that Lockstep uses again and again, and compares the bits. */

import { checkNumerics, numericsCases } from '../../worker/numerics/check-numerics.js';
import { wholeNumber } from '../options/number-options.js';
import { exitStatus } from '../../shared/exit-status.js';
import { loadWorkerEngine } from '../engine/load-worker-engine.js';
import { numericsSummary, numericsTable } from '../tables/numerics-table.js';

export interface DoctorNumericsFlags {
  readonly json?: boolean;
  readonly calls: string;
}

/** Checks native TensorFlow with one thread. Status 1 when an operation is unstable. @throws EngineError, ConfigError */
export async function doctorNumerics({ json = false, calls }: DoctorNumericsFlags): Promise<number> {
  const count = wholeNumber('--calls', calls, 2, 1_000_000);
  const warn = (message: string): void => void process.stderr.write(`${message}\n`);
  const engine = await loadWorkerEngine({ threads: 1, engine: 'tensorflow' }, 'auto', warn);
  const cases = numericsCases(engine);
  warn(`Checking ${cases.length} operations on ${engine.describe()}, ${count} calls each.`);
  const results = checkNumerics(engine, cases, count);
  const lines = json
    ? [JSON.stringify({ event: 'numerics', engine: engine.describe(), results })]
    : [...numericsTable(results), '', numericsSummary(results)];
  process.stdout.write(`${lines.join('\n')}\n`);
  return results.every(({ stable }) => stable) ? exitStatus.done : exitStatus.failed;
}
