/** Describes what a run is started with, so that workers and later coordinators can be compared with it. */

import type { LoadedDefinition } from '../../api/load-definition.js';
import type { CoordinatorStart } from '../../launcher/launch-messages.js';
import { codeFiles } from '../../shared/identity/code-files.js';
import { boundedEntries } from '../../shared/identity/fingerprint.js';
import { valueEntries } from '../../shared/identity/value-entries.js';
import { copyOf, type DefinitionCopy } from './definition-copy.js';

export interface StartDescription {
  /** The copy of the definition for the run's folder. */
  readonly copy: DefinitionCopy;
  /** Hashes of what the run is started with. */
  readonly identity: Pick<CoordinatorStart, 'definition' | 'fingerprint'>;
}

/** Reads the files of a definition that has just been loaded. */
export async function describeStart(definition: LoadedDefinition): Promise<StartDescription> {
  const copy = await copyOf(definition);
  return { copy, identity: startIdentity(definition, copy) };
}

function startIdentity(
  definition: LoadedDefinition,
  { record }: DefinitionCopy,
): StartDescription['identity'] {
  const { path, sha256 } = definition;
  const hashes = record.files.map(({ name, sha256: hash }) => [name, hash.slice(0, 16)] as const);
  const files = Object.fromEntries(hashes);
  // The names of a very large definition do not fit into a message; then only its own file is compared.
  const isListed = boundedEntries(files) === files;
  return {
    definition: { path, sha256, entry: record.entry, files: isListed ? files : {} },
    fingerprint: {
      code: codeFiles(),
      definition: isListed ? files : {},
      functions: boundedEntries(record.functions),
      values: valueEntries(definition.values),
    },
  };
}
