/** Measures what an installation of the package occupies on the disk. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Bound for `node_modules` of a project that has only Lockstep, without native TensorFlow. */
export const maxInstalledBytes = 200e6;

/** Returns the bytes that the folders occupy, in blocks of the file system, without the packages nested in them. */
export function diskBytes(folders: readonly string[], options: readonly string[] = []): number {
  const output = execFileSync('du', ['-s', '--block-size=1', ...options, ...folders], { encoding: 'utf8' });
  return output
    .trim()
    .split('\n')
    .reduce((sum, line) => sum + Number(line.split('\t')[0]), 0);
}

interface Locked {
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly peer?: boolean;
  readonly optional?: boolean;
}

/** Returns the folders, relative to the root, of the packages that npm installs in a project that depends on this package. */
export function installedFolders(root: string): readonly string[] {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, Locked>>;
  };
  return Object.entries(packages)
    .filter(
      ([folder, { dev, devOptional, peer, optional }]) =>
        folder !== '' && !(dev || devOptional || peer || optional),
    )
    .map(([folder]) => folder);
}
