/**
 * A real Slurm cluster for tests: a controller and nodes, each on a host of its own (test-hosts.ts), with an own munge. It needs the
 * privileges of root and Slurm's programs, uses no port of the machine, and ends with the process of the test.
 */
import { execFile, spawnSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from './eventually.js';
import { canHaveHosts, startNetwork, type TestHost } from './test-hosts.js';

const programs = ['slurmctld', 'slurmd', 'srun', 'sbatch', 'scontrol', 'munged', 'runuser'];

/** The reason why there can be no cluster here; undefined if there can be one. */
export function missingForSlurm(): string | undefined {
  if (!canHaveHosts) return 'needs the privileges of root for namespaces';
  const missing = programs.filter((name) => spawnSync('which', [name]).status !== 0);
  return missing.length === 0 ? undefined : `needs ${missing.join(', ')}`;
}

export interface Output {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const nodesPerPartition = 3;
/** Slurm assigns them to jobs; no driver answers. */
const gpusPerNode = 4;

export class SlurmCluster {
  /** Seen by all nodes; contains the cluster's own files as well. */
  readonly folder: string;
  readonly #hosts: readonly TestHost[];

  private constructor(folder: string, hosts: readonly TestHost[]) {
    this.folder = folder;
    this.#hosts = hosts;
  }

  /**
   * Starts three nodes per partition: `n1` to `n3`, `n4` to `n6` and so on. The jobs of the further partition `urgent` take the nodes of
   * the others.
   */
  static async start(partitions: readonly string[]): Promise<SlurmCluster> {
    const nodes = nodesPerPartition * partitions.length;
    const folder = await mkdtemp(join(tmpdir(), 'lockstep-slurm-'));
    // Munge runs as a user of its own.
    await chmod(folder, 0o755);
    const names = ['login', ...Array.from({ length: nodes }, (_, i) => `n${i + 1}`)];
    const hostsFile = join(folder, 'hosts');
    const lines = names.map((name, i) => `10.77.0.${i + 1} ${name}\n`);
    await writeFile(hostsFile, `127.0.0.1 localhost\n${lines.join('')}`);
    const hosts = await startNetwork(names.map((name) => ({ name, hostsFile })));
    const cluster = new SlurmCluster(folder, hosts);
    try {
      await cluster.#startMunge();
      await cluster.#startSlurm(names.slice(1), partitions);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** Ends every process of the cluster at once. */
  async stop(): Promise<void> {
    await Promise.all(this.#hosts.map((host) => host.kill()));
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Runs a program on the login host; also resolves if it fails. */
  async try(line: readonly string[], options: CommandOptions = {}): Promise<Output> {
    const [program = '', ...args] = [...this.login.in(options.cwd ?? this.folder), ...line];
    const env = {
      ...process.env,
      NO_COLOR: '1',
      SLURM_CONF: join(this.folder, 'slurm.conf'),
      ...options.env,
    };
    try {
      const { stdout, stderr } = await promisify(execFile)(program, args, { env });
      return { status: 0, stdout, stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: unknown; stdout: string; stderr: string };
      if (typeof code !== 'number') throw error;
      return { status: code, stdout, stderr };
    }
  }

  /** Runs a program on the login host and returns its stdout. @throws Error if it fails */
  async run(line: readonly string[], options: CommandOptions = {}): Promise<string> {
    const { status, stdout, stderr } = await this.try(line, options);
    if (status !== 0) throw new Error(`${line.join(' ')}: status ${status}: ${stderr}`);
    return stdout;
  }

  get login(): TestHost {
    return this.#hosts[0]!;
  }

  /** @param number of a node, from 1 */
  node(number: number): TestHost {
    const host = this.#hosts[number];
    if (number < 1 || host === undefined) throw new Error(`There is no node ${number}.`);
    return host;
  }

  /** Lets all nodes resolve a further name of a node. */
  addName(name: string, number: number): void {
    appendFileSync(join(this.folder, 'hosts'), `10.77.0.${number + 1} ${name}\n`);
  }

  /** Ends a node as a failure of its power does: no connection is closed, and its link is dead. Slurm notices it, or is told. */
  async lose(number: number): Promise<void> {
    this.cutOff(number);
    await this.node(number).kill();
  }

  /** Cuts the network of a node, whose processes live on and see the shared folder. */
  cutOff(number: number): void {
    this.login.ip('link', 'set', `port${number - 1}`, 'down');
  }

  /** Informs Slurm of a lost node. */
  async declareLost(number: number): Promise<void> {
    await this.run(['scontrol', 'update', `NodeName=n${number}`, 'State=DOWN', 'Reason=lost']);
  }

  /** Returns the log of a node's daemon, which also states the status of each task. */
  log(number: number): Promise<string> {
    return readFile(join(this.folder, 'log', `slurmd-n${number}.log`), 'utf8');
  }

  async #startMunge(): Promise<void> {
    const munge = join(this.folder, 'munge');
    await mkdir(munge);
    await writeFile(join(munge, 'key'), randomBytes(128), { mode: 0o400 });
    await this.run(['chown', '-R', 'munge:', munge]);
    const files = { 'key-file': 'key', 'pid-file': 'pid', 'log-file': 'log', 'seed-file': 'seed' };
    const options = Object.entries(files).map(([option, name]) => `--${option}=${join(munge, name)}`);
    const socket = `--socket=${join(munge, 'socket')}`;
    // Without --force, munge refuses a folder below one that everybody can write to.
    await this.run(['runuser', '-u', 'munge', '--', 'munged', '--force', socket, ...options]);
  }

  async #startSlurm(nodes: readonly string[], partitions: readonly string[]): Promise<void> {
    for (const name of ['state', 'log', 'spool']) await mkdir(join(this.folder, name));
    await writeFile(join(this.folder, 'slurm.conf'), configuration(this.folder, nodes.length, partitions));
    // Slurm accepts device files only.
    for (let gpu = 0; gpu < gpusPerNode; gpu++) await symlink('/dev/null', join(this.folder, `gpu${gpu}`));
    await writeFile(
      join(this.folder, 'gres.conf'),
      `Name=gpu File=${this.folder}/gpu[0-${gpusPerNode - 1}]\n`,
    );
    const daemon = (command: string): string[] => ['sh', '-c', `${command} >/dev/null 2>&1`];
    await this.run(daemon('slurmctld'));
    const env = { ...process.env, SLURM_CONF: join(this.folder, 'slurm.conf') };
    for (const [i] of nodes.entries()) {
      const [program = '', ...args] = [...this.node(i + 1).within, ...daemon('slurmd')];
      await promisify(execFile)(program, args, { env });
    }
    await eventually('idle nodes', async () => {
      const { stdout } = await this.try(['sinfo', '-h', '-t', 'idle', '-o', '%D']);
      return Number(stdout) === nodes.length;
    });
  }
}

/** The nodes have more CPUs than the machine, so that several jobs run at once. */
const configuration = (
  folder: string,
  nodes: number,
  partitions: readonly string[],
): string => `ClusterName=lockstep
SlurmctldHost=login(10.77.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=${folder}/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool/%n
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd-%n.pid
SlurmctldLogFile=${folder}/log/slurmctld.log
SlurmdLogFile=${folder}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
GresTypes=gpu
AccountingStorageType=accounting_storage/none
ReturnToService=2
JobRequeue=1
MinJobAge=3600
SchedulerParameters=sched_interval=2,bf_interval=2
SlurmctldDebug=info
SlurmdDebug=verbose
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=n[1-${nodes}] NodeAddr=10.77.0.[2-${nodes + 1}] CPUs=16 RealMemory=1000 Gres=gpu:${gpusPerNode} State=UNKNOWN
${partitions.map(partition).join('\n')}
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
`;

function partition(name: string, index: number): string {
  const first = nodesPerPartition * index + 1;
  const nodes = `n[${first}-${first + nodesPerPartition - 1}]`;
  const isDefault = index === 0 ? 'YES' : 'NO';
  return `PartitionName=${name} Nodes=${nodes} Default=${isDefault} MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=20`;
}
