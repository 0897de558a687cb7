/** Checks that involve several fields of the configuration. */

import type { RunConfig } from '../../shared/config/run-config.js';

/** Returns one line per contradiction, beginning with the name of the field. */
export function contradictions(config: RunConfig): string[] {
  const { schedule, earlyStopping, evaluate, warmup, batchSize, accumulate, engine, devices } = config;
  const found: string[] = [];
  if (evaluate === 'none' && schedule.kind === 'plateau')
    found.push('schedule: plateau needs evaluations, but evaluate is "none"');
  if (evaluate === 'none' && earlyStopping !== null)
    found.push('earlyStopping: needs evaluations, but evaluate is "none"');
  if (warmup?.epochs !== undefined && warmup.epochs >= config.epochs)
    found.push(
      `warmup.epochs: expected less than the ${config.epochs} epochs of the run, got ${warmup.epochs}`,
    );
  if (accumulate > batchSize)
    found.push(`accumulate: expected at most the ${batchSize} samples of a batch, got ${accumulate}`);
  if (engine === 'webgpu' && devices !== 'auto')
    found.push(
      `devices: the engine webgpu cannot select a GPU by its number, got "${devices}". Remove the field, and select ` +
        'the adapter with the variables of the driver, such as MESA_VK_DEVICE_SELECT',
    );
  return found;
}
