import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../src/shared/errors.js';
import { engineRelease } from '../../src/worker/engine/cache.js';
import { downloadWheels } from '../../src/worker/engine/install/pip.js';
import { checkWheels, requirePinned, wheelHashes } from '../../src/worker/engine/install/wheel-hashes.js';
import { temporaryFolder } from '../support/lockstep.js';

describe('the table of wheels', () => {
  it('has hashes of the release that is installed', () => {
    for (const [name, sha256] of Object.entries(wheelHashes)) {
      expect(name).toContain(`-${engineRelease.tensorflowVersion}-`);
      expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    }
    expect(() => requirePinned(`tensorflow-cpu==${engineRelease.tensorflowVersion}`)).not.toThrow();
  });

  it('is required to name a wheel before it is downloaded', () => {
    for (const requirement of ['tensorflow-cpu==2.21', 'tensorflow==2.21.0', 'tensorflow-cpu==2.21.0.post1'])
      expect(() => requirePinned(requirement), requirement).toThrow(/expected its SHA-256 .*--unpinned/);
  });

  it('is compared with every wheel, and the name of an object property is no entry', async () => {
    const folder = await temporaryFolder();
    const file = async (name: string, text: string): Promise<string> => {
      await writeFile(join(folder, name), text);
      return join(folder, name);
    };
    const sha256 = createHash('sha256').update('good').digest('hex');
    const table = { 'known.whl': sha256 };
    const good = await file('known.whl', 'good');
    expect(await checkWheels([good], 'refused', table)).toEqual([{ name: 'known.whl', sha256 }]);
    const other = await file('constructor', 'other');
    await expect(checkWheels([good, other], 'refused', table)).rejects.toThrow(/constructor.*got none/);
    expect(await checkWheels([good, other], 'accepted', table)).toHaveLength(2);
    const exchanged = await file('known.whl', 'evil');
    for (const unknown of ['refused', 'accepted'] as const)
      await expect(checkWheels([exchanged], unknown, table)).rejects.toThrow(
        new RegExp(`expected SHA-256 ${sha256}, got [0-9a-f]{64}. Another file was served`),
      );
  });
});

it('pip receives no requirement that it would take for an option, a path or an address', async () => {
  const folder = await temporaryFolder();
  for (const wrong of [
    '--index-url=http://example.invalid',
    '-r/etc/passwd',
    '../other',
    './wheel.whl',
    'name @ http://example.invalid/x.whl',
    'http://example.invalid/x.whl',
    'name; python_version>"3"',
    'name\n--pre',
    '',
  ]) {
    const download = downloadWheels(['nvidia-cublas-cu12<13.0,>=12.5.3.2', wrong], folder);
    await expect(download, wrong).rejects.toThrow(EngineError);
    await expect(download, wrong).rejects.toThrow(/expected requirements of names and versions/);
  }
});
