import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DeadlineError } from '../../src/shared/errors.js';
import { statusOf } from '../../src/cli/exit.js';
import { describeOwnProcess, lifeOf } from '../../src/launcher/lease-holder.js';
import { takeLease } from '../../src/launcher/lease.js';
import { waitForLease } from '../../src/launcher/wait-for-lease.js';
import { eventually } from '../support/eventually.js';
import { temporaryFolder } from '../support/lockstep.js';

const request = (out: string) => takeLease({ out, host: 'here', onLost });

const onLost = (): never => {
  throw new Error('the lease was lost');
};

/** Starts a process that takes the lease and keeps it. It sends a message when it has the lease, and when it has lost it. */
async function startHolder(out: string) {
  const script = join(await temporaryFolder(), 'hold.mjs');
  const module = new URL('../../dist/launcher/lease.js', import.meta.url);
  await writeFile(
    script,
    `import { takeLease } from ${JSON.stringify(module.href)};
    await takeLease({ out: ${JSON.stringify(out)}, host: 'here', onLost: (message) => process.send(message) });
    process.send('held');
    setInterval(() => undefined, 1000);`,
  );
  const child = fork(script);
  const messages: string[] = [];
  child.on('message', (message) => messages.push(message as string));
  await once(child, 'message');
  return { child, messages };
}

describe('the lease of a run', () => {
  it('is denied while another process has it, and free afterwards', async () => {
    const out = join(await temporaryFolder(), 'run');
    const first = await request(out);
    await expect(request(out)).rejects.toThrow(/is led by pid \d+ on .* already/);
    await first.release();
    await (await request(out)).release();
  });

  it('is free at once if its holder was killed', async () => {
    const out = join(await temporaryFolder(), 'run');
    const { child } = await startHolder(out);
    await expect(request(out)).rejects.toThrow(`pid ${child.pid ?? 0}`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await (await request(out)).release();
  });

  it('is taken again by its holder if its files are lost', async () => {
    const out = join(await temporaryFolder(), 'run');
    const { child, messages } = await startHolder(out);
    await rm(join(out, 'lead.lock'), { recursive: true });
    await eventually('the lease', () => existsSync(join(out, 'lead.lock')));
    await expect(request(out)).rejects.toThrow(`pid ${child.pid ?? 0}`);
    expect(messages).toEqual(['held']);
    child.kill('SIGKILL');
    await once(child, 'exit');
  });

  it('goes to another process if its holder hangs, and the holder is notified when it continues', async () => {
    const out = join(await temporaryFolder(), 'run');
    const { child, messages } = await startHolder(out);
    child.kill('SIGSTOP');
    // The state after the holder was suspended for longer than the lease lasts.
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(join(out, 'lead.lock'), longAgo, longAgo);
    const second = await request(out);
    child.kill('SIGCONT');
    await eventually('the notification', () => messages.length > 1);
    expect(messages[1]).toMatch(new RegExp(`is led by pid ${process.pid} on`));
    child.kill('SIGKILL');
    await second.release();
  });

  it('is denied if the folder cannot be written', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'file'), '');
    await expect(request(join(folder, 'file', 'run'))).rejects.toThrow(/can't be written \(ENOTDIR\)/);
    await mkdir(join(folder, 'other'));
    await (await request(join(folder, 'other'))).release();
  });
});

describe('the lease of a holder that another process cannot see', () => {
  const own = describeOwnProcess('here');

  it.each([
    ['the same process', {}, 'alive'],
    ['a process with another start time under the same PID', { startTime: '1' }, 'dead'],
    ['a process of another PID namespace with the same PID', { pidNamespace: 'pid:[1]' }, 'unknown'],
    ['a process before the last start of the machine', { boot: 'another' }, 'unknown'],
    ['a process of another host', { host: 'there' }, 'unknown'],
    ['a process that has ended', { pid: 2 ** 22 + 1 }, 'dead'],
  ] as const)('%s is seen as it is', (_, change, life) => {
    expect(lifeOf({ ...own, ...change }, own)).toBe(life);
  });
});

describe('an earlier start that leads the run', () => {
  it('is waited for until it ends, and named', async () => {
    const out = join(await temporaryFolder(), 'run');
    const { child } = await startHolder(out);
    const lines: string[] = [];
    const onHolder = (line: string): void => {
      lines.push(line);
      child.kill('SIGKILL');
    };
    await waitForLease({ out, host: 'here', limitMs: 60_000, onHolder });
    expect(lines).toEqual([expect.stringContaining(`is led by pid ${child.pid ?? 0} on here already`)]);
    await (await request(out)).release();
  });

  it('is an error with status 1 if it does not end in time, and nothing if there is none', async () => {
    const out = join(await temporaryFolder(), 'run');
    const wait = (): Promise<void> =>
      waitForLease({ out, host: 'here', limitMs: 1, onHolder: () => undefined });
    await wait();
    expect(existsSync(out)).toBe(false);
    const { child } = await startHolder(out);
    const error = await wait().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DeadlineError);
    expect(statusOf(error)).toBe(1);
    expect((error as Error).message).toContain(`is led by pid ${child.pid ?? 0} on here already`);
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
});
