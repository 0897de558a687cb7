/** `lockstep engine install` and `lockstep engine status`: manage native TensorFlow and the packages of WebGPU. */

import { ConfigError } from '../../shared/errors.js';
import { findEngine } from '../../worker/engine/cache.js';
import { installEngine } from '../../worker/engine/install/install.js';
import { engineStatus, type EngineStatus } from '../../worker/engine/status.js';
import { installWebgpu } from '../../worker/engine/webgpu/install.js';
import { findWebgpu } from '../../worker/engine/webgpu/packages.js';
import { describeWebgpu, webgpuStatus } from '../../worker/engine/webgpu/status.js';
import { currentEngineHost } from '../environment/environment.js';
import { presentGpus } from '../environment/machine.js';
import { exitStatus } from '../../shared/exit-status.js';

export interface InstallFlags {
  readonly from?: string;
  readonly cuda?: boolean;
  readonly webgpu?: boolean;
  readonly verify?: boolean;
  readonly ifMissing?: boolean;
  readonly force?: boolean;
  readonly unpinned?: boolean;
}

/** Resolves with the exit status. @throws EngineError, or ConfigError for options that exclude each other */
export async function install(flags: InstallFlags): Promise<number> {
  const { from, cuda, webgpu, verify, ifMissing, force, unpinned } = flags;
  const host = currentEngineHost();
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  if (webgpu && (cuda || unpinned))
    throw new ConfigError(
      `--webgpu: expected no other choice of an engine, got ${cuda ? '--cuda' : '--unpinned'}. Run the command once for each engine.`,
    );
  if (webgpu) {
    if (!ifMissing || findWebgpu(host) === undefined) await installWebgpu({ host, from, force, verify, log });
    else log('Engine: the packages of WebGPU are there already.');
    return exitStatus.done;
  }
  const found = ifMissing ? findEngine(host) : undefined;
  if (found) {
    log(`Engine: TensorFlow is there already (${found.binding}).`);
    return exitStatus.done;
  }
  await installEngine({
    host,
    variant: cuda ? 'cuda' : 'cpu',
    from,
    force,
    verify,
    unpinned,
    log,
  });
  return exitStatus.done;
}

/** Resolves with the exit status: 0 if native TensorFlow can be used. */
export async function showStatus({ json }: { readonly json?: boolean }): Promise<number> {
  const gpus = presentGpus();
  const host = currentEngineHost();
  const webgpu = await webgpuStatus(host);
  const status = { ...(await engineStatus(host)), gpus, webgpu };
  if (json) process.stdout.write(`${JSON.stringify(status)}\n`);
  else {
    const lines: readonly (readonly [string, string])[] = [
      ['Library', `${status.library} ${status.version ?? ''}`.trim()],
      ['From', status.source],
      ['Folder', status.directory],
      ['Own kernels', describeOwnKernels(status)],
      ['Device', status.device],
      ['GPUs', gpus.length > 0 ? gpus.join(', ') : 'none that this process may use'],
      ['WebGPU', describeWebgpu(webgpu)],
      ['Cores', String(status.cores)],
      ['Instructions', status.instructionSets.join(' ') || 'unknown'],
      ['Problem', status.problem ?? 'none'],
      ['Next', status.next],
    ];
    for (const [name, value] of lines) process.stdout.write(`${`${name}:`.padEnd(14)}${value}\n`);
  }
  return status.usable ? exitStatus.done : exitStatus.failed;
}

function describeOwnKernels({ ownKernels, ownKernelsReason: reason }: EngineStatus): string {
  if (!ownKernels) return reason === undefined ? 'no' : `no: ${reason}`;
  return reason === undefined ? 'yes' : `yes, except products: ${reason}`;
}
