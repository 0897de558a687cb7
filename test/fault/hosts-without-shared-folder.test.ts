import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { eventually } from '../support/eventually.js';
import { startHosts } from '../support/hosts-of-test.js';
import { stepsIn, range, training, endless } from '../support/elastic-run.js';
import { Lockstep, descendants, lockstep, temporaryFolder, type Ended } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';
import { canHaveHosts, type TestHost } from '../support/test-hosts.js';

const eventsOf = <Name extends RunEvent['event']>(events: readonly RunEvent[], name: Name) =>
  events.filter((event): event is Extract<RunEvent, { event: Name }> => event.event === name);

const weightsOf = ({ status, stderr, stdout, events }: Ended): string => {
  expect(status, `${stderr}${stdout.slice(-2000)}`).toBe(0);
  return eventsOf(events, 'done')[0]?.weightsSha256 ?? 'no end';
};

const evaluationOf = ({ status, stderr, events }: Ended) => {
  expect(status, stderr).toBe(0);
  return eventsOf(events, 'eval').map(({ loss, correct, count }) => ({ loss, correct, count }));
};

/** Returns the PID of the process that `nsenter` has started: it passes no signals on. */
async function inner(command: Lockstep): Promise<number> {
  const [pid] = await descendants(command.pid);
  if (pid === undefined) throw new Error('Expected a process below nsenter.');
  return pid;
}

/**
 * Kills the process with this PID that `nsenter` has started, also if it is stopped. `nsenter` stops itself as soon as it sees that, and
 * then does not end with the process until it is continued.
 */
async function killInner(command: Lockstep, pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  const waking = setInterval(() => command.kill('SIGCONT'), 20);
  await command.ended.finally(() => clearInterval(waking));
}

/** Trains without a disturbance, in one process on this host. */
async function trainAlone(
  config: string,
  options: readonly string[],
): Promise<{ ended: Ended; out: string }> {
  const out = join(await temporaryFolder(), 'alone');
  const ended = await lockstep([
    'train',
    '--config',
    config,
    '--single-process',
    '--out',
    out,
    ...training,
    ...options,
  ]);
  return { ended, out };
}

/** Returns the name of a checkpoint of which a part of the state has arrived. */
async function partlyReceived(out: string): Promise<string | undefined> {
  const folder = join(out, 'checkpoints');
  for (const name of await readdir(folder).catch((): string[] => [])) {
    if (!name.includes('.incoming.partial-')) continue;
    const state = await stat(join(folder, name, 'state.safetensors')).catch(() => undefined);
    if (state && state.size > 0) return name;
  }
  return undefined;
}

/** Three hosts, of which only the first one sees the folder of runs. */
async function threeHosts() {
  const base = await temporaryFolder();
  const [definition, runs, keys, spool] = ['definition', 'runs', 'keys', 'spool'].map((name) =>
    join(base, name),
  ) as [string, string, string, string];
  for (const folder of [definition, runs, spool]) await mkdir(folder);
  const { config } = await writeSmallTraining(definition);
  expect((await lockstep(['keygen', '--out', keys])).status).toBe(0);
  const [home, ...others] = (await startHosts(3, runs)) as [TestHost, TestHost, TestHost];
  const address = `tcp://${home.address}:28600`;
  const coordinate = (options: string[], env: Record<string, string> = {}): Lockstep =>
    new Lockstep(
      ['coordinator', '--listen', address, '--keys', keys, '--config', config, '--json', ...options],
      {
        within: home.within,
        env: { LOCKSTEP_HOST: 'home', ...env },
      },
    );
  const work = async (host: TestHost, name: string): Promise<Lockstep> => {
    await mkdir(join(spool, name), { recursive: true });
    return new Lockstep(['worker', '--coordinator', address, '--keys', keys, '--device', 'cpu'], {
      within: host.within,
      env: { LOCKSTEP_HOST: name, TMPDIR: join(spool, name) },
    });
  };
  return { config, runs, spool, home, others, coordinate, work };
}

describe.skipIf(!canHaveHosts)('three hosts without a shared folder', () => {
  it('leave checkpoints and model in the folder of the coordinator, also after the loss of a host', async () => {
    const { config, runs, spool, others, coordinate, work } = await threeHosts();
    const out = join(runs, 'run');
    const [first, second] = others;
    const options = [
      '--out',
      out,
      '--workers',
      '2',
      '--checkpoint-every',
      '10steps',
      ...training,
      ...endless,
    ];
    const coordinator = coordinate(options);
    await coordinator.event('run');
    // The name of the coordinator's host makes this worker rank 0, and proves nothing about the folder.
    await work(first, 'home');
    await work(second, 'other');
    await coordinator.event('checkpoint');
    const joined = eventsOf(coordinator.events, 'worker').map(({ rank, host }) => `${rank} ${host}`);
    expect(joined.sort()).toEqual(['0 home', '1 other']);

    // The host of rank 0 is lost; the worker of the other one sends the next checkpoints.
    await first.kill();
    const { step: lost } = eventsOf(coordinator.events, 'step').at(-1)!;
    await coordinator.event('checkpoint', ({ step }) => step > lost);
    process.kill(await inner(coordinator), 'SIGTERM');
    const stopped = await coordinator.ended;
    expect(stopped.status, stopped.stderr).toBe(143);
    const last = eventsOf(stopped.events, 'step').at(-1)!.step;
    expect(stepsIn(stopped.events)).toEqual(range(1, last));
    const saved = eventsOf(stopped.events, 'checkpoint').at(-1)!;
    expect(saved).toMatchObject({ step: last, seconds: expect.any(Number) as number });
    expect(saved.path.startsWith(join(out, 'checkpoints'))).toBe(true);
    expect(existsSync(join(saved.path, 'state.safetensors'))).toBe(true);
    expect(eventsOf(stopped.events, 'warning').filter(({ message }) => /heckpoint/.test(message))).toEqual(
      [],
    );

    // The run continues with a worker that fetches the checkpoint, since no worker shares the folder.
    const end = last + 20 + (last % 2);
    const resumed = coordinate(['--resume', out, '--workers', '1', '--max-steps', String(end)]);
    await resumed.event('resumed');
    const worker = await work(second, 'other');
    const ended = await resumed.ended;
    expect((await worker.ended).status).toBe(0);
    expect(stepsIn(ended.events)).toEqual(range(last + 1, end));
    expect(second.run('ls', '-A', runs)).toBe('');
    // Only the user's folder of sockets remains there, which holds the number of a running worker.
    const sockets = `lockstep-${process.getuid?.()}`;
    expect((await readdir(join(spool, 'other'))).filter((name) => name !== sockets)).toEqual([]);
    expect(await readdir(join(spool, 'other', sockets))).toEqual([]);
    expect((await readdir(out)).filter((name) => /partial|proof/.test(name))).toEqual([]);

    const undisturbed = await trainAlone(config, ['--epochs', '1000000', '--max-steps', String(end)]);
    expect(weightsOf(ended)).toBe(weightsOf(undisturbed.ended));
    const evaluated = evaluationOf(await lockstep(['eval', out, '--json']));
    expect(evaluated).toHaveLength(1);
    expect(evaluated).toEqual(evaluationOf(await lockstep(['eval', undisturbed.out, '--json'])));
    expect((await lockstep(['export', out, '--format', 'onnx'])).status).toBe(0);
    expect(existsSync(join(out, 'model.onnx'))).toBe(true);
  });

  it('continue a transfer with a new coordinator after the death of the one that received it', async () => {
    const { config, runs, others, coordinate, work } = await threeHosts();
    // A state of 26 MB, 100 pieces, so that the coordinator can be killed in the middle.
    await writeFile(config, (await readFile(config, 'utf8')).replace('units: 24', 'units: 8192'));
    const out = join(runs, 'run');
    const [host] = others;
    const length = ['--epochs', '1000000', '--max-steps', '30', '--evaluate', 'none'];
    const options = ['--out', out, '--workers', '1', '--checkpoint-every', '4steps', ...training, ...length];
    const first = coordinate(options);
    await first.event('run');
    const worker = await work(host, 'other');
    const pid = await inner(first);
    const received = await eventually('a coordinator that is stopped in a transfer', async () => {
      if ((await partlyReceived(out)) === undefined) return undefined;
      process.kill(pid, 'SIGSTOP');
      // The last piece may have arrived before the signal. The next checkpoint is tried then.
      const name = await partlyReceived(out);
      if (name === undefined) process.kill(pid, 'SIGCONT');
      return name;
    });
    await killInner(first, pid);
    expect(await partlyReceived(out)).toBe(received);

    const second = coordinate(options, { pm_id: '0', restart_time: '1' });
    const ended = await second.ended;
    expect((await worker.ended).status).toBe(0);
    const step = Number(/step-0*(\d+)/.exec(received)?.[1]);
    expect(eventsOf(ended.events, 'checkpoint').map((event) => event.step)).toContain(step);
    expect((await readdir(join(out, 'checkpoints'))).filter((name) => name.includes('partial'))).toEqual([]);
    const undisturbed = await trainAlone(config, length);
    expect(weightsOf(ended)).toBe(weightsOf(undisturbed.ended));
  });

  it('lose no step when the coordinator is killed and the same command starts it again', async () => {
    const { config, runs, others, coordinate, work } = await threeHosts();
    const out = join(runs, 'run');
    const steps = 60;
    const length = [...endless, '--max-steps', String(steps), '--evaluate', 'none'];
    const options = ['--out', out, '--workers', '2', ...training, ...length];
    const first = coordinate(options);
    await first.event('run');
    const workers = [await work(others[0], 'one'), await work(others[1], 'two')];
    await first.event('step', ({ step }) => step >= 10);
    await killInner(first, await inner(first));

    const ended = await coordinate(options).ended;
    for (const worker of workers) expect((await worker.ended).status).toBe(0);
    expect(weightsOf(ended)).toBe(weightsOf((await trainAlone(config, length)).ended));
    const log = await readFile(join(out, 'events.ndjson'), 'utf8');
    const events = log
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as RunEvent);
    expect(stepsIn(events)).toEqual(range(1, steps));
    expect(eventsOf(events, 'resumed')).toEqual([]);
  });

  it('keep the older checkpoint and train on while the disk of the coordinator is full', async () => {
    const { config, runs, home, others, coordinate, work } = await threeHosts();
    // A checkpoint of 26 MB fits on the disk, a second one does not.
    await writeFile(config, (await readFile(config, 'utf8')).replace('units: 24', 'units: 8192'));
    home.run('mount', '-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', runs);
    const out = join(runs, 'run');
    const length = [...endless, '--max-steps', '40', '--evaluate', 'none'];
    const options = ['--out', out, '--workers', '1', '--checkpoint-every', '4steps', ...training, ...length];
    const coordinator = coordinate(options);
    await coordinator.event('run');
    const worker = await work(others[0], 'other');
    const { step } = await coordinator.event('checkpoint');
    const { message } = await coordinator.event('warning', (event) => event.message.includes('ENOSPC'));
    expect(message).toContain(`can't be written to ${join(out, 'checkpoints')} (ENOSPC)`);
    expect(home.run('ls', join(out, 'checkpoints')).trim().split('\n')).toEqual([
      `step-${String(step).padStart(9, '0')}`,
    ]);
    home.run('mount', '-o', 'remount,size=200m', runs);

    const ended = await coordinator.ended;
    expect((await worker.ended).status).toBe(0);
    expect(eventsOf(ended.events, 'checkpoint').at(-1)?.step).toBe(40);
    expect(weightsOf(ended)).toBe(weightsOf((await trainAlone(config, length)).ended));
  });
});
