/**
 * Model of the coordinator's cost: a fixed part for its timers, its log and garbage collection, and CPU time per message. Nothing in it grows
 * with the square of the workers. The plan of a generation, which does, belongs to the start of a generation and not to a step.
 */

export interface CoordinatorCost {
  /** Cores that are busy without workers. */
  readonly baseCores: number;
  /** CPU time in microseconds to send or receive one message of the control plane. */
  readonly messageUs: number;
}

/** Fitted to the measurements with 16, 64 and 256 workers in docs/performance.md, "The coordinator". */
export const measuredCost: CoordinatorCost = { baseCores: 0.031, messageUs: 25.5 };

export interface ControlTraffic {
  readonly workers: number;
  readonly heartbeatMs: number;
  readonly stepsPerSecond: number;
}

/** Each worker reports each step, and both sides send heartbeats. */
export function messagesPerSecond({ workers, heartbeatMs, stepsPerSecond }: ControlTraffic): number {
  return workers * (stepsPerSecond + (2 * 1_000) / heartbeatMs);
}

/** Busy cores with this number of messages per second. */
export function coresOf(messages: number, { baseCores, messageUs }: CoordinatorCost): number {
  return baseCores + (messages * messageUs) / 1e6;
}
