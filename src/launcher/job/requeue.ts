/** Asks Slurm to start a job again that was stopped by its scheduler. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const limitMs = 30_000;

export interface RequeueResult {
  readonly isRequeued: boolean;
  /** A line for the log. */
  readonly message: string;
}

/**
 * A job that can't be requeued has saved its state, so this is no error.
 * @param id the job as `scontrol` names it, for example `12` or `12_3`
 */
export async function requeue(id: string): Promise<RequeueResult> {
  try {
    await promisify(execFile)('scontrol', ['requeue', id], { timeout: limitMs });
    const message = `Slurm job ${id} is requeued and will continue from the checkpoint.`;
    return { isRequeued: true, message };
  } catch (error) {
    const message = `Slurm job ${id} is not requeued: ${reasonOf(error)}. Start it again: scontrol requeue ${id}`;
    return { isRequeued: false, message };
  }
}

/**
 * Returns true if the scheduler takes the job's nodes away, and false if it does not, or if that cannot be found out. A job that was
 * cancelled must not start again. Slurm requeues a preempted job only if it still runs at the end of its grace time, and a job that ends
 * earlier counts as failed.
 */
export async function isPreempted(id: string): Promise<boolean> {
  try {
    const { stdout } = await promisify(execFile)('scontrol', ['show', 'job', '-o', id], { timeout: limitMs });
    return /\bJobState=RUNNING\b/.test(stdout) && /\bPreemptTime=\d/.test(stdout);
  } catch {
    return false;
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('code' in error && error.code === 'ENOENT') return 'scontrol was not found in PATH';
  const text = 'stderr' in error && typeof error.stderr === 'string' ? error.stderr.trim() : '';
  return text === '' ? error.message : text.replaceAll(/\s*\n\s*/g, ' ');
}
