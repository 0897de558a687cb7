/** Attention beside PyTorch: its kernels against float64, masks, dropout and causality included. */

import { readFile } from 'node:fs/promises';
import type { Tensor } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { decodeSafetensors } from '../../src/shared/checkpoint/safetensors.js';
import type { Engine } from '../../src/worker/engine/engine.js';
import type { AttentionInputs, AttentionPass } from '../../src/worker/kernels/attention.js';
import { kernelsOf } from '../../src/worker/kernels/choose.js';
import { composedAttention } from '../../src/worker/kernels/composed-attention.js';
import { engineFor } from '../support/in-process.js';
import { leastDistance, relativeDistance } from '../support/relative-distance.js';

/** Made by attention.py: float64 of PyTorch's autograd, and the distance of PyTorch's float32 from it. */
const file = new URL('./fixtures/attention.safetensors', import.meta.url);
const { tensors, metadata } = decodeSafetensors(await readFile(file), 'attention.safetensors');
const cases = z
  .record(
    z.string(),
    z.object({ scale: z.number(), causal: z.boolean(), errors: z.record(z.string(), z.number()) }),
  )
  .parse(JSON.parse(metadata['cases'] ?? '{}'));

describe('attention on native TensorFlow is as close to float64 as PyTorch', () => {
  let engine: Engine;
  const run: Record<string, (inputs: AttentionInputs) => AttentionPass> = {};
  beforeAll(async () => {
    engine = await engineFor('tensorflow');
    const kernels = kernelsOf(engine);
    expect(kernels.name).toContain('own');
    run['its own op'] = (inputs) => kernels.attention(inputs);
    run['tfjs functions'] = (inputs) => composedAttention(engine.tf, inputs);
  });

  const names = Object.keys(cases);
  expect(names.length).toBeGreaterThan(0);
  describe.each(['its own op', 'tfjs functions'])('with %s', (implementation) => {
    it.each(names)('%s', (name) => {
      const { tf } = engine;
      const { scale, causal, errors } = cases[name] as (typeof cases)[string];
      const given = <T extends Tensor>(part: string): T | undefined => {
        const found = tensors.get(`${name}_${part}`);
        return found && (tf.tensor(Array.from(found.values), [...found.shape], 'float32') as T);
      };
      const required = <T extends Tensor>(part: string): T => given<T>(part) as T;
      const found = tf.tidy(() => {
        const pass = (run[implementation] as (inputs: AttentionInputs) => AttentionPass)({
          query: required('q'),
          key: required('k'),
          value: required('v'),
          mask: given('mask'),
          dropout: given('dropout'),
          scale,
          causal,
        });
        const { query, key, value } = pass.gradients(required('dy'));
        const results = { y: pass.y, gq: query, gk: key, gv: value };
        return Object.entries(results).map(([part, tensor]) => [part, tensor.dataSync()] as const);
      });
      expect(found.map(([part]) => part).sort()).toEqual(Object.keys(errors).sort());
      for (const [part, values] of found)
        expect(relativeDistance(tensors, values, `${name}_${part}_64`), part).toBeLessThan(
          Math.max(2 * (errors[part] ?? 0), leastDistance),
        );
    });
  });
});
