/** Collects the fingerprint of a worker, which the coordinator compares with those of the other workers. */

import { functionHashes } from '../api/definition-functions.js';
import { codeFiles } from '../shared/identity/code-files.js';
import { boundedEntries, type Fingerprint } from '../shared/identity/fingerprint.js';
import { valueEntries } from '../shared/identity/value-entries.js';
import { originOf } from './checkpoint/origin.js';
import type { OpenedDefinition } from './open-definition.js';
import type { Replica } from './training/replica.js';

export function workerFingerprint(
  replica: Pick<Replica, 'engine' | 'data' | 'model'>,
  { definition, files }: OpenedDefinition,
): Fingerprint {
  const layers = originOf(replica).layers ?? [];
  return {
    code: codeFiles(),
    engine: boundedEntries(replica.engine.files),
    definition: files,
    functions: boundedEntries(functionHashes(definition.functions)),
    layers: boundedEntries(
      Object.fromEntries(
        layers.map(({ name, kind, sha256 }) => [`layer "${name}" (${kind})`, sha256.slice(0, 16)]),
      ),
    ),
    values: valueEntries(definition.values),
  };
}
