import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lockstep, temporaryFolder, type StartOptions } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

/** Status 2, one message on stderr, no stack trace. */
async function refused(args: readonly string[], message: RegExp, options?: StartOptions): Promise<void> {
  const { status, stdout, stderr } = await lockstep(args, options);
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(stderr).not.toContain('Internal error');
  expect(stdout).toBe('');
  expect(status).toBe(2);
}

describe('wrong usage ends with status 2 and one clear message:', () => {
  it('an unknown option or command', async () => {
    await refused(['train', '--wrokers', '3'], /unknown option '--wrokers'.*--workers/s);
    await refused(['trian'], /unknown command 'trian'.*train/s);
  });

  it('invalid values, all in one message', async () => {
    const out = await temporaryFolder();
    const args = ['train', '--epochs', '0', '--batch-size', '-1', '--devices', 'gpu', '--out', out];
    await refused(args, /epochs:.*batchSize:.*devices:|devices:.*epochs:.*batchSize:/s);
    await refused(['train', '--epochs', 'many'], /epochs.*expected a number/s);
  });

  it('a config file that is missing, broken, or exports something else', async () => {
    const folder = await temporaryFolder();
    await refused(['train', '--config', join(folder, 'none.ts')], /none\.ts can't be read \(ENOENT\)/);
    await writeFile(join(folder, 'broken.ts'), 'export default {');
    await refused(['train', '--config', join(folder, 'broken.ts')], /broken\.ts can't be loaded/);
    await writeFile(join(folder, 'other.js'), 'export default { epochs: 3 };');
    await refused(
      ['train', '--config', join(folder, 'other.js')],
      /expected a default export made by defineTraining/,
    );
    const { config } = await writeSmallTraining(folder, { extra: 'epochs: -3, colour: 1,' });
    await refused(
      ['train', '--config', config],
      /epochs:.*got -3.*colour: no such field|colour: no such field.*epochs:.*got -3/s,
    );
  });

  it('data that are missing or damaged', async () => {
    const folder = await temporaryFolder();
    const out = join(folder, 'run');
    await refused(
      ['train', '--data', join(folder, 'none'), '--workers', '1', '--out', out],
      /Error \(DATA\).*none/,
    );
    const { config, data } = await writeSmallTraining(folder);
    await writeFile(join(data, 'train-labels-idx1-ubyte'), Buffer.from([0, 0, 8, 1, 0, 0, 0, 70, 1, 2, 3]));
    await refused(
      ['train', '--config', config, '--workers', '2', '--out', out],
      /Error \(DATA\).*train-labels-idx1-ubyte.*expected.*got/s,
    );
  });

  it('an address that is in use', async () => {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as { port: number };
    const out = await temporaryFolder();
    await refused(
      ['coordinator', '--listen', `tcp://127.0.0.1:${port}`, '--out', out],
      /Can't listen on.*another process uses it/,
    );
    await new Promise((closed) => server.close(closed));
  });

  it('a folder for the run that is a file', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'file'), '');
    await refused(
      ['train', '--out', join(folder, 'file')],
      /Error \(CONFIG\): Folder .*file can't be written/,
    );
  });

  it('an engine that is not installed', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const args = [
      'train',
      '--config',
      config,
      '--workers',
      '1',
      '--engine',
      'tensorflow',
      '--out',
      join(folder, 'run'),
    ];
    await refused(args, /Error \(ENGINE\).*lockstep engine install/, { env: { XDG_CACHE_HOME: folder } });
  });

  it('a model that is missing or invalid', async () => {
    const folder = await temporaryFolder();
    await refused(['eval', folder], /Error \(MODEL\): No model in/);
    await writeFile(
      join(folder, 'model.json'),
      '{"modelTopology":{},"weightsManifest":[{"paths":["../../etc/passwd"],"weights":[]}]}',
    );
    await refused(
      ['eval', folder],
      /Error \(MODEL\).*expected weights beside it, got the path "\.\.\/\.\.\/etc\/passwd"/,
    );
    await writeFile(join(folder, 'model.json'), 'no JSON');
    await refused(['predict', folder, 'digit.png'], /Error \(MODEL\).*expected JSON/);
  });
});
