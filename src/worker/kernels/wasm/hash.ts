/** The ledger's hash (shared/ledger/hash.ts) of values on the WebAssembly heap. */

import { hashBytes } from '../../../shared/ledger/hash.js';
import type { WasmModule } from './module.js';

/** The state of the hash's 64 lanes. */
const stateBytes = 64 * 4;

/** Writes the hash of the `count` floats at `address` to `target`, 8 bytes. */
export function hashAt(module: WasmModule, address: number, count: number, target: Uint8Array): void {
  const state = module.scratch('table', stateBytes + hashBytes);
  module.run.hash(address, count, state, state + stateBytes);
  target.set(module.bytes(state + stateBytes, hashBytes));
}
