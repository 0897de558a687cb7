/** `--keys` and `--security`: whether CURVE is used, and with which keys. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ConfigError } from '../../shared/errors.js';
import type { ClientKeys, ServerKeys } from '../../shared/security/curve-key.js';
import { requireKeys } from '../../shared/security/endpoints.js';
import { coordinatorName, readClientKeys, readServerKeys, workerName, writeKeyPair } from './key-files.js';
import { newKeyPair } from '../../shared/transport/zmq/new-key-pair.js';
import { host } from '../options/environment.js';
import type { SecurityFlags } from '../options/security-options.js';

/** Null: no CURVE. @throws ConfigError before anything is started */
export function coordinatorKeys(listen: string, flags: SecurityFlags): ServerKeys | null {
  const directory = checked(listen, flags);
  return directory === undefined ? null : readServerKeys(directory);
}

/** Null: no CURVE. @throws ConfigError before anything is started */
export function workerKeys(coordinator: string, flags: SecurityFlags): ClientKeys | null {
  const directory = checked(coordinator, flags);
  return directory === undefined ? null : readClientKeys(directory, host);
}

function checked(endpoint: string, { keys, security }: SecurityFlags): string | undefined {
  requireKeys(endpoint, keys !== undefined);
  if (security === 'curve' && keys === undefined)
    throw new ConfigError(
      '--security curve: expected --keys DIR, got none. Make keys with `lockstep keygen`.',
    );
  return keys === undefined ? undefined : resolve(keys);
}

/**
 * For processes of one host that this one starts: `run` gets the folder for their `--keys`, null for no CURVE. `--security curve`
 * without keys makes some, for as long as `run` takes. @throws ConfigError
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
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-keys-'));
  try {
    writeKeyPair(directory, coordinatorName, newKeyPair(), false);
    writeKeyPair(directory, workerName, newKeyPair(), true);
    return await run(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
