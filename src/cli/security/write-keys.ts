/** Writes key pairs. The layout of the folder is documented in key-files.ts. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, systemCode } from '../../shared/errors.js';
import type { KeyPair } from '../../shared/security/curve-key.js';

export const coordinatorName = 'coordinator';
export const workerName = 'worker';
export const authorizedFolder = 'authorized';
export const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/**
 * Writes `NAME.key` and `NAME.pub`.
 * @param authorize true to add the public key to the folder of authorized keys as well
 * @returns the paths of the files
 * @throws ConfigError if one of them exists already or cannot be written
 */
export function writeKeyPair(directory: string, name: string, pair: KeyPair, authorize: boolean): string[] {
  const publicLine = `lockstep-public ${pair.publicKey} ${name}\n`;
  const folder = join(directory, authorizedFolder);
  const files: [string, string, number][] = [
    [join(directory, `${name}.key`), `${publicLine}lockstep-secret ${pair.secretKey} ${name}\n`, 0o600],
    [join(directory, `${name}.pub`), publicLine, 0o644],
    ...(authorize ? [[join(folder, `${name}.pub`), publicLine, 0o644] as [string, string, number]] : []),
  ];
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (authorize) mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const [file, text, mode] of files) writeFileSync(file, text, { flag: 'wx', mode });
  } catch (cause) {
    throw new ConfigError(
      systemCode(cause) === 'EEXIST'
        ? `Keys "${name}" are in ${directory} already. Choose another name or folder; to replace them, delete their files first.`
        : `Keys can't be written to ${directory} (${systemCode(cause) ?? String(cause)}). Choose another --out.`,
      { directory, name },
      cause,
    );
  }
  return files.map(([file]) => file);
}
