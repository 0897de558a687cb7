/** Opens the training definition that the coordinator names, or this machine's own copy of it. */

import { realpathSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { definitionFiles } from '../api/definition-files.js';
import { definitionSha256, loadDefinition, type LoadedDefinition } from '../api/load-definition.js';
import { ConfigError, ProtocolError } from '../shared/errors.js';
import { changeableByOthers } from '../shared/files/ownership.js';
import { shortHash, type Entries } from '../shared/identity/fingerprint.js';
import {
  protocolVersion,
  type CoordinatorMessage,
  type DefinitionRef,
  type MessageOf,
} from '../shared/protocol/messages.js';

type Welcome = MessageOf<CoordinatorMessage, 'welcome'>;

/** The file that a worker executes as the training definition. */
export interface DefinitionSource {
  /** Path on this machine; null: the path that the coordinator names. */
  readonly path: string | null;
  /** True to refuse a definition that another user can change, because that user could execute code as this one. */
  readonly checked: boolean;
}

export interface OpenedDefinition {
  readonly definition: LoadedDefinition;
  /** Short hashes of its files, as this worker has read them. */
  readonly files: Entries;
}

/**
 * Loads the training definition once its file and the local files that it imports are verified to be the coordinator's.
 * @throws ProtocolError
 * @throws ConfigError naming the first file that differs; nothing has been executed then
 */
export async function openDefinition(
  { protocol, definition }: Welcome,
  cache: string | undefined,
  { path: own, checked }: DefinitionSource = { path: null, checked: false },
): Promise<OpenedDefinition> {
  if (protocol !== protocolVersion) {
    throw new ProtocolError(
      `Protocol: expected version ${protocolVersion}, got ${protocol} from the coordinator. Run the same Lockstep everywhere.`,
    );
  }
  const path = own ?? definition.path;
  const expected = definition.sha256;
  const sha256 = await definitionSha256(path);
  const advice = remedy(path, definition.path);
  if (sha256 !== expected) throw otherFile('Config file', path, expected, sha256, advice);
  const files = await verifyImports(path, definition, advice);
  if (checked) await refuseChangeable(path, cache);
  return { definition: await loadDefinition(path, cache), files };
}

/** @param path the definition on this machine, beside which its imports lie as beside the coordinator's */
async function verifyImports(
  path: string,
  { entry, files }: DefinitionRef,
  advice: string,
): Promise<Entries> {
  const own = realpathSync(path);
  const above = entry
    .split('/')
    .slice(1)
    .map(() => '..');
  const root = resolve(dirname(own), ...above);
  for (const [name, expected] of Object.entries(files)) {
    const file = name === entry ? own : join(root, name);
    const found = await readFile(file).then(shortHash, () => 'none');
    if (found !== expected) throw otherFile(`Config file ${path}: its import`, file, expected, found, advice);
  }
  return files;
}

function otherFile(what: string, file: string, expected: string, got: string, advice: string): ConfigError {
  const shown = got === 'none' ? 'none' : `${got.slice(0, 12)}…`;
  return new ConfigError(
    `${what} ${file}: expected the coordinator's (SHA-256 ${expected.slice(0, 12)}…), got ${shown}. ${advice}`,
    { path: file },
  );
}

function remedy(path: string, coordinators: string): string {
  return path === coordinators
    ? 'Copy the file to this machine, or start the run again.'
    : `The coordinator uses ${coordinators}: name that file, or a copy of it, with --config.`;
}

/**
 * @throws ConfigError if another user of this machine can change one of the definition's local files or a symbolic link to one, or if
 * its files cannot be listed
 */
async function refuseChangeable(path: string, cache: string | undefined): Promise<void> {
  const { root, files, links, incomplete } = await definitionFiles(path, cache);
  if (incomplete !== null) {
    throw new ConfigError(
      `Config file ${path}: expected local files that only this user or root can change, got some that can't be checked: ` +
        `${incomplete.replace(/\.$/, '')}. Import fewer or smaller local files, or make them readable.`,
      { path },
    );
  }
  const names = [...files.keys(), ...links.keys()];
  for (const file of [path, ...names.map((name) => resolve(root, name))]) {
    const fault = changeableByOthers(file);
    if (fault === undefined) continue;
    throw new ConfigError(
      `Config file ${path}: expected files that only this user or root can change, got others: ${fault}. ` +
        'Change their owner and mode, or use a copy in a folder of your own with --config.',
      { path },
    );
  }
}
