/**
 * Hosts for tests: each has network, mount and process namespaces of its own, and a private folder in place of a given one. The first
 * host is the switch to which the others are connected. Needs the privileges of root.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { afterEach } from 'vitest';
import { eventually } from './eventually.js';

const namespaces = ['-m', '-n', '--pid', '--fork', '--kill-child', '--mount-proc'];

const isPermitted =
  spawnSync('unshare', [...namespaces, 'ip', 'link', 'add', 'switch', 'type', 'bridge']).status === 0;

/** True where the kernel and the user's privileges allow such hosts. */
export const canHaveHosts = isPermitted;

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

  /** @param hidden folder in which this host sees an empty folder of its own; undefined: it sees what the test sees */
  static async start(number: number, hidden: string | undefined): Promise<TestHost> {
    const mount = hidden === undefined ? '' : `mount -t tmpfs tmpfs ${hidden} && `;
    const script = `${mount}ip link set lo up && echo up && exec sleep 3600`;
    const holder = spawn('unshare', [...namespaces, 'sh', '-c', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    started.push(holder);
    await once(holder.stdout, 'data');
    const children = `/proc/${holder.pid}/task/${holder.pid}/children`;
    const pid = await eventually('the first process of a host', async () =>
      Number(await readFile(children, 'utf8')),
    );
    return new TestHost(`10.77.0.${number}`, holder, pid);
  }

  /** The command that starts a process on this host. */
  get within(): string[] {
    return ['nsenter', '-t', String(this.#pid), '-m', '-n', '-p', '--'];
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

const started: ChildProcess[] = [];

afterEach(() => {
  for (const holder of started.splice(0)) holder.kill('SIGKILL');
});

/**
 * Starts `count` hosts on one network. The first one sees `folder`; each other one has an empty folder in its place.
 */
export async function startHosts(count: number, folder: string): Promise<TestHost[]> {
  const hosts: TestHost[] = [];
  for (let number = 1; number <= count; number++)
    hosts.push(await TestHost.start(number, number === 1 ? undefined : folder));
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
