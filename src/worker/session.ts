/**
 * A worker's part in a run, from joining the coordinator to the end of the run. The same code runs in a worker process and in
 * a single-process run; only the communicator differs.
 */

import { randomUUID } from 'node:crypto';
import { failureOf, onStrayUserError } from '../shared/user-code.js';
import {
  protocolVersion,
  type CoordinatorMessage,
  type MessageOf,
  type WorkerMessage,
} from '../shared/protocol/messages.js';
import { Checkpoints } from './checkpoint/checkpoints.js';
import { originOf } from './checkpoint/origin.js';
import type { Communicator, DataPlaneAddress } from './communicator/communicator.js';
import type { Engine } from './engine/engine.js';
import { FaultInjector } from './faults/fault-injector.js';
import type { FaultOptions } from './faults/fault-options.js';
import { Mailbox } from './mailbox.js';
import { openDefinition, type DefinitionSource } from './open-definition.js';
import { openRunStorage } from './storage/run-storage.js';
import { trainGenerations } from './training/generation-loop.js';
import { buildWarmReplica } from './training/warm-up.js';
import { describeWorker } from './worker-fingerprint.js';

type Welcome = MessageOf<CoordinatorMessage, 'welcome'>;

export interface SessionOptions {
  readonly communicator: Communicator;
  readonly host: string;
  /** Names the worker's position on its host. A process that replaces this one has the same slot. */
  readonly workerSlot: string;
  /**
   * Loads the engine. Called once the run's configuration is known, since the thread count must be set before. It calls `onWait`
   * while it waits until another process has installed the engine; see LoadEngineOptions.
   */
  readonly loadEngine: (config: Welcome['config'], onWait: (lock: string | null) => void) => Promise<Engine>;
  /** The file that may be executed as the training definition; default: the one that the coordinator names, unchecked. */
  readonly definitionSource?: DefinitionSource;
  /** Folder of transpiled definitions; see loadDefinition. */
  readonly definitionCache?: string;
  /** Receives warnings: samples that a data source left out or replaced, and tensors that the training does not dispose. */
  readonly warn?: (message: string) => void;
  /** Called when a save that the coordinator waits for begins and ends. */
  readonly onSaving?: (isSaving: boolean) => void;
  /** Faults to inject, for tests and `lockstep chaos`. */
  readonly faults?: FaultOptions;
}

/** Resolves when the run has finished. Closes the communicator. @throws the error that ended the run, if it did not finish */
export async function runSession(options: SessionOptions): Promise<void> {
  const { communicator, host, workerSlot } = options;
  const mailbox = new Mailbox(communicator);
  const workerId = randomUUID();
  const ignoreStrayErrors = onStrayUserError((error) => mailbox.fail(error));
  try {
    communicator.send({
      type: 'join',
      protocol: protocolVersion,
      workerId,
      pid: process.pid,
      host,
      workerSlot,
    });
    await participate(options, mailbox, workerId);
  } catch (thrown) {
    const { error, wire } = failureOf(thrown);
    communicator.send({ type: 'failed', error: wire });
    throw error;
  } finally {
    ignoreStrayErrors();
    await communicator.close();
  }
}

async function participate(options: SessionOptions, mailbox: Mailbox, workerId: string): Promise<void> {
  const { communicator, faults: faultOptions = {} } = options;
  const welcome = await mailbox.receive('welcome');
  const { runId, config, definition: expected, preprocessing: saved } = welcome;
  const opening = openDefinition(welcome, options.definitionCache, options.definitionSource);
  const opened = await mailbox.during(opening);
  const engine = await mailbox.during(loadReportedEngine(options, config));
  communicator.send({ type: 'loading', stage: 'model' });
  // Loading took seconds without a turn of the event loop; the run may have ended.
  await mailbox.yieldToEventLoop();
  const { requests, bitFlip, injectLinkFault } = faultOptions;
  const faults = requests === undefined ? undefined : new FaultInjector(requests, injectLinkFault);
  const building = buildWarmReplica(engine, config, opened.definition, saved ?? undefined);
  const replica = await mailbox.during(building);
  for (const note of replica.data.notes ?? []) options.warn?.(note);
  await mailbox.yieldToEventLoop();
  const origin = originOf(replica);
  const { hashes, identity, fingerprint } = describeWorker(replica, opened, origin);
  const { compiled } = replica;
  communicator.send({ type: 'loading', stage: 'network' });
  const opensStorage = openRunStorage(welcome.folder, (request) => communicator.transfer(request));
  const storage = await mailbox.during(opensStorage);
  const address = await mailbox.during(openDataPlane(communicator, welcome, hashes.parameterCount));
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
    fingerprint,
    sharesFolder: storage.sharesFolder,
    ...(compiled && { compiled }),
    ...(replica.warnings.length > 0 && { warnings: replica.warnings.slice(0, 64) }),
  });
  const { layoutHash } = hashes;
  const { sha256: dataSha256, preprocessing = null } = replica.data;
  const definition = { path: expected.path, sha256: expected.sha256 };
  const { code, engine: binaries } = fingerprint;
  const build = { code, engine: binaries };
  const context = {
    runId,
    config,
    compiled,
    definition,
    layoutHash,
    dataSha256,
    origin,
    preprocessing,
    identity,
    build,
  };
  const warn = (message: string): void => options.warn?.(message);
  const reports = {
    send: (message: WorkerMessage) => communicator.send(message),
    tick: () => communicator.tick(),
    saving: (isSaving: boolean) => options.onSaving?.(isSaving),
  };
  const checkpoints = new Checkpoints(replica, context, reports, requests, storage);
  try {
    const shared = { workerId, replica, communicator, mailbox, checkpoints, storage, faults, bitFlip, warn };
    await trainGenerations(shared);
  } finally {
    await storage.close();
  }
}

/** Loads the engine, and reports to the coordinator that this stage begins or that another process installs the engine. */
function loadReportedEngine(
  { communicator, loadEngine }: SessionOptions,
  config: Welcome['config'],
): Promise<Engine> {
  const begin = (): void => communicator.send({ type: 'loading', stage: 'engine' });
  begin();
  return loadEngine(config, (lock) => {
    if (lock === null) begin();
    else communicator.send({ type: 'loading', stage: 'installation', lock });
  });
}

function openDataPlane(
  communicator: Communicator,
  { runId, socketDirectory, config }: Welcome,
  parameterCount: number,
): Promise<DataPlaneAddress> {
  return communicator.openDataPlane({
    runId,
    socketDirectory,
    maxFrameBytes: maxFrameBytes(parameterCount, config.shards),
    heartbeatMs: config.heartbeatMs,
    coordinatorTimeoutMs: config.coordinatorTimeoutMs,
    sharedMemory: config.sharedMemory === 'auto',
    collective: config.collective,
    trace: config.trace !== null,
  });
}

/** Upper bound of a frame's size: a bucket may hold the whole model in float64, once for each subtree of a range. */
function maxFrameBytes(parameterCount: number, shards: number): number {
  const maxSubtrees = 2 * (32 - Math.clz32(shards)) + 1;
  const maxHeaderBytes = 65_536;
  return parameterCount * 8 * maxSubtrees + maxHeaderBytes;
}
