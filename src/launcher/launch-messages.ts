/** Messages between a launcher and its coordinator over Node's IPC channel. */

import type { InheritedState, ResumeCheckpoint } from '../coordinator/types.js';
import type { ResolvedConfig } from '../shared/config/run-config.js';
import type { Fingerprint } from '../shared/identity/fingerprint.js';
import type { DefinitionRef } from '../shared/protocol/messages.js';
import type { RunEvent } from '../shared/runs/run-events.js';

export interface CoordinatorStart {
  readonly config: ResolvedConfig;
  readonly definition: DefinitionRef;
  /** Hashes of what the run was started with. */
  readonly fingerprint: Partial<Fingerprint>;
  readonly listen: string;
  /** Folder of CURVE keys; null without encryption. */
  readonly keys: string | null;
  readonly socketDirectory: string | null;
  readonly out: string;
  readonly resume: ResumeCheckpoint | null;
  /** State inherited from the previous coordinator; null for the first one. */
  readonly inherited: InheritedState | null;
}

export type ToCoordinator =
  | { kind: 'start'; start: CoordinatorStart }
  | { kind: 'exited'; pid: number; how: string; final: boolean }
  | { kind: 'interrupt'; signal: string; atOnce: boolean }
  /** A user asks for a checkpoint. */
  | { kind: 'checkpoint' };

export type FromCoordinator =
  | { kind: 'heartbeat' }
  | { kind: 'listening'; endpoint: string }
  | { kind: 'event'; event: RunEvent }
  /** The coordinator could not start. */
  | { kind: 'startFailed'; message: string; status: number };
