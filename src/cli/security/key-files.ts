/**
 * Keys on disk. Owns the layout of a folder of keys:
 *
 * ```
 * coordinator.key   secret; stays on the coordinator's host     (0600)
 * coordinator.pub   for every worker's host
 * worker.key        secret; for the workers' hosts, or one NAME.key for each of them   (0600)
 * worker.pub
 * authorized/       who may join: the .pub files of the workers, on the coordinator's host
 * ```
 * A file has one line for each key, `lockstep-public KEY NAME` or `lockstep-secret KEY NAME`.
 */

import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, systemCode } from '../../shared/errors.js';
import {
  keyPattern,
  type ClientKeys,
  type KeyPair,
  type ServerKeys,
} from '../../shared/security/curve-key.js';

export const coordinatorName = 'coordinator';
export const workerName = 'worker';
const authorizedFolder = 'authorized';
const longestFile = 4_096;
/** Most public keys in the folder of authorized ones. */
const mostAuthorized = 4_096;
/** How often the folder is read again when somebody knocks whose key isn't known. */
const rereadMs = 1_000;

export const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/**
 * Writes `NAME.key` and `NAME.pub`; an `authorized` one's public key also into the folder of those that may join.
 * @returns the files written @throws ConfigError when one of them is there already or can't be written
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

/** What a coordinator needs. @throws ConfigError naming the file that is missing or wrong */
export function readServerKeys(directory: string): ServerKeys {
  const own = readPair(join(directory, `${coordinatorName}.key`));
  const list = new AuthorizedKeys(join(directory, authorizedFolder));
  return { own, allows: (key) => list.has(key) };
}

/** What a worker needs: `HOST.key` if there is one, else `worker.key`. @throws ConfigError */
export function readClientKeys(directory: string, host: string): ClientKeys {
  const ofHost = join(directory, `${host}.key`);
  const own = readPair(exists(ofHost) ? ofHost : join(directory, `${workerName}.key`));
  return { own, serverKey: readPublic(join(directory, `${coordinatorName}.pub`)) };
}

/** The folder of those that may join; files may come and go while a run is on. */
class AuthorizedKeys {
  readonly #folder: string;
  #keys = new Set<string>();
  #readMs = 0;

  /** @throws ConfigError when the folder or one of its files can't be used */
  constructor(folder: string) {
    this.#folder = folder;
    this.#keys = new Set(this.#files().map(readPublic));
    this.#readMs = performance.now();
  }

  has(key: string): boolean {
    if (performance.now() - this.#readMs > rereadMs) this.#reread();
    return this.#keys.has(key);
  }

  /** What is wrong now is left out: nobody comes in by it. */
  #reread(): void {
    this.#readMs = performance.now();
    const keys = new Set<string>();
    try {
      for (const file of this.#files()) {
        try {
          keys.add(readPublic(file));
        } catch {
          // Half written perhaps; it is read again.
        }
      }
    } catch {
      // The folder is gone: nobody may join.
    }
    this.#keys = keys;
  }

  #files(): string[] {
    let names: string[];
    try {
      names = readdirSync(this.#folder).filter((name) => name.endsWith('.pub'));
    } catch (cause) {
      throw unusable(this.#folder, 'a folder of public keys', systemCode(cause) ?? String(cause));
    }
    if (names.length > mostAuthorized)
      throw unusable(this.#folder, `at most ${mostAuthorized} keys`, `${names.length}`);
    return names.map((name) => join(this.#folder, name));
  }
}

function readPair(file: string): KeyPair {
  const text = readSmall(file);
  const mode = statSync(file).mode & 0o777;
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw unusable(
      file,
      'a secret that only its owner can read',
      `mode ${mode.toString(8)}; chmod 600 ${file}`,
    );
  }
  return { publicKey: keyIn(text, 'public', file), secretKey: keyIn(text, 'secret', file) };
}

const readPublic = (file: string): string => keyIn(readSmall(file), 'public', file);

function keyIn(text: string, kind: 'public' | 'secret', file: string): string {
  const words = text
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find(([label]) => label === `lockstep-${kind}`);
  const key = words?.[1] ?? '';
  if (keyPattern.test(key)) return key;
  throw unusable(file, `a line "lockstep-${kind} KEY NAME"`, words ? 'another key' : 'none');
}

function readSmall(file: string): string {
  try {
    const found = statSync(file);
    if (!found.isFile() || found.size > longestFile)
      throw unusable(file, `a file of at most ${longestFile} bytes`, `${found.size}`);
    return readFileSync(file, 'utf8');
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw unusable(file, 'a file of keys', systemCode(cause) ?? String(cause));
  }
}

function exists(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false }) !== undefined;
}

function unusable(file: string, expected: string, got: string): ConfigError {
  return new ConfigError(
    `Keys ${file}: expected ${expected}, got ${got}. Make keys with \`lockstep keygen\`.`,
    { file },
  );
}
