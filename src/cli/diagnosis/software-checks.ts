/** Checks of the installed software: Node, the tensor engine, build tools and pm2. */

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { engineStatus } from '../../worker/engine/status.js';
import { describeWebgpu, webgpuStatus, type WebgpuStatus } from '../../worker/engine/webgpu/status.js';
import { currentEngineHost, searchPath } from '../environment/environment.js';
import type { Check, Finding } from './finding.js';

/** The oldest supported version, as in package.json's `engines`. */
const oldestNode = [20, 19] as const;

export const softwareChecks: readonly Check[] = [
  checkNode,
  checkEngine,
  checkWebgpu,
  checkBuildTools,
  checkPm2,
];

function checkNode(): ReturnType<Check> {
  const found = process.versions.node;
  const [major = 0, minor = 0] = found.split('.').map(Number);
  const supported = major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1]);
  if (supported) return { name: 'Node', state: 'ok', found };
  return { name: 'Node', state: 'problem', found, advice: `install ${oldestNode.join('.')} or newer` };
}

async function checkEngine(): Promise<Awaited<ReturnType<Check>>> {
  const name = 'Engine';
  const status = await engineStatus(currentEngineHost());
  const found = `${status.library} ${status.version ?? ''} on ${status.device}`;
  const reason = status.ownKernelsReason === undefined ? '' : ` (${status.ownKernelsReason})`;
  if (!status.usable)
    return { name, state: 'warning', found: status.problem ?? found, advice: `run ${status.next}` };
  if (!status.ownKernels)
    return {
      name,
      state: 'warning',
      found: `${found}, without Lockstep's own kernels, which are faster${reason}`,
      advice: 'run lockstep engine install --force, with a C++17 compiler installed',
    };
  const products = reason === '' ? '' : `, without Lockstep's own products, which are faster${reason}`;
  return { name, state: 'ok', found: `${found}${products}` };
}

/** Suggests the engine `webgpu` where it is installed, or where a GPU is seen that native TensorFlow does not use. */
async function checkWebgpu(): Promise<Finding> {
  return webgpuFinding(await webgpuStatus(currentEngineHost()));
}

/** Exported for tests, which need no GPU. */
export function webgpuFinding(status: WebgpuStatus): Finding {
  const { problem, next } = status;
  const [name, found] = ['WebGPU', describeWebgpu(status)];
  if (problem === undefined) return { name, state: 'ok', found };
  return { name, state: 'warning', found, ...(next !== undefined && { advice: `run ${next}` }) };
}

function checkBuildTools(): ReturnType<Check> {
  const name = 'Build tools';
  const python = programOnPath('python3') ?? programOnPath('python');
  const compiler = programOnPath('c++') ?? programOnPath('g++') ?? programOnPath('clang++');
  if (python !== undefined && compiler !== undefined)
    return { name, state: 'ok', found: `${python}, ${compiler}` };
  const missing = [
    ...(python === undefined ? ['Python with pip'] : []),
    ...(compiler === undefined ? ['a C++ compiler'] : []),
  ];
  return {
    name,
    state: 'warning',
    found: `no ${missing.join(' and ')}`,
    advice: 'needed by lockstep engine install only',
  };
}

function checkPm2(): ReturnType<Check> {
  const local = join(process.cwd(), 'node_modules', '.bin', 'pm2');
  const found = programOnPath('pm2') ?? (existsSync(local) ? local : undefined);
  const absent = 'not installed; needed only to keep workers running unattended (npm install pm2)';
  return { name: 'pm2', state: 'ok', found: found ?? absent };
}

function programOnPath(program: string): string | undefined {
  return searchPath()
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find((file) => existsSync(file));
}
