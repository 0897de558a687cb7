/**
 * The copy of a run's training definition in its folder, with the local files that it imports. Commands that use a saved run load it
 * if no `--config` is given. Loading executes code from the run's folder, so it is done for folders that the user names, only when the
 * definition is needed, and only if every file has its recorded hash.
 */

import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { definitionFiles, type DefinitionFiles } from '../../api/definition-files.js';
import { functionHashes } from '../../api/definition-functions.js';
import { copyAt, verifiedCopy, type CopyInRun } from '../../api/definition-place.js';
import { loadDefinition, type LoadedDefinition } from '../../api/load-definition.js';
import { systemCode } from '../../shared/errors.js';
import {
  definitionFolder,
  filesFolder,
  recordName,
  type DefinitionRecord,
} from '../../shared/runs/definition-record.js';
import { definitionCache } from '../environment/environment.js';

export interface DefinitionCopy {
  readonly record: DefinitionRecord;
  readonly contents: Pick<DefinitionFiles, 'files' | 'links'>;
}

const hashOf = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex');

/** Reads the files of a definition that has just been loaded, for `writeDefinitionCopy`. */
export async function copyOf(definition: LoadedDefinition): Promise<DefinitionCopy> {
  const { path, sha256, values, functions, source } = definition;
  const copied = await copyAt(path);
  const evaluated = {
    values: JSON.parse(JSON.stringify(values)) as Record<string, unknown>,
    functions: functionHashes(functions),
  };
  if (copied) return { record: { ...copied.record, ...evaluated }, contents: await contentsOf(copied) };
  const { files, links, ...found } = await definitionFiles(path, definitionCache());
  const record: DefinitionRecord = {
    format: 1,
    path,
    workingFolder: process.cwd(),
    sha256,
    ...found,
    packages: [...found.packages],
    files: [...files].map(([name, bytes]) => ({ name, bytes: bytes.length, sha256: hashOf(bytes) })),
    links: [...links].map(([name, target]) => ({ name, target })),
    hasSource: source !== undefined,
    ...evaluated,
  };
  return { record, contents: { files, links } };
}

/** The files of a copy. The names of the record refer to the place of the original. */
async function contentsOf({ run, record }: CopyInRun): Promise<DefinitionCopy['contents']> {
  const files = new Map<string, Buffer>();
  for (const { name } of record.files)
    files.set(name, await readFile(join(run, definitionFolder, filesFolder, name)));
  return { files, links: new Map(record.links.map(({ name, target }) => [name, target])) };
}

/** Replaces the copy in a run's folder. @throws the file system's error */
export async function writeDefinitionCopy(
  out: string,
  { record, contents: { files, links } }: DefinitionCopy,
): Promise<void> {
  const [target, draft] = [join(out, definitionFolder), join(out, `${definitionFolder}.partial`)];
  await rm(draft, { recursive: true, force: true });
  const place = async (name: string): Promise<string> => {
    const path = join(draft, filesFolder, name);
    await mkdir(dirname(path), { recursive: true });
    return path;
  };
  await mkdir(draft, { recursive: true });
  for (const [name, bytes] of files) await writeFile(await place(name), bytes);
  for (const [name, file] of links) {
    const path = await place(name);
    await symlink(relative(dirname(path), join(draft, filesFolder, file)), path);
  }
  await writeFile(join(draft, recordName), `${JSON.stringify(record, null, 2)}\n`);
  await rm(target, { recursive: true, force: true });
  await rename(draft, target);
}

/**
 * Executes the copy of a definition in a run's folder. From then on the working folder of the process is that of the run, to which
 * relative paths in the definition refer; the caller resolves its own paths before.
 * @param warn receives a warning if the copy evaluates to other values than in the run
 * @throws ConfigError if the copy is incomplete, changed or can't be loaded
 */
export async function openDefinitionCopy(
  run: string,
  record: DefinitionRecord,
  warn: (message: string) => void,
): Promise<LoadedDefinition> {
  const { path, place } = await verifiedCopy({ run, record });
  enter(record.workingFolder, warn);
  const definition = await loadDefinition(path, undefined, place);
  const different = changedValues(record, definition);
  if (different.length > 0) {
    warn(
      `The definition in ${run} evaluates to other values than in the run, perhaps because an environment variable is different: ` +
        `${different.join('; ')}. The run's values are used.`,
    );
  }
  return definition;
}

function enter(folder: string, warn: (message: string) => void): void {
  try {
    process.chdir(folder);
  } catch (error) {
    warn(
      `Relative paths in the definition refer to ${folder}, which can't be used (${systemCode(error) ?? String(error)}). ` +
        'They refer to the present folder instead.',
    );
  }
}

/** Returns one text per value that differs, e.g. `epochs: 4 in the run, 8 now`. */
function changedValues({ values }: DefinitionRecord, definition: LoadedDefinition): string[] {
  const now = JSON.parse(JSON.stringify(definition.values)) as Record<string, unknown>;
  return [...new Set([...Object.keys(values), ...Object.keys(now)])]
    .filter((field) => !isDeepStrictEqual(values[field], now[field]))
    .map((field) => `${field}: ${JSON.stringify(values[field])} in the run, ${JSON.stringify(now[field])} now`);
}
