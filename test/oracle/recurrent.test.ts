import { readFile } from 'node:fs/promises';
import type { Tensor } from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { decodeSafetensors } from '../../src/shared/checkpoint/safetensors.js';
import type { Engine } from '../../src/worker/engine/engine.js';
import { kernelsOf } from '../../src/worker/kernels/choose.js';
import type {
  CellActivation,
  RecurrenceOptions,
  RunRecurrence,
} from '../../src/worker/kernels/recurrence.js';
import { engineFor } from '../support/in-process.js';

/** Made by recurrent.py: float64 of PyTorch's autograd, and the distance of PyTorch's float32 from it. */
const file = new URL('./fixtures/recurrent.safetensors', import.meta.url);
const { tensors, metadata } = decodeSafetensors(await readFile(file), 'recurrent.safetensors');
const cases = z
  .record(
    z.string(),
    z.object({
      kind: z.enum(['lstm', 'gru', 'simpleRNN']),
      activation: z.string(),
      recurrentActivation: z.string(),
      backwards: z.boolean(),
      masked: z.boolean(),
      errors: z.record(z.string(), z.number()),
    }),
  )
  .parse(JSON.parse(metadata['cases'] ?? '{}'));

/** Two float32 roundings of a sum whose parts are ten times as large; where PyTorch is by chance closer than this. */
const least = 1e-6;

function fixture(name: string) {
  const found = tensors.get(name);
  if (!found) throw new Error(`no ${name} in the fixture`);
  return found;
}

/** Norm of the difference by the norm of what is expected. */
function distance(got: ArrayLike<number>, name: string): number {
  const { values } = fixture(`${name}_64`);
  expect(got.length, name).toBe(values.length);
  const norm = (all: number[]): number => Math.hypot(...all);
  return norm(Array.from(values, (value, i) => value - (got[i] ?? NaN))) / norm(Array.from(values));
}

describe.each(['tensorflow', 'wasm'] as const)(
  'a recurrence on %s is as close to float64 as PyTorch',
  (choice) => {
    let engine: Engine;
    let run: RunRecurrence;
    beforeAll(async () => {
      engine = await engineFor(choice);
      const { recurrence } = kernelsOf(engine);
      expect(recurrence).toBeDefined();
      if (recurrence) run = recurrence;
    });

    it.each(Object.entries(cases))('%s', (name, { kind, backwards, masked, errors, ...of }) => {
      const { tf } = engine;
      const given = <T extends Tensor>(part: string): T => {
        const { values, shape } = fixture(`${name}_${part}`);
        return tf.tensor(Array.from(values), [...shape], 'float32') as T;
      };
      const found = tf.tidy(() => {
        const [x, k, h] = [given('x'), given('k'), given('h')];
        const carries = kind === 'lstm';
        const [samples = 0, time = 0, features = 0] = x.shape;
        const rows = tf.reshape(x, [samples * time, features]);
        const options: RecurrenceOptions = {
          kind: kind === 'simpleRNN' ? 'simpleRnn' : kind,
          activation: of.activation as CellActivation,
          recurrentActivation: of.recurrentActivation as CellActivation,
          backwards,
        };
        const pass = run(options, {
          projected: tf.reshape(tf.matMul(rows, k), [samples, time, k.shape[1] ?? 0]),
          recurrentKernel: given('u'),
          bias: given('b'),
          mask: masked ? given('mask') : undefined,
          dropout: undefined,
          initial: tf.stack(carries ? [h, given('c')] : [h]) as never,
        });
        const dLast = carries ? [given('dlast_h'), given('dlast_c')] : [given('dlast_h')];
        const { projected: dy, initial } = pass.backward(given('dhidden'), dLast);
        const recurrent = pass.recurrentKernelGradient(dy);
        const gu = new Float32Array(given('u').size);
        if (typeof recurrent === 'function') recurrent(gu as never);
        else gu.set(recurrent.dataSync<'float32'>());
        const [gh, gc] = tf.unstack(initial());
        const results: Record<string, Tensor | Float32Array | undefined> = {
          hidden: pass.hidden(),
          last_h: pass.last(0),
          last_c: carries ? pass.last(1) : undefined,
          gx: tf.matMul(dy, k, false, true),
          gk: tf.matMul(rows, dy, true, false),
          gu,
          gb: tf.sum(dy, 0),
          gh,
          gc,
        };
        return Object.entries(results).flatMap(([part, value]) =>
          value ? [[part, value instanceof Float32Array ? value : value.dataSync()] as const] : [],
        );
      });
      expect(found.map(([part]) => part).sort()).toEqual(Object.keys(errors).sort());
      for (const [part, values] of found)
        expect(distance(values, `${name}_${part}`), part).toBeLessThan(
          Math.max(2 * (errors[part] ?? 0), least),
        );
    });

    it('counts a missing gradient of the last carry as zeros', () => {
      const { tf } = engine;
      const random = (shape: number[], seed: number) =>
        tf.randomNormal(shape, 0, 1, 'float32', seed) as never;
      const gradients = tf.tidy(() => {
        const pass = run(
          { kind: 'lstm', activation: 'tanh', recurrentActivation: 'sigmoid', backwards: false },
          {
            projected: random([5, 4, 4 * 19], 1),
            recurrentKernel: random([19, 4 * 19], 2),
            bias: undefined,
            mask: undefined,
            dropout: undefined,
            initial: random([2, 5, 19], 3),
          },
        );
        const dHidden: Tensor = random([5, 19], 4);
        return [[dHidden], [dHidden, tf.zeros([5, 19])]].map((last) => {
          const { projected, initial } = pass.backward(undefined, last);
          return [projected.dataSync(), initial().dataSync()];
        });
      });
      expect(gradients[0]).toEqual(gradients[1]);
    });
  },
);
