/**
 * The signals that stop a run: one owner per process, from its start to its end, so that no signal is lost between two listeners.
 *
 * - Before the training begins there is nothing to save, and a signal ends the process.
 * - While it runs, the first signal is a request to save and to stop. Repetitions of it have no effect, because a terminal, npm, a
 *   supervisor and a scheduler may each send one. A SIGINT at least a second after the first signal is a request to stop at once.
 * - After the end of the run, the process ends by itself with the run's status. A SIGINT at least a second after the first signal ends it
 *   at once, with the status of a failure.
 */

import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { exitStatus, statusOfStop } from '../shared/exit-status.js';

export interface StopRequest {
  /** The signal, or another cause, for messages and for the exit status. */
  readonly signal: string;
  /** True to stop without saving. */
  readonly atOnce: boolean;
}

/** SIGQUIT is not among them: it keeps its default action, which ends the process that receives it. */
const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;

/** SIGINTs within this time after the first signal count as one. */
const repetitionMs = 1_000;

/** The parts of `process` that are used, replaced in tests. */
export interface SignalSource {
  on(signal: NodeJS.Signals, listener: () => void): unknown;
  exit(status: number): void;
  now(): number;
}

export class StopSignals {
  readonly #source: SignalSource;
  #phase: 'starting' | 'running' | 'ended' = 'starting';
  #firstMs: number | undefined;
  #onStop: ((request: StopRequest) => void) | undefined;

  /**
   * Installs the listeners.
   * @param ignored signals without effect, such as SIGHUP under nohup
   */
  constructor(source: SignalSource, ignored: readonly string[] = []) {
    this.#source = source;
    for (const signal of available()) {
      const isIgnored = ignored.includes(signal);
      source.on(signal, () => {
        if (!isIgnored) this.#receive(signal);
      });
    }
  }

  /** Passes the signals that arrive during `work` to `onStop`. */
  async during<T>(onStop: (request: StopRequest) => void, work: () => Promise<T>): Promise<T> {
    this.#onStop = onStop;
    this.#phase = 'running';
    try {
      return await work();
    } finally {
      this.#phase = 'ended';
    }
  }

  /** Requests the end of the run for another reason than a signal. Has no effect before the training begins and after its end. */
  request(cause: string): void {
    if (this.#phase !== 'running' || this.#firstMs !== undefined) return;
    this.#firstMs = this.#source.now();
    this.#onStop?.({ signal: cause, atOnce: false });
  }

  #receive(signal: NodeJS.Signals): void {
    const nowMs = this.#source.now();
    const isFirst = this.#firstMs === undefined;
    this.#firstMs ??= nowMs;
    const atOnce = !isFirst && signal === 'SIGINT' && nowMs - this.#firstMs >= repetitionMs;
    if (!isFirst && !atOnce) return;
    if (this.#phase === 'running') this.#onStop?.({ signal, atOnce });
    else if (this.#phase === 'starting') this.#source.exit(statusOfStop(signal));
    else if (atOnce) this.#source.exit(exitStatus.failed);
  }
}

/** Windows has fewer signals. */
function available(): NodeJS.Signals[] {
  return stopSignals.filter((signal) => signal in constants.signals);
}

let installed: StopSignals | undefined;

/** Takes the signals of this process. Called once, as early as possible; `stopSignalsOfProcess` returns the owner. */
export function installStopSignals(): void {
  const source: SignalSource = {
    on: (signal, listener) => process.on(signal, listener),
    exit: (status) => process.exit(status),
    now: () => performance.now(),
  };
  installed ??= new StopSignals(source, hangUpIsIgnored() ? ['SIGHUP'] : []);
}

/** The owner of this process's signals. */
export function stopSignalsOfProcess(): StopSignals {
  installStopSignals();
  return installed as StopSignals;
}

/** In a launched child: ignores the signals. Ctrl-C reaches the whole process group, but only the launcher acts on it. */
export function leaveSignalsToLauncher(): void {
  for (const signal of available()) process.on(signal, () => undefined);
}

/**
 * Returns true if this process was started under nohup. Node resets the signals that its parent ignores, so the traces that nohup
 * leaves are used instead: the shell's variable `_`, an input that can't be read, and a parent that ignores SIGHUP itself.
 */
function hangUpIsIgnored(): boolean {
  return startedUnderNohup({
    shellVariable: process.env._,
    input: read('/proc/self/fdinfo/0'),
    parentStatus: read(`/proc/${process.ppid}/status`),
  });
}

export interface NohupTraces {
  /** Path of the program that the shell has started last. */
  readonly shellVariable: string | undefined;
  /** Linux's fdinfo of the standard input. */
  readonly input: string;
  /** Linux's status of the parent process. */
  readonly parentStatus: string;
}

export function startedUnderNohup({ shellVariable, input, parentStatus }: NohupTraces): boolean {
  const access = Number.parseInt(/^flags:\s*([0-7]+)/m.exec(input)?.[1] ?? '0', 8) & 3;
  const ignored = Number.parseInt(/^SigIgn:.*([\da-f])$/m.exec(parentStatus)?.[1] ?? '0', 16);
  return /(^|\/)nohup$/.test(shellVariable ?? '') || access === writeOnly || (ignored & 1) === 1;
}

/** The access mode of a file that is open for writing only. */
const writeOnly = 1;

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
