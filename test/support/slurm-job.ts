/** Batch jobs on a Slurm cluster. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expandNodeList } from '../../src/launcher/platforms/node-list.js';
import type { RunEvent, TimedEvent } from '../../src/shared/runs/run-events.js';
import { eventually } from './eventually.js';
import type { SlurmCluster } from './slurm-cluster.js';

export type EventOf<Name extends RunEvent['event']> = Extract<TimedEvent, { event: Name }>;

export const eventsOf = <Name extends RunEvent['event']>(
  events: readonly TimedEvent[],
  name: Name,
): EventOf<Name>[] => events.filter((event): event is EventOf<Name> => event.event === name);

export interface JobOptions {
  /** Options of `sbatch`. */
  readonly options?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Time between two questions to Slurm's controller. */
const pollMs = 200;
const looksPerQuestion = 50;

const endStates = ['COMPLETED', 'FAILED', 'CANCELLED', 'TIMEOUT', 'NODE_FAIL'];

export class SlurmJob {
  readonly id: string;
  readonly #cluster: SlurmCluster;
  readonly #project: string;

  constructor(cluster: SlurmCluster, project: string, id: string) {
    this.#cluster = cluster;
    this.#project = project;
    this.id = id;
  }

  /** Submits a batch script from the folder of the project. */
  static async submit(
    cluster: SlurmCluster,
    project: string,
    script: string,
    { options = [], env = {} }: JobOptions = {},
  ): Promise<SlurmJob> {
    const file = join(project, `${scripts++}.sh`);
    await writeFile(file, script);
    const printed = await cluster.run(['sbatch', '--parsable', ...options, file], { cwd: project, env });
    return new SlurmJob(cluster, project, printed.trim());
  }

  /** The folder of the run. */
  get out(): string {
    return join(this.#project, 'runs', `slurm-${this.id}`);
  }

  /** The lines that the script and its tasks have printed, in all starts of the job. */
  async output(): Promise<string> {
    return readFile(join(this.#project, `slurm-${this.id}.out`), 'utf8').catch(() => '');
  }

  /** The events of the run, in all starts of the job. */
  async events(): Promise<TimedEvent[]> {
    const text = await readFile(join(this.out, 'events.ndjson'), 'utf8').catch(() => '');
    return text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as TimedEvent]));
  }

  /** Resolves with the first event after the first `skipped` ones that fits. */
  async event<Name extends RunEvent['event']>(
    name: Name,
    fits: (event: EventOf<Name>) => boolean = () => true,
    skipped = 0,
  ): Promise<EventOf<Name>> {
    let looks = 0;
    return eventually(`the event ${name} of job ${this.id}`, async () => {
      const isOver =
        looks++ % looksPerQuestion === 0 && endStates.includes((await this.details())['JobState'] ?? '');
      const found = eventsOf((await this.events()).slice(skipped), name).find(fits);
      if (isOver && !found) throw new Error(`Job ${this.id} ended without ${name}: ${await this.output()}`);
      return found;
    });
  }

  /** Waits for `count` more steps. */
  async trains(count: number): Promise<void> {
    const before = eventsOf(await this.events(), 'step').at(-1)?.step ?? 0;
    await this.event('step', ({ step }) => step >= before + count);
  }

  /** Resolves with the first step of a generation with this number of workers. */
  async trainsWith(workers: number): Promise<EventOf<'step'>> {
    const { timeMs } = await this.event('generation', (event) => event.workers.length === workers);
    return this.event('step', (event) => event.timeMs > timeMs);
  }

  /** Returns what Slurm states about the job. */
  async details(): Promise<Readonly<Record<string, string>>> {
    const printed = await this.#cluster.run(['scontrol', 'show', 'job', '-o', this.id]);
    return Object.fromEntries(
      [...printed.matchAll(/(\w+)=(\S*)/g)].map(([, name = '', value]) => [name, value!]),
    );
  }

  /** Changes fields of the job while it is pending, in this order. */
  async update(...fields: readonly string[]): Promise<void> {
    for (const field of fields) await this.#cluster.run(['scontrol', 'update', `JobId=${this.id}`, field]);
  }

  async state(...states: readonly string[]): Promise<Readonly<Record<string, string>>> {
    return eventually(
      `job ${this.id} in ${states.join(' or ')}`,
      async () => {
        const details = await this.details();
        return states.includes(details['JobState'] ?? '') && details;
      },
      pollMs,
    );
  }

  /** Resolves with Slurm's description of the job when it has ended for good. */
  ended(): Promise<Readonly<Record<string, string>>> {
    return this.state(...endStates);
  }

  /** Signals every process of the tasks. */
  async signal(signal: string): Promise<void> {
    await this.#cluster.run(['scancel', `--signal=${signal}`, this.id]);
  }

  /** The statuses with which tasks have failed, as `srun` prints them. */
  async statuses(): Promise<number[]> {
    const printed = (await this.output()).matchAll(
      /srun: error: \S+: tasks? ([\d,-]+): Exited with exit code (\d+)/g,
    );
    return [...printed].flatMap(([, tasks, code]) => expandNodeList(`[${tasks}]`).map(() => Number(code)));
  }

  async weights(): Promise<string> {
    return eventsOf(await this.events(), 'done').at(-1)?.weightsSha256 ?? `no end: ${await this.output()}`;
  }
}

let scripts = 1;
