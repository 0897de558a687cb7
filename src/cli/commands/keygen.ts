/** `lockstep keygen`: makes key pairs for a run whose processes are on several hosts. */

import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { ConfigError } from '../../shared/errors.js';
import { exitStatus } from '../../shared/exit-status.js';
import { newKeyPair } from '../../shared/transport/zmq/new-key-pair.js';
import { coordinatorName, namePattern, workerName, writeKeyPair } from '../security/write-keys.js';

export interface KeygenFlags {
  readonly out: string;
}

/** Makes the coordinator's pair, if there is none yet, and one for workers. Returns the exit status. @throws ConfigError */
export function keygen(name: string, { out }: KeygenFlags): number {
  if (!namePattern.test(name) || name === coordinatorName) {
    throw new ConfigError(
      `Name of a key: expected up to 128 letters, digits, dots and dashes, not "${coordinatorName}", got "${name}". ` +
        'Use the name of a host.',
    );
  }
  const directory = resolve(out);
  const worker = writeKeyPair(directory, name, newKeyPair(), true);
  const coordinator = existsSync(join(directory, `${coordinatorName}.key`))
    ? []
    : writeKeyPair(directory, coordinatorName, newKeyPair(), false);
  for (const file of [...coordinator, ...worker]) process.stdout.write(`${relative('.', file)}\n`);
  const hosts = name === workerName ? 'every worker host' : `the host ${name}`;
  process.stderr.write(
    `Keep this folder on the coordinator's host. Copy coordinator.pub and ${name}.key, and nothing else, to ${hosts}.\n` +
      'Then give --keys DIR (or LOCKSTEP_KEYS) to `lockstep coordinator` and `lockstep worker`.\n',
  );
  return exitStatus.done;
}
