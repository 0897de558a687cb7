/**
 * A Vulkan driver that computes on the CPU, for tests of the engine `webgpu`: the one that VK_DRIVER_FILES names, Mesa's lavapipe, or
 * SwiftShader of Debian's package `chromium`.
 */

import { existsSync, readdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { engineHost } from '../../src/worker/engine/cache.js';
import { findWebgpu, installWebgpuCommand } from '../../src/worker/engine/webgpu/packages.js';

interface Driver {
  /** The file that describes the driver to Vulkan's loader. */
  readonly file: string;
  /** Folder of the loader, libvulkan.so.1; undefined: where the system looks for it. */
  readonly loader: string | undefined;
}

const chromium = '/usr/lib/chromium';
const systemDrivers = '/usr/share/vulkan/icd.d';

function findDriver(): Driver | undefined {
  const given = process.env['VK_DRIVER_FILES'];
  if (given !== undefined && given !== '') return { file: given, loader: process.env['LD_LIBRARY_PATH'] };
  const swiftShader = path.join(chromium, 'vk_swiftshader_icd.json');
  if (existsSync(swiftShader)) return { file: swiftShader, loader: chromium };
  const lavapipe = existsSync(systemDrivers)
    ? readdirSync(systemDrivers).find((name) => name.startsWith('lvp_icd'))
    : undefined;
  return lavapipe === undefined ? undefined : { file: path.join(systemDrivers, lavapipe), loader: undefined };
}

const driver = process.platform === 'linux' ? findDriver() : undefined;
const isInstalled = findWebgpu(engineHost(process.env, os.homedir())) !== undefined;

/** The reason why tests of the engine cannot run here; undefined if they can. */
export const missingGpu: string | undefined = !isInstalled
  ? `needs \`${installWebgpuCommand}\``
  : driver === undefined
    ? "needs a software Vulkan driver, such as that of Debian's package chromium"
    : undefined;

/** The reason why tests that train many models or steps are skipped: SwiftShader compiles and computes much slower than lavapipe. */
export const slowGpu: string | undefined =
  missingGpu ??
  (driver?.file.includes('swiftshader') === true
    ? 'takes many minutes on SwiftShader; VK_DRIVER_FILES can name lavapipe'
    : undefined);

/** Returns `title`, with the reason if the tests are skipped. */
export const gpuTitle = (title: string, reason = missingGpu): string =>
  reason === undefined ? title : `${title} (skipped: ${reason})`;

/** Variables for a process that uses the driver. */
export const softwareGpuEnvironment: Readonly<Record<string, string>> = {
  LOCKSTEP_ALLOW_SOFTWARE_GPU: 'true',
  ...(driver && { VK_DRIVER_FILES: driver.file }),
  ...(driver?.loader !== undefined && { LD_LIBRARY_PATH: driver.loader }),
};

/** Flags of dlopen; Node does not export the second one. */
const [lazy, keepLoaded] = [1, 0x1000];

/** Makes the driver available in this process. Must be called before the engine is loaded. */
export function useSoftwareGpu(): void {
  if (driver === undefined) return;
  process.env['VK_DRIVER_FILES'] = driver.file;
  if (driver.loader === undefined) return;
  // LD_LIBRARY_PATH has no effect on a process that runs. A library that is loaded is found by its name.
  const [folder] = driver.loader.split(':').filter((name) => existsSync(path.join(name, 'libvulkan.so.1')));
  if (folder === undefined) return;
  try {
    process.dlopen({ exports: {} }, path.join(folder, 'libvulkan.so.1'), lazy | keepLoaded);
  } catch {
    // Node refuses the library because it is no addon, after it has loaded it.
  }
}
