import { chmod, mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { freeJobPort } from '../../src/launcher/job/free-job-port.js';
import { JobRecord, jobFolder, waitForJobRecord } from '../../src/launcher/job/job-record.js';
import { ownAddress } from '../../src/launcher/job/own-address.js';
import { isPreempted, requeue } from '../../src/launcher/job/requeue.js';
import { temporaryFolder } from '../support/lockstep.js';

const open = { state: 'open', endpoint: 'tcp://head:20000', encrypted: true } as const;
const waiting = (out: string, start: string | null, limitMs = 60_000) =>
  waitForJobRecord({ out, start, job: 'Slurm job 12', host: 'n2', limitMs, print: () => undefined });

describe('the record of a job', () => {
  it('reaches tasks that wait for it, in a folder that only the user can enter, and is removed', async () => {
    const out = await temporaryFolder();
    const received = waiting(out, 'slurm-12.0.0');
    const record = new JobRecord(out, 'slurm-12.0.0');
    record.create(out);
    expect((await stat(record.folder)).mode & 0o777).toBe(0o700);
    await record.publish(open);
    expect(await received).toEqual(open);
    await record.remove();
    expect(await readdir(out)).toEqual([]);
  });

  it('is not read by a later start, and is removed by its task 0', async () => {
    const out = await temporaryFolder();
    const earlier = new JobRecord(out, 'slurm-12.0.0');
    earlier.create(out);
    await earlier.publish({ ...open, endpoint: 'tcp://old:20000' });
    const received = waiting(out, 'slurm-12.0.1');
    const later = new JobRecord(out, 'slurm-12.0.1');
    later.create(out);
    expect(await readdir(out)).toEqual(['job-slurm-12.0.1']);
    await later.publish(open);
    expect(await received).toEqual(open);
  });

  it('counts only once it has been renewed, if its start has no name', async () => {
    const out = await temporaryFolder();
    await mkdir(jobFolder(out, null), { mode: 0o700 });
    const stale = { format: 1, renewals: 7, content: { ...open, endpoint: 'tcp://old:20000' } };
    await writeFile(join(jobFolder(out, null), 'record.json'), JSON.stringify(stale));
    await expect(waiting(out, null, 700)).rejects.toThrow(/No coordinator of Slurm job 12/);
    const record = new JobRecord(out, null);
    record.create(out);
    await record.publish(open);
    expect(await waiting(out, null)).toEqual(open);
    await record.remove();
  });

  it('tells the tasks why task 0 has ended, without keys', async () => {
    const out = await temporaryFolder();
    const record = new JobRecord(out, 'slurm-12.0.0');
    record.create(out);
    await writeFile(join(record.folder, 'worker.key'), 'secret');
    await record.end(2, 'Error (CONFIG): no data');
    expect(await waiting(out, 'slurm-12.0.0')).toEqual({
      state: 'ended',
      status: 2,
      reason: 'Error (CONFIG): no data',
    });
    expect(await readdir(record.folder)).toEqual(['record.json']);
  });

  it('is left alone by a task 0 that was refused, if it belongs to another run of the folder', async () => {
    const out = await temporaryFolder();
    const running = new JobRecord(out, null);
    running.create(out);
    await running.publish(open);
    await new JobRecord(out, null).end(2, 'the folder is in use');
    expect(await waiting(out, null)).toEqual(open);
    await running.remove();
  });

  it('is refused if others can enter its folder', async () => {
    const out = await temporaryFolder();
    const record = new JobRecord(out, 'a');
    record.create(out);
    await record.publish(open);
    await chmod(record.folder, 0o755);
    await expect(waiting(out, 'a')).rejects.toThrow(/others have access to/);
  });

  it('is missed with the name of the folder, of the host and the remedies', async () => {
    const out = await temporaryFolder();
    const error = /expected its address in \S+job-a within 0 s, got none on host n2\..* --out.*LOCKSTEP_KEYS/;
    await expect(waiting(out, 'a', 150)).rejects.toThrow(error);
  });
});

describe('the port of a job', () => {
  const servers: Server[] = [];
  afterEach(() => servers.splice(0).forEach((server) => server.close()));

  it('is the first free one, or an error that names those that are taken', async () => {
    const server = createServer();
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, resolve));
    const { port } = server.address() as AddressInfo;
    expect(await freeJobPort(port, 16)).toBeGreaterThan(port);
    await expect(freeJobPort(port, 1)).rejects.toThrow(
      new RegExp(`^Port ${port} .*Choose another one with MASTER_PORT`),
    );
  });
});

describe('the address of task 0', () => {
  const names: Readonly<Record<string, readonly string[]>> = {
    n1: ['10.0.0.1'],
    'n1-own': ['127.0.1.1'],
    elsewhere: ['10.0.0.9'],
  };
  const service = (hostname: string, own: readonly string[]) => ({
    own,
    hostname,
    resolve: (name: string) => Promise.resolve(names[name] ?? []),
  });

  it.each([
    ['the name of the node', ['n1'], 'n1-own', ['10.0.0.1'], 'n1'],
    ['the host name, if the node has a name that leads nowhere', ['n7'], 'n1', ['10.0.0.1'], 'n1'],
    ['an address, if every name leads to loopback', [null], 'n1-own', ['10.0.0.1', 'fd00::1'], '10.0.0.1'],
    ['an address, if the name leads to another host', ['elsewhere'], 'x', ['10.0.0.1'], '10.0.0.1'],
    ['loopback without a network', ['n1'], 'n1-own', [], '127.0.0.1'],
  ])('is %s', async (_, candidates, hostname, own, expected) => {
    expect(await ownAddress(candidates, service(hostname, own))).toBe(expected);
  });
});

describe('the requeue of a job', () => {
  const path = process.env['PATH'] ?? '';
  afterEach(() => void (process.env['PATH'] = path));

  async function scontrol(script: string): Promise<void> {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'scontrol'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    process.env['PATH'] = `${folder}:${path}`;
  }

  it('calls scontrol with the name of the job', async () => {
    const folder = await temporaryFolder();
    await scontrol(`echo "$@" > ${folder}/called`);
    expect(await requeue('10_3')).toMatchObject({ isRequeued: true });
    expect(await readFile(join(folder, 'called'), 'utf8')).toBe('requeue 10_3\n');
  });

  it.each([
    ['JobId=12 JobState=RUNNING PreemptTime=2026-11-30T14:39:22', true],
    ['JobId=12 JobState=RUNNING PreemptTime=None', false],
    ['JobId=12 JobState=COMPLETING PreemptTime=2026-11-30T14:39:22', false],
  ])('follows a preemption and no cancellation: %s', async (text, expected) => {
    await scontrol(`[ "$*" = 'show job -o 12' ] && echo '${text}'`);
    expect(await isPreempted('12')).toBe(expected);
    process.env['PATH'] = await temporaryFolder();
    expect(await isPreempted('12')).toBe(false);
  });

  it('reports a refusal, and a missing scontrol, with the remedy', async () => {
    await scontrol('echo "Requested operation is presently disabled" >&2; exit 1');
    expect(await requeue('12')).toEqual({
      isRequeued: false,
      message:
        'Slurm job 12 is not requeued: Requested operation is presently disabled. Start it again: scontrol requeue 12',
    });
    process.env['PATH'] = await temporaryFolder();
    expect((await requeue('12')).message).toMatch(/scontrol was not found in PATH/);
  });
});
