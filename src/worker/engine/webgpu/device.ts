/** Opens the GPU with Dawn: selects the adapter, refuses software adapters, and keeps the first error of the device. */

import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { DeviceLostError, EngineError } from '../../../shared/errors.js';
import { absentName, adaptersVariable, nameFor, namesIn, type AdapterChoice } from './adapters.js';
import type { Dawn, Gpu, GpuAdapter, GpuAdapterInfo, GpuDevice } from './gpu-types.js';
import { dawnEntry, installWebgpuCommand } from './packages.js';
import { installPump } from './pump.js';

export interface OpenDevice {
  readonly gpu: Gpu;
  readonly device: GpuDevice;
  readonly info: GpuAdapterInfo;
  /** @throws DeviceLostError if the device is lost or out of memory, and EngineError if a command was not valid */
  check(): void;
}

/** Dawn crashes if the object that its `create` returned is collected while the device is used. */
const heldForever: object[] = [];

/** Limits of which the device gets all that the adapter offers; the defaults of WebGPU are smaller. */
const raisedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupsPerDimension',
] as const;

export interface DeviceOptions {
  readonly allowSoftware: boolean;
  readonly adapter: AdapterChoice;
}

/**
 * Opens the chosen adapter. Defines Dawn's classes as globals, which tfjs's backend needs.
 * @throws EngineError if there is no adapter, if the adapters cannot be told apart, or if it is a software adapter and these are not
 * allowed
 */
export async function openDevice(
  directory: string,
  { allowSoftware, adapter: choice }: DeviceOptions,
): Promise<OpenDevice> {
  installPump();
  const dawn = await loadDawn(directory);
  Object.assign(globalThis, dawn.globals);
  const { gpu, adapter } = await requestAdapter(dawn, await chosenName(dawn, choice));
  const { info } = adapter;
  if (isSoftware(info) && !allowSoftware)
    throw new EngineError(
      `WebGPU: expected a GPU, got the software adapter ${adapterName(info)}, which is slower than --engine wasm. ` +
        "Install the GPU's driver, or allow it with --allow-software-gpu.",
    );
  const device = await requestDevice(adapter);
  let failure: EngineError | undefined;
  device.onuncapturederror = ({ error }) => (failure ??= commandError(info, error));
  void device.lost.then(({ reason, message }) => (failure ??= deviceError(info, `${reason}: ${message}`)));
  const check = (): void => {
    if (failure !== undefined) throw failure;
  };
  return { gpu, device, info, check };
}

/** @param name name of the adapter; undefined: the adapter that the system offers for high performance */
async function requestAdapter(
  { create }: Dawn,
  name: string | undefined,
): Promise<{ gpu: Gpu; adapter: GpuAdapter }> {
  const gpu = create([
    ...(process.platform === 'linux' ? ['backend=vulkan'] : []),
    ...(name === undefined ? [] : [`adapter=${name}`]),
  ]);
  heldForever.push(gpu);
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) throw noAdapter();
  heldForever.push(adapter);
  return { gpu, adapter };
}

/** Returns the names of all adapters; empty without any. */
async function adapterNames(dawn: Dawn): Promise<string[]> {
  try {
    await requestAdapter(dawn, absentName);
    return [];
  } catch (error) {
    return namesIn(error instanceof Error ? error.message : '');
  }
}

/** Returns the name to select the adapter by; undefined for the one that the system prefers. @throws EngineError */
async function chosenName(dawn: Dawn, choice: AdapterChoice): Promise<string | undefined> {
  // The first worker needs no list, which takes a moment.
  if (choice.kind === 'preferred' || (choice.kind === 'number' && choice.number === 0)) return undefined;
  const names = await adapterNames(dawn);
  if (choice.kind === 'number') {
    const { adapter } = await requestAdapter(dawn, undefined);
    return nameFor(choice.number, names, adapter.info.device);
  }
  if (names.some((name) => name.includes(choice.name))) return choice.name;
  throw new EngineError(
    `WebGPU: expected an adapter whose name contains "${choice.name}", got ${names.map((name) => `"${name}"`).join(', ') || 'none'}. ` +
      `Correct ${adaptersVariable}.`,
  );
}

/** An invalid command is a fault of a shader or a size beyond the adapter's limits, and would be repeated by every worker. */
function commandError(info: GpuAdapterInfo, error: { readonly message?: string } | undefined): EngineError {
  const message = error?.message ?? 'an unknown error';
  if (error?.constructor.name !== 'GPUValidationError') return deviceError(info, message);
  const [, shader] = /"(\w+Program|lockstep\w+)"/.exec(message) ?? [];
  const where = shader === undefined ? '' : ` in the shader ${shader}`;
  return new EngineError(
    `WebGPU on ${adapterName(info)}: expected valid commands, got "${firstLine(message)}"${where}. ` +
      "If a size is beyond a limit, use more shards; otherwise choose another engine with --engine, since tfjs's shader is at fault.",
  );
}

function deviceError(info: GpuAdapterInfo, message: string): DeviceLostError {
  return new DeviceLostError(
    `WebGPU on ${adapterName(info)}: expected a device that works, got "${firstLine(message)}". ` +
      "If memory ran out, use a smaller batch or more shards; otherwise check the system's log for errors of the driver.",
  );
}

async function loadDawn(directory: string): Promise<Dawn> {
  const file = path.join(directory, dawnEntry);
  try {
    return (await import(pathToFileURL(file).href)) as Dawn;
  } catch (error) {
    throw new EngineError(
      `Loading WebGPU: expected ${file} to load, got "${error instanceof Error ? firstLine(error.message) : String(error)}". ` +
        `Run \`${installWebgpuCommand} --force\`, or choose another engine with --engine.`,
      { path: file },
      error,
    );
  }
}

/** Instructions for a GPU that Dawn does not find. */
export const driverAdvice =
  process.platform === 'linux'
    ? 'Install the driver of the GPU and the Vulkan library (libvulkan1), and check that this user may open /dev/dri'
    : 'Install the driver of the GPU';

const noAdapter = (): EngineError =>
  new EngineError(
    `WebGPU: expected a GPU whose driver is installed, got none. ${driverAdvice}, or choose another engine with --engine.`,
  );

async function requestDevice(adapter: GpuAdapter): Promise<GpuDevice> {
  const { limits } = adapter;
  const requiredLimits = Object.fromEntries(raisedLimits.map((name) => [name, limits[name] ?? 0]));
  try {
    return await adapter.requestDevice({ requiredLimits });
  } catch (error) {
    throw new EngineError(
      `WebGPU: expected ${adapterName(adapter.info)} to open, got "${error instanceof Error ? firstLine(error.message) : ''}". ` +
        'End other programs that use the GPU, or choose another engine with --engine.',
      {},
      error,
    );
  }
}

/** Returns true if the adapter computes on the CPU. */
export function isSoftware({ isFallbackAdapter = false }: GpuAdapterInfo): boolean {
  return isFallbackAdapter;
}

/** Names everything of an adapter on which its bits depend, as far as WebGPU tells it. */
export function adapterName({ vendor, architecture, device, description }: GpuAdapterInfo): string {
  return [vendor, architecture, device, description].filter((part) => part !== '').join(', ');
}

const firstLine = (text: string): string => (text.split('\n')[0] ?? '').slice(0, 300);
