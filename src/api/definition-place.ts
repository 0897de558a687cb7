/** Finds and verifies the copy of a training definition in the folder of its run. Executes nothing. */

import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createJiti } from 'jiti';
import { ConfigError, systemCode } from '../shared/errors.js';
import { changeableByOthers } from '../shared/files/ownership.js';
import {
  definitionFolder,
  definitionRecordSchema,
  filesFolder,
  maxRecordBytes,
  recordName,
  type DefinitionRecord,
} from '../shared/runs/definition-record.js';

/** The place of a definition of which a copy is loaded. */
export interface OriginalPlace {
  /** Folder of the copied files. */
  readonly copy: string;
  /** Folder of the original files, to which `import.meta.url`, `__filename` and `__dirname` of the copied ones refer. */
  readonly root: string;
  /** Packages that are not found from the copy, and their files. */
  readonly packages: Readonly<Record<string, string>>;
}

export interface CopyInRun {
  readonly run: string;
  readonly record: DefinitionRecord;
}

/** Returns the run of whose copy the file is the definition; undefined for any other file. @throws ConfigError if its record is damaged */
export async function copyAt(path: string): Promise<CopyInRun | undefined> {
  const entry = resolve(path);
  for (let folder = dirname(entry); folder !== dirname(folder); folder = dirname(folder)) {
    const parent = dirname(folder);
    if (basename(folder) !== filesFolder || basename(parent) !== definitionFolder) continue;
    const run = dirname(parent);
    const record = await readDefinitionRecord(run);
    if (record?.incomplete === null && record.entry === relative(folder, entry).replaceAll(sep, '/'))
      return { run, record };
  }
  return undefined;
}

/**
 * Verifies the copy in a run's folder.
 * @throws ConfigError if there is none, or if a file of it is missing, was changed, or can be changed by another user
 */
export async function verifiedCopy({
  run,
  record,
}: CopyInRun): Promise<{ path: string; place: OriginalPlace }> {
  const { incomplete, path: original } = record;
  if (incomplete !== null) {
    throw new ConfigError(
      `Run ${run}: expected a copy of its definition, got none: ${incomplete}. Name it with --config ${original}.`,
      { run },
    );
  }
  const folder = join(run, definitionFolder, filesFolder);
  const copy = await stat(folder).then(
    () => realpathSync(folder),
    () => folder,
  );
  refuseChangeable(join(run, definitionFolder, recordName));
  await verify(copy, record);
  const path = join(copy, record.entry);
  return { path, place: { copy, root: record.root, packages: missingPackages(path, record) } };
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

/** @throws ConfigError naming the first file or link that is missing, was changed, or leads out of the copy */
async function verify(copy: string, { files, links }: DefinitionRecord): Promise<void> {
  for (const { name, bytes, sha256 } of files) {
    const file = join(copy, name);
    const size = await stat(file).then(
      (found) => found.size,
      () => -1,
    );
    const isSame =
      size === bytes &&
      realpathSync(file) === file &&
      createHash('sha256')
        .update(await readFile(file))
        .digest('hex') === sha256;
    if (size >= 0) refuseChangeable(file);
    if (!isSame)
      throw changedFile(
        file,
        `the file of the run (SHA-256 ${sha256.slice(0, 12)}…)`,
        size < 0 ? undefined : file,
      );
  }
  const verified = new Set(files.map(({ name }) => name));
  for (const { name, target } of links) {
    const link = join(copy, name);
    const found = await realpath(link).catch(() => undefined);
    if (found !== undefined) refuseChangeable(link);
    if (found !== join(copy, target) || !verified.has(target))
      throw changedFile(link, `the run's link to its file ${target}`, found);
  }
}

function changedFile(file: string, expected: string, found: string | undefined): ConfigError {
  return new ConfigError(
    `${file}: expected ${expected}, got ${found === undefined ? 'none' : 'another'}. ` +
      'It is not executed. Name a definition with --config.',
    { file },
  );
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
  const [findFromCopy, findFromOriginal] = [finder(entry), finder(path)];
  for (const name of packages) {
    if (name === 'lockstep' || findFromCopy(name) !== undefined) continue;
    const file = findFromOriginal(name);
    if (file === undefined) continue;
    refuseChangeable(file);
    found[name] = file;
  }
  return found;
}

/** Returns a function that resolves a package as when the definition is loaded, so also one whose `exports` have only `import`. */
function finder(from: string): (name: string) => string | undefined {
  const jiti = createJiti(resolve(from), { moduleCache: false, fsCache: false });
  return (name) => {
    const found = jiti.esmResolve(name, { try: true });
    return found?.startsWith('file:') === true ? fileURLToPath(found) : undefined;
  };
}
