/** Flips one bit of one gradient, so that tests can check that the audit ledger finds it. */

import { ConfigError } from '../../shared/errors.js';
import type { Layout } from '../../shared/model/layout.js';

/** The bit (0 is the lowest) of the first element of one shard's gradient of one parameter, at one step. */
export interface BitFlip {
  readonly step: number;
  readonly shard: number;
  readonly parameter: string;
  readonly bit: number;
}

/** Changes a shard's gradient of a weight (index in the layout) in place, before it is hashed or sent. */
export type FlipBit = (step: number, weight: number, shard: number, gradient: Float32Array) => void;

const pattern = /^(\d{1,9}):(\d{1,4}):([\w/.-]{1,200}):([12]?\d|3[01])$/;

/** Reads `STEP:SHARD:PARAMETER:BIT`. @throws ConfigError */
export function parseBitFlip(text: string): BitFlip {
  const [, step, shard, parameter, bit] = pattern.exec(text) ?? [];
  if (parameter === undefined)
    throw new ConfigError(
      `--bit-flip: expected STEP:SHARD:PARAMETER:BIT with a bit from 0 to 31, got "${text}".`,
    );
  return { step: Number(step), shard: Number(shard), parameter, bit: Number(bit) };
}

/** @throws ConfigError when no trainable parameter has the name. */
export function bitFlipper({ step, shard, parameter, bit }: BitFlip, layout: Layout): FlipBit {
  const index = layout.findIndex((entry) => entry.trainable && entry.name === parameter);
  if (index < 0) {
    const names = layout.filter(({ trainable }) => trainable).map((entry) => entry.name);
    throw new ConfigError(
      `--bit-flip: expected the name of a trainable parameter (${names.join(', ')}), got "${parameter}".`,
    );
  }
  return (atStep, weight, atShard, gradient) => {
    if (atStep !== step || weight !== index || atShard !== shard) return;
    const bits = new Uint32Array(gradient.buffer, gradient.byteOffset, 1);
    bits[0] = (bits[0] as number) ^ (1 << bit);
  };
}
