/** Installs the packages of the engine `webgpu` into the cache. npm downloads them; no script of theirs is run. */

import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { EngineError, OperationalError, systemCode } from '../../../shared/errors.js';
import { manifestName, type EngineHost } from '../cache.js';
import { draftOf, exclusively, publishDraft } from '../install/exclusive.js';
import { describeFiles } from '../manifest.js';
import { runProgram } from '../process.js';
import { verifiedWebgpuManifest, type WebgpuManifest } from './manifest.js';
import {
  findWebgpu,
  packages,
  tarballName,
  wantedFiles,
  webgpuDirectory,
  type PinnedPackage,
} from './packages.js';
import { filesOfTarball } from './tarball.js';

export interface InstallWebgpuOptions {
  readonly host: EngineHost;
  /** Folder with the packages as `npm pack` names them, instead of a download. */
  readonly from?: string | undefined;
  /** Installs again, replacing an existing folder. */
  readonly force?: boolean | undefined;
  /** Checks the SHA-256 of every file of an existing folder. */
  readonly verify?: boolean | undefined;
  readonly log: (line: string) => void;
}

/**
 * Waits while another process installs, and then uses what it has installed. Replaces a damaged folder. Returns the engine's folder.
 * @throws EngineError if a package cannot be had or has another hash
 */
export async function installWebgpu(options: InstallWebgpuOptions): Promise<string> {
  const { host, from, force, log } = options;
  const directory = webgpuDirectory(host);
  return exclusively(
    directory,
    async () => {
      const isUsable = !force && from === undefined && (await isPresent(options));
      if (!isUsable) return installNew(directory, from, log);
      log(`Engine: the packages of WebGPU are there already, in ${directory}.`);
      return directory;
    },
    (lock) => log(`Engine: another process is installing; waiting for it to end (its lock: ${lock}) ...`),
  );
}

/** Returns false without the packages, and with the reason in the log if they are damaged. */
async function isPresent({ host, verify, log }: InstallWebgpuOptions): Promise<boolean> {
  const directory = findWebgpu(host);
  if (directory === undefined) return false;
  try {
    await verifiedWebgpuManifest(directory, verify ? 'full' : 'quick');
    return true;
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error;
    log(`Engine in ${directory} is not usable, installing it again: ${error.message}`);
    return false;
  }
}

async function installNew(
  directory: string,
  from: string | undefined,
  log: (line: string) => void,
): Promise<string> {
  const draft = draftOf(directory);
  const downloads = path.join(draft, 'downloads');
  try {
    await mkdir(downloads, { recursive: true, mode: 0o700 });
    const folder = from ?? (await download(downloads, log));
    for (const [pinned, files] of wantedFiles()) await unpack(pinned, folder, files, draft);
    await rm(downloads, { recursive: true });
    const manifest: WebgpuManifest = {
      version: 1,
      packages: packages.map(({ name, version, integrity }) => ({ name, version, integrity })),
      installedAt: new Date().toISOString(),
      files: await describeFiles(draft),
    };
    await writeFile(path.join(draft, manifestName), JSON.stringify(manifest, undefined, 2));
    await publishDraft(draft, directory);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  log(`Engine: installed the packages of WebGPU in ${directory}.`);
  return directory;
}

/** Downloads all packages to `folder` with npm, which also applies the user's registry and proxy. */
async function download(folder: string, log: (line: string) => void): Promise<string> {
  const names = packages.map(({ name, version }) => `${name}@${version}`);
  log(`Engine: downloading ${names.join(' and ')} with npm (54 MB) ...`);
  const args = ['pack', ...names, '--pack-destination', folder, '--ignore-scripts'];
  const windows = process.platform === 'win32';
  const { status, failure } = await runProgram(windows ? 'npm.cmd' : 'npm', args, {
    timeoutMs: 600_000,
    cwd: folder,
  });
  if (status === 0) return folder;
  throw new EngineError(
    `Installing WebGPU: expected \`npm pack ${names.join(' ')}\` to succeed, got "${failure}". ` +
      'Run this command on a machine with network access and `lockstep engine install --webgpu --from DIR` here.',
  );
}

/** Writes the wanted files of one package to `target`. @throws EngineError if the package has another hash */
async function unpack(
  pinned: PinnedPackage,
  folder: string,
  files: readonly [string, string][],
  target: string,
): Promise<void> {
  const file = path.join(folder, tarballName(pinned));
  const archive = await readFile(file).catch((error: unknown) => {
    throw new EngineError(
      `Installing WebGPU: expected ${file}, got ${systemCode(error) ?? 'an error'}. ` +
        `Create it with \`npm pack ${pinned.name}@${pinned.version}\`.`,
      { path: file },
      error,
    );
  });
  const integrity = `sha512-${createHash('sha512').update(archive).digest('base64')}`;
  if (integrity !== pinned.integrity)
    throw new EngineError(
      `Installing WebGPU: expected ${file} with ${pinned.integrity}, got ${integrity}. ` +
        `Download ${pinned.name}@${pinned.version} again.`,
      { path: file, expected: pinned.integrity, got: integrity },
    );
  const contents = filesOfTarball(
    archive,
    files.map(([name]) => name),
    file,
  );
  for (const [name, destination] of files) {
    const to = path.join(target, destination);
    await mkdir(path.dirname(to), { recursive: true });
    await writeFile(to, contents.get(name) ?? '');
  }
}
