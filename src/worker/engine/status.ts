/** The report of `lockstep engine status`: the installed engine, its device, its problem and the command to run next. */
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { OperationalError } from '../../shared/errors.js';
import { engineDirectory, findEngine, installCommand, type EngineHost } from './cache.js';
import { whyNoGpu } from './cuda.js';
import { readManifest, verifyFiles } from './manifest.js';
import { requireTrusted } from './trust.js';
import { probeBinding } from './probe.js';

export interface EngineStatus {
  /** True if native TensorFlow can be loaded. */
  readonly usable: boolean;
  readonly library: string;
  /** Undefined without a native engine. */
  readonly version: string | undefined;
  readonly directory: string;
  readonly source: string;
  /** True if the engine has Lockstep's own ops. */
  readonly ownKernels: boolean;
  /** The reason why the own ops, or those among them that multiply, are not used; undefined if all are. */
  readonly ownKernelsReason: string | undefined;
  readonly device: string;
  readonly cores: number;
  readonly instructionSets: readonly string[];
  /** A problem that prevents native TensorFlow, or the GPU with TensorFlow's CUDA build, from being used. */
  readonly problem: string | undefined;
  /** The command to run next. */
  readonly next: string;
}

/** Loads the engine in a separate process, so that a crash becomes part of the report. */
export async function engineStatus(host: EngineHost): Promise<EngineStatus> {
  const machine = { cores: os.availableParallelism(), instructionSets: instructionSets() };
  const found = findEngine(host);
  const none = {
    usable: false,
    version: undefined,
    ownKernels: false,
    ownKernelsReason: undefined,
    device: `CPU, ${cpuModel()}`,
  };
  if (!found) {
    const library = 'WebAssembly (tfjs), several times slower than native TensorFlow';
    return {
      ...none,
      ...machine,
      library,
      directory: engineDirectory(host, 'cpu'),
      source: 'none',
      problem: 'Native TensorFlow is not installed, or was built from older sources.',
      next: installCommand,
    };
  }
  const { directory } = found;
  try {
    if (found.from === 'cache') requireTrusted(directory);
    const manifest = found.from === 'cache' ? await readManifest(directory) : undefined;
    if (manifest) await verifyFiles(directory, manifest, 'quick');
    const { tensorflowVersion, gpu, ownOpFailures } = await probeBinding(found.binding);
    return {
      ...machine,
      usable: true,
      library: 'TensorFlow',
      version: tensorflowVersion,
      directory,
      source: manifest?.reason ?? "tfjs-node-gpu's own install script",
      // The probe runs no own ops on a GPU, where they are not used.
      ownKernels: gpu
        ? (manifest?.ownKernels ?? false)
        : ownOpFailures.every(({ kind }) => kind !== 'unregistered'),
      ownKernelsReason: ownOpFailures[0]?.reason,
      device: gpu ? 'GPU' : `CPU, ${cpuModel()}`,
      problem:
        manifest?.variant === 'cuda' && !gpu ? `No GPU is used. ${await whyNoGpu(directory)}` : undefined,
      next: 'lockstep train',
    };
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
    return {
      ...none,
      ...machine,
      library: 'TensorFlow',
      directory,
      source: found.from,
      problem: error.message,
      next: `${installCommand} --force`,
    };
  }
}

function cpuModel(): string {
  return os.cpus()[0]?.model.trim() ?? process.arch;
}

const interesting =
  /^(sse4_1|sse4_2|avx|avx2|fma|f16c|avx512f|avx512_vnni|avx512_bf16|avx_vnni|amx_tile|amx_bf16|asimd|sve|bf16)$/;

/** Returns the CPU's instruction sets by Linux's names; empty on other systems. */
function instructionSets(): string[] {
  try {
    const [, flags = ''] = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8')) ?? [];
    return flags.split(/\s+/).filter((flag) => interesting.test(flag));
  } catch {
    return [];
  }
}
