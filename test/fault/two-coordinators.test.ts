import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Lockstep, lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

describe('a run', () => {
  it('refuses a second coordinator or launcher, which changes nothing', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const out = join(folder, 'run');
    const options = ['--config', config, '--workers', '2', '--out', out, '--json'];
    const first = new Lockstep(['coordinator', '--listen', 'tcp://127.0.0.1:*', ...options]);
    const { runId } = await first.event('run');
    const others = [
      ['coordinator', '--listen', 'tcp://127.0.0.1:*'],
      ['train'],
      ['train', '--single-process'],
    ];
    for (const command of others) {
      const { status, stderr } = await lockstep([...command, ...options]);
      expect(status, command.join(' ')).toBe(2);
      expect(stderr).toMatch(new RegExp(`Run .* is led by pid ${first.pid} on .* already`));
    }
    expect(await readFile(join(out, 'events.ndjson'), 'utf8')).toContain(runId);
    first.kill('SIGTERM');
    expect((await first.ended).status).toBe(143);
    // It left nothing that would keep the next one out.
    const next = new Lockstep(['coordinator', '--listen', 'tcp://127.0.0.1:*', ...options]);
    await next.event('run');
    next.kill('SIGTERM');
    expect((await next.ended).status).toBe(143);
  });
});
