/** The use of CPU and memory by the workers' processes, from their heartbeats. Pure; decides nothing. */

import type { MessageOf, WorkerMessage } from '../shared/protocol/messages.js';

type Reported = NonNullable<MessageOf<WorkerMessage, 'heartbeat'>['usage']>;

export interface Usage extends Reported {
  /** The times at the last measurement. */
  readonly measured: { readonly cpuMs: number; readonly uptimeMs: number };
  /** Mean number of busy cores between the last two measurements; null until measured. */
  readonly cores: number | null;
}

/** The CPU time advances in ticks, so that a rate over a shorter time would be noise. */
const minMeasuredMs = 100;

/** Takes over what a heartbeat reports. */
export function withUsage(usage: Usage | null, reported: Reported): Usage {
  const { cpuMs, uptimeMs } = reported;
  return { ...reported, measured: usage?.measured ?? { cpuMs, uptimeMs }, cores: usage?.cores ?? null };
}

/**
 * Measures the busy cores since the last measurement. Both times come from the worker, since several heartbeats may arrive at once after
 * a pause. Without a heartbeat since then, the last measurement stays.
 */
export function measureCores(usage: Usage | null): Usage | null {
  if (!usage || usage.uptimeMs - usage.measured.uptimeMs < minMeasuredMs) return usage;
  const { cpuMs, uptimeMs, measured } = usage;
  const cores = Math.round(((cpuMs - measured.cpuMs) / (uptimeMs - measured.uptimeMs)) * 100) / 100;
  return { ...usage, cores, measured: { cpuMs, uptimeMs } };
}
