/** The keys of one job, which task 0 makes in the folder where the tasks meet. */

import { ConfigError } from '../../shared/errors.js';
import { changeableByOthers } from '../../shared/files/ownership.js';
import { newKeyPair } from '../../shared/transport/zmq/new-key-pair.js';
import { coordinatorName, workerName, writeKeyPair } from '../security/write-keys.js';

/** Returns the folder. @throws ConfigError if other users could replace the keys, or if they can't be written */
export function makeJobKeys(folder: string): string {
  const fault = changeableByOthers(folder);
  if (fault !== undefined)
    throw new ConfigError(
      `Keys of the job in ${folder}: expected a folder that only this user can change, got another: ${fault}. ` +
        'Choose a run folder of your own with --out, or make keys with `lockstep keygen` and give every task LOCKSTEP_KEYS.',
    );
  writeKeyPair(folder, coordinatorName, newKeyPair(), false);
  writeKeyPair(folder, workerName, newKeyPair(), true);
  return folder;
}
