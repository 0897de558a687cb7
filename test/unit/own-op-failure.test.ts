import type { Tensor } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../src/shared/errors.js';
import { ownOpFailure } from '../../src/worker/engine/own-op-failure.js';
import { RawOps } from '../../src/worker/kernels/raw-ops.js';
import { OwnOps } from '../../src/worker/kernels/own-ops.js';
import { engineFor } from '../support/in-process.js';

const { tf, memory } = await engineFor('tensorflow');
const ops = new RawOps(tf);

/** The error that TensorFlow throws for an op. */
function errorOf(run: () => unknown): unknown {
  try {
    tf.tidy(() => void run());
  } catch (error) {
    return error;
  }
  throw new Error('expected the op to fail');
}

describe('the failure of an own op', () => {
  it('is "unregistered" for an op that the binding does not contain', () => {
    const error = errorOf(() => ops.one('LockstepNothing', [], [tf.zeros([1, 16])]));
    expect(ownOpFailure('LockstepNothing', error)).toEqual({
      kind: 'unregistered',
      reason: 'op LockstepNothing is not registered',
    });
  });

  it('is "unsupported" for an op whose kernel this CPU cannot run, with the reason', () => {
    const error = new Error('Invalid TF_Status: 12\nMessage: Lockstep products: expected a CPU with AVX2');
    expect(ownOpFailure('LockstepConv', error)).toEqual({
      kind: 'unsupported',
      reason: 'Lockstep products: expected a CPU with AVX2',
    });
  });

  it('is thrown with the name of the op if the op is there and fails', () => {
    const error = errorOf(() => ops.one('LockstepMoments', [], [tf.zeros([1, 15])]));
    expect(() => ownOpFailure('LockstepMoments', error)).toThrow(EngineError);
    expect(() => ownOpFailure('LockstepMoments', error)).toThrow(
      /Op LockstepMoments: expected it to run on zeros, got "Lockstep BatchNorm: expected .* got \[1, 15\]"/,
    );
  });
});

describe('the own ops of a binding', () => {
  /** Finds the ops where each op fails with the message that `failure` returns for its name, and otherwise succeeds. */
  const find = (failure: (name: string) => string | undefined): OwnOps | undefined => {
    const fake = new RawOps(tf);
    fake.one = <T extends Tensor>(name: string): T => {
      const message = failure(name);
      if (message !== undefined) throw new Error(message);
      return tf.zeros([1]) as unknown as T;
    };
    return OwnOps.find(tf, fake, memory, 'float32');
  };
  const convolution = {
    filterShape: [3, 3, 16, 16],
    window: { strides: [1, 1], padding: 'same', dilations: [1, 1] },
  } as const;

  it('are absent if they are not registered', () => {
    expect(find(() => "Invalid TF_Status: 5\nMessage: 'LockstepMoments' is neither ...")).toBeUndefined();
  });

  it('leave convolutions to TensorFlow if only the products are unsupported', () => {
    const unsupported = 'Invalid TF_Status: 12\nMessage: Lockstep products: ...';
    const found = find((name) => (name === 'LockstepConv' ? unsupported : undefined));
    expect(found?.takesConvolution(convolution)).toBe(false);
    expect(find(() => undefined)?.takesConvolution(convolution)).toBe(true);
  });

  it('stop the process with an error if one of them fails for another reason', () => {
    expect(() =>
      find((name) => (name === 'LockstepConv' ? 'Invalid TF_Status: 13\nMessage: broken' : undefined)),
    ).toThrow(/Op LockstepConv: .*got "broken"/);
  });
});
