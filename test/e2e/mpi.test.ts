/** `lockstep train` in the processes of MPI and of torchrun, by the commands of docs/mpi.md, with the weights of one process. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TimedEvent } from '../../src/shared/runs/run-events.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { guideScript } from '../support/guide-script.js';
import { trainAlone, writeProject } from '../support/paced-project.js';

const commands = {
  mpirun: guideScript('docs/mpi.md', 'mpirun -n'),
  torchrun: guideScript('docs/mpi.md', 'torchrun --'),
};

const isInstalled = (program: string): boolean => spawnSync('which', [program]).status === 0;
const unless = (program: string): string => (isInstalled(program) ? '' : ` (needs ${program})`);
const python = process.env['LOCKSTEP_PYTHON'];
const torchrun = python === undefined ? 'torchrun' : join(dirname(python), 'torchrun');

/** The tests are more processes than this machine has cores, and may belong to root. */
const mpiVariables = {
  OMPI_ALLOW_RUN_AS_ROOT: '1',
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
  OMPI_MCA_rmaps_base_oversubscribe: '1',
};

let project: string;
let alone: string;
const started: ChildProcess[] = [];

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'lockstep-mpi-'));
  await writeProject(project);
  alone = await trainAlone(project);
});
afterAll(async () => {
  for (const child of started) child.kill('SIGKILL');
  await rm(project, { recursive: true, force: true });
});

/** Runs a command line in the project; resolves with its status. */
class Shell {
  readonly ended: Promise<number | null>;
  readonly #process: ChildProcess;
  output = '';

  constructor(line: string, env: Readonly<Record<string, string>> = {}) {
    this.#process = spawn('sh', ['-c', `exec ${line.trim()}`], {
      cwd: project,
      env: { ...process.env, ...mpiVariables, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    started.push(this.#process);
    for (const stream of [this.#process.stdout, this.#process.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    this.ended = new Promise((resolve) => this.#process.once('close', resolve));
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }
}

async function eventsOf(folder: string): Promise<TimedEvent[]> {
  const text = await readFile(join(project, 'runs', folder, 'events.ndjson'), 'utf8').catch(() => '');
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return lines.flatMap((line) => (line === '' ? [] : [JSON.parse(line) as TimedEvent]));
}

/** Expects the weights of one process, computed by `workers` workers without a repeated step. */
async function expectSameWeights(folder: string, workers: number): Promise<void> {
  const events = await eventsOf(folder);
  const done = events.flatMap((event) => (event.event === 'done' ? [event.weightsSha256] : []));
  expect(done).toEqual([alone]);
  const steps = events.flatMap((event) => (event.event === 'step' ? [event.step] : []));
  expect(steps).toEqual(steps.map((_, i) => i + 1));
  const configs = events.flatMap((event) => (event.event === 'run' ? [event.config.workers] : []));
  expect(configs.at(-1)).toBe(workers);
}

const line = (name: keyof typeof commands, folder: string): string =>
  commands[name].replace('runs/mine', `runs/${folder}`);

describe('lockstep train', () => {
  it.skipIf(!isInstalled('mpirun.openmpi'))(
    `under Open MPI saves its state when mpirun is signalled, and the same command continues it${unless('mpirun.openmpi')}`,
    async () => {
      const command = line('mpirun', 'open').replace('mpirun', 'mpirun.openmpi');
      const first = new Shell(command, { PACE: '100' });
      await eventually(
        'some steps',
        async () => (await eventsOf('open')).filter(({ event }) => event === 'step').length > 5,
      );
      first.kill('SIGUSR1');
      expect(await first.ended, first.output).toBe(75);
      const second = new Shell(command.replace('-n 3', '-n 2'));
      expect(await second.ended, second.output).toBe(0);
      expect(first.output).toMatch(/^MPI job \d+: 3 tasks, task 0 coordinates, run folder /m);
      await expectSameWeights('open', 2);
    },
  );

  it.skipIf(!isInstalled('mpirun.mpich'))(
    `under MPICH has the weights of one process${unless('mpirun.mpich')}`,
    async () => {
      const command = line('mpirun', 'mpich').replace('mpirun', 'mpirun.mpich');
      const run = new Shell(command);
      expect(await run.ended, run.output).toBe(0);
      await expectSameWeights('mpich', 3);
      const nameless = new Shell(command.replace(/--out \S+/, ''));
      expect(await nameless.ended).toBe(2);
      expect(nameless.output).toContain('MPI with 3 tasks: expected --out, got none');
    },
  );

  it("with torchrun's variables has the weights of one process, and its folder is named after the job", async () => {
    const common = {
      WORLD_SIZE: '3',
      LOCAL_WORLD_SIZE: '3',
      MASTER_ADDR: '127.0.0.1',
      MASTER_PORT: String(await freePort()),
      TORCHELASTIC_RUN_ID: 'job-7',
    };
    const command = commands.torchrun.replace(/^.*?(?=node_modules)/, '').replace(/--out \S+/, '');
    const processes = ['0', '1', '2'].map(
      (rank) => new Shell(command, { ...common, RANK: rank, LOCAL_RANK: rank }),
    );
    for (const one of processes) expect(await one.ended, one.output).toBe(0);
    await expectSameWeights('torchrun-job-7', 3);
    expect(processes.slice(1).map(({ output }) => output)).toEqual(['', '']);
  });

  it.skipIf(!isInstalled(torchrun))(
    `under torchrun has the weights of one process${unless(torchrun)}`,
    async () => {
      const run = new Shell(line('torchrun', 'torch').replace('torchrun', torchrun));
      expect(await run.ended, run.output).toBe(0);
      await expectSameWeights('torch', 2);
    },
  );
});
