/** `lockstep train`: starts a coordinator and the workers, shows what happens, and leaves no process behind. */

import { join } from 'node:path';
import type { Inheritance } from '../../coordinator/state.js';
import type { RunEvent } from '../../shared/run-events.js';
import { Child } from '../child-process.js';
import { exitStatus } from '../exit.js';
import { EventMemory } from '../inheritance.js';
import type { FromCoordinator, ToCoordinator } from '../launch-messages.js';
import { openReporters, type Reporters } from '../reporters/reporters.js';
import { makeSocketDirectory, removeSocketDirectory } from '../sockets.js';
import { WorkerSlot, type SlotEvents } from '../worker-slot.js';
import { placeOf, readSetup, reporting, type RunSetup, type TrainFlags } from '../train-options.js';
import { trainInOneProcess } from './single-process.js';

/** Besides the peers' timeout: time to end after a failure before a process is killed. */
const graceMs = 5_000;
/** A coordinator that dies over and over has a reason. */
const mostSuccessors = 20;

export interface TrainCommandFlags extends TrainFlags {
  readonly singleProcess?: boolean;
}

/** Resolves with the exit status. @throws ConfigError and its kin before anything has been started. */
export async function train(flags: TrainCommandFlags): Promise<number> {
  const setup = await readSetup(flags);
  const { out, resume, definition } = setup;
  const reporters = openReporters({ out, resume, callbacks: definition.callbacks, ...reporting(flags) });
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
  const socketDirectory = makeSocketDirectory();
  let listen =
    socketDirectory === null ? 'tcp://127.0.0.1:*' : `ipc://${join(socketDirectory, 'coordinator')}`;
  const workers: WorkerSlot[] = [];
  const memory = new EventMemory();
  let refused: number | undefined;
  const seen = { interrupted: false };
  const emit = (event: RunEvent): void => {
    memory.note(event);
    if (memory.over) for (const worker of workers) worker.retire();
    reporters.emit(event);
  };
  const tell = (message: ToCoordinator): void => coordinator.send(message);

  const slotEvents: SlotEvents = {
    say: (line) => reporters.say(line),
    exited: (pid, how, final) => tell({ kind: 'exited', pid, how, final }),
  };

  const startCoordinator = (succeeds: Inheritance | null): Child => {
    const child = new Child(['coordinator', '--launched'], { say: (line) => reporters.say(line) });
    child.onMessage((received) => {
      const message = received as FromCoordinator;
      switch (message.kind) {
        case 'listening':
          // The same address for a successor: the workers connect to it again by themselves.
          listen = message.endpoint;
          while (workers.length < config.workers)
            workers.push(startWorker(message.endpoint, setup, workers.length, slotEvents));
          break;
        case 'event':
          emit(message.event);
          break;
        case 'refused':
          refused = message.status;
          emit({ event: 'error', code: 'CONFIG', message: message.message });
          break;
      }
    });
    const { path, sha256 } = definition;
    const common = { config, definition: { path, sha256 }, listen, socketDirectory, out };
    child.send({
      kind: 'start',
      start: { ...common, resume: placeOf(setup.resume), succeeds },
    } satisfies ToCoordinator);
    return child;
  };

  let coordinator = startCoordinator(null);
  const interrupt = onSignals((signal, again) => {
    seen.interrupted = true;
    tell({ kind: 'interrupt', signal });
    if (again) for (const child of [coordinator, ...workers]) child.kill();
  });
  for (let lost = 1; ; lost++) {
    const { how } = await coordinator.ended;
    if (memory.over) break;
    const message = `Coordinator lost: pid ${coordinator.pid} ${how}.`;
    if (seen.interrupted || lost > mostSuccessors || workers.length === 0) {
      emit({ event: 'error', code: 'PEER_LOST', message: `${message} Start the run again.` });
      break;
    }
    emit({ event: 'warning', message: `${message} Its successor takes over.` });
    coordinator = startCoordinator(memory.known);
  }
  await Promise.all(workers.map((worker) => worker.end(config.peerTimeoutMs + graceMs)));
  interrupt.dispose();
  removeSocketDirectory(socketDirectory);
  return refused ?? coordinator.status ?? exitStatus.failed;
}

function startWorker(endpoint: string, { gpus }: RunSetup, index: number, events: SlotEvents): WorkerSlot {
  const device = gpus.length === 0 ? 'cpu' : String(gpus[index % gpus.length]);
  return new WorkerSlot(
    ['worker', '--launched', '--coordinator', endpoint, '--device', device, '--slot', String(index)],
    events,
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
