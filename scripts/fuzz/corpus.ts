/** Valid inputs to mutate: a message of every type, the frames of collectives between three workers, and data files. */

import { CollectiveEngine } from '../../src/shared/collectives/collective-engine.js';
import { vectorOver } from '../../src/shared/collectives/reduction.js';
import type { Artefact } from '../../src/shared/artefacts/artefact.js';
import { resolveConfig } from '../../src/cli/options/resolve.js';
import { runConfigSchema } from '../../src/shared/config/run-config.js';
import { encodeSafetensors } from '../../src/shared/checkpoint/safetensors.js';
import { histogramOf } from '../../src/shared/runs/histogram.js';
import { encodeMessage } from '../../src/shared/protocol/codec.js';
import { headerBytes, writeHeader } from '../../src/shared/protocol/frame.js';
import {
  protocolVersion,
  type CoordinatorMessage,
  type MessageOf,
  type WorkerMessage,
} from '../../src/shared/protocol/messages.js';
import { shardRanges } from '../../src/shared/sharding/ranges.js';
import { noTimes } from '../../src/shared/timeline/step-parts.js';
import { asGeneration, asRank, type Rank } from '../../src/shared/sharding/identifiers.js';

const sha = (digit: string): string => digit.repeat(64);
const id = '00000000-0000-4000-8000-000000000000';
const generation = 1;
export const runTag = 0x0123456789abcdefn;
export const worldSize = 3;
export const shards = 4;

const join: MessageOf<WorkerMessage, 'join'> = {
  type: 'join',
  protocol: protocolVersion,
  workerId: id,
  pid: 1,
  host: 'box',
  workerSlot: '0',
};
const ready: MessageOf<WorkerMessage, 'ready'> = {
  type: 'ready',
  device: 'CPU',
  engine: 'tensorflow',
  layoutHash: sha('a'),
  weightsSha256: sha('b'),
  dataSha256: sha('d'),
  parameterCount: 10,
  trainCount: 100,
  testCount: 10,
  endpoint: 'tcp://127.0.0.1:1',
  publicKey: 'HelloWorld'.repeat(4),
  memory: `1/2/${'0'.repeat(32)}`,
  identity: { engine: 'e', kernels: 'k', device: 'd', threads: '1', cpu: 'c', instructions: 'i' },
  fingerprint: { code: { 'a.js': '0' }, engine: {}, definition: {}, functions: {}, layers: {}, values: {} },
};
export const config = resolveConfig(runConfigSchema.parse({ workers: worldSize, shards }), {
  cores: 2,
  gpus: [],
});

const artefact: Artefact = {
  kind: 'checkpoint',
  step: 3,
  files: [
    { name: 'manifest.json', bytes: 5, sha256: sha('a') },
    { name: 'state.safetensors', bytes: 5, sha256: sha('b') },
  ],
};

/** One message per type; the mapped type requires an entry for each new type. */
export const workerMessages: { [K in WorkerMessage['type']]: MessageOf<WorkerMessage, K> } = {
  join,
  ready,
  loading: { type: 'loading', stage: 'installation', lock: '/cache/lockstep/engine/tensorflow.lock' },
  rejoin: { type: 'rejoin', runId: id, generation, rank: 0, worldSize, join, ready },
  connected: { type: 'connected', generation, sharesMemory: true },
  drained: { type: 'drained', generation, step: 3 },
  last_committed: { type: 'last_committed', generation, step: 3 },
  committed: {
    type: 'committed',
    generation,
    step: 3,
    epoch: 1,
    loss: 0.5,
    learningRate: 0.001,
    times: noTimes(),
  },
  evaluated: {
    type: 'evaluated',
    generation,
    split: 'test',
    epoch: 1,
    step: 3,
    loss: 0.5,
    metrics: { accuracy: 0.9 },
    correct: 9,
    count: 10,
  },
  misclassified: {
    type: 'misclassified',
    generation,
    split: 'test',
    epoch: 1,
    step: 3,
    samples: [{ index: 7, label: 3, predicted: 5, confidence: 0.9, pixels: 'AAAAAA==' }],
    picture: { height: 2, width: 2, channels: 1 },
  },
  confusion: {
    type: 'confusion',
    generation,
    split: 'test',
    epoch: 1,
    step: 3,
    classes: ['cat', 'dog'],
    cells: [{ label: 0, predicted: 1, count: 4 }],
  },
  model: {
    type: 'model',
    generation,
    layers: [{ name: 'dense', kind: 'Dense', inputs: ['input'], shape: [null, 10], parameters: 20 }],
  },
  histograms: {
    type: 'histograms',
    generation,
    step: 3,
    histograms: [{ kind: 'weights', name: 'dense/kernel', histogram: histogramOf(Float32Array.of(1, 2)) }],
  },
  finished: { type: 'finished', generation, steps: 3, weightsSha256: sha('e') },
  saved: { type: 'saved', path: '/out/model' },
  checkpointed: { type: 'checkpointed', step: 3, path: '/out/checkpoints/step-000000003', error: null },
  offer: { type: 'offer', transfer: id, artefact },
  fetch: { type: 'fetch', transfer: id, step: 3 },
  want: { type: 'want', transfer: id, file: 1, offset: 0 },
  piece: { type: 'piece', transfer: id, file: 1, offset: 0, bytes: Buffer.from('piece'), checksum: 1 },
  withdraw: { type: 'withdraw', transfer: id, error: { code: 'CHECKPOINT', message: 'no space' } },
  ledger: {
    type: 'ledger',
    generation,
    entries: [{ type: 'weights', step: 3, rank: 0, hash: '0'.repeat(32) }],
  },
  spans: {
    type: 'spans',
    spans: [{ kind: 'collective', name: 'gradients/3', step: 3, startUs: 1, durationUs: 2 }],
  },
  heartbeat: {
    type: 'heartbeat',
    generation,
    ticks: 5,
    waitingFor: 'gradients/3 from 1',
    usage: { cpuMs: 900, uptimeMs: 4_000, memoryBytes: 5_000_000 },
  },
  lost: { type: 'lost', generation, rank: 1, reason: 'the connection to it broke' },
  failed: { type: 'failed', error: { code: 'DEADLINE', message: 'too slow' } },
  leave: { type: 'leave' },
};

const workers = shardRanges(shards, worldSize).map((range, rank) => ({
  rank,
  shards: range,
  endpoint: `tcp://127.0.0.1:${rank + 1}`,
  memory: null,
  pid: rank,
  host: 'box',
}));

export const coordinatorMessages: { [K in CoordinatorMessage['type']]: MessageOf<CoordinatorMessage, K> } = {
  welcome: {
    type: 'welcome',
    protocol: protocolVersion,
    runId: id,
    config,
    socketDirectory: '/tmp/lockstep',
    preprocessing: null,
    folder: { path: '/out', value: '0'.repeat(32) },
    definition: { path: '/config.ts', sha256: sha('c'), entry: 'config.ts', files: { 'config.ts': 'c' } },
  },
  plan: {
    type: 'plan',
    plan: {
      generation,
      memberIds: workers.map((_, rank) => `00000000-0000-4000-8000-00000000000${rank}`),
      shards,
      workers,
      step: 0,
      source: null,
      restore: null,
      out: '/out',
      writer: 0,
      evaluated: { step: 0, splits: [] },
    },
  },
  drain: { type: 'drain', generation, after: 3 },
  stop_generation: { type: 'stop_generation', generation },
  start_generation: { type: 'start_generation', generation, sharesMemory: false },
  request_checkpoint: { type: 'request_checkpoint', generation },
  checkpoint: { type: 'checkpoint', generation, directory: '/out' },
  save: { type: 'save', generation, directory: '/out' },
  offer: { type: 'offer', transfer: id, artefact },
  want: { type: 'want', transfer: id, file: 0, offset: 0 },
  piece: { type: 'piece', transfer: id, file: 0, offset: 0, bytes: Buffer.from('piece'), checksum: 1 },
  withdraw: { type: 'withdraw', transfer: id, error: { code: 'CHECKPOINT', message: 'no space' } },
  stored: { type: 'stored', transfer: id, path: '/out/checkpoints/step-000000003' },
  identify: { type: 'identify' },
  heartbeat: { type: 'heartbeat' },
  finish: { type: 'finish' },
  abort: { type: 'abort', error: { code: 'PEER_LOST', message: 'gone' } },
};

/** Runs three collectives for three steps between one engine per rank; returns the engines and all frames that they sent. */
export function simulateCollectives(tag = runTag): { engines: CollectiveEngine[]; frames: Buffer[] } {
  const frames: Buffer[] = [];
  const inFlight: [Rank, Buffer][] = [];
  const ranges = shardRanges(shards, worldSize);
  const engines = ranges.map(
    (_, rank) =>
      new CollectiveEngine(
        { runTag: tag, generation: asGeneration(generation), rank: asRank(rank), ranges, shards },
        (to, frame) => {
          frames.push(Buffer.concat(frame));
          inFlight.push([to, Buffer.concat(frame)]);
        },
        () => undefined,
      ),
  );
  for (const [rank, engine] of engines.entries()) {
    const range = ranges[rank] ?? { start: 0, end: 0 };
    // Values everywhere, and values in few places, which are sent in another encoding.
    for (const [index, [elementCount, values]] of (
      [
        [10, 10],
        [20_000, 20_000],
        [20_000, 100],
      ] as const
    ).entries()) {
      const vector = () => vectorOver('sum-float32', new ArrayBuffer(4 * elementCount)).fill(1, 0, values);
      engine.register(
        { id: index + 1, name: `x/${index}`, reduction: 'sum-float32', elementCount },
        { inputs: Array.from({ length: range.end - range.start }, vector), output: vector() },
      );
    }
  }
  for (let step = 1; step <= 3; step++) {
    for (const engine of engines) for (const collective of [1, 2, 3]) engine.start(collective, step);
    for (let next = inFlight.shift(); next; next = inFlight.shift()) engines[next[0]]?.receive([next[1]]);
  }
  const hello = Buffer.alloc(headerBytes + 1);
  writeHeader([hello], {
    phase: 'hello',
    sender: 1,
    runTag: tag,
    generation: asGeneration(generation),
    collective: 0,
    sequence: 0,
    step: 0,
    encoding: 'plain',
  });
  return { engines, frames: [...frames, hello] };
}

export const messageBytes = (
  messages: Readonly<Record<string, WorkerMessage | CoordinatorMessage>>,
): Buffer[] => Object.values(messages).map(encodeMessage);

export const safetensorsFile = encodeSafetensors(
  new Map([
    ['a', { shape: [2, 3], values: new Float32Array(6) }],
    ['b', { shape: [], values: new Int32Array(1) }],
  ]),
  { step: '3' },
);

/** IDX files with 2 images of 3x4 pixels and with 5 labels. */
export const idxFiles: readonly Buffer[] = [
  Buffer.concat([Buffer.from('00000803000000020000000300000004', 'hex'), Buffer.alloc(24, 7)]),
  Buffer.concat([Buffer.from('0000080100000005', 'hex'), Buffer.from([1, 2, 3, 4, 5])]),
];
