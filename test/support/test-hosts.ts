/**
 * Hosts for tests: each has network, mount and process namespaces of its own, and a private folder in place of a given one. The first
 * host is the switch to which the others are connected. Needs the privileges of root.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { eventually } from './eventually.js';

const namespaces = ['-m', '-n', '-u', '--pid', '--fork', '--kill-child', '--mount-proc'];

const isPermitted =
  spawnSync('unshare', [...namespaces, 'ip', 'link', 'add', 'switch', 'type', 'bridge']).status === 0;

/** True where the kernel and the user's privileges allow such hosts. */
export const canHaveHosts = isPermitted;

export interface HostSetup {
  /** Folder in which this host sees an empty folder of its own; default: it sees what the test sees. */
  readonly hidden?: string | undefined;
  /** Name of the host; default: that of the machine. */
  readonly name?: string;
  /** File that the host sees as /etc/hosts. */
  readonly hostsFile?: string;
}

export class TestHost {
  readonly address: string;
  readonly #holder: ChildProcess;
  /** The first process in the namespaces. */
  readonly #pid: number;

  private constructor(address: string, holder: ChildProcess, pid: number) {
    this.address = address;
    this.#holder = holder;
    this.#pid = pid;
  }

  /** Starts host `number` of its network, without a link to the others. */
  static async start(number: number, { hidden, name, hostsFile }: HostSetup): Promise<TestHost> {
    const steps = [
      ...(hidden === undefined ? [] : [`mount -t tmpfs tmpfs ${hidden}`]),
      ...(hostsFile === undefined ? [] : [`mount --bind ${hostsFile} /etc/hosts`]),
      ...(name === undefined ? [] : [`hostname ${name}`]),
      'ip link set lo up',
      'echo up',
    ];
    // The host ends with this process, whose end closes the pipe. The shell reaps what daemons leave.
    const script = `exec 3<&0; ${steps.join(' && ')} && { cat <&3 & wait; }`;
    const holder = spawn('unshare', [...namespaces, 'sh', '-c', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    const children = `/proc/${holder.pid}/task/${holder.pid}/children`;
    const pid = await eventually('the first process of a host', async () =>
      Number(await readFile(children, 'utf8')),
    );
    return new TestHost(`10.77.0.${number}`, holder, pid);
  }

  /** The command that starts a process on this host. */
  get within(): string[] {
    return ['nsenter', '-t', String(this.#pid), '-m', '-n', '-u', '-p', '--'];
  }

  /** The command that starts a process in this folder on this host. */
  in(folder: string): string[] {
    return [...this.within.slice(0, -1), `--wd=${folder}`, '--'];
  }

  /** Runs a command on this host and returns its output. */
  run(...command: string[]): string {
    return output([...this.within, ...command]);
  }

  /** Configures the network. PIDs in the arguments are those that the test sees. */
  ip(...args: string[]): void {
    output(['nsenter', '-t', String(this.#pid), '-n', '--', 'ip', ...args]);
  }

  get pid(): number {
    return this.#pid;
  }

  /** Ends every process of the host at once. */
  async kill(): Promise<void> {
    if (this.#holder.exitCode !== null || this.#holder.signalCode !== null) return;
    const ended = once(this.#holder, 'exit');
    this.#holder.kill('SIGKILL');
    await ended;
  }
}

function output([program = '', ...args]: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** Starts hosts on one network. The caller kills them; they also end with this process. */
export async function startNetwork(setups: readonly HostSetup[]): Promise<TestHost[]> {
  const hosts: TestHost[] = [];
  for (const [i, setup] of setups.entries()) hosts.push(await TestHost.start(i + 1, setup));
  const [first, ...others] = hosts;
  first?.ip('link', 'add', 'switch', 'type', 'bridge');
  first?.ip('addr', 'add', `${first.address}/24`, 'dev', 'switch');
  first?.ip('link', 'set', 'switch', 'up');
  for (const [i, host] of others.entries()) {
    const port = `port${i}`;
    first?.ip('link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(host.pid));
    first?.ip('link', 'set', port, 'master', 'switch');
    first?.ip('link', 'set', port, 'up');
    host.ip('addr', 'add', `${host.address}/24`, 'dev', 'eth0');
    host.ip('link', 'set', 'eth0', 'up');
  }
  return hosts;
}
