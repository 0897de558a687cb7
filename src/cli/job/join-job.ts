/** The tasks of a job other than task 0: each is one worker, and prints nothing but its own errors. */

import { resolve } from 'node:path';
import { jobFolder, waitForJobRecord } from '../../launcher/job/job-record.js';
import type { Placement } from '../../launcher/platforms/platform.js';
import { work, type WorkerFlags } from '../commands/worker.js';
import { host } from '../environment/environment.js';
import { wholeNumber } from '../options/number-options.js';
import type { SecurityFlags } from '../options/security-options.js';
import type { TrainFlags } from '../options/train-options.js';
import { givenEndpoint } from './given-endpoint.js';

const defaultWaitMs = '120000';

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
  const waitMs = flags.joinTimeoutMs ?? defaultWaitMs;
  const content = await waitForJobRecord({
    out,
    start: placement.start,
    job: placement.job,
    host,
    limitMs: wholeNumber('--join-timeout-ms', `${waitMs as number | string}`, 1, 86_400_000),
    print: (line) => void process.stderr.write(`${line}\n`),
  });
  if (content.state === 'ended') return content.status;
  const keys = content.encrypted ? { keys: jobFolder(out, placement.start) } : {};
  return work({ ...common, ...keys, coordinator: content.endpoint });
}
