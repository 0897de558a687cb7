/** The rule that an address that other hosts can reach requires CURVE keys. */

import { isIP } from 'node:net';
import { ConfigError } from '../errors.js';

/** Returns true if only this machine can reach the address. An address that can't be parsed counts as reachable. */
export function isLocal(endpoint: string): boolean {
  if (endpoint.startsWith('ipc://')) return true;
  const host = /^tcp:\/\/(?:\[([^\]]+)\]|([^:/]+)):[\d*]+$/.exec(endpoint);
  const name = host?.[1] ?? host?.[2];
  if (name === undefined) return false;
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
}

/** @throws ConfigError if other hosts can reach `endpoint` and there are no keys */
export function requireKeys(endpoint: string, haveKeys: boolean): void {
  if (haveKeys || isLocal(endpoint)) return;
  throw new ConfigError(
    `Address ${endpoint} can be reached from other hosts: expected CURVE keys, got none. ` +
      'Generate them with `lockstep keygen`, and pass --keys DIR (or LOCKSTEP_KEYS) to the coordinator and to every worker.',
    { endpoint },
  );
}
