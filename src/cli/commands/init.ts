/** `lockstep init`: writes a project that can be trained at once. Existing files are never overwritten. */

import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { loadMnist } from '../../shared/data/dataset.js';
import { ConfigError, systemCode } from '../../shared/errors.js';
import { exitStatus } from '../../shared/exit-status.js';
import { version } from '../version.js';

/** Files of examples/starter. npm does not publish a file named .gitignore, so it has another name there. */
const starter = fileURLToPath(new URL('../../../examples/starter/', import.meta.url));
const renamed: Readonly<Record<string, string>> = { gitignore: '.gitignore' };

/** Test pictures of MNIST that are written as files, as input for `lockstep predict`. */
const pictures: readonly (readonly [name: string, index: number])[] = [
  ['seven.png', 0],
  ['two.png', 1],
  ['four.png', 4],
];

export interface InitFlags {
  readonly json?: boolean;
}

/** Resolves with the exit status. @throws ConfigError if the folder cannot be written */
export async function init(directory: string, { json = false }: InitFlags): Promise<number> {
  const folder = resolve(directory);
  const written: string[] = [];
  const add = async (name: string, content: string | Buffer): Promise<void> => {
    const file = join(folder, name);
    try {
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content, { flag: 'wx' });
      written.push(name);
    } catch (cause) {
      if (systemCode(cause) === 'EEXIST') return;
      throw new ConfigError(
        `Folder ${folder} can't be written (${systemCode(cause) ?? String(cause)}).`,
        { folder },
        cause,
      );
    }
  };
  for (const name of (await readdir(starter)).sort())
    await add(renamed[name] ?? name, await readFile(join(starter, name)));
  await add('package.json', `${JSON.stringify(manifest(basename(folder)), null, 2)}\n`);
  const { test } = await loadMnist();
  const { width, height } = test;
  for (const [name, index] of pictures) {
    const pixels = test.images.subarray(index * width * height, (index + 1) * width * height);
    const picture = sharp(pixels, { raw: { width, height, channels: 1 } }).negate();
    await add(
      join('digits', name),
      await picture
        .resize(width * 4, height * 4)
        .png()
        .toBuffer(),
    );
  }
  if (json) process.stdout.write(`${JSON.stringify({ event: 'init', folder, written })}\n`);
  else process.stdout.write(`${report(folder, written)}\n`);
  return exitStatus.done;
}

function manifest(name: string): object {
  return {
    name:
      name
        .toLowerCase()
        .replaceAll(/[^a-z0-9-]+/g, '-')
        .replaceAll(/^-+|-+$/g, '') || 'training',
    private: true,
    type: 'module',
    scripts: { train: 'lockstep train', check: 'tsc' },
    dependencies: { lockstep: `^${version}` },
    devDependencies: { typescript: '^5.9.0' },
  };
}

function report(folder: string, written: readonly string[]): string {
  const path = relative(process.cwd(), folder);
  const steps = [
    ...(path === '' ? [] : [`cd ${path}`]),
    ...(installed(folder) ? [] : ['npm install']),
    'npx lockstep engine install --if-missing',
    'npx lockstep train --epochs 1 --out runs/first',
    'npx lockstep predict runs/first digits/seven.png',
    'npx lockstep demo runs/first',
  ];
  const summary = written.length > 0 ? `Written: ${written.join(', ')}` : 'All files exist already.';
  return `${summary}\n\nNext:\n${steps.map((step) => `  ${step}`).join('\n')}`;
}

/** Returns true if a program in that folder can import this package. */
function installed(folder: string): boolean {
  try {
    createRequire(join(folder, 'package.json')).resolve('lockstep/package.json');
    return true;
  } catch {
    return false;
  }
}
