/** Decides which fields of the configuration a resumed run may change. Each field states its policy in its metadata. */

import { configFields } from './config-fields.js';
import type { ResolvedConfig } from './run-config.js';

/** Schedules whose rates depend on the number of epochs. */
const schedulesBoundToEpochs: readonly string[] = ['cosine', 'oneCycle'];

/** Returns the names of the fields that have no influence on the results of a run with this configuration. */
function freeFields({ schedule, earlyStopping }: ResolvedConfig): Set<string> {
  const free = new Set<string>(
    configFields.filter(({ resume }) => resume === 'free').map(({ name }) => name),
  );
  if (schedulesBoundToEpochs.includes(schedule.kind)) free.delete('epochs');
  if (schedule.kind === 'plateau' || earlyStopping !== null) free.delete('evaluateEvery');
  return free;
}

/**
 * Returns one line per field whose new value would make the resumed run another run. Engines round differently, but the
 * choice of `auto` is only known once workers have joined; the coordinator compares the engines then.
 */
export function fieldsThatDiffer(before: ResolvedConfig, now: ResolvedConfig): string[] {
  const free = freeFields(before);
  // Another engine has its own number of threads, or none.
  if (before.engine !== now.engine) free.add('threads');
  return (Object.keys(before) as (keyof ResolvedConfig)[])
    .filter((field) => !free.has(field))
    .filter((field) => JSON.stringify(before[field]) !== JSON.stringify(now[field]))
    .map((field) => `${field}: ${JSON.stringify(before[field])} then, ${JSON.stringify(now[field])} now`);
}
