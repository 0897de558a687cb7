/**
 * Installs one engine at a time into the cache, and removes what killed installations have left there. The files of an engine are
 * collected in a draft folder; the engine's folder appears whole, by one rename of the draft, or not at all.
 */

import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import lockfile from 'proper-lockfile';
import { EngineError } from '../../../shared/errors.js';

/** A lock that a killed process holds expires after this time. A running process renews its lock. */
const staleMs = 60_000;

/** Interval at which a waiting process checks whether the other installation has ended. */
const pollMs = 500;

const lockOf = (directory: string): string => `${directory}.lock`;

const draftPrefix = (directory: string): string => `${path.basename(directory)}.draft-`;

/** Returns the draft folder of this process for the engine's folder `directory`. */
export const draftOf = (directory: string): string =>
  path.join(path.dirname(directory), `${draftPrefix(directory)}${process.pid}`);

/**
 * Runs `body` while no other process installs into `directory`, an engine's folder. Waits for such a process for up to an hour. Removes
 * drafts beforehand: while this process holds the lock, every draft belongs to a process that was killed.
 * @param onWait called once with the path of the lock if another process holds it
 * @throws EngineError if the cache cannot be written
 */
export async function exclusively<T>(
  directory: string,
  body: () => Promise<T>,
  onWait: (lock: string) => void = () => undefined,
): Promise<T> {
  const root = path.dirname(directory);
  await mkdir(root, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw new EngineError(
      `Engine cache ${root}: expected a folder that can be written. Set XDG_CACHE_HOME.`,
      { path: root },
      error,
    );
  });
  const lockfilePath = lockOf(directory);
  if (existsSync(lockfilePath) && (await lockfile.check(root, { lockfilePath, stale: staleMs })))
    onWait(lockfilePath);
  const release = await lockfile.lock(root, {
    lockfilePath,
    stale: staleMs,
    retries: { retries: 3600, factor: 1, minTimeout: 1000, maxTimeout: 1000 },
  });
  try {
    for (const name of await readdir(root))
      if (name.startsWith(draftPrefix(directory)))
        await rm(path.join(root, name), { recursive: true, force: true });
    return await body();
  } finally {
    await release();
  }
}

/**
 * Waits while another process installs into `directory`, an engine's folder. Resolves at once if none does.
 * @param onWait called with the path of the lock before each interval of waiting
 */
export async function installationEnded(directory: string, onWait: (lock: string) => void): Promise<void> {
  const root = path.dirname(directory);
  const lockfilePath = lockOf(directory);
  const isHeld = async (): Promise<boolean> =>
    existsSync(lockfilePath) && (await lockfile.check(root, { lockfilePath, stale: staleMs }));
  while (await isHeld()) {
    onWait(lockfilePath);
    await sleep(pollMs);
  }
}

/** Gives a complete draft the engine's name, in place of an older folder. */
export async function publishDraft(draft: string, directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  await rename(draft, directory);
}
