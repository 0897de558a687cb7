/** What a launcher and the processes that it started say to each other over Node's IPC channel. */

import type { ResolvedConfig } from '../shared/config/run-config.js';
import type { InheritedState, ResumeCheckpoint } from '../coordinator/types.js';
import type { RunEvent } from '../shared/runs/run-events.js';

export interface CoordinatorStart {
  readonly config: ResolvedConfig;
  readonly definition: { readonly path: string; readonly sha256: string };
  readonly listen: string;
  /** Folder of CURVE keys; null: none. */
  readonly keys: string | null;
  readonly socketDirectory: string | null;
  readonly out: string;
  readonly resume: ResumeCheckpoint | null;
  /** Of a successor. */
  readonly inherited: InheritedState | null;
}

export type ToCoordinator =
  | { kind: 'start'; start: CoordinatorStart }
  | { kind: 'exited'; pid: number; how: string; final: boolean }
  | { kind: 'interrupt'; signal: string };

export type FromCoordinator =
  /** It isn't hung. */
  | { kind: 'alive' }
  | { kind: 'listening'; endpoint: string }
  | { kind: 'event'; event: RunEvent }
  | { kind: 'refused'; message: string; status: number };
