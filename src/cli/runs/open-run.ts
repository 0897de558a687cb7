/**
 * Decides the folder of a run and what it continues from, and takes the folder's lease first, so that the decision cannot be outdated
 * by another process:
 *
 * - Without `--out` and `--resume` the folder is always a new one.
 * - With `--out`, an unfinished run is taken over from its workers if they are alive, or else continued from its newest checkpoint. A
 *   finished run is refused.
 * - `--fresh` moves the run in `--out` aside.
 * - `--resume` continues the run that it names, finished or not, as `--out` does.
 */

import { rmdirSync } from 'node:fs';
import { resolve } from 'node:path';
import type { InheritedState } from '../../coordinator/types.js';
import { readInheritedState } from '../../launcher/inherited-state.js';
import { takeLease } from '../../launcher/lease.js';
import type { FoundCheckpoint } from '../../shared/checkpoint/read-checkpoint.js';
import { ConfigError } from '../../shared/errors.js';
import { host } from '../environment/environment.js';
import type { Reporters } from '../reporters/reporters.js';
import type { FindMembers } from './find-members.js';
import { chooseResume, runOf } from './resume-checkpoint.js';
import { createRunFolder, moveRunAside, stateOfFolder } from './run-folder.js';

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
 * @param findMembers looks for workers that train a run; undefined if this command cannot take a run over
 * @throws ConfigError if the flags contradict each other, or if the folder is refused, is led by another process or can't be written
 * @throws CheckpointError if none of the checkpoints to continue from is valid
 */
export async function openRun(flags: FolderFlags, findMembers?: FindMembers): Promise<OpenRun> {
  checkFlags(flags);
  const choice = await choose(flags);
  const lease = await takeLease({ out: choice.out, host });
  const close = async (): Promise<void> => {
    await lease.release();
    removeIfEmpty(choice.out);
  };
  try {
    return { ...(await prepare(choice, flags, findMembers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Reports why and from what the run continues. A takeover is an event of its log. */
export function reportNotes(
  { notes, inherited }: Pick<OpenRun, 'notes' | 'inherited'>,
  reporters: Pick<Reporters, 'emit' | 'printLine'>,
): void {
  for (const note of notes) {
    if (inherited === null) reporters.printLine(note);
    else reporters.emit({ event: 'warning', message: `${note}.` });
  }
}

function checkFlags({ out, resume, fresh = false }: FolderFlags): void {
  if (!fresh) return;
  if (out === undefined)
    throw new ConfigError(
      '--fresh: expected --out, got none. Without --out, the folder of a run is always new.',
    );
  if (resume === 'auto' || (resume !== undefined && isSame(resume, out)))
    throw new ConfigError(
      `--fresh: expected no --resume of the same run, got --resume ${resume}. Leave one of them out.`,
    );
}

async function choose(flags: FolderFlags): Promise<Choice> {
  if (flags.out !== undefined) return { out: resolve(flags.out), isNamed: true, resume: null };
  const resume = await chooseResume(flags.resume, undefined);
  return { out: resume ? runOf(resume.path) : createRunFolder(new Date()), isNamed: false, resume };
}

async function prepare(
  { out, isNamed, resume: chosen }: Choice,
  flags: FolderFlags,
  findMembers: FindMembers | undefined,
): Promise<Omit<OpenRun, 'close'>> {
  const notes: string[] = [];
  if (flags.fresh === true) await moveAside(out, notes);
  const state = namesCheckpoint(flags.resume, out) ? null : await readInheritedState(out);
  const answer = state === null ? undefined : await findMembers?.({ out, state });
  if (state !== null && answer?.isAlive === true) {
    notes.push(`Takes over run ${state.runId} after step ${state.step}: ${answer.reason}`);
    // The workers have the state; the checkpoint only matters if they are lost as well.
    return { out, inherited: state, notes, resume: await chooseResume('auto', out).catch(() => null) };
  }
  const resume = isNamed ? await resumeInNamed(out, flags, notes) : chosen;
  if (state !== null && answer !== undefined) {
    const from = resume === null ? 'training starts at step 1' : `it continues from ${resume.path}`;
    notes.unshift(`Run ${state.runId} is not taken over: ${answer.reason}; ${from}`);
  }
  return { out, resume, inherited: null, notes };
}

/** Returns true if `--resume` names a checkpoint of the run in `out`, and not the run. */
function namesCheckpoint(resume: string | undefined, out: string): boolean {
  return (
    resume !== undefined && resume !== 'auto' && !isSame(resume, out) && isSame(runOf(resolve(resume)), out)
  );
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
  if (state.kind === 'unfinished' && state.hasStarted) {
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
