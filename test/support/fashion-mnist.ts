/**
 * Fashion-MNIST, a second real data set in MNIST's format, from Debian's package `dataset-fashion-mnist`: an installed
 * copy, or one that apt-get downloads once into a cache under the system's temporary directory.
 */
import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const PACKAGE = 'dataset-fashion-mnist';
/** Folder of the package's four `.gz` files, relative to the root. */
const INSIDE = 'usr/share/datasets/fashion-mnist';
const TIMEOUT_MS = 45_000;

/** The directory of the four files, or undefined where there is neither a copy nor an apt-get that can fetch one. */
export async function fashionMnistDirectory(): Promise<string | undefined> {
  const cacheRoot = join(tmpdir(), 'lockstep-test-data');
  const cached = join(cacheRoot, 'fashion-mnist');
  for (const dir of [join('/', INSIDE), cached]) {
    if (await exists(dir)) return dir;
  }
  try {
    await mkdir(cacheRoot, { recursive: true });
    return await download(cacheRoot, cached);
  } catch {
    return undefined;
  }
}

async function download(cacheRoot: string, cached: string): Promise<string> {
  // Beside its destination, so that the rename below stays on one file system and is atomic.
  const work = await mkdtemp(join(cacheRoot, 'download-'));
  try {
    await run('apt-get', ['download', PACKAGE], { cwd: work, timeout: TIMEOUT_MS });
    const archive = (await readdir(work)).find((name) => name.endsWith('.deb'));
    await run('dpkg-deb', ['--extract', archive ?? '', 'root'], { cwd: work, timeout: TIMEOUT_MS });
    await rename(join(work, 'root', INSIDE), cached).catch(async (error: unknown) => {
      // Another process that downloaded at the same time was first: its copy is whole.
      if (!(await exists(cached))) throw error;
    });
    return cached;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
