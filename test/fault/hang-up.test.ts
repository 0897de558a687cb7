import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { Lockstep, alive, descendants, temporaryFolder } from '../support/lockstep.js';
import { tinyOptions, writeTinyTraining } from '../support/tiny-training.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

const shells: number[] = [];
afterEach(() => {
  for (const pid of shells.splice(0)) {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
});

/** Runs a line of bash in a session of its own, whose processes a test can end together. */
function bash(line: string, cwd: string, env: Readonly<Record<string, string>>) {
  const shell = spawn('bash', ['-c', line], {
    cwd,
    env: { ...process.env, ...env },
    stdio: 'ignore',
    detached: true,
  });
  shells.push(shell.pid ?? 0);
  return shell;
}

const read = (file: string): Promise<string> => readFile(file, 'utf8').catch(() => '');
const steps = (log: string): number => log.split('{"event":"step"').length - 1;

describe('a run without a reader or a terminal', () => {
  it.each([
    ['nohup', (train: string) => `nohup ${train} & wait`],
    ['a shell under nohup', (train: string) => `trap '' HUP; ${train} & wait`],
  ])('continues after SIGHUP under %s', async (_, line) => {
    const folder = await temporaryFolder();
    const config = await writeTinyTraining(folder);
    const out = join(folder, 'run');
    const events = join(out, 'events.ndjson');
    const train = ['node', main, 'train', '--config', config, '--out', out, ...tinyOptions].join(' ');
    const shell = bash(line(train), folder, { PACE: '50', EPOCHS: '10' });
    const ended = once(shell, 'exit');
    await eventually('a step', async () => steps(await read(events)) > 0);
    for (const pid of await descendants(shell.pid ?? 0)) process.kill(pid, 'SIGHUP');
    await ended;
    expect(steps(await read(events))).toBe(20);
    expect(await read(events)).toContain('{"event":"done"');
  });

  it('continues after the reader of its stdout has ended, with one warning', async () => {
    const folder = await temporaryFolder();
    const config = await writeTinyTraining(folder);
    const out = join(folder, 'run');
    const train = ['node', main, 'train', '--config', config, '--out', out, ...tinyOptions].join(' ');
    const shell = bash(`set -o pipefail; ${train} 2> err | head -1 > first`, folder, { PACE: '20' });
    expect(await once(shell, 'exit')).toEqual([0, null]);
    const events = await read(join(out, 'events.ndjson'));
    expect(steps(events)).toBe(8);
    expect(events.split('stdout is closed').length - 1).toBe(1);
    expect(await read(join(folder, 'first'))).toMatch(/^\{"event":"run".*\n$/);
  });

  it('ends a command that only prints with the status of SIGPIPE, and without a stack', async () => {
    const folder = await temporaryFolder();
    const shell = bash(`set -o pipefail; node ${main} completion bash 2> err | true`, folder, {});
    const [status] = (await once(shell, 'exit')) as [number];
    expect([0, 141]).toContain(status);
    expect(await read(join(folder, 'err'))).toBe('');
  });
});

describe('a worker without a launcher', () => {
  it('ends by itself', async () => {
    const worker = new Lockstep([
      'worker',
      '--launched',
      '--coordinator',
      `ipc://${join(await temporaryFolder(), 'absent')}`,
      '--device',
      'cpu',
      '--slot',
      '0',
    ]);
    expect((await worker.ended).status).toBe(1);
  });

  it('ends if its launcher dies while it loads', async () => {
    const folder = await temporaryFolder();
    const config = await writeTinyTraining(folder);
    const options = tinyOptions.filter((option) => option !== '--single-process');
    const args = ['train', '--config', config, '--workers', '2', '--out', join(folder, 'run'), ...options];
    const launcher = new Lockstep(args, { cwd: folder });
    const children = await eventually('two workers and a coordinator', async () => {
      const pids = await descendants(launcher.pid);
      return pids.length >= 3 && pids;
    });
    launcher.kill('SIGKILL');
    await eventually('the end of all children', async () => (await alive(children)).length === 0);
  });
});

describe('a second SIGINT', () => {
  it('within a second counts as the first; the state is saved', async () => {
    const folder = await temporaryFolder();
    const config = await writeTinyTraining(folder);
    const options = tinyOptions.filter((option) => option !== '--single-process');
    const args = ['train', '--config', config, '--workers', '2', '--out', join(folder, 'run'), ...options];
    const run = new Lockstep(args, { cwd: folder, env: { PACE: '20', EPOCHS: '100000' } });
    await run.event('step', ({ step }) => step >= 3);
    run.kill('SIGINT');
    run.kill('SIGINT');
    const { status, events } = await run.ended;
    expect(status).toBe(130);
    const last = (name: 'step' | 'checkpoint'): number =>
      events.flatMap((event) => (event.event === name && 'step' in event ? [event.step] : [])).at(-1) ?? 0;
    expect(last('checkpoint')).toBe(last('step'));
  });
});
