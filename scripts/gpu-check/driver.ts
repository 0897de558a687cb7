/**
 * Finds NVIDIA's Vulkan driver where no driver is registered, as in containers, to which the NVIDIA runtime adds the libraries and not
 * always the file that describes them to Vulkan's loader.
 */

import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

/** Folders in which Vulkan's loader looks for registered drivers. */
const registered = ['/usr/local/etc', '/usr/local/share', '/etc', '/usr/share'].map(
  (folder) => `${folder}/vulkan/icd.d`,
);
const describedElsewhere = [
  '/usr/local/nvidia/share/vulkan/icd.d',
  '/usr/local/nvidia/vulkan/icd.d',
  '/opt/nvidia/share/vulkan/icd.d',
];
const libraryFolders = [
  '/usr/local/nvidia/lib64',
  '/usr/local/nvidia/lib',
  '/opt/nvidia/lib64',
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib64',
  '/usr/lib/wsl/lib',
];
/** The driver for Vulkan is in both; the second one needs no X11. */
const libraryNames = ['libGLX_nvidia.so.0', 'libEGL_nvidia.so.0'];

const list = (folder: string): readonly string[] => (existsSync(folder) ? readdirSync(folder) : []);
const isNvidia = (name: string): boolean => /nvidia.*\.json$/.test(name);

export type DriverChoice =
  /** The loader finds a driver by itself, or there is none to be found. */
  | { readonly kind: 'registered' }
  | { readonly kind: 'none' }
  /** VK_DRIVER_FILES must name this file. */
  | { readonly kind: 'described'; readonly file: string }
  /** A file that describes this library must be written. */
  | { readonly kind: 'undescribed'; readonly library: string };

/** @param root the folder that stands for `/` */
export function chooseDriver(root = '/'): DriverChoice {
  const below = (folder: string): string => path.join(root, folder);
  if (registered.some((folder) => list(below(folder)).some(isNvidia))) return { kind: 'registered' };
  for (const folder of describedElsewhere.map(below)) {
    const name = list(folder).find(isNvidia);
    if (name !== undefined) return { kind: 'described', file: path.join(folder, name) };
  }
  const libraries = libraryFolders.flatMap((folder) =>
    libraryNames.map((name) => path.join(below(folder), name)),
  );
  const library = libraries.find((file) => existsSync(file));
  return library === undefined ? { kind: 'none' } : { kind: 'undescribed', library };
}

/** Returns the content of the file that describes a driver's library to Vulkan's loader. */
export function driverDescription(library: string): string {
  return JSON.stringify({
    file_format_version: '1.0.1',
    ICD: { library_path: library, api_version: '1.3.0' },
  });
}
