/** `lockstep train`: starts a coordinator and the workers, shows what happens, and leaves no process behind. */

import { join } from 'node:path';
import type { InheritedState } from '../../coordinator/types.js';
import type { RunEvent } from '../../shared/runs/run-events.js';
import { Child } from '../../launcher/child-process.js';
import type { FaultOptions } from '../../worker/faults/fault-options.js';
import { exitStatus } from '../exit.js';
import { EventMemory } from '../../launcher/inheritance.js';
import type { FromCoordinator, ToCoordinator } from '../../launcher/launch-messages.js';
import { dieOf, takeLease } from '../../launcher/lease.js';
import { openWatchedReporters } from '../reporters/observers.js';
import type { Reporters } from '../reporters/reporters.js';
import { withKeys } from '../security/security.js';
import { faultArguments, faultOptionsOf, type FaultFlags } from '../options/fault-options.js';
import type { SecurityFlags } from '../options/security-options.js';
import {
  makeSocketDirectory,
  removeSocketDirectory,
  removeSocketsOf,
} from '../../launcher/socket-directory.js';
import { WorkerSlot, type SlotEvents } from '../../launcher/worker-slot.js';
import { RecentEnds } from '../../launcher/recent-exits.js';
import { Watchdog } from '../../launcher/watchdog.js';
import {
  checkpointRefOf,
  readSetup,
  reporting,
  type RunSetup,
  type TrainFlags,
} from '../options/train-options.js';
import { trainInOneProcess } from './single-process.js';

/** Besides the peers' timeout: time to end after a failure before a process is killed. */
const graceMs = 5_000;
/** Within a minute: a coordinator that dies over and over has a reason. */
const mostSuccessors = 10;

export interface TrainCommandFlags extends TrainFlags, SecurityFlags, FaultFlags {
  readonly singleProcess?: boolean;
}

/** Resolves with the exit status. @throws ConfigError and its kin before anything has been started. */
export async function train(flags: TrainCommandFlags): Promise<number> {
  const setup = await readSetup(flags);
  const faults = faultOptionsOf(flags);
  const { out, resume, definition } = setup;
  const lease = await takeLease(out, dieOf);
  try {
    return await withKeys(flags, async (keys) => {
      const reporters = await openWatchedReporters({
        ...{ out, resume, callbacks: definition.callbacks },
        ...reporting(flags),
      });
      try {
        return flags.singleProcess === true
          ? await trainInOneProcess(setup, out, reporters, faults)
          : await launch(setup, out, reporters, { keys, faults });
      } finally {
        await reporters.close();
      }
    });
  } finally {
    await lease.release();
  }
}

/** Settings of every worker process besides its device. */
interface WorkerSettings {
  /** Folder of CURVE keys; null: none. */
  readonly keys: string | null;
  readonly faults: FaultOptions;
}

async function launch(
  setup: RunSetup,
  out: string,
  reporters: Reporters,
  { keys, faults }: WorkerSettings,
): Promise<number> {
  const { config, definition } = setup;
  const socketDirectory = makeSocketDirectory();
  let listen =
    socketDirectory === null ? 'tcp://127.0.0.1:*' : `ipc://${join(socketDirectory, 'coordinator')}`;
  const workers: WorkerSlot[] = [];
  const memory = new EventMemory();
  let refused: number | undefined;
  const seen = { interrupted: false, hung: false };
  const ends = new RecentEnds();
  const emit = (event: RunEvent): void => {
    memory.note(event);
    if (memory.over) for (const worker of workers) worker.retire();
    if (event.event === 'worker' && event.state === 'lost') {
      for (const worker of workers) worker.expel(event.pid);
      removeSocketsOf(socketDirectory, event.pid);
    }
    reporters.emit(event);
  };
  const tell = (message: ToCoordinator): void => coordinator.send(message);

  const slotEvents: SlotEvents = {
    say: (line) => reporters.say(line),
    exited: (pid, how, final) => tell({ kind: 'exited', pid, how, final }),
  };

  const startCoordinator = (inherited: InheritedState | null): Child => {
    const child = new Child(['coordinator', '--launched'], { say: (line) => reporters.say(line) });
    let watchdog: Watchdog | undefined;
    child.onMessage((received) => {
      const message = received as FromCoordinator;
      watchdog?.heard();
      switch (message.kind) {
        case 'alive':
          break;
        case 'listening':
          emit({ event: 'coordinator', pid: child.pid });
          watchdog = new Watchdog(child, config.peerTimeoutMs, () => (seen.hung = true));
          // The same address for a successor: the workers connect to it again by themselves.
          listen = message.endpoint;
          while (workers.length < config.workers)
            workers.push(startWorker(message.endpoint, { keys, faults }, setup, workers.length, slotEvents));
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
    const common = { config, definition: { path, sha256 }, listen, keys, socketDirectory, out };
    child.send({
      kind: 'start',
      start: { ...common, resume: checkpointRefOf(setup.resume), inherited },
    } satisfies ToCoordinator);
    return child;
  };

  let coordinator = startCoordinator(null);
  const interrupt = onSignals((signal, again) => {
    seen.interrupted = true;
    tell({ kind: 'interrupt', signal });
    if (again) for (const child of [coordinator, ...workers]) child.kill();
  });
  for (;;) {
    const { how } = await coordinator.ended;
    if (memory.over) break;
    const why = seen.hung ? `did not answer for ${config.peerTimeoutMs / 1000} s and ${how}` : how;
    seen.hung = false;
    const message = `Coordinator lost: pid ${coordinator.pid} ${why}.`;
    if (seen.interrupted || ends.add() > mostSuccessors || workers.length === 0) {
      emit({ event: 'error', code: 'PEER_LOST', message: `${message} Start the run again.` });
      break;
    }
    emit({ event: 'warning', message: `${message} Its successor takes over.` });
    coordinator = startCoordinator(memory.known.runId === '' ? null : memory.known);
  }
  await Promise.all(workers.map((worker) => worker.end(config.peerTimeoutMs + graceMs)));
  interrupt.dispose();
  removeSocketDirectory(socketDirectory);
  return refused ?? coordinator.status ?? exitStatus.failed;
}

function startWorker(
  endpoint: string,
  { keys, faults }: WorkerSettings,
  { gpus }: RunSetup,
  index: number,
  events: SlotEvents,
): WorkerSlot {
  const device = gpus.length === 0 ? 'cpu' : String(gpus[index % gpus.length]);
  return new WorkerSlot(
    [
      ...['worker', '--launched', '--coordinator', endpoint, '--device', device, '--slot', String(index)],
      ...(keys === null ? [] : ['--keys', keys]),
      ...faultArguments(faults),
    ],
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
