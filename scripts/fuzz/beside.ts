/**
 * A real training on loopback TCP without keys, and strangers beside it: they give its coordinator and its workers hostile messages
 * and frames over ZeroMQ, junk over plain TCP, and connections that never say a word.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { Dealer, Push } from 'zeromq';
import { holdings } from '../../src/chaos/processes.js';
import { runTagOf } from '../../src/shared/collectives/generation-identity.js';
import { setStepDelay } from '../../src/shared/faults/fault-request.js';
import { collectVariable } from '../../src/shared/memory/garbage-collection.js';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { median } from '../../src/shared/arithmetic/quantile.js';
import { exchanges, messageBytes, workerMessages } from './corpus.js';
import { hostile, mend, noise, type Random } from './mutate.js';

const main = 'dist/cli/main.js';
const config = 'examples/small/lockstep.config.ts';
const paceMs = 10;
/** So many at each door, each with connections of its own. */
const strangers = 4;
/** After so many messages a stranger comes back as another. */
const messagesAConnection = 5_000;
const plainConnections = 1_000;
/** V8's heap and malloc's arenas breathe; more than both is growth. */
const allowedMb = 32;
const allowedPart = 0.1;

export interface Attacked {
  readonly weightsSha256: string;
  readonly status: number | null;
  readonly frames: { readonly control: number; readonly data: number; readonly plainConnections: number };
  readonly generations: number;
  readonly warnings: readonly string[];
  /** Medians of the four quarters of the attack. */
  readonly memory: readonly { role: string; megabytes: readonly number[]; grew: boolean }[];
  /** The strangers were still at it when the training ended. */
  readonly tooShort: boolean;
}

const training = (steps: number): string[] => [
  '--config',
  config,
  '--workers',
  '2',
  '--threads',
  '1',
  '--max-steps',
  String(steps),
  '--epochs',
  '1000000',
  '--evaluate',
  'none',
  '--shared-memory',
  'off',
  '--json',
];

class Program {
  readonly #process: ChildProcess;
  readonly events: RunEvent[] = [];
  readonly ended: Promise<number | null>;

  constructor(args: readonly string[]) {
    this.#process = spawn(process.execPath, [main, ...args], {
      stdio: ['ignore', 'pipe', 'ignore'],
      // What only waits to be collected is held by nobody.
      env: { ...process.env, [collectVariable]: '2000' },
    });
    if (this.#process.stdout)
      createInterface({ input: this.#process.stdout }).on('line', (line) => {
        if (line.startsWith('{')) this.events.push(JSON.parse(line) as RunEvent);
      });
    this.ended = new Promise((resolve) => this.#process.once('close', resolve));
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get over(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  async until<Name extends RunEvent['event']>(name: Name): Promise<void> {
    while (!this.over && !this.events.some(({ event }) => event === name)) await pause(20);
    if (this.over) throw new Error(`the program ended with ${String(await this.ended)} before "${name}"`);
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }
}

/** What the same training comes to when nobody disturbs it. */
export async function undisturbed(steps: number, folder: string): Promise<string> {
  const calm = new Program(['train', ...training(steps), '--out', join(folder, 'calm')]);
  await calm.ended;
  return weightsOf(calm.events);
}

const weightsOf = (events: readonly RunEvent[]): string =>
  events.findLast((event) => event.event === 'done')?.weightsSha256 ?? '';

/** Linux's own list of the ZeroMQ endpoints at which a process listens: TCP on loopback, and ipc. */
function listeningEndpoints(pid: number): string[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    }),
  );
  const rows = (table: string): string[][] =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/));
  const tcp = rows('tcp').flatMap(([, local = '', , state, , , , , , inode = '']) =>
    state === '0A' && inodes.has(inode)
      ? `tcp://127.0.0.1:${Number.parseInt(local.split(':')[1] ?? '', 16)}`
      : [],
  );
  // The flag of a socket that accepts connections.
  const ipc = rows('unix').flatMap(([, , , flags, , , inode = '', path]) =>
    flags === '00010000' && path !== undefined && inodes.has(inode) ? `ipc://${path}` : [],
  );
  return [...tcp, ...ipc];
}

interface Door {
  /** What a stranger sends there next. */
  readonly next: (random: Random) => Buffer;
  readonly open: () => { send(bytes: Buffer): Promise<void>; close(): void };
}

/** One stranger at one door until there is nothing left to send. */
async function knock(
  door: Door,
  random: Random,
  left: { count: number },
  over: () => boolean,
): Promise<number> {
  let sent = 0;
  while (left.count > 0 && !over()) {
    const socket = door.open();
    for (let i = 0; i < messagesAConnection && left.count > 0 && !over(); i++) {
      left.count--;
      // A door that shuts this stranger out never takes the message.
      const taken = await Promise.race([
        socket.send(door.next(random)).then(() => true),
        pause(2_000, false),
      ]).catch(() => false);
      if (!taken) break;
      sent++;
    }
    socket.close();
  }
  return sent;
}

function zmqDoor(endpoint: string, kind: 'control' | 'data', next: Door['next']): Door {
  return {
    next,
    open: () => {
      const socket =
        kind === 'control' ? new Dealer({ linger: 0, receiveHighWaterMark: 10 }) : new Push({ linger: 0 });
      socket.connect(endpoint);
      return socket;
    },
  };
}

/** A thousand connections at once: a third silent, a third that begin ZeroMQ's greeting and stop, a third that send junk. */
function plainFlood(port: number, random: Random): { close: () => void; opened: () => number } {
  let opened = 0;
  const sockets = Array.from({ length: plainConnections }, (_, i): Socket => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.on('connect', () => {
      opened++;
      if (i % 3 === 1) socket.write(Buffer.from('ff00000000000000017f03', 'hex'));
      if (i % 3 === 2) socket.write(noise(random, 2_000));
    });
    return socket;
  });
  return { close: () => sockets.forEach((socket) => socket.destroy()), opened: () => opened };
}

/** @param steps long enough that the training outlasts the strangers */
export async function attackTraining(
  { frames, steps, folder, port }: { frames: number; steps: number; folder: string; port: number },
  random: Random,
  progress: (sent: number) => void,
): Promise<Attacked> {
  const listen = `tcp://127.0.0.1:${port}`;
  const requests = join(folder, 'fault-requests');
  setStepDelay(requests, paceMs);
  const coordinator = new Program([
    'coordinator',
    '--listen',
    listen,
    '--out',
    join(folder, 'attacked'),
    ...training(steps),
  ]);
  const workers: Program[] = [];
  try {
    await coordinator.until('run');
    for (let i = 0; i < 2; i++)
      workers.push(
        new Program(['worker', '--coordinator', listen, '--device', 'cpu', '--fault-requests', requests]),
      );
    await coordinator.until('step');
    const runId = coordinator.events.find((event) => event.event === 'run')?.runId ?? '';
    const real = exchanges(runTagOf(runId)).frames;
    const words = messageBytes(workerMessages);
    const control = zmqDoor(listen, 'control', (draw) => hostile(words, draw));
    const data = workers
      .flatMap(({ pid }) => listeningEndpoints(pid))
      .map((endpoint) =>
        zmqDoor(endpoint, 'data', (draw) => {
          const frame = hostile(real, draw);
          return draw(2) === 0 ? mend(frame) : frame;
        }),
      );
    if (data.length === 0) throw new Error('no worker listens anywhere');
    const before = sampler({ coordinator, 'worker 0': workers[0], 'worker 1': workers[1] });
    const over = (): boolean => coordinator.over;
    const left = { control: { count: Math.ceil(frames / 2) }, data: { count: Math.floor(frames / 2) } };
    const timer = setInterval(() => {
      before.sample();
      progress(frames - left.control.count - left.data.count);
    }, 1_000);
    const flood = plainFlood(port, random);
    const sent = await Promise.all([
      all(strangers, () => knock(control, random, left.control, over)),
      all(strangers, (i) => knock(data[i % data.length] ?? control, random, left.data, over)),
    ]);
    const tooShort = over();
    const connections = flood.opened();
    flood.close();
    clearInterval(timer);
    const status = await coordinator.ended;
    await Promise.all(workers.map(({ ended }) => ended));
    const { events } = coordinator;
    return {
      status,
      tooShort,
      weightsSha256: weightsOf(events),
      memory: before.growth(),
      frames: { control: sent[0], data: sent[1], plainConnections: connections },
      generations: events.filter(({ event }) => event === 'generation').length,
      warnings: events.flatMap((event) => (event.event === 'warning' ? [event.message] : [])),
    };
  } finally {
    for (const program of [coordinator, ...workers]) if (!program.over) program.kill();
  }
}

async function all(count: number, each: (i: number) => Promise<number>): Promise<number> {
  const sums = await Promise.all(Array.from({ length: count }, (_, i) => each(i)));
  return sums.reduce((total, sum) => total + sum, 0);
}

function sampler(programs: Readonly<Record<string, Program | undefined>>) {
  const samples = new Map(Object.keys(programs).map((role) => [role, [] as number[]]));
  return {
    sample: (): void => {
      for (const [role, program] of Object.entries(programs)) {
        const held = program && holdings(program.pid);
        if (held) samples.get(role)?.push(held.residentMb);
      }
    },
    growth: (): Attacked['memory'] =>
      [...samples].map(([role, sampled]) => {
        const part = Math.ceil(sampled.length / 4);
        const megabytes = [0, 1, 2, 3].map((i) => median(sampled.slice(i * part, (i + 1) * part)));
        // The first quarter is what the first strangers make it take; a leak grows as much in each of the others.
        const [, second = 0, third = 0, last = 0] = megabytes;
        const bound = Math.max(allowedMb, second * allowedPart);
        return { role, megabytes, grew: last - second > bound && last - third > bound / 4 };
      }),
  };
}
