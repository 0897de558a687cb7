/**
 * Who leads a run: one process at a time has the lease of the run's folder (`train`, which starts one coordinator after the other, or
 * a coordinator that was started by itself). Kept fresh while its holder runs; a holder that hangs for longer than `staleMs` loses it
 * to the next who asks, and ends when it wakes. A holder that is known to be dead holds nothing.
 *
 * ```
 * <run>/lead.lock   a folder; its time of change says that the holder lives
 * <run>/lead.json   who that is
 * ```
 */

import { mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import lockfile from 'proper-lockfile';
import { z } from 'zod';
import { ConfigError, systemCode } from '../shared/errors.js';
import { host } from '../cli/options/environment.js';
import { exitStatus } from '../cli/exit.js';

const staleMs = 10_000;
const updateMs = 2_000;

const holderSchema = z.object({ pid: z.int(), host: z.string(), since: z.number() });
type Holder = z.infer<typeof holderSchema>;

export interface Lease {
  release(): Promise<void>;
}

/**
 * @param lost called when another process has taken the lease: this one must end at once
 * @param waitMs how long to wait for a holder that may hang
 * @throws ConfigError when another process leads the run, or the folder can't be written
 */
export async function takeLease(out: string, lost: (message: string) => void, waitMs = 0): Promise<Lease> {
  const [lock, note] = [join(out, 'lead.lock'), join(out, 'lead.json')];
  const own: Holder = { pid: process.pid, host, since: Date.now() };
  const deadlineMs = performance.now() + waitMs;
  for (;;) {
    try {
      mkdirSync(out, { recursive: true });
      forgetTheDead(lock, note);
      const release = await lockfile.lock(out, {
        ...{ lockfilePath: lock, stale: staleMs, update: updateMs, realpath: false },
        onCompromised: () => {
          const holder = readHolder(note);
          // The folder is gone or can't be written: nobody else leads.
          if (!holder || (holder.pid === own.pid && holder.host === own.host)) return;
          lost(`Run ${out} is led by pid ${holder.pid} on ${holder.host} since this process hung.`);
        },
      });
      writeFileSync(note, JSON.stringify(own));
      return {
        release: async () => {
          rmSync(note, { force: true });
          await release().catch(() => undefined);
        },
      };
    } catch (cause) {
      if (systemCode(cause) !== 'ELOCKED') {
        const why = systemCode(cause) ?? String(cause);
        throw new ConfigError(
          `Folder ${out} can't be written (${why}). Choose another one with --out.`,
          { out },
          cause,
        );
      }
      if (performance.now() < deadlineMs) {
        await new Promise((resolve) => setTimeout(resolve, 250));
        continue;
      }
      const holder = readHolder(note);
      throw new ConfigError(
        `Run ${out} is led by ${holder ? `pid ${holder.pid} on ${holder.host}` : 'another process'} already. ` +
          'Wait for its end, or choose another folder with --out.',
        { out },
        cause,
      );
    }
  }
}

/** For `lost`: its children end when this process has. */
export function dieOf(message: string): never {
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

/** A holder of this host that was killed: its lease is stale at once, not after `staleMs`. */
function forgetTheDead(lock: string, note: string): void {
  try {
    const before = statSync(lock);
    const holder = readHolder(note);
    if (!holder || holder.host !== host || isThere(holder.pid)) return;
    // Unless somebody has taken it meanwhile.
    if (statSync(lock).ino === before.ino && statSync(lock).mtimeMs === before.mtimeMs)
      utimesSync(lock, 0, 0);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
}
