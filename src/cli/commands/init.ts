/**
 * `lockstep init`: writes a project that can be trained at once. Existing files are never overwritten; an existing package.json
 * receives the entries that it lacks.
 */

import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installedMnist } from '../../shared/data/dataset.js';
import { ConfigError, systemCode } from '../../shared/errors.js';
import { exitStatus } from '../../shared/exit-status.js';
import { completeManifest, newManifest } from './init-manifest.js';

/** Files of examples/starter. npm does not publish a file named .gitignore, so it has another name there. */
const starter = fileURLToPath(new URL('../../../examples/starter/', import.meta.url));
const renamed: Readonly<Record<string, string>> = { gitignore: '.gitignore' };

export interface InitFlags {
  readonly json?: boolean;
}

/** Resolves with the exit status. @throws ConfigError if the folder cannot be written, or its package.json is damaged */
export async function init(directory: string, { json = false }: InitFlags): Promise<number> {
  const folder = resolve(directory);
  const written: string[] = [];
  const completed = await completeManifest(folder);
  for (const name of (await readdir(starter, { recursive: true })).sort()) {
    if (name === 'digits') continue;
    const content = await readFile(join(starter, name));
    if (await addFile(folder, renamed[name] ?? name, content)) written.push(renamed[name] ?? name);
  }
  if (await addFile(folder, 'package.json', newManifest(folder))) written.push('package.json');
  if (json) process.stdout.write(`${JSON.stringify({ event: 'init', folder, written, completed })}\n`);
  else process.stdout.write(`${report(folder, written, completed)}\n`);
  return exitStatus.done;
}

/** Returns false if the file exists already. */
async function addFile(folder: string, name: string, content: string | Buffer): Promise<boolean> {
  const file = join(folder, name);
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content, { flag: 'wx' });
    return true;
  } catch (cause) {
    if (systemCode(cause) === 'EEXIST') return false;
    throw new ConfigError(
      `Folder ${folder} can't be written (${systemCode(cause) ?? String(cause)}).`,
      { folder },
      cause,
    );
  }
}

function report(folder: string, written: readonly string[], completed: readonly string[]): string {
  const path = relative(process.cwd(), folder);
  const mnist = installedMnist() !== undefined;
  const steps = [
    ...(path === '' ? [] : [`cd ${path}`]),
    ...(canImport(folder, 'lockstep/package.json') && (!mnist || canImport(folder, 'typescript'))
      ? []
      : ['npm install']),
    // npm then installs what package.json has received, too.
    ...(mnist ? [] : ['npx lockstep data mnist']),
    'npx lockstep engine install --if-missing',
    'npx lockstep train --epochs 1 --out runs/first',
    'npx lockstep predict runs/first digits/seven.png',
    'npx lockstep demo runs/first',
  ];
  const summary = [
    ...(written.length > 0 ? [`Written: ${written.join(', ')}`] : []),
    ...(completed.length > 0 ? [`Added to package.json: ${completed.join(', ')}`] : []),
  ];
  if (summary.length === 0) summary.push('All files exist already.');
  return `${summary.join('\n')}\n\nNext:\n${steps.map((step) => `  ${step}`).join('\n')}`;
}

/** Returns true if a program in that folder can import the module. */
function canImport(folder: string, module: string): boolean {
  try {
    createRequire(join(folder, 'package.json')).resolve(module);
    return true;
  } catch {
    return false;
  }
}
