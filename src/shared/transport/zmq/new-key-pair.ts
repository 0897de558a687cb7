/** New CURVE keys, from ZeroMQ's own generator. */

import { capability, curveKeyPair } from 'zeromq';
import { ConfigError } from '../../errors.js';
import type { KeyPair } from '../../security/curve-key.js';

/** @throws ConfigError where ZeroMQ was built without CURVE */
export function newKeyPair(): KeyPair {
  if (capability.curve !== true)
    throw new ConfigError(
      'CURVE: expected a ZeroMQ that has it, got one without. Install the zeromq package anew.',
    );
  return curveKeyPair();
}
