/**
 * The wheels of this release and their SHA-256. A package index, a mirror or a proxy could serve other libraries under the same name,
 * which would be executed. A new release of TensorFlow needs new entries: they are the hashes that the package index publishes for the
 * files that pip chooses (see `python` in pip.ts).
 */
import path from 'node:path';
import { EngineError } from '../../../shared/errors.js';
import { sha256File } from '../../../shared/files/sha256-file.js';

export const wheelHashes: Readonly<Record<string, string>> = {
  'tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl':
    '2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c',
};

const remedy =
  'Use --unpinned to accept what the package index serves, or --from DIR with a wheel that you have checked.';

/** @throws EngineError, before anything is downloaded, if no wheel of this requirement (`name==version`) has a hash */
export function requirePinned(requirement: string, hashes = wheelHashes): void {
  const prefix = `${requirement.replaceAll('-', '_').replace('==', '-')}-`;
  if (Object.keys(hashes).some((name) => name.startsWith(prefix))) return;
  throw new EngineError(
    `Wheel ${requirement}: expected its SHA-256 in the table of this release, got none for this platform. ${remedy}`,
    { requirement },
  );
}

/**
 * Compares the wheels with the table. Returns the hash of each.
 * @param unknown whether a wheel that the table does not name is accepted
 * @throws EngineError if a wheel differs from its entry, or is unknown and not accepted
 */
export async function checkWheels(
  wheels: readonly string[],
  unknown: 'refused' | 'accepted',
  hashes = wheelHashes,
): Promise<{ name: string; sha256: string }[]> {
  const checked: { name: string; sha256: string }[] = [];
  for (const wheel of wheels) {
    const name = path.basename(wheel);
    const expected = Object.hasOwn(hashes, name) ? hashes[name] : undefined;
    const sha256 = await sha256File(wheel);
    if (expected === undefined && unknown === 'refused')
      throw new EngineError(
        `Wheel ${name}: expected its SHA-256 in the table of this release, got none. ${remedy}`,
        { name },
      );
    if (expected !== undefined && sha256 !== expected)
      throw new EngineError(
        `Wheel ${wheel}: expected SHA-256 ${expected}, got ${sha256}. Another file was served under its name. Do not use it, ` +
          'and check the package index that pip is configured with.',
        { name, expected, got: sha256 },
      );
    checked.push({ name, sha256 });
  }
  return checked;
}
