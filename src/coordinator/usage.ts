/** The use of CPU and memory by the workers' processes, from their heartbeats. Pure; decides nothing. */

import type { MessageOf, WorkerMessage } from '../shared/protocol/messages.js';

type Reported = NonNullable<MessageOf<WorkerMessage, 'heartbeat'>['usage']>;

export interface Usage extends Reported {
  readonly atMs: number;
  /** The CPU time at the last status event. */
  readonly lastStatus: { readonly cpuMs: number; readonly atMs: number };
  /** Mean number of busy cores between the last two status events; null until measured. */
  readonly cores: number | null;
}

/** Takes over what a heartbeat reports. */
export function withUsage(usage: Usage | null, { cpuMs, memoryBytes }: Reported, nowMs: number): Usage {
  const { lastStatus = { cpuMs, atMs: nowMs }, cores = null } = usage ?? {};
  return { cpuMs, memoryBytes, atMs: nowMs, lastStatus, cores };
}

/** Measures the busy cores since the last status event. Without a heartbeat since then, the last measurement stays. */
export function measureCores(usage: Usage | null): Usage | null {
  if (!usage || usage.atMs <= usage.lastStatus.atMs) return usage;
  const { cpuMs, atMs, lastStatus } = usage;
  const cores = Math.round(((cpuMs - lastStatus.cpuMs) / (atMs - lastStatus.atMs)) * 100) / 100;
  return { ...usage, cores, lastStatus: { cpuMs, atMs } };
}
