/** `lockstep train`: starts a coordinator and the workers, shows what happens, and leaves no process behind. */

import { join } from 'node:path';
import { Child } from '../child-process.js';
import { exitStatus } from '../exit.js';
import type { FromCoordinator, ToCoordinator } from '../launch-messages.js';
import { openReporters, type Reporters } from '../reporters/reporters.js';
import { makeSocketDirectory, removeSocketDirectory } from '../sockets.js';
import { WorkerSlot } from '../worker-slot.js';
import { placeOf, readSetup, type RunSetup, type TrainFlags } from '../train-options.js';
import { trainInOneProcess } from './single-process.js';

/** Besides the peers' timeout: time to end after a failure before a process is killed. */
const graceMs = 5_000;

export interface TrainCommandFlags extends TrainFlags {
  readonly singleProcess?: boolean;
}

/** Resolves with the exit status. @throws ConfigError and its kin before anything has been started. */
export async function train(flags: TrainCommandFlags): Promise<number> {
  const setup = await readSetup(flags);
  const { out, resume } = setup;
  const reporters = openReporters({ out, json: flags.json === true, resume });
  try {
    return flags.singleProcess === true
      ? await trainInOneProcess(setup, out, reporters)
      : await launch(setup, out, reporters);
  } finally {
    await reporters.close();
  }
}

async function launch(setup: RunSetup, out: string, reporters: Reporters): Promise<number> {
  const { config, definition } = setup;
  const resume = placeOf(setup.resume);
  const socketDirectory = makeSocketDirectory();
  const listen =
    socketDirectory === null ? 'tcp://127.0.0.1:*' : `ipc://${join(socketDirectory, 'coordinator')}`;
  const coordinator = new Child(['coordinator', '--launched']);
  const workers: WorkerSlot[] = [];
  const seen = { outcome: false };
  let refused: number | undefined;
  const tell = (message: ToCoordinator): void => coordinator.send(message);
  const interrupt = onSignals((signal, again) => {
    tell({ kind: 'interrupt', signal });
    if (again) for (const child of [coordinator, ...workers]) child.kill();
  });

  coordinator.onMessage((received) => {
    const message = received as FromCoordinator;
    switch (message.kind) {
      case 'listening':
        for (let i = 0; i < config.workers; i++) workers.push(startWorker(message.endpoint, setup, i, tell));
        break;
      case 'event':
        seen.outcome ||= message.event.event === 'error' || message.event.event === 'done';
        if (seen.outcome) for (const worker of workers) worker.retire();
        reporters.emit(message.event);
        break;
      case 'refused':
        seen.outcome = true;
        refused = message.status;
        reporters.emit({ event: 'error', code: 'CONFIG', message: message.message });
        break;
    }
  });
  const { path, sha256 } = definition;
  tell({
    kind: 'start',
    start: { config, definition: { path, sha256 }, listen, socketDirectory, out, resume },
  });

  const { how } = await coordinator.ended;
  if (!seen.outcome) {
    const message = `Coordinator lost: pid ${coordinator.pid} ${how}. Start the run again.`;
    reporters.emit({ event: 'error', code: 'PEER_LOST', message });
  }
  await Promise.all(workers.map((worker) => worker.end(config.peerTimeoutMs + graceMs)));
  interrupt.dispose();
  removeSocketDirectory(socketDirectory);
  return refused ?? coordinator.status ?? exitStatus.failed;
}

function startWorker(
  endpoint: string,
  { gpus }: RunSetup,
  index: number,
  tell: (message: ToCoordinator) => void,
): WorkerSlot {
  const device = gpus.length === 0 ? 'cpu' : String(gpus[index % gpus.length]);
  return new WorkerSlot(
    ['worker', '--launched', '--coordinator', endpoint, '--device', device, '--slot', String(index)],
    { exited: (pid, how, final) => tell({ kind: 'exited', pid, how, final }) },
  );
}

function onSignals(handle: (signal: string, again: boolean) => void): { dispose(): void } {
  let count = 0;
  const listener = (signal: NodeJS.Signals): void => handle(signal, ++count > 1);
  process.on('SIGINT', listener);
  process.on('SIGTERM', listener);
  return {
    dispose: () => {
      process.off('SIGINT', listener);
      process.off('SIGTERM', listener);
    },
  };
}
