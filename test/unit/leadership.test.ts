import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sameAddress } from '../../src/cli/runs/find-members.js';
import {
  hasLivingWorkers,
  openSocketDirectory,
  readLeadership,
  writeLeadership,
} from '../../src/launcher/leadership.js';
import { isAlive } from '../../src/launcher/lease-holder.js';
import { removeSocketDirectory } from '../../src/launcher/socket-directory.js';
import { SuccessorReport } from '../../src/worker/communicator/successor-report.js';
import type { WorkerMessage } from '../../src/shared/protocol/messages.js';
import { CoordinatedRun, runId } from '../support/coordinated-run.js';
import { eventually } from '../support/eventually.js';
import { temporaryFolder } from '../support/lockstep.js';

const leader = { runId, listen: 'tcp://127.0.0.1:*', endpoint: 'tcp://127.0.0.1:4711', keys: null };

describe('the record of the coordinator that leads a run', () => {
  it('counts the coordinators of one run, and begins again with another run', async () => {
    const out = await temporaryFolder();
    expect(readLeadership(out)).toBeNull();
    for (const term of [1, 2]) {
      await writeLeadership(out, { ...leader, socketDirectory: null });
      expect(readLeadership(out)).toEqual({ format: 1, ...leader, socketDirectory: null, term });
    }
    const other = { ...leader, runId: '00000000-0000-4000-8000-000000000001', socketDirectory: null };
    await writeLeadership(out, other);
    expect(readLeadership(out)?.term).toBe(1);
    await writeFile(join(out, 'coordinator.json'), '{"format":1}');
    expect(readLeadership(out)).toBeNull();
  });

  it('gives a port that the system has chosen to the same address only', () => {
    const again = (listen: string, before: string, endpoint: string): string | undefined =>
      sameAddress(listen, { listen: before, endpoint });
    expect(again('tcp://127.0.0.1:*', 'tcp://127.0.0.1:*', 'tcp://127.0.0.1:4711')).toBe(
      'tcp://127.0.0.1:4711',
    );
    expect(again('tcp://node1:0', 'tcp://node1:0', 'tcp://10.0.0.1:4711')).toBe('tcp://node1:4711');
    expect(again('tcp://*:*', 'tcp://*:*', 'tcp://[::]:4711')).toBe('tcp://*:4711');
    expect(again('tcp://[::1]:*', 'tcp://[::1]:*', 'tcp://[::1]:4711')).toBe('tcp://[::1]:4711');
    expect(again('tcp://127.0.0.1:*', 'tcp://0.0.0.0:*', 'tcp://0.0.0.0:4711')).toBeUndefined();
    expect(again('tcp://127.0.0.1:4712', 'tcp://127.0.0.1:4712', 'tcp://127.0.0.1:4712')).toBeUndefined();
    expect(again('ipc:///run/c', 'ipc:///run/c', 'ipc:///run/c')).toBeUndefined();
  });
});

describe.skipIf(process.getuid === undefined)('the folder of sockets of a successor', () => {
  const before = process.env['TMPDIR'];
  beforeEach(async () => {
    process.env['TMPDIR'] = await temporaryFolder();
  });
  afterEach(() => {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
  });

  /** The folder that a successor uses after a predecessor with this folder. */
  async function folderAfter(socketDirectory: string): Promise<string> {
    const out = await temporaryFolder();
    await writeLeadership(out, { ...leader, socketDirectory });
    const folder = openSocketDirectory({ out, inherited: {} }) ?? '';
    if (folder !== socketDirectory) removeSocketDirectory(folder);
    return folder;
  }

  it('is that of its predecessor', async () => {
    const first = openSocketDirectory({ out: await temporaryFolder(), inherited: null }) ?? '';
    expect(await folderAfter(first)).toBe(first);
    // A new run has a folder of its own.
    const out = await temporaryFolder();
    await writeLeadership(out, { ...leader, socketDirectory: first });
    const other = openSocketDirectory({ out, inherited: null });
    expect(other).not.toBe(first);
    expect(basename(other ?? '')).toMatch(/^lockstep-/);
  });

  it('is a new one if the recorded one may not be removed later, or if others can enter it', async () => {
    const temporary = process.env['TMPDIR'] ?? '';
    const project = join(temporary, 'lockstep-project');
    const elsewhere = join(temporary, 'deeper', 'lockstep-abcdef');
    const open = join(temporary, 'lockstep-abcdef');
    for (const folder of [project, elsewhere, open]) await mkdir(folder, { recursive: true, mode: 0o700 });
    await chmod(open, 0o755);
    for (const folder of [project, elsewhere, open, join(temporary, 'lockstep-absent')])
      expect(await folderAfter(folder)).not.toBe(folder);
  });

  it('shows whether a worker may be alive', async () => {
    const folder = await temporaryFolder();
    expect(hasLivingWorkers(folder)).toBe(false);
    await writeFile(join(folder, 'coordinator'), '');
    await writeFile(join(folder, 'w-999999999-ab'), '');
    expect(hasLivingWorkers(folder)).toBe(false);
    await writeFile(join(folder, `w-${process.pid}-ab`), '');
    expect(hasLivingWorkers(folder)).toBe(true);
    expect(hasLivingWorkers(join(folder, 'absent'))).toBe(false);
  });
});

it.runIf(process.platform === 'linux')(
  'a process that has ended is dead even if its parent has not waited for it',
  async () => {
    const go = join(await temporaryFolder(), 'go');
    // The shell starts a child that ends when the file exists, and becomes a program that waits for no child.
    const script = `(while [ ! -e '${go}' ]; do sleep 0.02; done) & echo $!; exec sleep 600`;
    const shell = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      let text = '';
      shell.stdout.on('data', (bytes: Buffer) => (text += bytes.toString()));
      const pid = Number(await eventually('the pid', () => /^\d+(?=\n)/.exec(text)?.[0]));
      expect(isAlive(pid)).toBe(true);
      await eventually(
        'the other program',
        async () => (await readFile(`/proc/${shell.pid}/comm`, 'utf8')) === 'sleep\n',
      );
      await writeFile(go, '');
      await eventually('the end of the child', async () =>
        / Z /.test(await readFile(`/proc/${pid}/stat`, 'utf8')),
      );
      expect(isAlive(pid)).toBe(false);
    } finally {
      shell.kill('SIGKILL');
    }
  },
);

describe('the report of a worker to a successor', () => {
  it('repeats the latest entries of the ledger, of at most about 8 MiB', () => {
    const run = new CoordinatedRun();
    const report = new SuccessorReport();
    report.sent(run.joining(1));
    report.sent(run.beingReady('a'));
    const ledger = (step: number): WorkerMessage => ({
      type: 'ledger',
      generation: 1,
      entries: [{ type: 'shard', step, shard: 0, loss: 1, gradients: 'a'.repeat(2 ** 18) }],
    });
    for (let step = 1; step <= 40; step++) report.sent(ledger(step));
    // A worker that has not been a member has nothing to repeat.
    expect(report.messages(runId)).toEqual([]);
    report.joining({ generation: 1, rank: 0, workers: [{}, {}] } as never);
    const [rejoin, ...rest] = report.messages(runId);
    expect(rejoin).toMatchObject({ type: 'rejoin', generation: 1, worldSize: 2 });
    // 31 entries of 2^18 hash characters and 100 more each fit into 2^23 characters.
    expect(rest).toEqual(Array.from({ length: 31 }, (_, i) => ledger(i + 10)));
  });
});
