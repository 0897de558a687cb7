/**
 * `lockstep train --single-process`: a coordinator and one worker that owns every shard, in this process, over the memory
 * transport. There are no sockets and no child processes; intended for tests and debuggers.
 */

import { randomUUID } from 'node:crypto';
import { Coordinator } from '../../coordinator/coordinator.js';
import { stopSignalsOfProcess } from '../../launcher/stop-signals.js';
import { loadNativeMemory } from '../../shared/memory/native-memory.js';
import { MemoryControl, MemoryNetwork } from '../../shared/transport/memory.js';
import { InlineCommunicator } from '../../worker/communicator/inline-communicator.js';
import { findMemoryAddon } from '../../worker/engine/cache.js';
import type { FaultOptions } from '../../worker/faults/fault-options.js';
import { runSession } from '../../worker/session.js';
import { loadWorkerEngine } from '../engine/load-worker-engine.js';
import { currentEngineHost, definitionCache, host } from '../environment/environment.js';
import type { RunSetup } from '../options/run-setup.js';
import { singleProcessConfig } from '../options/single-process-config.js';
import type { Reporters } from '../reporters/reporters.js';
import { openRunFiles } from '../runs/run-files.js';

/** Time that the worker's part of the process has to end after the run. */
const endOfSessionMs = 5_000;

/** Resolves with the exit status. */
export async function trainInOneProcess(
  setup: RunSetup,
  reporters: Reporters,
  faults: FaultOptions,
): Promise<number> {
  const { out, resume, checkpoint } = setup;
  const config = singleProcessConfig(setup.config);
  const server = new MemoryControl();
  const mode = resume === null ? 'new' : 'resume';
  const files = await openRunFiles({ out, trace: config.trace, mode }, (event) => reporters.emit(event));
  const coordinator = new Coordinator({
    runId: randomUUID(),
    host,
    config,
    ...setup.identity,
    socketDirectory: null,
    out,
    resume: checkpoint,
    inherited: null,
    server,
    ...files.sinks,
  });
  reporters.controls.connect(() => coordinator.handle({ kind: 'checkpoint' }));
  return stopSignalsOfProcess().during(
    (request) => coordinator.handle({ kind: 'interrupt', ...request }),
    async () => {
      const status = coordinator.run();
      const session = runWorker(server, setup, reporters, faults);
      const result = await status;
      // The end of a run that was stopped does not depend on the user's code, such as a data source that is still awaited.
      const late = new Promise((resolve) => setTimeout(resolve, endOfSessionMs).unref());
      await Promise.race([session, late]);
      await files.close();
      return result;
    },
  );
}

async function runWorker(
  server: MemoryControl,
  { gpus }: RunSetup,
  reporters: Reporters,
  faults: FaultOptions,
): Promise<void> {
  const memory = loadNativeMemory(findMemoryAddon(currentEngineHost()));
  const warn = (message: string): void => reporters.emit({ event: 'warning', message });
  await runSession({
    communicator: new InlineCommunicator(server.client(), new MemoryNetwork(), memory),
    host,
    workerSlot: '0',
    definitionCache: definitionCache(),
    warn,
    faults,
    loadEngine: (config, onWait) => loadWorkerEngine(config, gpus[0] ?? 'cpu', warn, { onWait }),
    // The session has reported its error to the coordinator, which decides the exit status.
  }).catch(() => undefined);
}
