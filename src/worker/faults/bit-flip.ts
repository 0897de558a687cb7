/** `--inject flip:...`: a bit flipped in a gradient, so that tests can see it found. Owns its text's meaning. */

import { ConfigError } from '../../shared/errors.js';
import type { Layout } from '../../shared/model/layout.js';

/** Changes a shard's gradient of a weight (index in the layout) in place, before anybody else sees it. */
export type Tamper = (step: number, weight: number, shard: number, gradient: Float32Array) => void;

/** @throws ConfigError when no trainable parameter has the name. */
export function bitFlipOf(inject: string | null, layout: Layout): Tamper | undefined {
  if (inject === null || !inject.startsWith('flip:')) return undefined;
  const [, step, shard, name, bit] = inject.split(':');
  const index = layout.findIndex((entry) => entry.trainable && entry.name === name);
  if (index < 0) {
    const names = layout.filter(({ trainable }) => trainable).map((entry) => entry.name);
    throw new ConfigError(
      `--inject: expected the name of a trainable parameter, got "${name ?? ''}". There are ${names.join(', ')}.`,
    );
  }
  return (atStep, weight, atShard, gradient) => {
    if (atStep !== Number(step) || weight !== index || atShard !== Number(shard)) return;
    const words = new Uint32Array(gradient.buffer, gradient.byteOffset, 1);
    words[0] = (words[0] as number) ^ (1 << (Number(bit) & 31));
  };
}
