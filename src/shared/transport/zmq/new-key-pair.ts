/** Generates CURVE key pairs with ZeroMQ's generator. */

import { capability, curveKeyPair } from 'zeromq';
import { ConfigError } from '../../errors.js';
import type { KeyPair } from '../../security/curve-key.js';

/** @throws ConfigError where ZeroMQ was built without CURVE */
export function newKeyPair(): KeyPair {
  if (capability.curve !== true)
    throw new ConfigError(
      'CURVE: expected a ZeroMQ build with CURVE, got one without it. Install the zeromq package again.',
    );
  return curveKeyPair();
}
