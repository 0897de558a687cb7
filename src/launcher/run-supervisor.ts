/**
 * Runs a coordinator and the workers of one host as child processes until the run is over. A coordinator that fails is replaced by a new
 * one, which inherits the run. A worker that fails is replaced by its slot. No process is left behind.
 */

import type { InheritedState } from '../coordinator/types.js';
import { exitStatus } from '../shared/exit-status.js';
import type { RunEvent } from '../shared/runs/run-events.js';
import { Child } from './child-process.js';
import { endWithoutCoordinator } from './end-without-coordinator.js';
import { InheritedStateCollector } from './inherited-state.js';
import type { CoordinatorStart, FromCoordinator, ToCoordinator } from './launch-messages.js';
import { RecentExits } from './recent-exits.js';
import {
  addressIn,
  removeSocketDirectory,
  removeSocketsOf,
  restoreSocketDirectory,
} from './socket-directory.js';
import { stopSignalsOfProcess, type StopRequest } from './stop-signals.js';
import { Watchdog } from './watchdog.js';
import { WorkerSlot } from './worker-slot.js';

/** When the run is over, a worker process that does not end is killed after `peerTimeoutMs` plus this time. */
const graceMs = 5_000;
/** Time that a coordinator has to end after a request to stop at once. */
const atOnceMs = 2_000;
/**
 * Maximum number of coordinators that are replaced within a minute. If one more coordinator fails, the cause is persistent, and the run
 * ends.
 */
const mostTakeovers = 10;

/** The data with which a coordinator is started, without the fields that the supervisor sets itself. */
export interface SupervisedRun extends Omit<CoordinatorStart, 'listen'> {
  /** GPU numbers for the workers, in order; empty for CPU. */
  readonly gpus: readonly number[];
  /** Additional arguments of every worker process. */
  readonly workerArguments: readonly string[];
  /** Set if the other workers are tasks of a scheduler's job, so that this process starts only one. */
  readonly task?: SupervisedTask | undefined;
}

/** Task 0 of a scheduler's job: a coordinator and one worker. */
export interface SupervisedTask {
  /** Address at which every coordinator of the run listens. */
  readonly listen: string;
  /** Address at which the workers of all tasks reach it. */
  readonly endpoint: string;
  /** Name of this host. It tells the workers of this launcher from workers of other hosts, which may have the same PIDs. */
  readonly host: string;
  /** Called when workers can join. */
  onListening(): void;
}

/** The destination of a run's events and of its processes' other output. */
export interface SupervisorOutput {
  emit(event: RunEvent): void;
  printLine(line: string): void;
}

export class RunSupervisor {
  readonly #run: SupervisedRun;
  readonly #output: SupervisorOutput;
  readonly #workers: WorkerSlot[] = [];
  readonly #inherited: InheritedStateCollector;
  readonly #exits = new RecentExits();
  #listen: string;
  #coordinator: Child;
  #hung = false;
  /** The signal that stopped the run. */
  #stoppedBy: string | undefined;
  /** The exit status, if it is not the coordinator's. */
  #status: number | undefined;

  constructor(run: SupervisedRun, output: SupervisorOutput) {
    this.#run = run;
    this.#output = output;
    this.#inherited = new InheritedStateCollector(run.inherited);
    const directory = run.socketDirectory;
    this.#listen = run.task?.listen ?? (directory === null ? 'tcp://127.0.0.1:*' : addressIn(directory));
    this.#coordinator = this.#startCoordinator(run.inherited);
  }

  /** Asks the coordinator for a checkpoint, after which the training continues. */
  requestCheckpoint(): void {
    this.#send({ kind: 'checkpoint' });
  }

  /** Waits for the end of the run and of all processes; resolves with the exit status. */
  async ended(): Promise<number> {
    await stopSignalsOfProcess().during(
      (request) => this.#interrupt(request),
      async () => {
        await this.#replaceCoordinators();
        const { peerTimeoutMs } = this.#run.config;
        await Promise.all(this.#workers.map((worker) => worker.end(peerTimeoutMs + graceMs)));
      },
    );
    removeSocketDirectory(this.#run.socketDirectory);
    return this.#status ?? this.#coordinator.status ?? exitStatus.failed;
  }

  /** Resolves when a coordinator has ended and is not replaced. */
  async #replaceCoordinators(): Promise<void> {
    for (;;) {
      const { how } = await this.#coordinator.ended;
      if (this.#inherited.ended) return;
      const { peerTimeoutMs } = this.#run.config;
      const reason = this.#hung ? `did not answer for ${peerTimeoutMs / 1000} s and ${how}` : how;
      this.#hung = false;
      const message = `Coordinator lost: pid ${this.#coordinator.pid} ${reason}.`;
      const tooMany = this.#exits.add() > mostTakeovers;
      if (this.#stoppedBy !== undefined) {
        const { state } = this.#inherited;
        const end = endWithoutCoordinator(state, this.#run.resume, this.#stoppedBy, message);
        this.#status = end.status;
        this.#emit(end.event);
        return;
      }
      if (tooMany || this.#workers.length === 0) {
        this.#emit({ event: 'error', code: 'PEER_LOST', message: `${message} Start the run again.` });
        return;
      }
      this.#emit({ event: 'warning', message: `${message} Its successor takes over.` });
      this.#coordinator = this.#startCoordinator(this.#inherited.state);
    }
  }

  #startCoordinator(inherited: InheritedState | null): Child {
    const child = new Child(['coordinator', '--launched'], {
      onLine: (line) => this.#output.printLine(line),
    });
    let watchdog: Watchdog | undefined;
    child.onMessage((received) => {
      const message = received as FromCoordinator;
      watchdog?.reset();
      if (message.kind === 'listening')
        watchdog = new Watchdog(child, this.#run.config.peerTimeoutMs, () => (this.#hung = true));
      this.#onMessage(child, message);
    });
    const { config, definition, fingerprint, keys, out, resume, socketDirectory } = this.#run;
    const start: CoordinatorStart = {
      config,
      definition,
      fingerprint,
      keys,
      out,
      resume,
      listen: this.#listen,
      socketDirectory,
      inherited,
    };
    child.send({ kind: 'start', start } satisfies ToCoordinator);
    return child;
  }

  #onMessage(coordinator: Child, message: FromCoordinator): void {
    switch (message.kind) {
      case 'heartbeat':
        break;
      case 'listening':
        this.#emit({ event: 'coordinator', pid: coordinator.pid });
        // A later coordinator listens on the same address, to which the workers reconnect by themselves.
        this.#listen = this.#run.task?.listen ?? message.endpoint;
        this.#run.task?.onListening();
        while (this.#workers.length < this.#ownWorkers) this.#workers.push(this.#startWorker());
        break;
      case 'event':
        this.#emit(message.event);
        break;
      case 'startFailed':
        this.#status = message.status;
        this.#emit({ event: 'error', code: 'CONFIG', message: message.message });
        break;
    }
  }

  #emit(event: RunEvent): void {
    this.#inherited.add(event);
    if (this.#inherited.ended) for (const worker of this.#workers) worker.retire();
    if (event.event === 'worker' && event.state === 'lost') {
      const { task } = this.#run;
      if (task === undefined || task.host === event.host)
        for (const worker of this.#workers) worker.replace(event.pid);
      removeSocketsOf(this.#run.socketDirectory, event.pid);
    }
    this.#output.emit(event);
  }

  get #ownWorkers(): number {
    return this.#run.task === undefined ? this.#run.config.workers : 1;
  }

  #startWorker(): WorkerSlot {
    const { gpus, keys, task, workerArguments } = this.#run;
    const index = this.#workers.length;
    const device = gpus.length === 0 ? 'cpu' : String(gpus[index % gpus.length]);
    const args = ['worker', '--launched', '--coordinator', task?.endpoint ?? this.#listen];
    args.push('--device', device);
    args.push('--slot', String(index));
    if (keys !== null) args.push('--keys', keys);
    return new WorkerSlot([...args, ...workerArguments], {
      onLine: (line) => this.#output.printLine(line),
      onExit: (pid, how, final) => {
        // The replacement refuses an address in a folder that does not exist.
        restoreSocketDirectory(this.#run.socketDirectory);
        this.#send({ kind: 'exited', pid, how, final });
      },
    });
  }

  /** Requests the end of the run from the coordinator. To stop at once also kills the workers, and a coordinator that hangs. */
  #interrupt(request: StopRequest): void {
    this.#stoppedBy ??= request.signal;
    this.#send({ kind: 'interrupt', ...request });
    if (!request.atOnce) return;
    for (const worker of this.#workers) worker.kill();
    setTimeout(() => this.#coordinator.kill(), atOnceMs).unref();
  }

  #send(message: ToCoordinator): void {
    this.#coordinator.send(message);
  }
}
