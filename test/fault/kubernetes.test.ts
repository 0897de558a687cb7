import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFailed } from 'vitest';
import { keyOf, secretFiles } from '../../src/cli/manifest/pod-template.js';
import { eventually } from '../support/eventually.js';
import { parseManifest, podsOf, type PodTemplate } from '../support/kubernetes-schemas.js';
import { startHosts } from '../support/hosts-of-test.js';
import { lockstep, temporaryFolder, type Ended, type Lockstep } from '../support/lockstep.js';
import { wasmRun, writeSmallTraining } from '../support/small-training.js';
import type { TestHost } from '../support/test-hosts.js';
import { noPods, podProcess, startPod } from '../support/test-pod.js';

/** The pods of a printed manifest, and a way to start them on hosts of their own. */
async function cluster(count: number, options: readonly string[], train: readonly string[] = []) {
  const base = await temporaryFolder();
  const image = join(base, 'image');
  await mkdir(image, { mode: 0o755 });
  const { config } = await writeSmallTraining(image, { count: wasmRun.count });
  const keys = join(base, 'keys');
  expect((await lockstep(['keygen', '--out', keys])).status).toBe(0);
  const files = await Promise.all(
    secretFiles.map(async (path) => [keyOf(path), await readFile(join(keys, path))] as const),
  );
  const trained = ['--config', config, ...wasmRun.options, ...train];
  const own = ['--name', 'mnist', '--workers', String(count), ...options];
  const printed = await lockstep(['manifest', 'kubernetes', ...own, '--', ...trained]);
  expect(printed.status, printed.stderr).toBe(0);
  const pods = podsOf(parseManifest(printed.stdout));
  const hosts = join(base, 'hosts');
  await writeFile(hosts, '127.0.0.1 localhost\n');
  const hidden = join(base, 'hidden');
  await mkdir(hidden);
  const machines = await startHosts(count + 1, hidden);
  const started: { readonly name: string; readonly pod: Lockstep }[] = [];
  const start = (
    role: string,
    index: number,
    name: string,
    given: Readonly<Record<string, string>> = {},
  ): Lockstep => {
    const template = pods.get(role) as PodTemplate;
    const secret = Object.fromEntries(files);
    const pod = startPod(machines[index] as TestHost, { name, template, base, image, given, hosts, secret });
    started.push({ name, pod });
    return pod;
  };
  // The last output of a pod shows what it was waiting for.
  onTestFailed(() => {
    for (const { name, pod } of started)
      console.error(`--- ${name}\n${pod.stderr}\n${pod.stdout.slice(-2_000)}`);
  });
  const resolveNames = (names: Readonly<Record<string, string>>): Promise<void> =>
    writeFile(
      hosts,
      Object.entries(names)
        .map(([name, address]) => `${address} ${name}\n`)
        .join(''),
    );
  return { machines, start, resolveNames };
}

/** Kubernetes sends the signal also to a process that ends at this moment. */
function terminate(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // The process has ended.
  }
}

const hashOf = ({ status, stderr, events }: Ended): string | undefined => {
  expect(status, stderr).toBe(0);
  return events.flatMap((event) => (event.event === 'done' ? [event.weightsSha256] : []))[0];
};

/** Asks a pod from inside its network, as kubelet does. */
function probe(host: TestHost, path: string, address = host.address): string {
  const program = `fetch('http://${address}:8086${path}').then((r) => r.text()).then(console.log, () => console.log('none'))`;
  return host.run(process.execPath, '-e', program).trim();
}

/** The TCP ports on which processes of a host listen, in order. */
function listeningPorts(host: TestHost): number[] {
  const lines = ['tcp', 'tcp6'].flatMap((name) => host.run('cat', `/proc/net/${name}`).split('\n'));
  // Local and remote address, and the state `listen`.
  const ports = lines.flatMap((line) => /:([0-9A-F]{4}) \w+:0000 0A /.exec(line)?.slice(1) ?? []);
  return [...new Set(ports)].map((port) => parseInt(port, 16)).sort((a, b) => a - b);
}

describe.skipIf(noPods !== undefined)(
  `the containers of a manifest${noPods === undefined ? '' : ` (${noPods})`}`,
  () => {
    it('train as a JobSet with late names, and end with the hash of a single process', async () => {
      const { machines, start, resolveNames } = await cluster(2, ['--kind', 'jobset', '--claim', 'runs']);
      const host = 'mnist-coordinator-0-0.mnist';
      const given = { JOBSET_COORDINATOR: host };
      const workers = [1, 2].map((index) =>
        start('worker', index, `mnist-worker-0-${index}`, { ...given, JOB_COMPLETION_INDEX: String(index) }),
      );
      await eventually('an answer of a worker that waits', () =>
        Promise.resolve(probe(machines[1] as TestHost, '/readyz') === 'connecting' || undefined),
      );
      expect(probe(machines[1] as TestHost, '/healthz')).toBe('ok');
      const startCoordinator = (): Lockstep =>
        start('coordinator', 0, 'mnist-coordinator-0-0', { JOB_COMPLETION_INDEX: '0' });
      const coordinator = startCoordinator();
      await resolveNames({ localhost: '127.0.0.1', [host]: (machines[0] as TestHost).address });
      const ended = await coordinator.ended;
      expect(hashOf(ended)).toBe(wasmRun.weightsSha256);
      expect((await Promise.all(workers.map((worker) => worker.ended))).map(({ status }) => status)).toEqual([
        0, 0,
      ]);
      // Each line is an event, without colours.
      const lines = ended.stdout.trimEnd().split('\n');
      expect(lines.every((line) => line.startsWith('{"event":'))).toBe(true);
      expect(`${ended.stdout}${ended.stderr}`).not.toContain('\u001B');
      // The pod is created again if its status is lost, for example with its node.
      const again = await startCoordinator().ended;
      expect(again).toMatchObject({ status: 0, events: [] });
      expect(again.stderr).toBe('The run in /work/run is finished already.\n');
    });

    it('keep the hash as a TrainJob if a pod is evicted and replaced, by IPv6 alone', async () => {
      const { machines, start, resolveNames } = await cluster(
        3,
        ['--kind', 'trainjob'],
        ['--min-workers', '3'],
      );
      for (const [i, machine] of machines.entries()) {
        const device = i === 0 ? 'switch' : 'eth0';
        machine.ip('addr', 'flush', 'dev', device);
        machine.ip('addr', 'add', `fd00:77::${i + 1}/64`, 'dev', device, 'nodad');
      }
      const host = 'mnist-node-0-0.mnist';
      await resolveNames({ localhost: '::1', [host]: 'fd00:77::1' });
      const given = { PET_NNODES: '3', PET_MASTER_ADDR: host, PET_MASTER_PORT: '29500' };
      const node = (index: number, machine = index): Lockstep =>
        start('node', machine, `mnist-node-0-${index}`, { ...given, PET_NODE_RANK: String(index) });
      const [first, second, third] = [node(0), node(1), node(2)];
      await first.event('step', ({ step }) => step >= 10);
      process.kill(await podProcess(third), 'SIGTERM');
      expect((await third.ended).status).toBe(143);
      const replacement = node(2, 3);
      expect(hashOf(await first.ended)).toBe(wasmRun.weightsSha256);
      expect(first.stderr).toContain('TrainJob mnist: 3 tasks, task 0 coordinates, run folder /work/run');
      expect(second.stderr).toContain('this is task 1');
      expect([(await second.ended).status, (await replacement.ended).status]).toEqual([0, 0]);
    });

    it('continue as a Job and a StatefulSet with any user after all pods were deleted', async () => {
      const options = ['--kind', 'job', '--user', 'cluster', '--claim', 'runs'];
      const { machines, start, resolveNames } = await cluster(2, options);
      await resolveNames({ localhost: '127.0.0.1', 'mnist-coordinator': (machines[0] as TestHost).address });
      const all = (): [Lockstep, Lockstep, Lockstep] => [
        start('coordinator', 0, 'mnist-coordinator-0'),
        start('worker', 1, 'mnist-worker-0'),
        start('worker', 2, 'mnist-worker-1'),
      ];
      const before = all();
      await before[0].event('step', ({ step }) => step >= 5);
      expect(probe(machines[0] as TestHost, '/readyz')).toBe('ok');
      expect([0, 1, 2].map((index) => listeningPorts(machines[index] as TestHost))).toEqual([
        [8_086, 28_600],
        [8_086, 28_610],
        [8_086, 28_610],
      ]);
      // The first signal may end all of them, so their processes are found before.
      for (const pid of await Promise.all(before.map(podProcess))) terminate(pid);
      const ends = await Promise.all(before.map((pod) => pod.ended));
      const [status, ...others] = ends.map((end) => end.status);
      expect(status).toBe(143);
      // A worker that the coordinator releases first ends with its status for that.
      const printed = ends.map((end) => `${end.stderr}\n${end.stdout}`).join('\n---\n');
      for (const other of others) expect([75, 143], printed).toContain(other);
      // An orderly stop prints no warning of Node or of Lockstep.
      for (const { stderr } of ends) expect(stderr).not.toMatch(/warning/i);
      const after = await Promise.all(all().map((pod) => pod.ended));
      expect(hashOf(after[0] as Ended)).toBe(wasmRun.weightsSha256);
      expect(after.map((end) => end.status)).toEqual([0, 0, 0]);
    });
  },
);
