/** The rule that an address that other users or other hosts can reach requires CURVE keys. */

import { dirname } from 'node:path';
import { ConfigError, systemCode } from '../errors.js';
import { enterableByOthers } from '../files/ownership.js';
import { isLoopback, parseTcp } from '../network/address.js';

/** The path of an ipc address with a socket file; undefined for other addresses. */
export function socketPath(endpoint: string): string | undefined {
  // ZeroMQ takes a name that begins with @ for one in Linux's abstract namespace, and * for a file that it chooses.
  const path = /^ipc:\/\/(?![@*])(.+)$/s.exec(endpoint)?.[1];
  return path === undefined || path.includes('\0') ? undefined : path;
}

/** Returns true if only this machine can reach the address. An address that can't be parsed counts as reachable. */
export function isLocal(endpoint: string): boolean {
  if (socketPath(endpoint) !== undefined) return true;
  const address = parseTcp(endpoint);
  return address !== undefined && isLoopback(address);
}

/**
 * @throws ConfigError if there are no keys, and other hosts can reach `endpoint`, or it is a socket file in a folder that other users
 * can enter, or a socket without a file, which every user of the machine can reach
 */
export function requireKeys(endpoint: string, haveKeys: boolean): void {
  if (haveKeys) return;
  const path = socketPath(endpoint);
  if (path !== undefined) {
    requirePrivate(endpoint, dirname(path));
    return;
  }
  if (isLocal(endpoint)) return;
  const reach = endpoint.startsWith('ipc:') ? 'by every user of this machine' : 'from other hosts';
  throw new ConfigError(
    `Address ${endpoint} can be reached ${reach}: expected CURVE keys, got none. ` +
      'Generate them with `lockstep keygen`, and pass --keys DIR (or LOCKSTEP_KEYS) to the coordinator and to every worker.',
    { endpoint },
  );
}

function requirePrivate(endpoint: string, folder: string): void {
  let fault: string | undefined;
  try {
    fault = enterableByOthers(folder);
  } catch (error) {
    fault = `${folder} can't be read (${systemCode(error) ?? String(error)})`;
  }
  if (fault === undefined) return;
  throw new ConfigError(
    `Address ${endpoint}: expected a socket in a folder that only this user can enter, or CURVE keys, got neither: ${fault}. ` +
      'Choose a folder with mode 0700, or pass --keys DIR, made by `lockstep keygen`.',
    { endpoint },
  );
}
