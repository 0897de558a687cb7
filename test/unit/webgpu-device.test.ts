import os from 'node:os';
import { describe, expect, it } from 'vitest';
import { DeviceLostError, EngineError } from '../../src/shared/errors.js';
import { engineHost } from '../../src/worker/engine/cache.js';
import { adapterName, openDevice, type OpenDevice } from '../../src/worker/engine/webgpu/device.js';
import type { GpuBackend } from '../../src/worker/engine/webgpu/gpu-types.js';
import { findWebgpu } from '../../src/worker/engine/webgpu/packages.js';
import { eventually } from '../support/eventually.js';
import { engineFor } from '../support/in-process.js';
import { gpuTitle, missingGpu, useSoftwareGpu } from '../support/software-gpu.js';

/** GPUBufferUsage.STORAGE. */
const storage = 0x80;

describe.skipIf(missingGpu !== undefined)(gpuTitle('the memory of a device of WebGPU'), () => {
  function open(): Promise<OpenDevice> {
    useSoftwareGpu();
    const directory = findWebgpu(engineHost(process.env, os.homedir())) ?? '';
    return openDevice(directory, { allowSoftware: true, adapter: { kind: 'preferred' } });
  }

  /** Creates a buffer, and resolves with the error that the next read of a value throws. */
  async function errorOf({ device, check }: OpenDevice, size: number): Promise<unknown> {
    expect(() => check()).not.toThrow();
    device.createBuffer({ size, usage: storage });
    return eventually('the error of the device', () => {
      try {
        check();
        return undefined;
      } catch (error) {
        return error;
      }
    });
  }

  it('ends the run with an error of the engine for a buffer beyond the limit, which every worker would repeat', async () => {
    const opened = await open();
    const error = await errorOf(opened, (opened.device.limits['maxBufferSize'] ?? 0) + 4);
    expect(error).toBeInstanceOf(EngineError);
    expect(error).not.toBeInstanceOf(DeviceLostError);
    expect(String(error)).toContain(adapterName(opened.info));
    expect(String(error)).toMatch(/expected valid commands, got ".*size.*exceeds.*use more shards/i);
  });

  it('stops a computation whose result is beyond the limit, instead of giving other values', async () => {
    const { tf } = await engineFor('webgpu');
    const backend = tf.backend() as unknown as GpuBackend;
    const columns = 2 ** 10;
    const rows = Math.floor((backend.device.limits['maxBufferSize'] ?? 0) / (4 * columns)) + 1;
    expect(() => tf.tidy(() => tf.sum(tf.add(tf.ones([rows, 1]), tf.ones([1, columns]))).dataSync())).toThrow(
      /expected valid commands, got ".*size.*exceeds/i,
    );
  });

  it('ends the worker alone if it runs out', async () => {
    const opened = await open();
    // The limit is the largest size that can be addressed, which is more than these drivers have.
    const error = await errorOf(opened, opened.device.limits['maxBufferSize'] ?? 0);
    expect(error).toBeInstanceOf(DeviceLostError);
    expect(String(error)).toContain(adapterName(opened.info));
    expect(String(error)).toMatch(
      /got "vk\w+ failed with VK_ERROR_OUT_OF_\w+_MEMORY".*smaller batch or more shards/,
    );
  });
});
