/**
 * Attacks a real training on loopback TCP without keys: unknown peers send hostile messages and frames to its coordinator and workers
 * over ZeroMQ, and flood it with plain TCP connections.
 */

import { join } from 'node:path';
import { setStepDelay } from '../../src/shared/faults/fault-request.js';
import { runTagOf } from '../../src/shared/collectives/generation-identity.js';
import { messageBytes, simulateCollectives, workerMessages } from './corpus.js';
import { attackedSocket, floodWithConnections, sendHostileMessages } from './hostile-peers.js';
import { listeningEndpoints } from './listening-endpoints.js';
import { LockstepProcess } from './lockstep-process.js';
import { MemorySamples, type MemoryGrowth } from './memory-samples.js';
import { hostile, repairChecksums, type Random } from './mutate.js';

const stepDelayMs = 10;
/** Number of concurrent peers per plane, each with its own connection. */
const peersPerPlane = 4;
const workerCount = 2;

export interface AttackResult {
  readonly weightsSha256: string;
  readonly status: number | null;
  readonly sent: { readonly control: number; readonly data: number; readonly plainConnections: number };
  readonly generations: number;
  readonly warnings: readonly string[];
  readonly memory: readonly MemoryGrowth[];
  /** True if the training ended before all messages were sent. */
  readonly endedEarly: boolean;
}

const definitionOptions = ['--config', 'examples/small/lockstep.config.ts'];

const trainingOptions = (steps: number): string[] =>
  (
    `${definitionOptions.join(' ')} --workers ${workerCount} --threads 1 --max-steps ${steps} ` +
    '--epochs 1000000 --evaluate none --shared-memory off --json'
  ).split(' ');

/** Runs the same training without an attack and returns the hash of its weights. */
export async function referenceWeights(steps: number, folder: string): Promise<string> {
  const run = new LockstepProcess(['train', ...trainingOptions(steps), '--out', join(folder, 'reference')]);
  await run.ended;
  return run.weightsSha256;
}

interface Attack {
  /** Number of messages and frames to send. */
  readonly frames: number;
  /** Number of training steps; the training must last longer than the attack. */
  readonly steps: number;
  readonly folder: string;
  readonly port: number;
}

/**
 * Starts a coordinator and two workers, attacks them, and waits until the training ends.
 * @throws Error if the training does not start
 */
export async function attackTraining(
  { frames, steps, folder, port }: Attack,
  random: Random,
  onProgress: (sent: number) => void,
): Promise<AttackResult> {
  const listen = `tcp://127.0.0.1:${port}`;
  const requests = join(folder, 'fault-requests');
  setStepDelay(requests, stepDelayMs);
  const out = join(folder, 'attacked');
  const coordinator = new LockstepProcess([
    'coordinator',
    '--listen',
    listen,
    '--out',
    out,
    ...trainingOptions(steps),
  ]);
  const workers: LockstepProcess[] = [];
  try {
    await coordinator.waitForEvent('run');
    const workerOptions = ['--coordinator', listen, '--device', 'cpu', '--fault-requests', requests];
    workerOptions.push(...definitionOptions);
    for (let i = 0; i < workerCount; i++) workers.push(new LockstepProcess(['worker', ...workerOptions]));
    await coordinator.waitForEvent('step');
    const pids = workers.map(({ pid }, rank) => [`worker ${rank}`, pid] as const);
    const memory = new MemorySamples(new Map([['coordinator', coordinator.pid], ...pids]));
    const targets = { listen, port, workers, runId: runIdOf(coordinator) };
    const attack = await sendAll(targets, frames, random, {
      hasEnded: () => coordinator.hasEnded,
      onProgress: (sent) => {
        memory.sample();
        onProgress(sent);
      },
    });
    const status = await coordinator.ended;
    await Promise.all(workers.map(({ ended }) => ended));
    const { events, weightsSha256 } = coordinator;
    return {
      status,
      weightsSha256,
      sent: attack.sent,
      endedEarly: attack.endedEarly,
      memory: memory.growth(),
      generations: events.filter(({ event }) => event === 'generation').length,
      warnings: events.flatMap((event) => (event.event === 'warning' ? [event.message] : [])),
    };
  } finally {
    for (const process of [coordinator, ...workers]) if (!process.hasEnded) process.kill();
  }
}

const runIdOf = ({ events }: LockstepProcess): string =>
  events.find((event) => event.event === 'run')?.runId ?? '';

interface Targets {
  readonly listen: string;
  readonly port: number;
  readonly workers: readonly LockstepProcess[];
  readonly runId: string;
}

/** Sends half of the messages to the coordinator and half to the workers, while plain TCP connections stay open. */
async function sendAll(
  { listen, port, workers, runId }: Targets,
  frames: number,
  random: Random,
  { hasEnded, onProgress }: { hasEnded: () => boolean; onProgress: (sent: number) => void },
): Promise<Pick<AttackResult, 'sent' | 'endedEarly'>> {
  const validMessages = messageBytes(workerMessages);
  const validFrames = simulateCollectives(runTagOf(runId)).frames;
  const control = attackedSocket(listen, 'control', (draw) => hostile(validMessages, draw));
  const data = workers
    .flatMap(({ pid }) => listeningEndpoints(pid))
    .map((endpoint) =>
      attackedSocket(endpoint, 'data', (draw) => {
        const frame = hostile(validFrames, draw);
        return draw(2) === 0 ? repairChecksums(frame) : frame;
      }),
    );
  if (data.length === 0) throw new Error('workers: expected listening sockets, got none.');
  const remaining = { control: { count: Math.ceil(frames / 2) }, data: { count: Math.floor(frames / 2) } };
  const timer = setInterval(() => onProgress(frames - remaining.control.count - remaining.data.count), 1_000);
  const flood = floodWithConnections(port, random);
  const [controlCount, dataCount] = await Promise.all([
    sumOf(peersPerPlane, () => sendHostileMessages(control, random, remaining.control, hasEnded)),
    sumOf(peersPerPlane, (i) =>
      sendHostileMessages(data[i % data.length] ?? control, random, remaining.data, hasEnded),
    ),
  ]);
  const sent = { control: controlCount, data: dataCount, plainConnections: flood.opened() };
  const endedEarly = hasEnded();
  flood.close();
  clearInterval(timer);
  return { sent, endedEarly };
}

async function sumOf(count: number, start: (i: number) => Promise<number>): Promise<number> {
  const sums = await Promise.all(Array.from({ length: count }, (_, i) => start(i)));
  return sums.reduce((total, sum) => total + sum, 0);
}
