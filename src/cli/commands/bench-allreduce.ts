/**
 * `lockstep bench allreduce`: the all-reduce of the training step between real processes, without TensorFlow. The parent only
 * introduces the workers to each other; what is timed is what a worker's main thread waits for.
 */

import { fork, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { runConfigSchema, type RunConfig } from '../../shared/config/run-config.js';
import { ConfigError } from '../../shared/errors.js';
import { controlMessageBytes } from '../../shared/protocol/codec.js';
import type { Plan } from '../../shared/protocol/messages.js';
import { openControlServer } from '../../shared/transport/zmq/control.js';
import type { AllreduceTask, FromBenchWorker, ToBenchWorker } from '../bench/allreduce-worker.js';
import { wholeNumber } from '../bench/bench-options.js';
import { host } from '../options/environment.js';
import { exitStatus } from '../exit.js';
import { makeSocketDirectory, removeSocketDirectory } from '../../launcher/socket-directory.js';

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
  /** Medians of the slowest worker, and one memcpy of as many bytes. */
  readonly microseconds: number;
  readonly memcpyMicroseconds: number;
}

/** @throws ConfigError */
export async function benchAllreduce(flags: BenchAllreduceFlags): Promise<number> {
  const workers = wholeNumber('--workers', flags.workers, 2, 64);
  const hosts = wholeNumber('--hosts', flags.hosts, 1, workers);
  const rounds = wholeNumber('--rounds', flags.rounds, 1, 100_000);
  const sizes = flags.bytes.split(',').map((size) => wholeNumber('--bytes', size, 4, 2 ** 30));
  const socketDirectory = makeSocketDirectory();
  const server = await openControlServer(
    socketDirectory === null ? 'tcp://127.0.0.1:*' : `ipc://${join(socketDirectory, 'c')}`,
    controlMessageBytes,
  );
  const children: ChildProcess[] = [];
  try {
    server.listen({ message: () => undefined, disconnected: () => undefined, unreachable: () => undefined });
    const runId = randomUUID();
    const sharedMemory = flags.sharedMemory !== 'off';
    const { collective, gradientDtype } = choices(flags);
    const bucketBytes = wholeNumber('--bucket-bytes', flags.bucketBytes, 4, 2 ** 30);
    const task: AllreduceTask = {
      coordinator: server.endpoint,
      runId,
      socketDirectory,
      sizes,
      rounds,
      sharedMemory,
      collective,
      gradientDtype,
      bucketBytes,
    };
    const entry = new URL('../bench/allreduce-worker.js', import.meta.url);
    for (let i = 0; i < workers; i++) children.push(fork(entry, { timeout: timeoutMs }));
    const tell = (message: ToBenchWorker): void => children.forEach((child) => child.send(message));
    tell({ kind: 'task', task });
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
        evaluated: { step: 0, splits: [] },
        shards: workers,
        workers: members,
      };
      child.send({ kind: 'plan', plan } satisfies ToBenchWorker);
    }
    const measured = await Promise.all(children.map((child) => next(child, 'done')));
    const results = sizes.map((bytes, i): AllreduceResult => {
      const worst = (of: 'microseconds' | 'memcpyMicroseconds'): number =>
        Math.max(...measured.map(({ results: own }) => own[i]?.[of] ?? Number.NaN));
      return { bytes, microseconds: worst('microseconds'), memcpyMicroseconds: worst('memcpyMicroseconds') };
    });
    print(results, workers, flags.json === true);
    return exitStatus.done;
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await server.close();
    removeSocketDirectory(socketDirectory);
  }
}

function print(results: readonly AllreduceResult[], workers: number, json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify({ workers, results })}\n`);
    return;
  }
  const lines = results.map(({ bytes, microseconds, memcpyMicroseconds }) =>
    [bytes, microseconds, memcpyMicroseconds].map((value) => value.toFixed(0).padStart(12)).join(''),
  );
  const head = ['bytes', 'median us', 'memcpy us'].map((word) => word.padStart(12)).join('');
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
    child.once('exit', (status) =>
      reject(new Error(`A worker of the benchmark ended with status ${status ?? '?'}.`)),
    );
  });
}

function choices(flags: BenchAllreduceFlags): Pick<RunConfig, 'collective' | 'gradientDtype'> {
  const { data, error } = runConfigSchema.pick({ collective: true, gradientDtype: true }).safeParse({
    collective: flags.collective,
    gradientDtype: flags.gradientDtype,
  });
  if (data) return data;
  const issue = error.issues[0];
  throw new ConfigError(`--${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}.`);
}
