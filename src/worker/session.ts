/**
 * A worker's part in a run, from join to finish. The same in a worker process and in a single process; only the
 * communicator differs.
 */

import { randomUUID } from 'node:crypto';
import { ConfigError, ProtocolError, toWireError } from '../shared/errors.js';
import { protocolVersion } from '../shared/protocol/messages.js';
import { definitionSha256, loadDefinition } from '../api/load-definition.js';
import type { ResolvedConfig } from '../shared/config/run-config.js';
import { chunkRange } from '../shared/sharding/ranges.js';
import type { Communicator } from './communicator/communicator.js';
import type { Engine } from './engine/load.js';
import { identityOf } from './engine/identity.js';
import { Mailbox } from './mailbox.js';
import { Checkpoints } from './checkpoint/checkpoints.js';
import type { FaultOptions } from './faults/fault-options.js';
import { FaultInjector } from './faults/fault-injector.js';
import { trainGenerations } from './training/generation-loop.js';
import { createReplica, replicaHashes } from './training/replica.js';

export interface SessionOptions {
  readonly communicator: Communicator;
  readonly host: string;
  /** Where on that host: the same for the process that replaces this one. */
  readonly slot: string;
  /** Loads the engine; called once the run's config is known, since the thread count must be set before. */
  readonly loadEngine: (config: ResolvedConfig) => Promise<Engine>;
  /** See loadDefinition. */
  readonly definitionCache?: string;
  /** Faults to inject, for tests and `lockstep chaos`. */
  readonly faults?: FaultOptions;
}

/** Takes part until the coordinator says that the run is finished. @throws whatever ended it otherwise. */
export async function runSession(options: SessionOptions): Promise<void> {
  const { communicator, host, slot } = options;
  const mailbox = new Mailbox(communicator);
  try {
    communicator.send({
      type: 'join',
      protocol: protocolVersion,
      workerId: randomUUID(),
      pid: process.pid,
      host,
      slot,
    });
    await takePart(options, mailbox);
  } catch (error) {
    communicator.send({ type: 'failed', error: toWireError(error) });
    throw error;
  } finally {
    await communicator.close();
  }
}

async function takePart(
  { communicator, loadEngine, definitionCache, faults: faultOptions = {} }: SessionOptions,
  mailbox: Mailbox,
): Promise<void> {
  const welcome = await mailbox.take('welcome');
  if (welcome.protocol !== protocolVersion) {
    throw new ProtocolError(
      `Protocol: expected version ${protocolVersion}, the coordinator speaks ${welcome.protocol}. Run the same Lockstep everywhere.`,
    );
  }
  const { config, definition: expected } = welcome;
  // Before any of it runs.
  const sha256 = await definitionSha256(expected.path);
  if (sha256 !== expected.sha256) {
    throw new ConfigError(
      `Config file ${expected.path}: expected the coordinator's (SHA-256 ${expected.sha256.slice(0, 12)}…), ` +
        `got ${sha256.slice(0, 12)}…. Copy the file to this machine, or start the run again.`,
    );
  }
  const definition = await loadDefinition(expected.path, definitionCache);
  const engine = await loadEngine(config);
  // Seconds have passed in which nobody listened: the run may be over.
  await mailbox.yieldToEventLoop();
  const { requests, bitFlip, injectLinkFault } = faultOptions;
  const faults = requests === undefined ? undefined : new FaultInjector(requests, injectLinkFault);
  const replica = await createReplica(engine, config, definition);
  await mailbox.yieldToEventLoop();
  const hashes = replicaHashes(replica);
  const identity = identityOf(engine, replica.kernels.name);
  const address = await communicator.openDataPlane({
    runId: welcome.runId,
    socketDirectory: welcome.socketDirectory,
    maxFrameBytes: largestFrame(hashes.parameterCount, config.shards),
    heartbeatMs: config.heartbeatMs,
    coordinatorTimeoutMs: config.coordinatorTimeoutMs,
    sharedMemory: config.sharedMemory === 'auto',
    collective: config.collective,
    trace: config.trace !== null,
  });
  faults?.faultPointHit('join', 0);
  communicator.send({
    type: 'ready',
    device: `${engine.device.kind === 'gpu' ? 'GPU' : 'CPU'} ${engine.device.name}`,
    engine: engine.describe(),
    ...hashes,
    trainCount: replica.data.train.count,
    testCount: replica.data.test.count,
    dataSha256: replica.data.sha256,
    ...address,
    identity,
  });
  const { runId } = welcome;
  const { layoutHash } = hashes;
  const { sha256: dataSha256 } = replica.data;
  const context = { runId, config, definition: expected, layoutHash, dataSha256, identity };
  const checkpoints = new Checkpoints(replica, context, (message) => communicator.send(message), requests);
  await trainGenerations({ replica, communicator, mailbox, checkpoints, faults, bitFlip });
}

/** Longest frame that a peer may send: a bucket can be the whole model, times the subtrees of a range. */
function largestFrame(parameterCount: number, shards: number): number {
  const subtrees = 2 * (32 - Math.clz32(shards)) + 1;
  return chunkRange(parameterCount, 1, 0).end * 8 * subtrees + 65_536;
}
