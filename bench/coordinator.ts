/**
 * Measures the coordinator with many workers: `npm run bench:coordinator -- [workers,workers,...] [seconds] [steps per second]`.
 *
 * The coordinator is the real command in a process of its own, with CURVE keys. The workers are simulated in two more processes over real
 * sockets (simulated-workers.ts). CPU time is that of all threads of the coordinator's process, from /proc, and includes the garbage
 * collections of heap-probe.mjs. More than 1024 workers, which the command refuses, need lift-worker-limit.mjs.
 */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { createReadStream, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { newKeyPair } from '../src/shared/transport/zmq/new-key-pair.js';
import { writeKeyPair } from '../src/cli/security/write-keys.js';
import { makeTemporaryFolder } from '../src/shared/files/temporary-folder.js';
import { freePort } from '../test/support/free-port.js';
import { coresOf, measuredCost, messagesPerSecond } from './coordinator-model.js';
import { machineLine, main } from './measure.js';
import { fit } from './step-model.js';
import type { Simulation, SimulationCounts } from './simulation.js';

const [sizes = '16,64,256,1024', seconds = '60', rate = '2'] = process.argv.slice(2);
const processes = 2;
const heartbeatMs = 250;
const settleSeconds = 15;
/** Other programs may slow the start down; what is measured is CPU time. */
const startLimitMs = 600_000;
const peerTimeoutMs = startLimitMs;
/** Number of equal parts of the measurement; the memory is stated at the end of each. */
const parts = 10;
const program = fileURLToPath(new URL('./simulated-workers.ts', import.meta.url));
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Usage {
  readonly cpuMs: number;
  readonly memoryMb: number;
}

/** Clock ticks of /proc are 10 ms. */
function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const cpuMs = (Number(fields[11]) + Number(fields[12])) * 10;
  const [, kilobytes = '0'] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return { cpuMs, memoryMb: Number(kilobytes) / 1024 };
}

/** Memory of the coordinator after a garbage collection. */
interface HeapSample {
  readonly timeMs: number;
  readonly heapUsed: number;
  readonly external: number;
  readonly rss: number;
}

const hook = (name: string, query: string): string[] => {
  const url = pathToFileURL(join(import.meta.dirname, name));
  url.search = query;
  return ['--import', url.href];
};

/** Number of steps and of warnings in the events of a run. */
async function eventsOf(folder: string): Promise<{ steps: number; others: readonly string[] }> {
  let steps = 0;
  const others: string[] = [];
  for await (const line of createInterface({ input: createReadStream(join(folder, 'events.ndjson')) })) {
    if (line.startsWith('{"event":"step"')) steps++;
    else if (/"event":"(warning|error|generation)"/.test(line)) others.push(line);
  }
  return { steps, others };
}

class Workers {
  readonly #children: readonly ChildProcess[];
  readonly #counts: SimulationCounts[];
  #failed: string | undefined;

  constructor(total: number, shared: Omit<Simulation, 'first' | 'workers'>) {
    const each = Math.ceil(total / processes);
    const parts = Array.from({ length: processes }, (_, i) => ({
      first: i * each,
      workers: Math.min(each, total - i * each),
    }));
    this.#counts = parts.map(() => ({
      sent: 0,
      sentBytes: 0,
      received: 0,
      receivedBytes: 0,
      running: 0,
      committed: 0,
    }));
    this.#children = parts.map((part, i) => {
      const child = fork(program, [JSON.stringify({ ...shared, ...part })], {
        execPath: process.execPath,
        execArgv: ['--import', 'jiti/register'],
      });
      child.on('message', (counts) => (this.#counts[i] = counts as SimulationCounts));
      child.once(
        'exit',
        (status) => (this.#failed ??= `simulated workers ended with status ${status ?? 'none'}`),
      );
      return child;
    });
  }

  sum(field: keyof SimulationCounts): number {
    if (this.#failed !== undefined) throw new Error(this.#failed);
    return this.#counts.reduce((sum, counts) => sum + counts[field], 0);
  }

  begin(): void {
    const atMs = Date.now() + 500;
    for (const child of this.#children) child.send({ atMs });
  }

  end(): void {
    this.#failed = 'ended';
    for (const child of this.#children) child.kill('SIGKILL');
  }
}

interface Measured {
  readonly startSeconds: number;
  readonly startCpuMs: number;
  readonly startPeakMb: number;
  readonly steps: number;
  readonly seconds: number;
  readonly cores: number;
  readonly messages: number;
  readonly bytes: number;
  readonly memoryMb: readonly number[];
  /** Heap and buffers outside of it, after a garbage collection. */
  readonly heapMb: readonly number[];
}

async function measure(workers: number): Promise<Measured> {
  const folder = makeTemporaryFolder('lockstep-bench-');
  const keys = join(folder, 'keys');
  writeKeyPair(keys, 'coordinator', newKeyPair(), false);
  writeKeyPair(keys, 'worker', newKeyPair(), true);
  const endpoint = `tcp://127.0.0.1:${await freePort()}`;
  const run = join(folder, 'run');
  const options = ['--workers', workers, '--shards', workers, '--batch-size', workers, '--threads', 1];
  const limits = ['--epochs', 10_000, '--heartbeat-ms', heartbeatMs, '--peer-timeout-ms', peerTimeoutMs];
  const patience = ['--join-timeout-ms', startLimitMs, '--log-level', 'warn'];
  const own = ['coordinator', '--listen', endpoint, '--keys', keys, '--out', run];
  const heapFile = join(folder, 'heap.ndjson');
  const everyMs = (Number(seconds) * 1000) / parts;
  const probe = hook('heap-probe.mjs', `file=${encodeURIComponent(heapFile)}&everyMs=${everyMs}`);
  const lift = workers > 1024 ? hook('lift-worker-limit.mjs', `workers=${workers}`) : [];
  const node = ['--expose-gc', ...probe, ...lift];
  const args = [...node, main, ...own, ...options, ...limits, ...patience].map(String);
  const coordinator = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const pid = coordinator.pid ?? 0;
  await pause(2_000);
  const before = usageOf(pid);
  const startedMs = performance.now();
  const simulated = new Workers(workers, { endpoint, keys, heartbeatMs, stepMs: 1000 / Number(rate) });
  try {
    let startPeakMb = 0;
    while (simulated.sum('running') < workers) {
      if (performance.now() - startedMs > startLimitMs)
        throw new Error(`expected ${workers} running workers, got ${simulated.sum('running')}`);
      startPeakMb = Math.max(startPeakMb, usageOf(pid).memoryMb);
      await pause(50);
    }
    const startSeconds = (performance.now() - startedMs) / 1000;
    const startCpuMs = usageOf(pid).cpuMs - before.cpuMs;
    simulated.begin();
    await pause(settleSeconds * 1000);
    const steady = await observe(pid, simulated, run, heapFile);
    return { startSeconds, startCpuMs, startPeakMb, ...steady };
  } finally {
    simulated.end();
    coordinator.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

type Steady = Omit<Measured, 'startSeconds' | 'startCpuMs' | 'startPeakMb'>;

async function observe(pid: number, simulated: Workers, run: string, heapFile: string): Promise<Steady> {
  const messages = (): number => simulated.sum('sent') + simulated.sum('received');
  const bytes = (): number => simulated.sum('sentBytes') + simulated.sum('receivedBytes');
  const first = { ...usageOf(pid), atMs: performance.now(), messages: messages(), bytes: bytes() };
  const firstMs = Date.now();
  const stepsBefore = (await eventsOf(run)).steps;
  const memoryMb: number[] = [];
  for (let part = 0; part < parts; part++) {
    const samples: number[] = [];
    const endMs = first.atMs + ((part + 1) * Number(seconds) * 1000) / parts;
    while (performance.now() < endMs) {
      samples.push(usageOf(pid).memoryMb);
      await pause(250);
    }
    memoryMb.push(samples.reduce((sum, sample) => sum + sample, 0) / samples.length);
  }
  const last = { ...usageOf(pid), atMs: performance.now(), messages: messages(), bytes: bytes() };
  const { steps: stepsAfter, others } = await eventsOf(run);
  for (const line of others) console.error(line.slice(0, 300));
  const steps = stepsAfter - stepsBefore;
  return {
    steps,
    seconds: (last.atMs - first.atMs) / 1000,
    cores: (last.cpuMs - first.cpuMs) / (last.atMs - first.atMs),
    messages: last.messages - first.messages,
    bytes: last.bytes - first.bytes,
    memoryMb,
    heapMb: readFileSync(heapFile, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as HeapSample)
      .filter(({ timeMs }) => timeMs >= firstMs)
      .map(({ heapUsed, external }) => (heapUsed + external) / 2 ** 20),
  };
}

console.log(
  `${machineLine()}; ${seconds} s at ${rate} steps per second, heartbeats every ${heartbeatMs} ms, CURVE`,
);
const megabytes = (values: readonly number[], digits: number): string =>
  `${values.map((mb) => mb.toFixed(digits)).join(', ')} MB`;

const costs: [messages: number, cores: number][] = [];
for (const workers of sizes.split(',').map(Number)) {
  const { steps, cores, messages, bytes, seconds: elapsed, ...rest } = await measure(workers);
  const { memoryMb, heapMb, startSeconds, startCpuMs, startPeakMb } = rest;
  const stepsPerSecond = steps / elapsed;
  const expected = messagesPerSecond({ workers, heartbeatMs, stepsPerSecond });
  console.log(
    `${workers} workers: start ${startSeconds.toFixed(1)} s, ${(startCpuMs / 1000).toFixed(2)} s of CPU, ` +
      `peak ${startPeakMb.toFixed(0)} MB; ${steps} steps, ${stepsPerSecond.toFixed(2)} per second; ` +
      `${(messages / elapsed).toFixed(0)} messages per second (model ${expected.toFixed(0)}), ` +
      `${cores.toFixed(3)} cores (model ${coresOf(messages / elapsed, measuredCost).toFixed(3)}); ` +
      `per step ${((cores * 1000) / stepsPerSecond).toFixed(1)} ms of CPU, ${(messages / steps).toFixed(0)} messages, ` +
      `${(bytes / steps / 1000).toFixed(0)} kB; resident memory by tenth ${megabytes(memoryMb, 0)}; ` +
      `heap after collections ${megabytes(heapMb, 1)}`,
  );
  costs.push([messages / elapsed, cores]);
}
if (costs.length > 1) {
  const { intercept, slope } = fit(costs);
  console.log(`Fit: ${intercept.toFixed(3)} cores and ${(slope * 1e6).toFixed(1)} microseconds per message.`);
}
