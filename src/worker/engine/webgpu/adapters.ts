/**
 * Selects the adapter of a worker on a host with several GPUs. WebGPU itself offers only the adapter that the system prefers. Dawn also
 * selects by name, and the drivers on Linux have variables. Pure: device.ts asks Dawn, and the caller sets the variables.
 */

import { ConfigError, EngineError } from '../../../shared/errors.js';

/** The rule that selects a worker's adapter; `number` counts the workers of the host from 0. */
export type AdapterChoice =
  | { readonly kind: 'number'; readonly number: number }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'preferred' };

export interface AdapterSelection {
  readonly choice: AdapterChoice;
  /** Variables that have to be set before Dawn is loaded. */
  readonly variables: Readonly<Record<string, string>>;
}

export const adaptersVariable = 'LOCKSTEP_WEBGPU_ADAPTERS';

/** Variables of Vulkan's loader and of Mesa that select the adapter of a process. */
const selecting = ['MESA_VK_DEVICE_SELECT', 'VK_LOADER_DEVICE_SELECT', 'DRI_PRIME'] as const;
const permitted: readonly string[] = [...selecting, 'VK_DRIVER_FILES'];

/**
 * Parses LOCKSTEP_WEBGPU_ADAPTERS: one entry per worker of the host, separated by semicolons. An entry is `name=TEXT`, or an
 * assignment to one of the variables above.
 * @throws ConfigError
 */
export function parseAdapters(text: string): readonly AdapterSelection[] {
  return text.split(';').map((entry) => {
    const [, name = '', value = ''] = /^\s*(\w+)\s*=\s*(.*?)\s*$/.exec(entry) ?? [];
    if (value !== '' && name === 'name') return { choice: { kind: 'name', name: value }, variables: {} };
    if (value !== '' && permitted.includes(name))
      return { choice: { kind: 'preferred' }, variables: { [name]: value } };
    throw new ConfigError(
      `${adaptersVariable}: expected entries such as name=TEXT or ${permitted.join('=..., ')}=..., separated by semicolons, ` +
        `got "${entry.trim().slice(0, 80)}".`,
    );
  });
}

/**
 * Returns the selection for worker `number` of this host.
 * @param given the value of LOCKSTEP_WEBGPU_ADAPTERS
 * @param variables the environment of the process
 * @throws ConfigError if there are fewer entries than workers
 */
export function selectionFor(
  number: number,
  given: string | undefined,
  variables: Readonly<Record<string, string | undefined>>,
): AdapterSelection {
  if (given !== undefined) {
    const entries = parseAdapters(given);
    const entry = entries[number];
    if (entry) return entry;
    throw new ConfigError(
      `${adaptersVariable}: expected an entry for each worker of this host, got ${entries.length} and the worker ${number + 1}. ` +
        'Add an entry, or start fewer workers.',
    );
  }
  // The user has selected the adapter of this process.
  if (selecting.some((name) => (variables[name] ?? '') !== ''))
    return { choice: { kind: 'preferred' }, variables: {} };
  return { choice: { kind: 'number', number }, variables: {} };
}

/** No adapter has this name. Dawn then throws an error that lists the names of all adapters. */
export const absentName = 'lockstep lists all adapters';

/** Returns the names in the error that Dawn throws for an absent name; empty if it is another error. */
export function namesIn(message: string): string[] {
  return [...message.matchAll(/^ \* backend: '[^']*', name: '(.*)'$/gm)].map(([, name = '']) => name);
}

/** WebGPU's form of a name: lower case, with a hyphen in place of other characters than letters and digits. */
export const identifierOf = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');

const computesOnCpu = /llvmpipe|swiftshader|basic render/i;

/**
 * Returns the name of the adapter of worker `number`: the first worker gets the preferred adapter and the next ones the others, in the
 * order of Dawn. Adapters that compute on the CPU are left out if there is a GPU. Returns undefined if there is one adapter only, which
 * all workers share.
 * @param names names of all adapters
 * @param preferred WebGPU's identifier of the adapter that the system prefers
 * @throws EngineError if adapters have the same name, or if Dawn would find another one by the name
 */
export function nameFor(number: number, names: readonly string[], preferred: string): string | undefined {
  const gpus = names.filter((name) => !computesOnCpu.test(name));
  const candidates = gpus.length > 0 ? gpus : names;
  if (candidates.length < 2) return undefined;
  const isPreferred = (name: string): boolean => identifierOf(name) === preferred;
  const ordered = [...candidates.filter(isPreferred), ...candidates.filter((name) => !isPreferred(name))];
  const name = ordered[number % ordered.length] ?? '';
  // Dawn takes the first adapter whose name contains the given one.
  const alike = names.filter((other) => other.includes(name));
  const isFirstAndOnly = alike.lastIndexOf(name) === 0;
  if (isFirstAndOnly) return name;
  throw new EngineError(
    `WebGPU: expected adapters with different names for the workers of this host, got ${alike.map((one) => `"${one}"`).join(' and ')}. ` +
      `Set ${adaptersVariable} to one entry per worker (docs/gpu.md), or train with one worker per host.`,
  );
}
