/** Describes what a run is started with, so that workers and later coordinators can be compared with it. */

import type { CoordinatorStart } from '../../launcher/launch-messages.js';
import { codeFiles } from '../../shared/identity/code-files.js';
import { boundedEntries } from '../../shared/identity/fingerprint.js';
import { valueEntries } from '../../shared/identity/value-entries.js';
import type { RunSetup } from '../options/run-setup.js';

export function startIdentity({
  definition,
  copy: { record },
}: Pick<RunSetup, 'definition' | 'copy'>): Pick<CoordinatorStart, 'definition' | 'fingerprint'> {
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
