/**
 * The lease of a run's folder. At most one process holds it and leads the run. This process is `train`, which starts one coordinator after
 * another, or a coordinator that was not started by `train`. The holder renews the lease while it runs. A holder that hangs for longer than
 * `staleMs` loses the lease to the next process that requests it, and exits when it continues. The lease of a process that is known to be
 * dead is free at once. A holder that this process cannot see (on another host, or in another container) is observed: it is alive if it
 * renews the lease.
 *
 * ```
 * <run>/lead.lock   a folder; its modification time shows that the holder is alive
 * <run>/lead.json   the holder
 * ```
 */

import { mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import lockfile from 'proper-lockfile';
import { ConfigError, systemCode } from '../shared/errors.js';
import { exitStatus } from '../shared/exit-status.js';
import { describeOwnProcess, holderSchema, lifeOf, type Holder } from './lease-holder.js';

const staleMs = 10_000;
const updateMs = 2_000;
const retryMs = 250;

/** A living holder renews the lease within this time; a dead one has lost it after this time. */
const observationMs = staleMs + updateMs;

export interface Lease {
  release(): Promise<void>;
}

export interface LeaseRequest {
  /** Folder of the run. */
  readonly out: string;
  readonly host: string;
  /** Called when another process has taken the lease: this process must end at once. */
  readonly onLost?: (message: string) => void;
}

/** @throws ConfigError if another process leads the run, or if the folder cannot be written */
export async function takeLease({ out, host, onLost = exitOnLostLease }: LeaseRequest): Promise<Lease> {
  const startedMs = performance.now();
  const own = describeOwnProcess(host);
  const renewedAtMs = renewalOf(out);
  for (;;) {
    try {
      return await tryLease(out, own, onLost);
    } catch (cause) {
      if (systemCode(cause) !== 'ELOCKED') {
        throw new ConfigError(
          `Folder ${out} can't be written (${systemCode(cause) ?? String(cause)}). Choose another one with --out.`,
          { out },
          cause,
        );
      }
      const holder = readHolder(filesOf(out).note);
      const isObserved = holder === undefined || lifeOf(holder, own) === 'unknown';
      const isUnclear = isObserved && renewalOf(out) === renewedAtMs;
      if (!isUnclear || performance.now() - startedMs >= observationMs) throw alreadyLed(out, own, cause);
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  }
}

/** The time at which the holder has renewed the lease; undefined if there is no holder. */
function renewalOf(out: string): number | undefined {
  try {
    return statSync(filesOf(out).lock).mtimeMs;
  } catch {
    return undefined;
  }
}

async function tryLease(out: string, own: Holder, onLost: (message: string) => void): Promise<Lease> {
  const files = filesOf(out);
  // Other users see neither the data nor the results of a run, unless its owner changes the mode.
  mkdirSync(out, { recursive: true, mode: 0o700 });
  expireDeadHolder(files.lock, files.note, own);
  let released = false;
  const isReleased = (): boolean => released;
  const lock = (): Promise<() => Promise<void>> =>
    lockfile.lock(out, {
      lockfilePath: files.lock,
      stale: staleMs,
      update: updateMs,
      realpath: false,
      onCompromised: () => void retake(),
    });
  /** The lease could not be renewed: another process has it, or its files are lost, or the disk has failed for a time. */
  const retake = async (): Promise<void> => {
    while (!isReleased()) {
      const holder = readHolder(files.note);
      if (holder && !isDeepStrictEqual(holder, own)) {
        onLost(`Run ${out} is led by pid ${holder.pid} on ${holder.host} since this process hung.`);
        return;
      }
      try {
        release = await lock();
        if (isReleased()) await release();
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, updateMs).unref());
      }
    }
  };
  let release = await lock();
  writeFileSync(files.note, JSON.stringify(own));
  return {
    release: async () => {
      released = true;
      // A lease that is not given back expires.
      try {
        rmSync(files.note, { force: true });
      } catch {
        // The next holder overwrites it.
      }
      await release().catch(() => undefined);
    },
  };
}

const [lockName, noteName] = ['lead.lock', 'lead.json'];

/** The names of the lease's files, which stay where they are while the lease is held. */
export const leaseFiles: readonly string[] = [lockName, noteName];

/** Path of the lease while a process holds it. */
export const leasePath = (out: string): string => filesOf(out).lock;

const filesOf = (out: string): { lock: string; note: string } => ({
  lock: join(out, lockName),
  note: join(out, noteName),
});

function alreadyLed(out: string, own: Holder, cause: unknown): ConfigError {
  const holder = readHolder(filesOf(out).note);
  const isElsewhere = holder?.host === own.host && holder.pidNamespace !== own.pidNamespace;
  return new ConfigError(
    `Run ${out} is led by ${holder ? `pid ${holder.pid} on ${holder.host}${isElsewhere ? ' (in another container)' : ''}` : 'another process'} already. ` +
      'Wait for its end, or choose another folder with --out.',
    { out, isLed: true },
    cause,
  );
}

/** Ends this process. Its children end because their IPC channels close. */
function exitOnLostLease(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(exitStatus.failed);
}

function readHolder(note: string): Holder | undefined {
  try {
    return holderSchema.parse(JSON.parse(readFileSync(note, 'utf8')));
  } catch {
    return undefined;
  }
}

/** Marks the lease of a process that is known to be dead as stale, so that it is free now and not only after `staleMs`. */
function expireDeadHolder(lock: string, note: string, own: Holder): void {
  try {
    const before = statSync(lock);
    const holder = readHolder(note);
    if (!holder || lifeOf(holder, own) !== 'dead') return;
    // Another process may have taken the lease since; then the folder has another inode or time.
    const now = statSync(lock);
    if (now.ino === before.ino && now.mtimeMs === before.mtimeMs) utimesSync(lock, 0, 0);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}
