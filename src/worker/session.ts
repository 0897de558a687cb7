/**
 * A worker's part in a run, from join to finish. The same in a worker process and in a single process; only the
 * communicator differs.
 */

import { randomUUID } from 'node:crypto';
import { totalSteps } from '../shared/data/sampler.js';
import { ConfigError, ProtocolError, toWireError } from '../shared/errors.js';
import { protocolVersion } from '../shared/protocol/messages.js';
import { loadDefinition } from '../api/load-definition.js';
import type { ResolvedConfig } from '../shared/config/run-config.js';
import { weightsSha256 } from '../shared/layout.js';
import { chunkRange } from '../shared/sharding/ranges.js';
import type { Communicator } from './communicator/communicator.js';
import type { Engine } from './engine/load.js';
import { identityOf } from './engine/identity.js';
import { evaluate } from './evaluate.js';
import { Mailbox } from './mailbox.js';
import { createReplica, participate, readWeights, replicaHashes, type Participation } from './replica.js';
import { saveModel } from './save-model.js';
import { trainStep, type StepResult } from './train-step.js';

export interface SessionOptions {
  readonly communicator: Communicator;
  readonly host: string;
  /** Loads the engine; called once the run's config is known, since the thread count must be set before. */
  readonly loadEngine: (config: ResolvedConfig) => Promise<Engine>;
}

/** Takes part until the coordinator says that the run is finished. @throws whatever ended it otherwise. */
export async function runSession({ communicator, loadEngine, host }: SessionOptions): Promise<void> {
  const mailbox = new Mailbox(communicator);
  try {
    communicator.send({
      type: 'join',
      protocol: protocolVersion,
      workerId: randomUUID(),
      pid: process.pid,
      host,
    });
    await takePart(communicator, loadEngine, mailbox);
  } catch (error) {
    communicator.send({ type: 'failed', error: toWireError(error) });
    throw error;
  } finally {
    await communicator.close();
  }
}

async function takePart(
  communicator: Communicator,
  loadEngine: SessionOptions['loadEngine'],
  mailbox: Mailbox,
): Promise<void> {
  const welcome = await mailbox.take('welcome');
  if (welcome.protocol !== protocolVersion) {
    throw new ProtocolError(
      `Protocol: expected version ${protocolVersion}, the coordinator speaks ${welcome.protocol}. Run the same Lockstep everywhere.`,
    );
  }
  const { config, definition: expected } = welcome;
  const definition = await loadDefinition(expected.path);
  if (definition.sha256 !== expected.sha256) {
    throw new ConfigError(
      `Config file ${expected.path}: expected the coordinator's (SHA-256 ${expected.sha256.slice(0, 12)}…), ` +
        `got ${definition.sha256.slice(0, 12)}…. Copy the file to this machine, or start the run again.`,
    );
  }
  const engine = await loadEngine(config);
  // Seconds have passed in which nobody listened: the run may be over.
  await mailbox.breathe();
  const replica = await createReplica(engine, config, definition);
  await mailbox.breathe();
  const hashes = replicaHashes(replica);
  const address = await communicator.openDataPlane({
    runId: welcome.runId,
    socketDirectory: welcome.socketDirectory,
    maxFrameBytes: largestFrame(hashes.parameterCount, config.shards),
    heartbeatMs: config.heartbeatMs,
    peerTimeoutMs: config.peerTimeoutMs,
    sharedMemory: config.sharedMemory === 'auto',
    trace: config.trace !== null,
  });
  communicator.send({
    type: 'ready',
    device: `${engine.device.kind === 'gpu' ? 'GPU' : 'CPU'} ${engine.device.name}`,
    engine: engine.describe(),
    ...hashes,
    trainCount: replica.data.train.count,
    testCount: replica.data.test.count,
    dataSha256: replica.data.sha256,
    ...address,
    identity: identityOf(engine, replica.kernels.name),
  });
  const { plan } = await mailbox.take('plan');
  await communicator.join(plan);
  const participation = participate(replica, communicator, {
    rank: plan.rank,
    worldSize: plan.workers.length,
    generation: plan.generation,
  });
  communicator.send({ type: 'connected', generation: plan.generation });
  await mailbox.take('go');

  const steps = await train(participation, plan.generation, mailbox).finally(() => {
    participation.ledger?.flush();
    participation.tracer?.flush();
  });
  communicator.send({
    type: 'finished',
    generation: plan.generation,
    steps,
    weightsSha256: weightsSha256(readWeights(replica)),
  });
  if (plan.rank === 0) {
    const { directory } = await mailbox.take('save');
    const path = directory === '' ? '' : await saveModel(replica.model, directory);
    communicator.send({ type: 'saved', path });
  }
  await mailbox.take('finish');
  participation.optimizer.dispose();
  replica.model.dispose();
}

async function train(participation: Participation, generation: number, mailbox: Mailbox): Promise<number> {
  const { sampler, communicator, replica, tracer } = participation;
  const { config } = replica;
  const steps = totalSteps(sampler.stepsPerEpoch, config.epochs, config.maxSteps);
  for (let step = 1; step <= steps; step++) {
    const batch = sampler.plan(step);
    const work = (): StepResult => trainStep(participation, batch);
    const { loss, learningRate } = tracer ? tracer.step(step, work) : work();
    communicator.send({ type: 'committed', generation, step, epoch: batch.epoch + 1, loss, learningRate });
    await mailbox.breathe();
    if (step === steps || batch.stepInEpoch === sampler.stepsPerEpoch) {
      for (const split of evaluationsAfter(config, step === steps)) {
        const result = await evaluate(participation, split, step, () => mailbox.breathe());
        communicator.send({ type: 'evaluated', generation, split, epoch: batch.epoch + 1, ...result });
      }
    }
  }
  return steps;
}

/** The test set after every epoch; the training set after the last, as the recipe prints it. */
function evaluationsAfter({ evaluate: what }: ResolvedConfig, last: boolean): ('test' | 'train')[] {
  if (what === 'none') return [];
  return last && what === 'both' ? ['test', 'train'] : ['test'];
}

/** Bytes of the longest frame that a peer may send: a bucket can be the whole model, times the subtrees of a range. */
function largestFrame(parameterCount: number, shards: number): number {
  const subtrees = 2 * Math.ceil(Math.log2(shards + 1)) + 1;
  return chunkRange(parameterCount, 1, 0).end * 8 * subtrees + 65_536;
}
