import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { curveKeyPair } from 'zeromq';
import { definitionSha256 } from '../../src/api/load-definition.js';
import { readClientKeys, readServerKeys } from '../../src/cli/security/key-files.js';
import { writeKeyPair } from '../../src/cli/security/write-keys.js';
import {
  protocolVersion,
  type CoordinatorMessage,
  type MessageOf,
} from '../../src/shared/protocol/messages.js';
import {
  bindingName,
  engineDirectory,
  engineHost,
  findMemoryAddon,
  memoryName,
} from '../../src/worker/engine/cache.js';
import { loadEngine } from '../../src/worker/engine/load.js';
import { engineStatus } from '../../src/worker/engine/status.js';
import { openDefinition } from '../../src/worker/open-definition.js';
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

describe.skipIf(noModes)('a definition whose files another user could change', () => {
  let folder = '';
  const open = async (checked: boolean) => {
    const path = join(folder, 'definition.mjs');
    const definition = { path, sha256: await definitionSha256(path), entry: 'definition.mjs', files: {} };
    const welcome = { protocol: protocolVersion, definition };
    return openDefinition(welcome as unknown as MessageOf<CoordinatorMessage, 'welcome'>, undefined, {
      path: null,
      checked,
    });
  };
  const define = (specifier: string): void => {
    writeFileSync(
      join(folder, 'definition.mjs'),
      `import { defineTraining } from 'lockstep';
       import value from ${JSON.stringify(specifier)};
       export default defineTraining({ model: () => value, ...value });`,
    );
  };
  beforeEach(async () => {
    folder = await temporaryFolder();
  });

  it('is refused if they can change a symbolic link to one of its files', async () => {
    const place = join(folder, 'place');
    mkdirSync(place);
    writeFileSync(join(folder, 'value.mjs'), 'export default { epochs: 7 };');
    symlinkSync(join(folder, 'value.mjs'), join(place, 'link.mjs'));
    define('./place/link.mjs');
    expect((await open(true)).definition.values['epochs']).toBe(7);
    chmodSync(place, 0o777);
    await expect(open(true)).rejects.toThrow(
      /only this user or root can change.*everyone can write to .*place/,
    );
  });

  it('is refused if its files are too large to be checked', async () => {
    writeFileSync(join(folder, 'large.json'), `{ "epochs": 7 }${' '.repeat(32 * 2 ** 20)}`);
    define('./large.json');
    expect((await open(false)).definition.values['epochs']).toBe(7);
    await expect(open(true)).rejects.toThrow(
      /can't be checked: its files have more than 32 MiB .*large\.json/,
    );
  });
});
