/**
 * The record of the coordinator that leads a run, `coordinator.json` in the run's folder. A successor reads it to find the workers of the
 * same run again. The lease of the folder (lease.ts), and not this record, ensures that at most one process leads the run. Another program
 * may have written the file, so an address is used only if it is one that the successor was asked to use.
 */

import { readFileSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { enterableByOthers } from '../shared/files/ownership.js';
import { writeFileAtomically } from '../shared/files/write-whole.js';
import { isLocal } from '../shared/security/endpoints.js';
import { isAlive } from './lease-holder.js';
import { isTemporaryBase, makeSocketDirectory } from './socket-directory.js';

export const leadershipName = 'coordinator.json';

const address = z.string().min(1).max(4_096);

const leadershipSchema = z.object({
  format: z.literal(1),
  runId: z.uuid(),
  /** The address as it was given, possibly with a port that the system chooses. */
  listen: address,
  /** The address as it was bound, to which the workers reconnect. */
  endpoint: address,
  /** Folder of the sockets of workers on the coordinator's host; null: there is none. */
  socketDirectory: z.string().max(4_096).nullable(),
  /** Folder of the CURVE keys; null without encryption. */
  keys: z.string().max(4_096).nullable(),
  /** Number of coordinators that have led the run, this one included. */
  term: z.int().min(1),
});

export type Leadership = Readonly<z.infer<typeof leadershipSchema>>;

/** Returns null if there is no record, or if it can't be read. */
export function readLeadership(out: string): Leadership | null {
  try {
    return leadershipSchema.parse(JSON.parse(readFileSync(join(out, leadershipName), 'utf8')));
  } catch {
    return null;
  }
}

/** Replaces the record. The caller holds the lease of the folder. @throws the file system's error */
export async function writeLeadership(
  out: string,
  leader: Omit<Leadership, 'format' | 'term'>,
): Promise<void> {
  const before = readLeadership(out);
  const term = before?.runId === leader.runId ? before.term + 1 : 1;
  const record: Leadership = { format: 1, ...leader, term };
  await writeFileAtomically(join(out, leadershipName), `${JSON.stringify(record)}\n`);
}

/**
 * Returns the folder of the sockets of a run's workers; null on platforms without them, or if the address can be reached from other hosts. A
 * successor uses the folder of its predecessor again.
 * @param run the folder of the run, and the state that its predecessor has left; null for the first coordinator
 * @param listen address of the coordinator; default: one in the folder of sockets
 */
export function openSocketDirectory(
  { out, inherited }: { readonly out: string; readonly inherited: object | null },
  listen?: string,
): string | null {
  if (listen !== undefined && !isLocal(listen)) return null;
  const predecessor = inherited === null ? null : readLeadership(out);
  return (predecessor && inheritedDirectory(predecessor)) ?? makeSocketDirectory();
}

/**
 * Returns the folder of sockets of a coordinator; null if a successor may not use it. `makeSocketDirectory` must have made it, because it is
 * removed at the end of the run, and only this user can enter it.
 */
export function inheritedDirectory({ socketDirectory: folder }: Leadership): string | null {
  if (folder === null || !/^lockstep-[A-Za-z0-9]{6}$/.test(basename(folder))) return null;
  try {
    return isTemporaryBase(dirname(folder)) && enterableByOthers(folder) === undefined ? folder : null;
  } catch {
    return null;
  }
}

/** Returns true if a worker whose socket is in the folder may be alive on this host. */
export function hasLivingWorkers(socketDirectory: string): boolean {
  try {
    return readdirSync(socketDirectory).some((name) => {
      const pid = /^w-(\d+)-/.exec(name)?.[1];
      return pid !== undefined && isAlive(Number(pid));
    });
  } catch {
    return false;
  }
}
