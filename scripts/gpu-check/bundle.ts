/**
 * Makes one folder with all that the checks on a GPU need on a bare Linux x64 machine: Node, Lockstep with its packages, the packages of
 * the engine webgpu, MNIST, and the Vulkan loader and glvnd libraries of this machine. The contents are in two archives, because Node
 * alone has 100 MB.
 */

import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { engineHost } from '../../src/worker/engine/cache.js';
import { findWebgpu, installWebgpuCommand } from '../../src/worker/engine/webgpu/packages.js';
import { dependencyFolders, isNeeded } from './packages.js';

/** Limit of the bundle's size. */
export const maxBundleBytes = 45e6;

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Folders in which a library is looked for. Debian's chromium brings a Vulkan loader of its own. */
const libraryFolders = [
  '/usr/lib/x86_64-linux-gnu',
  '/lib/x86_64-linux-gnu',
  '/usr/lib64',
  '/usr/lib/chromium',
];
/** The loader must be found; the others are needed by drivers that link with them, and replaced by the target's own where it has them. */
const loader = 'libvulkan.so.1';
const optionalLibraries =
  'libstdc++.so.6 libgcc_s.so.1 libGLdispatch.so.0 libGLX.so.0 libEGL.so.1 libGL.so.1 libOpenGL.so.0 libX11.so.6 libXext.so.6 ' +
  'libxcb.so.1 libXau.so.6 libXdmcp.so.6 libbsd.so.0 libmd.so.0';
/** The program that unpacks the bundle, for machines without it. */
const unpacker = ['/usr/bin/xz', 'liblzma.so.5'] as const;

const findLibrary = (name: string): string | undefined =>
  libraryFolders.map((folder) => path.join(folder, name)).find((file) => existsSync(file));

/** Files and folders of the repository, besides `node_modules`, that the stages use. */
const ownFiles = [
  'package.json',
  'LICENSE',
  'dist',
  'examples/mnist',
  'scripts/gpu-check',
  'bench/peers/torch_train.py',
];

/**
 * @param level of the compression by xz, 0 to 9
 * @throws Error if a part is missing on this machine, or if the bundle is larger than `maxBundleBytes`. A bundle that is too large is
 * complete, and its folder stays, for tests that make it fast.
 */
export async function makeBundle(
  target: string,
  level: string,
  log: (line: string) => void,
): Promise<{ bytes: number }> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error(
      `Bundle: expected Linux on x64, whose Node is copied, got ${process.platform} on ${process.arch}.`,
    );
  const webgpu = findWebgpu(engineHost(process.env, os.homedir()));
  if (webgpu === undefined)
    throw new Error(
      `Bundle: expected the packages of WebGPU on this machine, got none. Run \`${installWebgpuCommand}\`.`,
    );
  if (existsSync(target) && readdirSync(target).length > 0)
    throw new Error(
      `Bundle: expected an empty or absent folder, got ${target} with files. Choose another folder.`,
    );
  const staging = mkdtempSync(path.join(os.tmpdir(), 'lockstep-bundle-'));
  try {
    copyNode(path.join(staging, 'bin'));
    copyLibraries(path.join(staging, 'lib'), log);
    cpSync(webgpu, path.join(staging, 'cache/lockstep/engine', path.basename(webgpu)), {
      recursive: true,
      preserveTimestamps: true,
    });
    copyLockstep(path.join(staging, 'lockstep'));
    mkdirSync(target, { recursive: true });
    log('Bundle: compressing ...');
    // The filter for x86 makes programs about a tenth smaller. Blocks are compressed in parallel. The other archive is mostly images, which
    // level 1 compresses to within 10 % of level 6 in a quarter of the time.
    const levelOfImages = Math.min(Number(level), 1);
    const programs = ['--threads=0', '--block-size=48MiB', '--x86', `--lzma2=preset=${level},dict=64MiB`];
    await Promise.all([
      compress(staging, ['bin', 'lib', 'cache'], path.join(target, 'programs.tar.xz'), programs),
      compress(staging, ['lockstep'], path.join(target, 'lockstep.tar.xz'), [
        `--lzma2=preset=${levelOfImages},dict=64MiB`,
      ]),
    ]);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
  copyUnpacker(path.join(target, 'xz'));
  cpSync(path.join(root, 'scripts/gpu-check/verify-gpu.sh'), path.join(target, 'verify-gpu.sh'));
  writeFileSync(path.join(target, 'README.txt'), readme());
  const bytes = bytesIn(target);
  if (bytes > maxBundleBytes)
    throw new Error(
      `Bundle: expected at most ${maxBundleBytes} bytes, got ${bytes} in ${target}. ` +
        'Compress it with a higher --level. The folder is complete and can be run all the same.',
    );
  return { bytes };
}

/** Returns the size of all files in a folder. */
function bytesIn(folder: string): number {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return files
    .map((name) => statSync(path.join(folder, name)))
    .reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0);
}

function copyUnpacker(folder: string): void {
  const [program, library] = unpacker;
  const from = findLibrary(library);
  if (!existsSync(program) || from === undefined)
    throw new Error(`Bundle: expected ${program} and ${library}, got none. Install the package xz-utils.`);
  mkdirSync(folder, { recursive: true });
  cpSync(program, path.join(folder, 'xz'), { dereference: true });
  cpSync(from, path.join(folder, library), { dereference: true });
}

function copyNode(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, 'node');
  // Debugging symbols are a seventh of the file. Without `strip` the bundle is larger.
  if (spawnSync('strip', ['-o', file, process.execPath]).status !== 0) cpSync(process.execPath, file);
}

function copyLibraries(folder: string, log: (line: string) => void): void {
  mkdirSync(folder, { recursive: true });
  const missing: string[] = [];
  for (const name of [loader, ...optionalLibraries.split(' ')]) {
    const file = findLibrary(name);
    if (file !== undefined) cpSync(file, path.join(folder, name), { dereference: true });
    else if (name === loader)
      throw new Error(
        `Bundle: expected ${loader} on this machine, got none. Install Debian's package libvulkan1 or chromium.`,
      );
    else missing.push(name);
  }
  if (missing.length > 0) log(`Bundle: without ${missing.join(', ')}, which this machine does not have.`);
}

function copyLockstep(folder: string): void {
  const isSource = (file: string): boolean => !file.endsWith('.map') && !file.endsWith('.d.ts');
  for (const name of ownFiles)
    cpSync(path.join(root, name), path.join(folder, name), { recursive: true, filter: isSource });
  for (const dependency of dependencyFolders(path.resolve(root))) {
    const destination = path.join(folder, path.relative(root, dependency));
    cpSync(dependency, destination, {
      recursive: true,
      dereference: true,
      filter: (file) => statSync(file).isDirectory() || isNeeded(dependency, path.relative(dependency, file)),
    });
  }
}

async function compress(
  folder: string,
  names: readonly string[],
  archive: string,
  filters: readonly string[],
): Promise<void> {
  const script = 'tar --sort=name --owner=0 --group=0 --numeric-owner -cf - "$@" | xz $FILTERS > "$ARCHIVE"';
  const child = spawn('bash', ['-o', 'pipefail', '-c', script, 'bash', ...names], {
    cwd: folder,
    env: { ...process.env, FILTERS: filters.join(' '), ARCHIVE: path.resolve(archive) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (status !== 0)
    throw new Error(
      `Bundle: expected tar and xz to write ${archive}, got the exit status ${String(status)}.`,
    );
}

const readme =
  (): string => `Checks of Lockstep's engine webgpu on a machine with a GPU, made on ${new Date().toISOString().slice(0, 10)}.

    sh verify-gpu.sh [--out DIR] [--stages a,b] [--software] [--python FILE]

The machine needs Linux on x64, glibc 2.34 (or 2.28 and xz), sh, tar, and the driver of its GPU. It needs no network, no Node and no
Vulkan library. The command unpacks 250 MB below TMPDIR, removes them at its end, and writes results.json and table.txt to --out, which
is the working folder by default, after each stage. docs/gpu.md of Lockstep describes the stages.
`;
