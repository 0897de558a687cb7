/**
 * Reads keys from disk. The layout of a folder of keys:
 *
 * ```
 * coordinator.key   secret; stays on the coordinator's host     (0600)
 * coordinator.pub   public; for every worker's host
 * worker.key        secret; for the workers' hosts, or one NAME.key for each of them   (0600)
 * worker.pub        public
 * authorized/       the .pub files of the workers that may join, on the coordinator's host
 * ```
 * A file contains one line per key, `lockstep-public KEY NAME` or `lockstep-secret KEY NAME`.
 */

import { readFileSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, systemCode } from '../../shared/errors.js';
import { changeableByOthers } from '../../shared/files/ownership.js';
import {
  keyPattern,
  type ClientKeys,
  type KeyPair,
  type ServerKeys,
} from '../../shared/security/curve-key.js';
import { authorizedFolder, coordinatorName, workerName } from './write-keys.js';

const longestFile = 4_096;
/** Maximum number of authorized keys. */
const mostAuthorized = 4_096;
/** Minimum interval between two reads of the folder of authorized keys. */
const rereadMs = 1_000;

/** Returns the keys of a coordinator. @throws ConfigError naming the file that is missing or invalid */
export function readServerKeys(directory: string): ServerKeys {
  const own = readPair(join(directory, `${coordinatorName}.key`));
  const list = new AuthorizedKeys(join(directory, authorizedFolder));
  return { own, allows: (key) => list.has(key) };
}

/** Returns the keys of a worker: `HOST.key` if it exists, otherwise `worker.key`. @throws ConfigError */
export function readClientKeys(directory: string, host: string): ClientKeys {
  const ofHost = join(directory, `${host}.key`);
  const own = readPair(exists(ofHost) ? ofHost : join(directory, `${workerName}.key`));
  return { own, serverKey: readPublic(join(directory, `${coordinatorName}.pub`)) };
}

/** The keys of the workers that may join. Files may be added and removed during a run. */
class AuthorizedKeys {
  readonly #folder: string;
  #keys = new Set<string>();
  #readMs = 0;

  /** @throws ConfigError if the folder or one of its files cannot be used */
  constructor(folder: string) {
    this.#folder = folder;
    const files = this.#files();
    const fault = changeableByOthers(folder);
    if (fault !== undefined) throw unusable(folder, trusted, fault);
    this.#keys = new Set(files.map(readPublic));
    this.#readMs = performance.now();
  }

  has(key: string): boolean {
    if (performance.now() - this.#readMs > rereadMs) this.#reread();
    return this.#keys.has(key);
  }

  /** Files that are invalid or that others can change are ignored, so their keys are not authorized. */
  #reread(): void {
    this.#readMs = performance.now();
    const keys = new Set<string>();
    try {
      for (const file of changeableByOthers(this.#folder) === undefined ? this.#files() : []) {
        try {
          keys.add(readPublic(file));
        } catch {
          // The file may be incomplete; it is read again.
        }
      }
    } catch {
      // Without the folder, no worker may join.
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
  if (process.platform !== 'win32' && (mode & 0o077) !== 0 && !isMountedSecret(file)) {
    throw unusable(
      file,
      'a secret that only its owner can read',
      `mode ${mode.toString(8)}; chmod 600 ${file}`,
    );
  }
  return { publicKey: keyIn(text, 'public', file), secretKey: keyIn(text, 'secret', file) };
}

/**
 * Returns true for a file of a Secret that Kubernetes has mounted: a link to a file of root in a folder such as `..2026_01_31_12_00_00.1`.
 * Root owns it, so the user of the pod reads it as a member of its group or as anybody else. No other user has a process in the container.
 */
function isMountedSecret(file: string): boolean {
  const target = realpathSync(file);
  return /\/\.\.\d{4}_[^/]+\//.test(target) && statSync(target).uid === 0;
}

const readPublic = (file: string): string => keyIn(readSmall(file), 'public', file);

function keyIn(text: string, kind: 'public' | 'secret', file: string): string {
  const fields = text
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find(([label]) => label === `lockstep-${kind}`);
  const key = fields?.[1] ?? '';
  if (keyPattern.test(key)) return key;
  throw unusable(file, `a line "lockstep-${kind} KEY NAME"`, fields ? 'another key' : 'none');
}

function readSmall(file: string): string {
  try {
    const found = statSync(file);
    if (!found.isFile() || found.size > longestFile)
      throw unusable(file, `a file of at most ${longestFile} bytes`, `${found.size}`);
    const fault = changeableByOthers(file);
    if (fault !== undefined) throw unusable(file, trusted, fault);
    return readFileSync(file, 'utf8');
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw unusable(file, 'a file of keys', systemCode(cause) ?? String(cause));
  }
}

/** Another user who can change a key can take part in the run, or take the coordinator's place. */
const trusted = 'a file or folder that only this user or root can change';

function exists(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false }) !== undefined;
}

function unusable(file: string, expected: string, got: string): ConfigError {
  return new ConfigError(
    `Keys ${file}: expected ${expected}, got ${got}. Make keys with \`lockstep keygen\`.`,
    { file },
  );
}
