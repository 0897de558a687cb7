import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/worker/engine/engine.js';
import { engineFor } from '../support/in-process.js';
import { compare, readTeacher } from './compare.js';
import { LockstepSide } from './lockstep-side.js';

/**
 * One step from PyTorch's own state after n steps, since free-running float32 trajectories part chaotically. The fixtures are of
 * the narrow ConvNet on real MNIST; `npm run oracle` compares the whole one (docs/oracle.md).
 */
const states = [
  ['thin-plain-0', false],
  ['thin-plain-1', false],
  ['thin-plain-10', false],
  ['thin-plain-50', false],
  ['thin-dropout-10', true],
] as const;

/** Measured: up to 3.3e-4, in the first convolution. */
const cap = 2e-3;

describe.each(['tensorflow', 'wasm'] as const)(
  'one step from the state of PyTorch on the engine %s',
  (choice) => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await engineFor(choice);
    });

    for (const [name, dropout] of states) {
      it(`has the loss, gradients, statistics and update of float64: ${name}`, async () => {
        const file = new URL(`./fixtures/${name}.safetensors`, import.meta.url);
        const teacher = readTeacher(await readFile(file), name);
        const side = await LockstepSide.open(engine, 'thin', dropout, teacher.about.seed);
        const lines = compare(side, teacher, cap);
        expect(lines).toHaveLength(1 + 26 + 12 + 1);
        for (const { what, measured, bar } of lines) expect(measured, what).toBeLessThanOrEqual(bar);
        // A comparison that could not fail would prove nothing: one percent of one gradient must show.
        teacher.gradients[0]?.forEach((value, i, gradient) => (gradient[i] = value * 1.01));
        const spoilt = compare(side, teacher, cap).filter(({ measured, bar }) => measured > bar);
        expect(spoilt.map(({ what }) => what.split(' ')[0])).toContain('gradient');
      });
    }
  },
);
