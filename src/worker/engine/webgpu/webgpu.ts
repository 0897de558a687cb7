/** The engine `webgpu`: tfjs's WebGPU backend on Dawn, for the GPUs of any vendor. `auto` never selects it. */

import { loadNativeMemory } from '../../../shared/memory/native-memory.js';
import { EngineError } from '../../../shared/errors.js';
import { registerWebgpuKernels } from '../../kernels/webgpu/registered.js';
import { WebgpuKernels } from '../../kernels/webgpu/webgpu.js';
import { findMemoryAddon } from '../cache.js';
import { describeEngine, withoutBanner } from '../describe-engine.js';
import type { Engine, EngineDefinition, LoadEngineOptions } from '../engine.js';
import { requireTfjs } from '../tfjs.js';
import { anyProcessor, thisProcessor } from '../processor.js';
import { startBackend } from './backend.js';
import { adapterName, isSoftware, openDevice } from './device.js';
import { verifiedWebgpuManifest } from './manifest.js';
import { backend, dawn, findWebgpu, installWebgpuCommand, webgpuDirectory } from './packages.js';
import { probeProduct } from './probe.js';

export const webgpu: EngineDefinition = {
  precisions: ['float32'],
  compilesKernels: true,
  load: loadWebgpu,
  kernels: ({ tf }) => new WebgpuKernels(tf),
  // The bits depend on the adapter, which is part of the device's name; a software adapter computes on the processor.
  processor: ({ device }) => (device.isSoftware === true ? thisProcessor() : anyProcessor),
};

async function loadWebgpu({
  host,
  allowSoftwareGpu: allowSoftware = false,
  adapter = { kind: 'preferred' },
}: LoadEngineOptions): Promise<Engine> {
  const directory = findWebgpu(host);
  if (directory === undefined)
    throw new EngineError(
      `Loading WebGPU: expected its packages in ${webgpuDirectory(host)}, got none. ` +
        `Run \`${installWebgpuCommand}\`, or choose another engine with --engine.`,
      { path: webgpuDirectory(host) },
    );
  const manifest = await verifiedWebgpuManifest(directory);
  const opened = await openDevice(directory, { allowSoftware, adapter });
  const name = adapterName(opened.info);
  const tf = requireTfjs();
  // Some kernels run in tfjs's JavaScript backend.
  await tf.setBackend('cpu');
  withoutBanner(tf);
  await startBackend(tf, directory, opened);
  registerWebgpuKernels(tf);
  probeProduct(tf, name);
  const version = `${dawn.version}, tfjs-backend-webgpu ${backend.version}`;
  return describeEngine(tf, `WebGPU (Dawn ${version})`, {
    kind: 'webgpu',
    version,
    device: { kind: 'gpu', name, threads: 1, isSoftware: isSoftware(opened.info) },
    files: Object.fromEntries(manifest.files.map(({ path: file, sha256 }) => [file, sha256.slice(0, 16)])),
    memory: loadNativeMemory(findMemoryAddon(host)),
  });
}
