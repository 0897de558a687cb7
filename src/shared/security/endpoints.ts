/** Which addresses other hosts can reach, and the rule that nothing is spoken there without keys. */

import { isIP } from 'node:net';
import { ConfigError } from '../errors.js';

/** True for addresses that only this machine can reach. Whatever can't be told counts as reachable. */
export function isLocal(endpoint: string): boolean {
  if (endpoint.startsWith('ipc://')) return true;
  const host = /^tcp:\/\/(?:\[([^\]]+)\]|([^:/]+)):[\d*]+$/.exec(endpoint);
  const name = host?.[1] ?? host?.[2];
  if (name === undefined) return false;
  return name === 'localhost' || name === '::1' || (isIP(name) === 4 && name.startsWith('127.'));
}

/** @throws ConfigError when others can reach `endpoint` and there are no keys */
export function requireKeys(endpoint: string, haveKeys: boolean): void {
  if (haveKeys || isLocal(endpoint)) return;
  throw new ConfigError(
    `Address ${endpoint} can be reached from other hosts: expected CURVE keys, got none. ` +
      'Make them with `lockstep keygen`, and give --keys DIR (or LOCKSTEP_KEYS) to the coordinator and to every worker.',
    { endpoint },
  );
}
