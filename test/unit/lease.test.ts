import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { takeLease } from '../../src/launcher/lease.js';
import { eventually } from '../support/eventually.js';
import { temporaryFolder } from '../support/lockstep.js';

const nobody = (): never => {
  throw new Error('the lease was lost');
};

/** A process that takes the lease and keeps it; it says when it has it, and when it has lost it. */
async function holder(out: string) {
  const script = join(await temporaryFolder(), 'hold.mjs');
  const module = new URL('../../dist/launcher/lease.js', import.meta.url);
  await writeFile(
    script,
    `import { takeLease } from ${JSON.stringify(module.href)};
    await takeLease(${JSON.stringify(out)}, (message) => process.send(message));
    process.send('held');
    setInterval(() => undefined, 1000);`,
  );
  const child = fork(script);
  const said: string[] = [];
  child.on('message', (message) => said.push(message as string));
  await once(child, 'message');
  return { child, said };
}

describe('the lease of a run', () => {
  it('is refused while another process has it, and free after it', async () => {
    const out = join(await temporaryFolder(), 'run');
    const first = await takeLease(out, nobody);
    await expect(takeLease(out, nobody)).rejects.toThrow(/is led by pid \d+ on .* already/);
    await first.release();
    await (await takeLease(out, nobody)).release();
  });

  it('of a holder that was killed is free at once', async () => {
    const out = join(await temporaryFolder(), 'run');
    const { child } = await holder(out);
    await expect(takeLease(out, nobody)).rejects.toThrow(`pid ${child.pid ?? 0}`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await (await takeLease(out, nobody)).release();
  });

  it('of a holder that hangs goes to the next, and the holder learns it when it wakes', async () => {
    const out = join(await temporaryFolder(), 'run');
    const { child, said } = await holder(out);
    child.kill('SIGSTOP');
    // As if it had been stopped for longer than the lease holds.
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(join(out, 'lead.lock'), longAgo, longAgo);
    const second = await takeLease(out, nobody);
    child.kill('SIGCONT');
    await eventually('word of the loss', () => said.length > 1);
    expect(said[1]).toMatch(new RegExp(`is led by pid ${process.pid} on`));
    child.kill('SIGKILL');
    await second.release();
  });

  it('is not asked for where nothing can be written', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'file'), '');
    await expect(takeLease(join(folder, 'file', 'run'), nobody)).rejects.toThrow(
      /can't be written \(ENOTDIR\)/,
    );
    await mkdir(join(folder, 'other'));
    await (await takeLease(join(folder, 'other'), nobody)).release();
  });
});
