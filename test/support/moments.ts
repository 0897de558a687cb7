/** A training that a test holds at a chosen moment of its life, in any role, while it sends signals. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readFaultRecord, releaseFaultRequest, requestFault } from '../../src/shared/faults/fault-request.js';
import { eventually } from './eventually.js';
import { Lockstep, descendants } from './lockstep.js';

/**
 * `start`: the signals are handled, and nothing is loaded. `load`, `step`, `evaluation`: the user's code is awaited, and never
 * answers. `save`: a checkpoint is written and not yet renamed. `end`: the run is over.
 */
export const moments = ['start', 'load', 'step', 'evaluation', 'save', 'end'] as const;
export type Moment = (typeof moments)[number];

export const roles = ['train', 'single process', 'coordinator', 'worker'] as const;
export type Role = (typeof roles)[number];

/** A definition whose functions never answer from the moment on at which `hold` appears; each then writes `held`. */
const definition = `import { existsSync, writeFileSync } from 'node:fs';
import { defineTraining, samples } from 'lockstep';
const at = (moment) => existsSync('hold-' + moment);
const hold = (moment) => {
  if (!at(moment)) return undefined;
  writeFileSync('held', moment);
  return new Promise(() => setInterval(() => undefined, 1000));
};
const get = (i) => ({ inputs: [[Math.sin(i), Math.cos(i * 2)]], targets: [i % 3] });
const generate = (moment) => async function* (indices) {
  await hold(moment);
  await new Promise((resolve) => setTimeout(resolve, 2));
  for (const i of indices) yield get(i);
};
export default defineTraining({
  data: samples({
    name: 'points', version: '1',
    inputs: [{ shape: [2], dtype: 'float32' }], targets: [{ shape: [], dtype: 'int32', classes: 3 }],
    train: { count: 16, generate: generate('step') }, test: { count: 4, generate: generate('evaluation') },
  }),
  batchSize: 8, epochs: Number(process.env.EPOCHS ?? 100000), checkpointEvery: '3steps', schedule: { kind: 'constant' },
  optimizer: { kind: 'adam', learningRate: 0.01 },
  model: async ({ tf }) => {
    await hold('load');
    return tf.sequential({ layers: [tf.layers.dense({ units: 3, inputShape: [2] })] });
  },
});
`;

const options = [
  '--config',
  'lockstep.config.js',
  '--engine',
  'wasm',
  '--threads',
  '1',
  '--shards',
  '2',
  '--out',
  'run',
];
const faults = ['--fault-requests', 'faults'];

export class HeldRun {
  /** The process that receives the signals. */
  readonly subject: Lockstep;
  /** The process that prints the run's events. */
  readonly leader: Lockstep;
  /** The worker of a coordinator that was started by hand. */
  readonly worker: Lockstep | undefined;
  readonly #folder: string;

  private constructor(folder: string, subject: Lockstep, leader: Lockstep, worker: Lockstep | undefined) {
    this.#folder = folder;
    this.subject = subject;
    this.leader = leader;
    this.worker = worker;
  }

  /** Starts the role's processes in an empty folder, and waits until the moment has come. */
  static async at(moment: Moment, role: Role, folder: string): Promise<HeldRun> {
    await writeFile(join(folder, 'lockstep.config.js'), definition);
    await mkdir(join(folder, 'faults'));
    if (moment === 'load') await writeFile(join(folder, 'hold-load'), '');
    const env = { EPOCHS: moment === 'end' ? '2' : '100000' };
    const start = (args: readonly string[]): Lockstep => new Lockstep(args, { cwd: folder, env });
    const run = HeldRun.#start(role, moment, folder, start);
    // At the end, the processes may be gone already.
    await (moment === 'end' ? run.#reach(moment) : Promise.race([run.#reach(moment), subjectEnded(run)]));
    return run;
  }

  static #start(
    role: Role,
    moment: Moment,
    folder: string,
    start: (args: readonly string[]) => Lockstep,
  ): HeldRun {
    if (role === 'train' || role === 'single process') {
      const form = role === 'train' ? ['--workers', '2'] : ['--single-process'];
      const run = start(['train', ...options, ...form, '--json', ...faults]);
      return new HeldRun(folder, run, run, undefined);
    }
    const address = `ipc://${join(folder, 'control')}`;
    const startWorker = (): Lockstep =>
      start(['worker', '--coordinator', address, '--device', 'cpu', ...faults]);
    const startCoordinator = (): Lockstep =>
      start(['coordinator', '--listen', address, ...options, '--workers', '1', '--json']);
    if (moment === 'start') {
      const only = role === 'worker' ? startWorker() : startCoordinator();
      return new HeldRun(folder, only, only, undefined);
    }
    const [coordinator, worker] = [startCoordinator(), startWorker()];
    return new HeldRun(folder, role === 'worker' ? worker : coordinator, coordinator, worker);
  }

  async #reach(moment: Moment): Promise<void> {
    const { subject, leader } = this;
    if (moment === 'start') await eventually('handled signals', () => handlesSignals(subject.pid));
    else if (moment === 'end') await leader.event('done');
    else if (moment === 'save') {
      requestFault(this.#faults, { id: 'save', kind: 'hold', point: 'checkpoint', step: 1 });
      await eventually('a save', () => readFaultRecord(this.#faults, 'save'));
    } else {
      if (moment !== 'load') {
        await leader.event('step', ({ step }) => step >= 2);
        await writeFile(join(this.#folder, `hold-${moment}`), '');
      }
      await eventually(`the moment ${moment}`, () => existsSync(join(this.#folder, 'held')));
    }
  }

  get #faults(): string {
    return join(this.#folder, 'faults');
  }

  /** Sends a signal to every process of the subject, as a terminal, Slurm or systemd does, and once more to the first one. */
  async storm(signal: NodeJS.Signals): Promise<void> {
    const { pid } = this.subject;
    for (const one of [...(await descendants(pid)), pid, pid]) {
      try {
        process.kill(one, signal);
      } catch {
        // This process has ended by itself.
      }
    }
  }

  /** Lets the save that is held go on. */
  release(): void {
    releaseFaultRequest(this.#faults, 'save');
  }
}

/** Rejects when a process ends before its moment has come. */
async function subjectEnded({ subject, leader }: HeldRun): Promise<never> {
  const { status, stderr } = await Promise.race([subject.ended, leader.ended]);
  throw new Error(`ended early with status ${status ?? 'none'}: ${stderr}`);
}

/** Returns true once the process handles SIGHUP; Node alone does not. */
async function handlesSignals(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const caught = Number.parseInt(/^SigCgt:.*([\da-f])$/m.exec(status)?.[1] ?? '0', 16);
  return (caught & 1) === 1;
}
