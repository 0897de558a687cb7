/**
 * `lockstep bench allreduce`: measures the all-reduce of the training step between real processes, without TensorFlow. This
 * process only introduces the workers to each other; the measured time is what a worker's main thread waits for.
 */

import { fork, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { makeSocketDirectory, removeSocketDirectory } from '../../launcher/socket-directory.js';
import { runConfigSchema, type RunConfig } from '../../shared/config/run-config.js';
import { ConfigError } from '../../shared/errors.js';
import { exitStatus } from '../../shared/exit-status.js';
import { controlMessageBytes } from '../../shared/protocol/codec.js';
import type { Plan } from '../../shared/protocol/messages.js';
import { openControlServer } from '../../shared/transport/zmq/control-server.js';
import type { AllreduceTask, FromBenchWorker, ToBenchWorker } from '../bench/allreduce-worker.js';
import { host } from '../environment/environment.js';
import { wholeNumber } from '../options/number-options.js';

export interface BenchAllreduceFlags {
  readonly workers: string;
  readonly bytes: string;
  readonly rounds: string;
  readonly sharedMemory: string;
  readonly hosts: string;
  readonly collective: string;
  readonly gradientDtype: string;
  readonly bucketBytes: string;
  readonly json?: boolean;
}

const timeoutMs = 10 * 60_000;

export interface AllreduceResult {
  readonly bytes: number;
  /** Median of the slowest worker. */
  readonly microseconds: number;
  /** Duration of one memcpy of the same size. */
  readonly memcpyMicroseconds: number;
}

/** Resolves with the exit status. @throws ConfigError */
export async function benchAllreduce(flags: BenchAllreduceFlags): Promise<number> {
  const workers = wholeNumber('--workers', flags.workers, 2, 64);
  const hosts = wholeNumber('--hosts', flags.hosts, 1, workers);
  const setting = readSetting(flags);
  const socketDirectory = makeSocketDirectory();
  const server = await openControlServer(
    socketDirectory === null ? 'tcp://127.0.0.1:*' : `ipc://${join(socketDirectory, 'c')}`,
    controlMessageBytes,
  );
  const children: ChildProcess[] = [];
  try {
    server.listen({ message: () => undefined, disconnected: () => undefined, unreachable: () => undefined });
    const task: AllreduceTask = {
      coordinator: server.endpoint,
      runId: randomUUID(),
      socketDirectory,
      ...setting,
    };
    const entry = new URL('../bench/allreduce-worker.js', import.meta.url);
    for (let i = 0; i < workers; i++) children.push(fork(entry, { timeout: timeoutMs }));
    const results = await measure(children, task, hosts);
    print(results, workers, flags.json === true);
    return exitStatus.done;
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await server.close();
    removeSocketDirectory(socketDirectory);
  }
}

function readSetting(
  flags: BenchAllreduceFlags,
): Omit<AllreduceTask, 'coordinator' | 'runId' | 'socketDirectory'> {
  const { collective, gradientDtype, sharedMemory } = choices(flags);
  return {
    sizes: flags.bytes.split(',').map((size) => wholeNumber('--bytes', size, 4, 2 ** 30)),
    rounds: wholeNumber('--rounds', flags.rounds, 1, 100_000),
    sharedMemory: sharedMemory !== 'off',
    collective,
    gradientDtype,
    bucketBytes: wholeNumber('--bucket-bytes', flags.bucketBytes, 4, 2 ** 30),
  };
}

async function measure(
  children: readonly ChildProcess[],
  task: AllreduceTask,
  hosts: number,
): Promise<AllreduceResult[]> {
  const workers = children.length;
  for (const child of children) child.send({ kind: 'task', task } satisfies ToBenchWorker);
  const addresses = await Promise.all(children.map((child) => next(child, 'ready')));
  const members = addresses.map(({ address }, rank) => ({
    rank,
    shards: { start: rank, end: rank + 1 },
    ...address,
    pid: children[rank]?.pid ?? 0,
    host: hosts === 1 ? host : `${host}/${Math.floor((rank * hosts) / workers)}`,
  }));
  for (const [rank, child] of children.entries()) {
    const plan: Plan = {
      generation: 1,
      rank,
      step: 0,
      source: null,
      restore: null,
      out: null,
      writer: 0,
      evaluated: { step: 0, splits: [] },
      shards: workers,
      workers: members,
    };
    child.send({ kind: 'plan', plan } satisfies ToBenchWorker);
  }
  const measured = await Promise.all(children.map((child) => next(child, 'done')));
  return task.sizes.map((bytes, i): AllreduceResult => {
    const slowest = (key: 'microseconds' | 'memcpyMicroseconds'): number =>
      Math.max(...measured.map(({ results }) => results[i]?.[key] ?? Number.NaN));
    return {
      bytes,
      microseconds: slowest('microseconds'),
      memcpyMicroseconds: slowest('memcpyMicroseconds'),
    };
  });
}

function print(results: readonly AllreduceResult[], workers: number, json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify({ workers, results })}\n`);
    return;
  }
  const lines = results.map(({ bytes, microseconds, memcpyMicroseconds }) =>
    [bytes, microseconds, memcpyMicroseconds].map((value) => value.toFixed(0).padStart(12)).join(''),
  );
  const head = ['bytes', 'median us', 'memcpy us'].map((title) => title.padStart(12)).join('');
  process.stdout.write(
    `All-reduce between ${workers} processes of this machine\n${head}\n${lines.join('\n')}\n`,
  );
}

function next<Kind extends FromBenchWorker['kind']>(
  child: ChildProcess,
  kind: Kind,
): Promise<Extract<FromBenchWorker, { kind: Kind }>> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: FromBenchWorker): void => {
      if (message.kind !== kind) return;
      child.off('message', onMessage);
      resolve(message as Extract<FromBenchWorker, { kind: Kind }>);
    };
    child.on('message', onMessage);
    child.once('error', reject);
    child.once('exit', (status) =>
      reject(new Error(`A worker of the benchmark ended with status ${status ?? '?'}.`)),
    );
  });
}

function choices(
  flags: BenchAllreduceFlags,
): Pick<RunConfig, 'collective' | 'gradientDtype' | 'sharedMemory'> {
  const { collective, gradientDtype, sharedMemory } = flags;
  const { data, error } = runConfigSchema
    .pick({ collective: true, gradientDtype: true, sharedMemory: true })
    .safeParse({ collective, gradientDtype, sharedMemory });
  if (data) return data;
  const issue = error.issues[0];
  throw new ConfigError(`--${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}.`);
}
