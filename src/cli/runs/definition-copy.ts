/**
 * The copy of a run's training definition in its folder, with the local files that it imports. Commands that use a saved run load it
 * if no `--config` is given. Loading executes code from the run's folder, so it is done for folders that the user names, only when the
 * definition is needed, and only if every file has its recorded hash.
 */

import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { definitionFiles, type DefinitionFiles } from '../../api/definition-files.js';
import type { DefinitionFunctions } from '../../api/definition-functions.js';
import { loadDefinition, type LoadedDefinition } from '../../api/load-definition.js';
import { ConfigError, systemCode } from '../../shared/errors.js';
import { changeableByOthers } from '../../shared/files/ownership.js';
import {
  definitionFolder,
  definitionRecordSchema,
  filesFolder,
  maxRecordBytes,
  recordName,
  type DefinitionRecord,
} from '../../shared/runs/definition-record.js';

export interface DefinitionCopy {
  readonly record: DefinitionRecord;
  readonly contents: Pick<DefinitionFiles, 'files' | 'links'>;
}

const hashOf = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex');

/** Reads the files of a definition that has just been loaded, for `writeDefinitionCopy`. */
export async function copyOf(definition: LoadedDefinition): Promise<DefinitionCopy> {
  const { path, sha256, values, functions, source } = definition;
  const { files, links, ...found } = await definitionFiles(path);
  const record: DefinitionRecord = {
    format: 1,
    path,
    workingFolder: process.cwd(),
    sha256,
    ...found,
    packages: [...found.packages],
    files: [...files].map(([name, bytes]) => ({ name, bytes: bytes.length, sha256: hashOf(bytes) })),
    links: [...links].map(([name, target]) => ({ name, target })),
    values: JSON.parse(JSON.stringify(values)) as Record<string, unknown>,
    hasSource: source !== undefined,
    functions: functionHashes(functions),
  };
  return { record, contents: { files, links } };
}

function functionHashes({ losses, metrics, augmentations }: DefinitionFunctions): Record<string, string> {
  const named: (readonly [string, unknown])[] = [
    ...[...losses].map(([output, loss]) => [output === '' ? 'loss' : `loss of ${output}`, loss] as const),
    ...[...metrics].map(([name, metric]) => [`metric ${name}`, metric] as const),
    ...augmentations.map((augment, i) => [`augment ${i + 1}`, augment] as const),
  ];
  return Object.fromEntries(named.map(([name, value]) => [name, hashOf(String(value))]));
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

/** Returns the record in a run's folder; undefined if there is none. @throws ConfigError if it is damaged */
export async function readDefinitionRecord(run: string): Promise<DefinitionRecord | undefined> {
  const file = join(run, definitionFolder, recordName);
  const wrong = (got: string, cause?: unknown): ConfigError =>
    new ConfigError(
      `${file}: expected the record of a definition, got ${got}. Name the definition with --config, or delete the file.`,
      { file },
      cause,
    );
  let value: unknown;
  try {
    const { size } = await stat(file);
    if (size > maxRecordBytes) throw wrong(`${size} bytes`);
    value = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    if (systemCode(cause) === 'ENOENT' || systemCode(cause) === 'ENOTDIR') return undefined;
    throw wrong(systemCode(cause) ?? 'text that is not JSON', cause);
  }
  const parsed = definitionRecordSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw wrong(`"${issue?.path.join('.') ?? ''}" that ${issue?.message ?? 'is wrong'}`);
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
  const { incomplete, path } = record;
  if (incomplete !== null) {
    throw new ConfigError(
      `Run ${run}: expected a copy of its definition, got none: ${incomplete}. Name it with --config ${path}.`,
      { run },
    );
  }
  const copy = realpathSync(join(run, definitionFolder, filesFolder));
  refuseChangeable(join(run, definitionFolder, recordName));
  await verify(copy, record);
  const entry = join(copy, record.entry);
  const packages = missingPackages(entry, record);
  enter(record.workingFolder, warn);
  const definition = await loadDefinition(entry, undefined, { copy, root: record.root, packages });
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

/** @throws ConfigError naming the first file that is missing, was changed, or leads out of the copy */
async function verify(copy: string, { files }: DefinitionRecord): Promise<void> {
  for (const { name, bytes, sha256 } of files) {
    const file = join(copy, name);
    const size = await stat(file).then(
      (found) => found.size,
      () => -1,
    );
    const isSame =
      size === bytes && realpathSync(file) === file && hashOf(await readFile(file)) === sha256;
    if (size >= 0) refuseChangeable(file);
    if (isSame) continue;
    throw new ConfigError(
      `${file}: expected the file of the run (SHA-256 ${sha256.slice(0, 12)}…), got ${size < 0 ? 'none' : 'another'}. ` +
        'It is not executed. Name a definition with --config.',
      { file },
    );
  }
}

/** @throws ConfigError if another user can change the file, and so execute code as this user */
function refuseChangeable(file: string): void {
  const fault = changeableByOthers(file);
  if (fault === undefined) return;
  throw new ConfigError(
    `${file}: expected a file that only this user or root can change, got another: ${fault}. It is not executed. ` +
      'Name a definition with --config, or copy the run to a folder of your own.',
    { file },
  );
}

/** Returns the files of packages that can't be found from the copy but from the original's folder. */
function missingPackages(entry: string, { packages, path }: DefinitionRecord): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of packages) {
    if (name === 'lockstep' || find(entry, name) !== undefined) continue;
    const file = find(path, name);
    if (file === undefined) continue;
    refuseChangeable(file);
    found[name] = file;
  }
  return found;
}

function find(from: string, name: string): string | undefined {
  try {
    return createRequire(resolve(from)).resolve(name);
  } catch {
    return undefined;
  }
}

/** Returns one text per value that differs, e.g. `epochs: 4 in the run, 8 now`. */
function changedValues({ values }: DefinitionRecord, definition: LoadedDefinition): string[] {
  const now = JSON.parse(JSON.stringify(definition.values)) as Record<string, unknown>;
  return [...new Set([...Object.keys(values), ...Object.keys(now)])]
    .filter((field) => !isDeepStrictEqual(values[field], now[field]))
    .map((field) => `${field}: ${JSON.stringify(values[field])} in the run, ${JSON.stringify(now[field])} now`);
}
