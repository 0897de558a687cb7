/**
 * `lockstep train --single-process`: coordinator and one worker that owns every shard, in this process, over the memory
 * transport. No sockets, no children; for tests and for a debugger.
 */

import { randomUUID } from 'node:crypto';
import { Coordinator } from '../../coordinator/coordinator.js';
import type { ResolvedConfig } from '../../shared/config/run-config.js';
import { MemoryControl, MemoryNetwork } from '../../shared/transport/memory.js';
import { loadNativeMemory } from '../../shared/memory/native-memory.js';
import { findMemoryAddon } from '../../worker/engine/cache.js';
import { InlineCommunicator } from '../../worker/communicator/inline-communicator.js';
import type { FaultOptions } from '../../worker/faults/fault-options.js';
import { runSession } from '../../worker/session.js';
import { currentEngineHost, definitionCache, host } from '../options/environment.js';
import { openRunFiles } from '../runs/run-files.js';
import { loadWorkerEngine } from '../load-worker-engine.js';
import type { Reporters } from '../reporters/reporters.js';
import { checkpointRefOf, type RunSetup } from '../options/train-options.js';

/** Resolves with the exit status. */
export async function trainInOneProcess(
  setup: RunSetup,
  out: string,
  reporters: Reporters,
  faults: FaultOptions,
): Promise<number> {
  // A step blocks the one thread that everything shares, so silence means nothing here.
  const config: ResolvedConfig = {
    ...setup.config,
    workers: 1,
    peerTimeoutMs: 3_600_000,
    stepTimeoutMs: 86_400_000,
  };
  const server = new MemoryControl();
  const files = openRunFiles({ out, trace: config.trace, resumed: setup.resume !== null }, (event) =>
    reporters.emit(event),
  );
  const coordinator = new Coordinator({
    runId: randomUUID(),
    host,
    config,
    definition: { path: setup.definition.path, sha256: setup.definition.sha256 },
    socketDirectory: null,
    out,
    resume: checkpointRefOf(setup.resume),
    inherited: null,
    server,
    ...files.sinks,
  });
  const interrupt = (signal: string): void => coordinator.handle({ kind: 'interrupt', signal });
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  const status = coordinator.run();
  const session = runSession({
    communicator: new InlineCommunicator(
      server.client(),
      new MemoryNetwork(),
      loadNativeMemory(findMemoryAddon(currentEngineHost())),
    ),
    host,
    slot: '0',
    definitionCache: definitionCache(),
    faults,
    loadEngine: (run) =>
      loadWorkerEngine(run, setup.gpus[0] ?? 'cpu', (message) =>
        reporters.emit({ event: 'warning', message }),
      ),
    // Whatever ends the session has been reported to the coordinator, which decides the status.
  }).catch(() => undefined);
  const result = await status;
  await session;
  await files.close();
  process.off('SIGINT', interrupt);
  process.off('SIGTERM', interrupt);
  return result;
}
