/** Native code under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer; the drivers also check results. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import {
  instructionSets,
  memorySanitizers,
  missingSanitizers,
  nativeBuild,
  sanitizerLibrary,
  threadSanitizer,
} from './native-build.js';

const run = promisify(execFile);
const timeout = 600_000;
const missing = await missingSanitizers();
const build = await nativeBuild();
afterAll(() => build.remove());

/** All that a driver prints. A report of a sanitizer or a failed check makes it exit with another status, which throws. */
async function output(program: string, args: string[] = [], environment: Record<string, string> = {}) {
  const env = { ...process.env, TF_NUM_INTRAOP_THREADS: '3', ...environment };
  const { stdout, stderr } = await run(program, args, { env, timeout });
  return { stdout, stderr };
}

const ops = [
  'LockstepAdam',
  'LockstepAttention',
  'LockstepAttentionGradient',
  'LockstepBatchNorm',
  'LockstepBatchNormGradient',
  'LockstepBatchNormSums',
  'LockstepBatchProduct',
  'LockstepConv',
  'LockstepConvFilterGradient',
  'LockstepConvInputGradient',
  'LockstepDense',
  'LockstepDenseGradient',
  'LockstepDenseInputGradient',
  'LockstepDenseReluGradient',
  'LockstepDepthwise',
  'LockstepDepthwiseFilterGradient',
  'LockstepDepthwiseInputGradient',
  'LockstepDropout',
  'LockstepEmbeddingGradient',
  'LockstepLayerNorm',
  'LockstepLayerNormGradient',
  'LockstepMoments',
  'LockstepRecurrence',
  'LockstepRecurrenceGradient',
  'LockstepSoftmax',
  'LockstepSoftmaxGradient',
  'LockstepStore',
];
const withoutProducts = ops.filter((name) => !/Attention|Product|Conv|Dense|Recurrence|Softmax/.test(name));
const expectedOps = process.arch === 'x64' ? ops : withoutProducts;

describe.skipIf(missing)(`native code with sanitizers${missing === undefined ? '' : ` (${missing})`}`, () => {
  describe.each(missing === undefined ? instructionSets() : [])('compiled for %s', (_, flags) => {
    it.each(['batch_norm_checks', 'elementwise_checks'])(
      '%s equals scalar loops and accesses no memory outside its buffers',
      async (driver) => {
        await output(await build.driver(driver, [...memorySanitizers, ...flags]));
      },
      timeout,
    );
  });

  it.each(['product_checks', 'checksum_checks'])(
    '%s equals its definition, for each instruction set of this CPU',
    async (driver) => {
      const { stdout } = await output(await build.driver(driver, memorySanitizers));
      console.log(`${driver}: ${stdout.trim().split('\n').join(', ') || 'done'}`);
    },
    timeout,
  );

  it(
    'whole ops equal scalar loops with several threads and report wrong arguments',
    async () => {
      await output(await build.ops(memorySanitizers));
    },
    timeout,
  );

  it(
    'whole ops have no data race',
    async () => {
      await output(await build.ops(threadSanitizer));
    },
    timeout,
  );

  it(
    'the addon equals loops in JavaScript, also across threads, and reports wrong arguments',
    async () => {
      const addon = await build.addon(memorySanitizers);
      const script = new URL('exercise-addon.mjs', import.meta.url).pathname;
      const { stdout } = await output(process.execPath, [script, addon], {
        LD_PRELOAD: await sanitizerLibrary(),
        // Node itself frees little at exit.
        ASAN_OPTIONS: 'detect_leaks=0',
      });
      expect(stdout).toBe('done\n');
    },
    timeout,
  );
});

describe('the registration of ops', () => {
  it(
    'names on stderr the op that TensorFlow refuses, and registers all others',
    async () => {
      const program = await build.ops(missing === undefined ? memorySanitizers : []);
      const registered = async (environment: Record<string, string>) => {
        const { stdout, stderr } = await output(program, ['registered'], environment);
        return { names: stdout.trim().split('\n'), stderr };
      };
      expect(await registered({})).toEqual({ names: expectedOps, stderr: '' });
      for (const [step, variable] of [
        ['the definition', 'FAKE_TENSORFLOW_REFUSES_DEFINITION'],
        ['the CPU kernel', 'FAKE_TENSORFLOW_REFUSES_KERNEL'],
      ] as const) {
        const { names, stderr } = await registered({ [variable]: 'LockstepAdam' });
        expect(names).toEqual(expectedOps.filter((name) => name !== 'LockstepAdam'));
        expect(stderr).toBe(
          `Lockstep: registering ${step} of op LockstepAdam: expected success, got "refused for the test" (code 6). ` +
            'Run `lockstep engine install --force`.\n',
        );
      }
    },
    timeout,
  );
});
