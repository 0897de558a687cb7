/** The report about the engine `webgpu` in `lockstep engine status` and `lockstep doctor`. It changes nothing. */

import { readdirSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { OperationalError } from '../../../shared/errors.js';
import type { EngineHost } from '../cache.js';
import { runProgram } from '../process.js';
import { absentName, namesIn } from './adapters.js';
import { adapterName, driverAdvice, isSoftware } from './device.js';
import { verifiedWebgpuManifest } from './manifest.js';
import { dawnEntry, findWebgpu, installWebgpuCommand } from './packages.js';

export interface WebgpuStatus {
  /** True if the packages are installed. */
  readonly installed: boolean;
  /** True if the kernel lists a GPU that can render or compute. */
  readonly gpuSeen: boolean;
  /** Name of the adapter that the first worker would use. */
  readonly adapter: string | undefined;
  /** Names of all adapters, in the order of Dawn. */
  readonly adapters: readonly string[];
  /** True if the adapter computes on the CPU. */
  readonly isSoftware: boolean;
  /** The reason why installed packages cannot be used, with the instructions. */
  readonly problem: string | undefined;
  /** The command to run next, if one makes sense. */
  readonly next: string | undefined;
}

const answerSchema = z.object({
  info: z
    .object({
      vendor: z.string(),
      architecture: z.string(),
      device: z.string(),
      description: z.string(),
      isFallbackAdapter: z.boolean().optional(),
    })
    .nullable(),
  /** The error that lists all adapters. */
  list: z.string(),
});

// The script is plain JavaScript, because it runs without a loader; argv[1] is Dawn's module and argv[2] the name of no adapter.
const script = `
const { create, globals } = await import(process.argv[1]);
Object.assign(globalThis, globals);
const options = process.platform === 'linux' ? ['backend=vulkan'] : [];
const request = (gpu) => gpu.requestAdapter({ powerPreference: 'high-performance' });
const gpus = [create(options), create([...options, 'adapter=' + process.argv[2]])];
const adapter = await request(gpus[0]);
const { vendor, architecture, device, description, isFallbackAdapter } = adapter?.info ?? {};
const info = adapter && { vendor, architecture, device, description, isFallbackAdapter };
const list = await request(gpus[1]).then(() => '', (error) => error.message);
process.stdout.write('\\n' + JSON.stringify({ info, list }));
`;

/**
 * Opens the adapter in a separate process, because a driver may crash.
 * @param devices the folder in which Linux lists devices
 */
export async function webgpuStatus(host: EngineHost, devices = '/dev'): Promise<WebgpuStatus> {
  const gpuSeen = hasRenderNode(devices);
  const none = {
    installed: false,
    gpuSeen,
    adapter: undefined,
    adapters: [],
    isSoftware: false,
    problem: undefined,
  };
  const directory = findWebgpu(host);
  if (directory === undefined) return { ...none, next: gpuSeen ? installWebgpuCommand : undefined };
  try {
    await verifiedWebgpuManifest(directory);
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
    return { ...none, installed: true, problem: error.message, next: `${installWebgpuCommand} --force` };
  }
  const { adapter, adapters = [], isSoftware: simulated, failure } = await queryAdapter(directory);
  const problem =
    failure !== undefined && gpuSeen
      ? `a GPU is present, and Dawn did not open it: ${failure}. ${driverAdvice}`
      : undefined;
  const next = adapter === undefined || simulated ? undefined : 'lockstep train --engine webgpu';
  return { ...none, installed: true, adapter, adapters, isSoftware: simulated, problem, next };
}

/** Describes the status in one line. */
export function describeWebgpu(status: WebgpuStatus): string {
  const { installed, gpuSeen, adapter, adapters, problem, next } = status;
  if (problem !== undefined) return problem;
  const suggestion = next === undefined ? '' : `; run ${next}`;
  if (!installed) return `not installed; ${gpuSeen ? 'a GPU is present' : 'no GPU is seen'}${suggestion}`;
  if (adapter === undefined) return 'installed; no GPU is seen';
  const all = adapters.length > 1 ? `; all adapters: ${adapters.map((name) => `"${name}"`).join(', ')}` : '';
  return `${adapter}${status.isSoftware ? ' (computes on the CPU)' : suggestion}${all}`;
}

/** Returns true if Linux lists a render node, which every GPU driver creates. Other systems always have a GPU driver. */
function hasRenderNode(devices: string): boolean {
  if (process.platform !== 'linux') return true;
  try {
    return (
      readdirSync(devices).some((name) => /^(nvidia\d+|dxg)$/.test(name)) ||
      readdirSync(path.join(devices, 'dri')).some((name) => name.startsWith('renderD'))
    );
  } catch {
    return false;
  }
}

type Answer = {
  readonly adapter?: string;
  readonly adapters?: readonly string[];
  readonly isSoftware: boolean;
  readonly failure?: string;
};

async function queryAdapter(directory: string): Promise<Answer> {
  const dawn = pathToFileURL(path.join(directory, dawnEntry)).href;
  const args = ['--input-type=module', '-e', script, dawn, absentName];
  const { status, stdout, failure } = await runProgram(process.execPath, args, { timeoutMs: 60_000 });
  if (status !== 0) return { isSoftware: false, failure };
  const { info, list } = answerSchema.parse(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''));
  if (info === null) return { isSoftware: false, failure: 'it found no adapter' };
  return { adapter: adapterName(info), adapters: namesIn(list), isSoftware: isSoftware(info) };
}
