/** Evaluates `--keys` and `--security`: reads the CURVE keys, or creates temporary ones. */

import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigError } from '../../shared/errors.js';
import { makeTemporaryFolder } from '../../shared/files/temporary-folder.js';
import type { ClientKeys, ServerKeys } from '../../shared/security/curve-key.js';
import { requireKeys } from '../../shared/security/endpoints.js';
import { newKeyPair } from '../../shared/transport/zmq/new-key-pair.js';
import { host } from '../environment/environment.js';
import type { SecurityFlags } from '../options/security-options.js';
import { readClientKeys, readServerKeys } from './key-files.js';
import { coordinatorName, workerName, writeKeyPair } from './write-keys.js';

/** Returns null without encryption. @throws ConfigError before any process is started */
export function coordinatorKeys(listen: string, flags: SecurityFlags): ServerKeys | null {
  const directory = keyDirectory(listen, flags);
  return directory === undefined ? null : readServerKeys(directory);
}

/** Returns null without encryption. @throws ConfigError before any process is started */
export function workerKeys(coordinator: string, flags: SecurityFlags): ClientKeys | null {
  const directory = keyDirectory(coordinator, flags);
  return directory === undefined ? null : readClientKeys(directory, host);
}

/** Prints a warning if every user of this machine can reach the address and there are no keys. */
export function warnOfOpenAddress(endpoint: string, keys: ServerKeys | ClientKeys | null): void {
  if (keys !== null || !endpoint.startsWith('tcp:')) return;
  process.stderr.write(
    `Warning: every user of this machine can take part in a run at ${endpoint} without keys. ` +
      'Leave the address out, which uses a socket that only you can reach, or pass --keys DIR.\n',
  );
}

function keyDirectory(endpoint: string, { keys, security }: SecurityFlags): string | undefined {
  requireKeys(endpoint, keys !== undefined);
  if (security === 'curve' && keys === undefined)
    throw new ConfigError(
      '--security curve: expected --keys DIR, got none. Make keys with `lockstep keygen`.',
    );
  return keys === undefined ? undefined : resolve(keys);
}

/**
 * Calls `run` with the folder of keys for child processes on this host, or with null without encryption. `--security curve` without
 * keys creates temporary ones, which are deleted when `run` has ended.
 * @throws ConfigError
 */
export async function withKeys<T>(
  { keys, security }: SecurityFlags,
  run: (directory: string | null) => Promise<T>,
): Promise<T> {
  if (keys !== undefined) {
    const directory = resolve(keys);
    readServerKeys(directory);
    readClientKeys(directory, host);
    return run(directory);
  }
  if (security !== 'curve') return run(null);
  const directory = makeTemporaryFolder('lockstep-keys-');
  try {
    writeKeyPair(directory, coordinatorName, newKeyPair(), false);
    writeKeyPair(directory, workerName, newKeyPair(), true);
    return await run(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
