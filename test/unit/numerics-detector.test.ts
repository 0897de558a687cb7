import { describe, expect, it } from 'vitest';
import { numericsSummary, numericsTable } from '../../src/cli/tables/numerics-table.js';
import { RawOps, dtypes } from '../../src/worker/kernels/raw-ops.js';
import { checkNumerics } from '../../src/worker/numerics/check-numerics.js';
import type { NumericsResult } from '../../src/worker/numerics/check-case.js';
import { FreeMemory } from '../../src/worker/numerics/free-memory.js';
import type { Call } from '../../src/worker/numerics/numerics-case.js';
import { engineFor } from '../support/in-process.js';

const engine = await engineFor('tensorflow');
const { tf } = engine;

function check(operation: string, call: Call, calls = 50): NumericsResult {
  const found = { operation, shapes: 'any', precision: 'float32', prepare: () => call } as const;
  return checkNumerics(engine, [found], calls)[0]!;
}

describe('the numerics check', () => {
  it.each([40, 1_000, 30_000])('finds an op that returns %d floats of uninitialised memory', (size) => {
    const ops = new RawOps(tf);
    const attributes = [ops.type('dtype', dtypes.float32), ops.bool('init', false)];
    const result = check('Empty', () => [ops.one('Empty', attributes, [tf.tensor1d([size], 'int32')])]);
    expect(result).toMatchObject({ tensorflowOps: ['Empty'], calls: 50, stable: false });
    expect(result.nonFinite).toBeGreaterThan(0);
  });

  it('finds an op whose output changes in a few of its calls', () => {
    let calls = 0;
    const values = tf.keep(tf.tensor1d([1, 2, 3]));
    // Bit-equal but for the least bit of one value in every seventh call.
    const unsteady = () => [tf.add(values, tf.tensor1d([0, 0, calls++ % 7 === 6 ? 2 ** -22 : 0]))];
    expect(check('unsteady', unsteady)).toMatchObject({ distinct: 2, nonFinite: 0, stable: false });
    values.dispose();
  });

  it('distinguishes -0 from 0, and refuses an output that is always NaN', () => {
    let calls = 0;
    const zeros = () => [Float32Array.of(calls++ % 2 === 0 ? 0 : -0)];
    expect(check('zeros', zeros)).toMatchObject({ distinct: 2, stable: false });
    const nan = check('not a number', () => [Float64Array.of(Number.NaN)]);
    expect(nan).toMatchObject({ distinct: 1, nonFinite: 50, stable: false });
  });

  it('fills the free memory of malloc, not that of tensors alone', () => {
    const memory = new FreeMemory(tf);
    for (let i = 0; i < 200; i++) memory.fillWithNaN();
    memory.dispose();
    const { buffer } = Buffer.allocUnsafeSlow(32_768);
    const values = new Float32Array(buffer);
    expect(values.filter(Number.isNaN).length).toBeGreaterThan(values.length / 4);
  });

  it('leaves no tensor behind, and prints what it found', () => {
    const before = tf.memory().numTensors;
    const one = tf.scalar(1);
    const steady = check('steady', () => [tf.neg(one)]);
    one.dispose();
    expect(tf.memory().numTensors).toBe(before);
    const nan = check('broken', () => [Float64Array.of(Number.NaN)]);
    const [header, first, second] = numericsTable([steady, nan]);
    expect(header).toMatch(
      /^operation +TensorFlow ops +shapes +precision +calls +outputs +not finite +verdict$/,
    );
    expect(first).toMatch(/^steady +Neg +any +float32 +50 +1 +0 +stable$/);
    expect(second).toMatch(/^broken +any +float32 +50 +1 +50 +UNSTABLE$/);
    expect(numericsSummary([steady])).toBe('All 1 operations are stable.');
    expect(numericsSummary([steady, nan])).toMatch(/^1 of 2 operations are UNSTABLE.*: broken in float32\.$/);
  });
});
