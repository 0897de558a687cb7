/** The state of a run's folder, and the two ways in which results of an earlier run are moved aside. Nothing is ever deleted. */

import { mkdirSync, statSync } from 'node:fs';
import { mkdir, readdir, rename } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { leadershipName } from '../../launcher/leadership.js';
import { leaseFiles } from '../../launcher/lease.js';
import { modelFolder } from '../../shared/artefacts/artefact.js';
import { proofName } from '../../shared/artefacts/folder-proof.js';
import { checkpointName, checkpointsFolder } from '../../shared/checkpoint/manifest.js';
import { ConfigError, systemCode } from '../../shared/errors.js';
import { ledgerName } from '../../shared/ledger/entries.js';
import { definitionFolder } from '../../shared/runs/definition-record.js';
import { labelsName } from '../../shared/runs/labels.js';
import { bulky, eventsName, readEvents } from '../../shared/runs/read-events.js';
import { exportNames } from '../../worker/export/formats.js';
import { configName } from './saved-run.js';

/** Name of the folder, in a run's folder, of models that the run saved before it was continued. */
const earlierFolder = 'earlier';

/** Files and folders that Lockstep writes in a run's folder. */
const ownNames: readonly string[] = [
  configName,
  definitionFolder,
  leadershipName,
  'tensorboard',
  checkpointsFolder,
  earlierFolder,
  labelsName,
  ledgerName,
  modelFolder,
  proofName,
  ...Object.values(exportNames),
];

/** Names by which a folder is recognized as a project, of which a run's folder should not be a part, but may be. */
const projectNames = /^(package\.json|node_modules|\.git|lockstep\.config\.[jt]s)$/;

/** Folder names with this suffix are tried at most. */
const mostNames = 10_000;

/** `hasStarted`: the training has started, perhaps without a step. A folder with other files and without a run is new as well. */
export type FolderState =
  | { readonly kind: 'new' }
  | { readonly kind: 'unfinished'; readonly hasStarted: boolean }
  | { readonly kind: 'finished'; readonly what: string };

export async function stateOfFolder(out: string): Promise<FolderState> {
  const names = await namesIn(out);
  if (names.includes(eventsName)) return stateOfLog(out);
  if (names.includes(modelFolder)) return { kind: 'finished', what: 'a saved model' };
  const checkpoints = await namesIn(join(out, checkpointsFolder));
  return checkpoints.length > 0 ? { kind: 'unfinished', hasStarted: false } : { kind: 'new' };
}

/** A start that was refused before it trained, for example because of other data, leaves the state as it was. */
async function stateOfLog(out: string): Promise<FolderState> {
  let isFinished = false;
  let hasStarted = false;
  let steps = 0;
  for await (const event of readEvents(out, bulky)) {
    if (event.event === 'start') [isFinished, hasStarted] = [false, true];
    if (event.event === 'done') [isFinished, steps] = [true, event.steps];
  }
  return isFinished
    ? { kind: 'finished', what: `a finished run of ${steps} steps` }
    : { kind: 'unfinished', hasStarted };
}

/**
 * Creates a folder for a new run in `runs/`, e.g. `runs/2026-01-31T12-00-00`. Of several runs that start in the same second, each
 * gets a folder of its own: the others are named `…-02`, `…-03` and so on.
 * @param prefix of the name
 * @throws ConfigError if it cannot be written
 */
export function createRunFolder(now: Date, prefix = ''): string {
  const root = resolve('runs');
  const name = `${prefix}${now.toISOString().slice(0, 19).replaceAll(':', '-')}`;
  try {
    mkdirSync(root, { recursive: true });
    for (let number = 1; number < mostNames; number++) {
      const folder = join(root, number === 1 ? name : `${name}-${String(number).padStart(2, '0')}`);
      try {
        mkdirSync(folder, { mode: 0o700 });
        return folder;
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') throw error;
      }
    }
  } catch (cause) {
    throw cannotWrite(root, cause);
  }
  throw new ConfigError(`Folder ${root}: expected a free name like ${name}, got none. Choose one with --out.`);
}

/**
 * Moves everything in a run's folder to a new folder beside it, `<out>.1` or the next free number, and returns its path. In a folder
 * that is a project as well, only files that Lockstep writes are moved. The event log is moved last, so that a folder whose move was
 * interrupted still counts as the earlier run.
 * @throws ConfigError if it cannot be moved
 */
export async function moveRunAside(out: string): Promise<string> {
  const names = (await namesIn(out)).filter((name) => !leaseFiles.includes(name) && name !== eventsName);
  const isProject = names.some((name) => projectNames.test(name)) || isInside(process.cwd(), out);
  const moved = isProject ? names.filter((name) => ownNames.includes(name)) : names;
  const target = await createBeside(out);
  await moveAll(out, target, [...moved, eventsName]);
  return target;
}

function isInside(path: string, folder: string): boolean {
  return `${path}${sep}`.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`);
}

/**
 * Moves the saved model and its exports, which belong to an earlier step, to `<out>/earlier/step-…`.
 * @param step the step after which the run is continued
 * @param beforeMs only results that were written before this time are moved, since a short run may have saved its own already
 * @throws ConfigError if they cannot be moved
 */
export async function moveResultsAside(out: string, step: number, beforeMs: number): Promise<void> {
  const results = [modelFolder, ...Object.values(exportNames)];
  const isEarlier = (name: string): boolean =>
    (statSync(join(out, name), { throwIfNoEntry: false })?.mtimeMs ?? Infinity) < beforeMs;
  if (!results.some(isEarlier)) return;
  const root = join(out, earlierFolder);
  await mkdir(root, { recursive: true }).catch((cause: unknown) => {
    throw cannotWrite(root, cause);
  });
  const first = join(root, checkpointName(step));
  const target = await mkdir(first).then(
    () => first,
    () => createBeside(first),
  );
  await moveAll(out, target, results.filter(isEarlier));
}

async function createBeside(path: string): Promise<string> {
  for (let number = 1; number < mostNames; number++) {
    const target = join(dirname(path), `${basename(path)}.${number}`);
    try {
      await mkdir(target);
      return target;
    } catch (cause) {
      if (systemCode(cause) !== 'EEXIST') throw cannotWrite(target, cause);
    }
  }
  throw new ConfigError(`Folder ${path}: expected a free name beside it, got none. Choose another --out.`);
}

/** Names that do not exist are left out. */
async function moveAll(from: string, to: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const path = join(from, name);
    await rename(path, join(to, name)).catch((cause: unknown) => {
      if (systemCode(cause) === 'ENOENT') return;
      throw new ConfigError(
        `${path} can't be moved to ${to} (${systemCode(cause) ?? String(cause)}). Move it yourself, or choose another folder with --out.`,
        { path, to },
        cause,
      );
    });
  }
}

function cannotWrite(folder: string, cause: unknown): ConfigError {
  return new ConfigError(
    `Folder ${folder} can't be written (${systemCode(cause) ?? String(cause)}). Choose another one with --out.`,
    { folder },
    cause,
  );
}

/** Returns the names in a folder; none if it can't be read. */
export function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((): string[] => []);
}
