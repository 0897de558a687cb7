import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { curveKeyPair } from 'zeromq';
import { readClientKeys, readServerKeys } from '../../src/cli/security/key-files.js';
import { writeKeyPair } from '../../src/cli/security/write-keys.js';
import {
  bindingName,
  engineDirectory,
  engineHost,
  findMemoryAddon,
  memoryName,
} from '../../src/worker/engine/cache.js';
import { loadEngine } from '../../src/worker/engine/load.js';
import { engineStatus } from '../../src/worker/engine/status.js';
import { eventually } from '../support/eventually.js';
import { temporaryFolder } from '../support/lockstep.js';

const noModes = process.getuid === undefined;

describe.skipIf(noModes)('keys that another user could change', () => {
  let folder = '';
  beforeEach(async () => {
    folder = join(await temporaryFolder(), 'keys');
    writeKeyPair(folder, 'coordinator', curveKeyPair(), false);
    writeKeyPair(folder, 'worker', curveKeyPair(), true);
  });

  it('are refused at the start: the allow-list, one of its files, the key of the coordinator', () => {
    expect(() => readServerKeys(folder)).not.toThrow();
    const refused =
      /expected a file or folder that only this user or root can change, got everyone can write/;
    for (const [path, mode, read] of [
      [join(folder, 'authorized'), 0o777, () => readServerKeys(folder)],
      [join(folder, 'authorized', 'worker.pub'), 0o666, () => readServerKeys(folder)],
      [join(folder, 'coordinator.pub'), 0o666, () => readClientKeys(folder, 'any')],
      [folder, 0o777, () => readServerKeys(folder)],
    ] as const) {
      chmodSync(path, mode);
      expect(read, path).toThrow(refused);
      chmodSync(path, 0o700);
      expect(read, path).not.toThrow();
    }
    // Others could add a key to an empty list.
    rmSync(join(folder, 'authorized', 'worker.pub'));
    chmodSync(join(folder, 'authorized'), 0o777);
    expect(() => readServerKeys(folder)).toThrow(refused);
  });

  it('are not authorized if they appear or change later', async () => {
    const keys = readServerKeys(folder);
    const [open, good] = [curveKeyPair(), curveKeyPair()];
    writeKeyPair(folder, 'open', open, true);
    chmodSync(join(folder, 'authorized', 'open.pub'), 0o666);
    writeKeyPair(folder, 'good', good, true);
    await eventually('the other key to be allowed', () => keys.allows(good.publicKey));
    expect(keys.allows(open.publicKey)).toBe(false);
    chmodSync(join(folder, 'authorized'), 0o777);
    await eventually('no key to be allowed', () => !keys.allows(good.publicKey));
  });
});

describe.skipIf(noModes)('an engine that another user could change', () => {
  it('is not loaded, and its addon for shared memory is not either', async () => {
    const home = await temporaryFolder();
    const host = {
      ...engineHost({ XDG_CACHE_HOME: join(home, 'cache') }, home),
      packageDirectory: join(home, 'none'),
    };
    const directory = engineDirectory(host, 'cpu');
    mkdirSync(directory, { recursive: true });
    for (const name of [bindingName(), memoryName(), 'manifest.json'])
      writeFileSync(join(directory, name), 'would be executed');
    expect(findMemoryAddon(host)).toBe(join(directory, memoryName()));
    chmodSync(dirname(directory), 0o777);
    expect(findMemoryAddon(host)).toBeUndefined();
    const warnings: string[] = [];
    const options = {
      threads: 1,
      host: { ...host, variables: undefined },
      warn: (text: string) => warnings.push(text),
    };
    const refused = /expected one that only this user or root can change, got another: everyone can write/;
    await expect(loadEngine({ choice: 'tensorflow', ...options })).rejects.toThrow(refused);
    expect((await engineStatus(host)).problem).toMatch(refused);
    await loadEngine({ choice: 'wasm', ...options });
    expect(warnings).toEqual([expect.stringMatching(/do not share memory: .*everyone can write/)]);
  });
});
