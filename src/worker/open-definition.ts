/** Opens the training definition that the coordinator names. */

import { definitionSha256, loadDefinition, type LoadedDefinition } from '../api/load-definition.js';
import { ConfigError, ProtocolError } from '../shared/errors.js';
import { protocolVersion, type CoordinatorMessage, type MessageOf } from '../shared/protocol/messages.js';

type Welcome = MessageOf<CoordinatorMessage, 'welcome'>;

/** Loads the training definition once it is verified to be the coordinator's. */
export async function openDefinition(
  { protocol, definition }: Welcome,
  cache: string | undefined,
): Promise<LoadedDefinition> {
  if (protocol !== protocolVersion) {
    throw new ProtocolError(
      `Protocol: expected version ${protocolVersion}, got ${protocol} from the coordinator. Run the same Lockstep everywhere.`,
    );
  }
  const { path, sha256: expected } = definition;
  const sha256 = await definitionSha256(path);
  if (sha256 !== expected) {
    throw new ConfigError(
      `Config file ${path}: expected the coordinator's (SHA-256 ${expected.slice(0, 12)}…), ` +
        `got ${sha256.slice(0, 12)}…. Copy the file to this machine, or start the run again.`,
    );
  }
  return loadDefinition(path, cache);
}
