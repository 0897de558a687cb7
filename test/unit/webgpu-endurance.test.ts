import type { LayersModel } from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { DeviceLostError, EngineError } from '../../src/shared/errors.js';
import type { Engine } from '../../src/worker/engine/engine.js';
import type { Tensorflow } from '../../src/api/tensorflow.js';
import type { GpuBackend } from '../../src/worker/engine/webgpu/gpu-types.js';
import type { GenerationContext } from '../../src/worker/training/generation-context.js';
import { trainStep } from '../../src/worker/training/train-step.js';
import { alone, engineFor, syntheticData } from '../support/in-process.js';
import { gpuTitle, missingGpu } from '../support/software-gpu.js';

/** docs/gpu.md states the figures of 10,000 steps; fewer suffice to notice 0.3 MB per step. A multiple of 10. */
const steps = Number(process.env['LOCKSTEP_TEST_STEPS'] ?? 400);
const megabyte = 2 ** 20;

const tinyNet = ({ tf }: { tf: Tensorflow }): LayersModel =>
  tf.sequential({
    layers: [
      tf.layers.conv2d({ inputShape: [8, 8, 1], filters: 2, kernelSize: 3, strides: 2 }),
      tf.layers.batchNormalization(),
      tf.layers.reLU(),
      tf.layers.flatten(),
      tf.layers.dropout({ rate: 0.3 }),
      tf.layers.dense({ units: 10 }),
    ],
  });

interface Held {
  readonly tensors: number;
  readonly usedBuffers: number;
  readonly freeBuffers: number;
  readonly gpuMegabytes: number;
}

describe.skipIf(missingGpu !== undefined)(gpuTitle('many steps on the engine webgpu'), () => {
  let engine: Engine;
  let context: GenerationContext;
  let backend: GpuBackend;
  beforeAll(async () => {
    engine = await engineFor('webgpu');
    const config = { batchSize: 4, shards: 2, seed: 3, evaluate: 'none' as const };
    context = await alone(engine, tinyNet, config, syntheticData(16));
    backend = engine.tf.backend() as unknown as GpuBackend;
  });

  const held = (): Held => {
    const { numTensors, numBytesAllocatedInGPU } = engine.tf.memory() as unknown as Record<string, number>;
    return {
      tensors: numTensors ?? Number.NaN,
      usedBuffers: backend.bufferManager.getNumUsedBuffers(),
      freeBuffers: backend.bufferManager.getNumFreeBuffers(),
      gpuMegabytes: (numBytesAllocatedInGPU ?? Number.NaN) / megabyte,
    };
  };

  it(`leave no tensor, no buffer and no memory behind (${steps} steps)`, async () => {
    const samples: (Held & { readonly step: number; readonly megabytes: number })[] = [];
    for (let step = 1; step <= steps; step++) {
      trainStep(context, context.sampler.plan(step));
      // As in a run, the event loop turns after each step.
      await new Promise((resolve) => setImmediate(resolve));
      if (step % (steps / 10) === 0)
        samples.push({ step, ...held(), megabytes: Math.round(process.memoryUsage.rss() / megabyte) });
    }
    process.stdout.write(samples.map((sample) => `${JSON.stringify(sample)}\n`).join(''));
    const [middle, last] = [samples[4], samples[9]];
    for (const sample of samples.slice(4))
      expect(sample).toEqual({ ...middle, step: sample.step, megabytes: sample.megabytes });
    // Without a turn of the event loop, memory grew by 2.3 MB per step.
    expect((last?.megabytes ?? Number.NaN) - (middle?.megabytes ?? 0)).toBeLessThan(60);
  }, 3_600_000);

  // This test comes last, because no test after it has a device.
  it('end with an error of the engine if the device is lost in the middle of one', () => {
    const { runWebGPUProgram } = backend;
    let dispatches = 0;
    backend.runWebGPUProgram = (...given) => {
      if (++dispatches === 20) backend.device.destroy();
      return runWebGPUProgram.apply(backend, given);
    };
    let thrown: unknown;
    try {
      trainStep(context, context.sampler.plan(steps + 1));
    } catch (error) {
      thrown = error;
    }
    expect(dispatches).toBeGreaterThan(20);
    expect(thrown).toBeInstanceOf(DeviceLostError);
    expect(thrown).toBeInstanceOf(EngineError);
  });
});
