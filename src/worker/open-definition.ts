/** Opens the training definition that the coordinator names, or this machine's own copy of it. */

import { resolve } from 'node:path';
import { definitionFiles } from '../api/definition-files.js';
import { definitionSha256, loadDefinition, type LoadedDefinition } from '../api/load-definition.js';
import { ConfigError, ProtocolError } from '../shared/errors.js';
import { changeableByOthers } from '../shared/files/ownership.js';
import { protocolVersion, type CoordinatorMessage, type MessageOf } from '../shared/protocol/messages.js';

type Welcome = MessageOf<CoordinatorMessage, 'welcome'>;

/** The file that a worker executes as the training definition. */
export interface DefinitionSource {
  /** Path on this machine; null: the path that the coordinator names. */
  readonly path: string | null;
  /** True to refuse a definition that another user can change, because that user could execute code as this one. */
  readonly checked: boolean;
}

/** Loads the training definition once it is verified to be the coordinator's. @throws ConfigError, ProtocolError */
export async function openDefinition(
  { protocol, definition }: Welcome,
  cache: string | undefined,
  { path: own, checked }: DefinitionSource = { path: null, checked: false },
): Promise<LoadedDefinition> {
  if (protocol !== protocolVersion) {
    throw new ProtocolError(
      `Protocol: expected version ${protocolVersion}, got ${protocol} from the coordinator. Run the same Lockstep everywhere.`,
    );
  }
  const path = own ?? definition.path;
  const expected = definition.sha256;
  const sha256 = await definitionSha256(path);
  if (sha256 !== expected) {
    throw new ConfigError(
      `Config file ${path}: expected the coordinator's (SHA-256 ${expected.slice(0, 12)}…), ` +
        `got ${sha256.slice(0, 12)}…. ${remedy(path, definition.path)}`,
    );
  }
  if (checked) await refuseChangeable(path);
  return loadDefinition(path, cache);
}

function remedy(path: string, coordinators: string): string {
  return path === coordinators
    ? 'Copy the file to this machine, or start the run again.'
    : `The coordinator uses ${coordinators}: name that file, or a copy of it, with --config.`;
}

/** @throws ConfigError if another user of this machine can change one of the definition's local files */
async function refuseChangeable(path: string): Promise<void> {
  const { root, files } = await definitionFiles(path);
  for (const file of [path, ...[...files.keys()].map((name) => resolve(root, name))]) {
    const fault = changeableByOthers(file);
    if (fault === undefined) continue;
    throw new ConfigError(
      `Config file ${path}: expected files that only this user or root can change, got others: ${fault}. ` +
        'Change their owner and mode, or use a copy in a folder of your own with --config.',
      { path },
    );
  }
}
