/** The environment and the machine, read in one place. Nothing outside src/cli looks at process.env. */

import { execFileSync } from 'node:child_process';
import { availableParallelism, homedir, hostname } from 'node:os';
import { join } from 'node:path';
import type { ConfigLayer, Machine } from './resolve.js';
import { cacheRoot, engineHost, type EngineHost } from '../../worker/engine/cache.js';

/** Environment variables that set a field of the config; the command line takes precedence. */
const variables = {
  LOCKSTEP_WORKERS: 'workers',
  LOCKSTEP_DEVICES: 'devices',
  LOCKSTEP_THREADS: 'threads',
  LOCKSTEP_ENGINE: 'engine',
  LOCKSTEP_DATA: 'data',
  LOCKSTEP_SEED: 'seed',
  LOCKSTEP_EPOCHS: 'epochs',
  LOCKSTEP_MAX_STEPS: 'maxSteps',
} as const;

export function environmentLayers(): ConfigLayer[] {
  return Object.entries(variables).flatMap(([variable, field]) => {
    const value = process.env[variable];
    if (value === undefined || value === '') return [];
    return [{ source: variable, values: { [field]: numberIfPossible(value, field) } }];
  });
}

const numbers: readonly string[] = ['workers', 'threads', 'seed', 'epochs', 'maxSteps'];

function numberIfPossible(value: string, field: string): unknown {
  return numbers.includes(field) && Number.isFinite(Number(value)) ? Number(value) : value;
}

/** The coordinator's address for processes that are started one by one (pm2, other hosts). */
export const defaultCoordinator = process.env['LOCKSTEP_COORDINATOR'] ?? 'tcp://127.0.0.1:29400';

/** Folder of CURVE keys; undefined: none. */
export const defaultKeys = process.env['LOCKSTEP_KEYS'] || undefined;
export const defaultSecurity = process.env['LOCKSTEP_SECURITY'] || 'auto';

/** Which of several equal processes this one is: pm2 numbers its instances. */
export function instanceNumber(): number {
  const value = Number(process.env['NODE_APP_INSTANCE'] ?? 0);
  return Number.isInteger(value) && value >= 0 ? value : 0;
}

/** How often pm2 has started this process again; 0 without pm2. */
export function restartCount(): number {
  const count = process.env['pm_id'] === undefined ? 0 : Number(process.env['restart_time'] ?? 0);
  return Number.isInteger(count) && count > 0 ? count : 0;
}

/** Numbers of the GPUs that the NVIDIA driver shows; empty without one. */
export function presentGpus(): number[] {
  try {
    const list = execFileSync('nvidia-smi', ['--query-gpu=index', '--format=csv,noheader'], {
      encoding: 'utf8',
      timeout: 10_000,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return list.split('\n').filter(Boolean).map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

export function machine(devices: string): Machine & { present: readonly number[] } {
  const present = devices === 'cpu' ? [] : presentGpus();
  return { cores: availableParallelism(), gpus: present, present };
}

/** What the dashboard asks for where it isn't on loopback; null: it makes one up. */
export function dashboardToken(): string | null {
  const token = process.env['LOCKSTEP_DASHBOARD_TOKEN'] ?? '';
  return token === '' ? null : token;
}

/** A terminal that can't move its cursor, or that a machine reads. */
export function dumbTerminal(): boolean {
  return process.env['TERM'] === 'dumb' || (process.env['CI'] ?? '') !== '';
}

/** What workers call their host: those that call it alike may share memory, and are combined first. */
export const host: string = process.env['LOCKSTEP_HOST'] ?? hostname();

export function currentEngineHost(): EngineHost {
  return engineHost(process.env, homedir());
}

/** For `loadDefinition`. */
export function definitionCache(): string {
  return join(cacheRoot(currentEngineHost()), 'definitions');
}

/** Where programs are looked for. */
export function searchPath(): string {
  return process.env['PATH'] ?? '';
}

/** Sets variables that a native library reads while it loads. */
export function assignEnvironment(values: Readonly<Record<string, string>>): void {
  Object.assign(process.env, values);
}
