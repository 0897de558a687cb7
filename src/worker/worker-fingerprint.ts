/** Collects what the coordinator compares between workers: hashes of the replica, the identity and the fingerprint. */

import { functionHashes } from '../api/definition-functions.js';
import { codeFiles } from '../shared/identity/code-files.js';
import type { Origin } from '../shared/checkpoint/manifest.js';
import type { WorkerIdentity } from '../shared/protocol/messages.js';
import { boundedEntries, type Fingerprint } from '../shared/identity/fingerprint.js';
import { valueEntries } from '../shared/identity/value-entries.js';
import { identityOf } from './engine/identity.js';
import type { OpenedDefinition } from './open-definition.js';
import { replicaHashes, type ReplicaHashes } from './training/replica-hashes.js';
import type { Replica } from './training/replica.js';

export interface WorkerDescription {
  readonly hashes: ReplicaHashes;
  readonly identity: WorkerIdentity;
  readonly fingerprint: Fingerprint;
}

export function describeWorker(
  replica: Replica,
  opened: OpenedDefinition,
  { layers }: Origin,
): WorkerDescription {
  return {
    hashes: replicaHashes(replica),
    identity: identityOf(replica.engine, replica.kernels.name),
    fingerprint: workerFingerprint(replica, opened, layers ?? []),
  };
}

function workerFingerprint(
  { engine }: Pick<Replica, 'engine'>,
  { definition, files }: OpenedDefinition,
  layers: NonNullable<Origin['layers']>,
): Fingerprint {
  return {
    code: codeFiles(),
    engine: boundedEntries(engine.files),
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
