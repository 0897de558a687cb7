/** The messages between bench/coordinator.ts and the processes with simulated workers. */

export interface Simulation {
  readonly endpoint: string;
  /** Folder of CURVE keys. */
  readonly keys: string;
  readonly workers: number;
  /** Number of the first worker of this process among those of all processes. */
  readonly first: number;
  readonly heartbeatMs: number;
  /** Time between two committed steps. */
  readonly stepMs: number;
}

/** Sums over all workers of one process since its start. */
export interface SimulationCounts {
  readonly sent: number;
  readonly sentBytes: number;
  readonly received: number;
  readonly receivedBytes: number;
  /** Number of workers whose generation has started. */
  readonly running: number;
  readonly committed: number;
}
