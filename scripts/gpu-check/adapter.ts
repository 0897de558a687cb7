/** Asks `lockstep engine status` for the adapter that the engine webgpu would use. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { WebgpuStatus } from '../../src/worker/engine/webgpu/status.js';
import type { Adapter } from './stage.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** @throws Error if there is no adapter, or if it computes on the CPU and that is not allowed */
export function openAdapter(allowSoftware: boolean): Adapter {
  const { stdout, stderr } = spawnSync(process.execPath, [main, 'engine', 'status', '--json'], {
    encoding: 'utf8',
    timeout: 90_000,
  });
  // The exit status is 1 without native TensorFlow, which the bundle does not contain.
  if (!stdout.startsWith('{'))
    throw new Error(`lockstep engine status: expected JSON, got ${stderr.slice(-300)}`);
  const { webgpu } = JSON.parse(stdout) as { webgpu: WebgpuStatus };
  const { adapter, adapters, isSoftware, problem } = webgpu;
  if (adapter === undefined)
    throw new Error(
      `expected an adapter, got none${problem === undefined ? '' : ` (${problem})`}. ` +
        'Check that `nvidia-smi` lists a GPU, and set VK_DRIVER_FILES to the file nvidia_icd.json of its driver.',
    );
  if (isSoftware && !allowSoftware)
    throw new Error(
      `expected a GPU, got ${adapter}, which computes on the CPU. Run with --software to check it all the same.`,
    );
  return { name: adapter, isSoftware, shared: adapters.length > 1 ? sharedBy(adapters) : undefined };
}

/**
 * Returns the value of LOCKSTEP_WEBGPU_ADAPTERS with which two workers use the same adapter. Without it, the second worker of a host with
 * several adapters takes another one, whose bits may differ, and is refused if both have the same name.
 */
function sharedBy(adapters: readonly string[]): string {
  const name = adapters.find((candidate) => !/llvmpipe|swiftshader/i.test(candidate)) ?? adapters[0] ?? '';
  return `name=${name};name=${name}`;
}
