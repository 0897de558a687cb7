/** What the placement of a process in a job decides about the options of `train`, and what is printed about it. */

import { join, resolve } from 'node:path';
import type { Placement } from '../../launcher/platforms/platform.js';
import { ConfigError } from '../../shared/errors.js';
import type { TrainFlags } from '../options/train-options.js';

/** Returns the folder of the run; undefined: a new one of its own. @throws ConfigError if the tasks of a job have no common folder */
export function runFolderOf({ out }: TrainFlags, placement: Placement): string | undefined {
  if (out !== undefined) return resolve(out);
  if (placement.folder !== null) return resolve(join('runs', placement.folder));
  if (placement.size === 1) return undefined;
  throw new ConfigError(
    `${placement.job} with ${placement.size} tasks: expected --out, got none. ` +
      'The environment has no name of the job from which all tasks could derive the folder of their run.',
  );
}

/**
 * Returns the options of `train` in a job: one worker per task, and a folder that a job which is started again finds again.
 * @throws ConfigError if they contradict the job
 */
export function flagsInJob<Flags extends TrainFlags & { readonly singleProcess?: boolean }>(
  flags: Flags,
  placement: Placement,
): Flags {
  const { size, job, restarts } = placement;
  const out = runFolderOf(flags, placement);
  refuseFreshInPod(flags, placement);
  // A job that is started again continues its run.
  const fresh = flags.fresh === true && restarts === 0;
  const common = { ...flags, ...(out === undefined ? {} : { out }), fresh };
  if (size === 1) return common;
  if (flags.singleProcess === true)
    throw new ConfigError(`--single-process: expected one task, got ${size} (${job}). Leave the option out.`);
  if (flags.workers !== undefined && Number(flags.workers) !== size)
    throw new ConfigError(
      `--workers: expected ${size}, the number of tasks (${job}), got ${flags.workers as number | string}. Leave the option out.`,
    );
  return { ...common, workers: size };
}

/** The first line that is printed; undefined if nothing was detected. */
export function describePlacement(placement: Placement, out: string | undefined): string | undefined {
  const { launcher, job, role, rank, size, nodes } = placement;
  if (launcher === 'none' || launcher === 'pm2') return undefined;
  const where = nodes === null ? '' : ` on ${nodes}`;
  const self = role === 'worker' ? `, this is task ${rank}` : '';
  const tasks = size === 1 ? `1 task${where}` : `${size} tasks${where}, task 0 coordinates${self}`;
  const folder = out === undefined ? '' : `, run folder ${out}`;
  return `${job}: ${tasks}${folder} (--launcher none ignores the job).`;
}

/** @throws ConfigError for `--fresh` in a process that its platform starts again without stating it */
export function refuseFreshInPod({ fresh = false }: Pick<TrainFlags, 'fresh'>, placement: Placement): void {
  const { job, restarts } = placement;
  if (fresh && restarts === null)
    throw new ConfigError(
      `--fresh (${job}): expected no such option, got it. A pod that is started again would move its own run aside. Name a new folder with --out.`,
    );
}
