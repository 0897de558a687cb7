/**
 * Decides the folder of a run and what it continues from, and takes the folder's lease first, so that the decision cannot be outdated
 * by another process:
 *
 * - Without `--out` and `--resume` the folder is always a new one.
 * - With `--out`, an unfinished run is continued from its newest checkpoint, and a finished one is refused.
 * - `--fresh` moves the run in `--out` aside.
 * - `--resume` continues the run that it names, finished or not.
 */

import { rmdirSync } from 'node:fs';
import { resolve } from 'node:path';
import type { InheritedState } from '../../coordinator/types.js';
import { readInheritedState } from '../../launcher/inherited-state.js';
import { takeLease } from '../../launcher/lease.js';
import type { FoundCheckpoint } from '../../shared/checkpoint/read-checkpoint.js';
import { ConfigError } from '../../shared/errors.js';
import { host } from '../environment/environment.js';
import { chooseResume, newestRun, runOf } from './resume-checkpoint.js';
import { createRunFolder, moveRunAside, stateOfFolder } from './run-folder.js';

/** Time to wait for the lease of a coordinator that hangs; longer than the lease lasts without renewal. */
const hungCoordinatorMs = 15_000;

export interface FolderFlags {
  readonly out?: string;
  readonly resume?: string;
  readonly fresh?: boolean;
}

export interface OpenRun {
  readonly out: string;
  readonly resume: FoundCheckpoint | null;
  /** State of the coordinator that led the run before and failed, whose workers may still train; null: there is none. */
  readonly inherited: InheritedState | null;
  /** Lines for the log about results that were moved aside. */
  readonly notes: readonly string[];
  /** Gives the lease back, and removes the folder if nothing was written to it. */
  close(): Promise<void>;
}

/** A folder and the checkpoint to continue from, before the state of the folder is known. */
interface Choice {
  readonly out: string;
  readonly isNamed: boolean;
  readonly resume: FoundCheckpoint | null;
}

/**
 * @param restarts number of times that pm2 has restarted this process
 * @throws ConfigError if the flags contradict each other, or if the folder is refused, is led by another process or can't be written
 * @throws CheckpointError if none of the checkpoints to continue from is valid
 */
export async function openRun(flags: FolderFlags, restarts = 0): Promise<OpenRun> {
  checkFlags(flags);
  const choice = await choose(flags, restarts);
  const lease = await takeLease({ out: choice.out, host, waitMs: restarts === 0 ? 0 : hungCoordinatorMs });
  const close = async (): Promise<void> => {
    await lease.release();
    removeIfEmpty(choice.out);
  };
  try {
    return { ...(await prepare(choice, flags, restarts)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

function checkFlags({ out, resume, fresh = false }: FolderFlags): void {
  if (!fresh) return;
  if (out === undefined)
    throw new ConfigError('--fresh: expected --out, got none. Without --out, the folder of a run is always new.');
  if (resume === 'auto' || (resume !== undefined && isSame(resume, out)))
    throw new ConfigError(`--fresh: expected no --resume of the same run, got --resume ${resume}. Leave one of them out.`);
}

async function choose(flags: FolderFlags, restarts: number): Promise<Choice> {
  if (flags.out !== undefined) return { out: resolve(flags.out), isNamed: true, resume: null };
  // After a restart by pm2, the workers of the run that was coordinated before may still be there.
  const earlier = restarts === 0 ? undefined : await newestRun();
  if (earlier !== undefined && (await readInheritedState(earlier)) !== null)
    return { out: earlier, isNamed: false, resume: null };
  const resume = await chooseResume(flags.resume, undefined);
  return { out: resume ? runOf(resume.path) : createRunFolder(new Date()), isNamed: false, resume };
}

async function prepare(
  { out, isNamed, resume: chosen }: Choice,
  flags: FolderFlags,
  restarts: number,
): Promise<Omit<OpenRun, 'close'>> {
  const inherited = restarts === 0 ? null : await readInheritedState(out);
  if (inherited !== null) {
    // The workers have the state; the checkpoint only matters if they are lost as well.
    const resume = await chooseResume('auto', out).catch(() => null);
    return { out, inherited, notes: [], resume };
  }
  const notes: string[] = [];
  // pm2 restarts a process with the same options. `--fresh` was carried out at the first start; again, it would move this run aside.
  if (flags.fresh === true && restarts === 0) await moveAside(out, notes);
  const resume = isNamed ? await resumeInNamed(out, flags, notes) : chosen;
  return { out, resume, inherited: null, notes };
}

/** Returns the checkpoint that a run in the folder `--out` continues from; null for a new run. */
async function resumeInNamed(
  out: string,
  { resume }: FolderFlags,
  notes: string[],
): Promise<FoundCheckpoint | null> {
  const state = await stateOfFolder(out);
  const other = resume !== undefined && resume !== 'auto' ? await chooseResume(resume, out) : null;
  if (other !== null && isSame(runOf(other.path), out)) return other;
  if (state.kind === 'finished' && resume !== 'auto') throw finished(out, state.what);
  const own = await chooseResume('auto', out);
  if (own !== null && other !== null)
    notes.push(`${out} has checkpoints of its own and continues from those, not from --resume ${other.path}`);
  if (own !== null) return own;
  if (state.kind === 'finished') throw finished(out, state.what);
  if (state.kind === 'unfinished' && state.trained > 0) {
    await moveAside(out, notes);
    notes.push('It has no checkpoint to continue from; train with --checkpoint-every to have some');
  }
  return other;
}

function finished(out: string, what: string): ConfigError {
  return new ConfigError(
    `--out ${out}: expected a new or an unfinished run, got ${what}. Choose another folder, move the run aside with --fresh, ` +
      'or continue it with --resume and more epochs.',
    { out },
  );
}

async function moveAside(out: string, notes: string[]): Promise<void> {
  if ((await stateOfFolder(out)).kind === 'new') return;
  notes.push(`The earlier run in ${out} is now in ${await moveRunAside(out)}`);
}

const isSame = (a: string, b: string): boolean => resolve(a) === resolve(b);

/** An option that is refused should leave no folder behind. */
function removeIfEmpty(out: string): void {
  try {
    rmdirSync(out);
  } catch {
    // It is not empty, or it can't be removed.
  }
}

