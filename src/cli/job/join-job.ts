/** The tasks of a job other than task 0: each is one worker, and prints nothing but its own errors. */

import { resolve } from 'node:path';
import { jobFolder, waitForJobRecord } from '../../launcher/job/job-record.js';
import type { Placement } from '../../launcher/platforms/platform.js';
import { work, type WorkerFlags } from '../commands/worker.js';
import { host } from '../environment/environment.js';
import type { SecurityFlags } from '../options/security-options.js';
import type { TrainFlags } from '../options/train-options.js';
import { waitMsOf } from './earlier-start.js';
import { givenEndpoint } from './given-endpoint.js';

/** Resolves with the exit status. @throws ConfigError and other operational errors before the worker has joined */
export async function joinJob(flags: TrainFlags & SecurityFlags, placement: Placement): Promise<number> {
  const { localRank } = placement;
  const { security, out = '' } = flags;
  const common: WorkerFlags = {
    ...(security === undefined ? {} : { security }),
    ...(flags.health === undefined ? {} : { health: flags.health }),
    slot: String(localRank),
    instance: localRank,
    inJob: true,
  };
  if (flags.keys !== undefined)
    return work({ ...common, keys: resolve(flags.keys), coordinator: givenEndpoint(placement).endpoint });
  const content = await waitForJobRecord({
    out,
    start: placement.start,
    job: placement.job,
    host,
    limitMs: waitMsOf(flags),
    print: (line) => void process.stderr.write(`${line}\n`),
  });
  if (content.state === 'ended') return content.status;
  const keys = content.encrypted ? { keys: jobFolder(out, placement.start) } : {};
  return work({ ...common, ...keys, coordinator: content.endpoint });
}
