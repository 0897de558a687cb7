import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Manifest } from '../../src/shared/checkpoint/manifest.js';
import { lockstep, temporaryFolder, type Ended } from '../support/lockstep.js';
import { tinyOptions, writeTinyTraining } from '../support/tiny-training.js';

describe("a run's copy of its definition", () => {
  it('is not executed if another user can change it', async () => {
    const folder = await temporaryFolder();
    await writeTinyTraining(folder);
    const first = await lockstep(['train', ...tinyOptions, '--out', 'run'], { cwd: folder });
    expect(first.status, first.stderr).toBe(0);
    const evaluate = (): Promise<Ended> => lockstep(['eval', 'run', '--engine', 'wasm'], { cwd: folder });
    for (const path of ['definition/files/lockstep.config.js', 'definition/definition.json']) {
      const file = join(folder, 'run', path);
      expect(existsSync(file), path).toBe(true);
      await chmod(file, 0o666);
      const { status, stderr } = await evaluate();
      expect(stderr).toMatch(/expected a file that only this user or root can change.*everyone can write/);
      expect(status).toBe(2);
      await chmod(file, 0o644);
    }
    expect((await evaluate()).status).toBe(0);
  });
});

/** A run that someone else passed on: its checkpoint names a file that leaves a mark when it is executed. */
describe('a checkpoint whose manifest names another file', () => {
  let config = '';
  let checkpoint = '';
  let mark = '';
  let hostile = '';
  let cwd = '';
  beforeEach(async () => {
    const folder = await temporaryFolder();
    config = await writeTinyTraining(folder);
    const out = join(folder, 'run');
    const first = await lockstep([
      'train',
      ...tinyOptions,
      '--config',
      config,
      '--max-steps',
      '2',
      '--out',
      out,
    ]);
    expect(first.status, first.stderr).toBe(0);
    const received = await temporaryFolder();
    checkpoint = join(received, 'run', 'checkpoints', 'step-000000002');
    await mkdir(dirname(checkpoint), { recursive: true });
    await cp(join(out, 'checkpoints', 'step-000000002'), checkpoint, { recursive: true });
    mark = join(received, 'mark');
    hostile = join(received, 'hostile.config.js');
    const code = `require('node:fs').writeFileSync(${JSON.stringify(mark)}, '');\n`;
    await writeFile(hostile, code + (await readFile(config, 'utf8')));
    const sha256 = createHash('sha256')
      .update(await readFile(hostile))
      .digest('hex');
    await name({ path: hostile, sha256 });
    cwd = await temporaryFolder();
  });

  async function name(definition: Partial<Manifest['definition']>): Promise<void> {
    const file = join(checkpoint, 'manifest.json');
    const manifest = JSON.parse(await readFile(file, 'utf8')) as Manifest;
    const changed = { ...manifest, definition: { ...manifest.definition, ...definition } };
    await writeFile(file, JSON.stringify(changed));
  }

  const resume = (...more: readonly string[]): Promise<Ended> =>
    lockstep(['train', '--resume', checkpoint, '--single-process', '--out', 'RUN', ...more], { cwd });

  it('does not execute that file, and --config is required', async () => {
    const { status, stderr } = await resume();
    expect(status, stderr).toBe(2);
    expect(stderr).toMatch(/--resume: expected --config FILE, got none\. .*hostile\.config\.js/);
    expect(existsSync(mark)).toBe(false);
    const trained = await resume('--config', config, '--max-steps', '3');
    expect(trained.status, trained.stderr).toBe(0);
    expect(existsSync(mark)).toBe(false);
  });

  it('does not execute that file even if it has the hash of the definition in the working folder', async () => {
    await cp(config, join(cwd, 'lockstep.config.js'));
    const sha256 = createHash('sha256')
      .update(await readFile(config))
      .digest('hex');
    await name({ sha256 });
    const trained = await resume('--max-steps', '3');
    expect(trained.status, trained.stderr).toBe(0);
    expect(existsSync(mark)).toBe(false);
    // The mark works: the file is executed when the user names it.
    await resume('--config', hostile, '--max-steps', '3', '--fresh');
    expect(existsSync(mark)).toBe(true);
  });
});
