/**
 * A process that plays the control plane of many workers over real sockets, for bench/coordinator.ts. Each worker has a connection of its
 * own, joins, reports steps and sends heartbeats with the messages of the real codec. Nothing is computed, and no worker connects to
 * another one.
 */
import { randomUUID } from 'node:crypto';
import { Context, Dealer } from 'zeromq';
import { loadDefinition } from '../src/api/load-definition.js';
import { defaultDefinition } from '../src/cli/options/definition-path.js';
import { describeStart } from '../src/cli/runs/start-identity.js';
import { readClientKeys } from '../src/cli/security/key-files.js';
import type { Fingerprint } from '../src/shared/identity/fingerprint.js';
import { decodeCoordinatorMessage, encodeMessage } from '../src/shared/protocol/codec.js';
import {
  protocolVersion,
  type CoordinatorMessage,
  type WorkerMessage,
} from '../src/shared/protocol/messages.js';
import { noTimes } from '../src/shared/timeline/step-parts.js';
import { Outbox, receiveLoop } from '../src/shared/transport/zmq/sockets.js';
import type { Simulation, SimulationCounts } from './simulation.js';

/** A ZeroMQ context opens at most 1023 sockets. */
const socketsPerContext = 512;
const workersPerHost = 8;
/** The heartbeats of all workers are spread over this many moments of each interval. */
const beats = 25;
const sha = (digit: string): string => digit.repeat(64);

const counts = { sent: 0, sentBytes: 0, received: 0, receivedBytes: 0 };
/** Workers that send heartbeats: those that are ready. */
const ready = new Set<SimulatedWorker>();
const running = new Set<SimulatedWorker>();
/** The generation of the only plan. */
const firstGeneration = 1;

/** Any other message means that the measurement is void. */
function refuse(message: CoordinatorMessage): never {
  throw new Error(message.type === 'abort' ? message.error.message : `The coordinator sent ${message.type}.`);
}

class SimulatedWorker {
  readonly #index: number;
  readonly #outbox: Outbox<Buffer>;
  readonly #fingerprint: Fingerprint;
  #ticks = 0;

  constructor(index: number, dealer: Dealer, endpoint: string, fingerprint: Fingerprint) {
    this.#index = index;
    this.#fingerprint = fingerprint;
    this.#outbox = new Outbox<Buffer>(dealer);
    dealer.connect(endpoint);
    this.#join();
    void receiveLoop(dealer, ([bytes]) => {
      if (bytes) this.#receive(bytes);
    });
  }

  beat(): void {
    const usage = {
      cpuMs: this.#ticks * 200,
      uptimeMs: this.#ticks * 1000,
      memoryBytes: 400_000_000 + this.#ticks,
    };
    this.#send({
      type: 'heartbeat',
      generation: firstGeneration,
      ticks: ++this.#ticks,
      waitingFor: 'gradients/3',
      usage,
    });
  }

  sendBytes(bytes: Buffer): void {
    counts.sent++;
    counts.sentBytes += bytes.length;
    this.#outbox.push(bytes);
  }

  #send(message: WorkerMessage): void {
    this.sendBytes(encodeMessage(message));
  }

  #join(): void {
    const host = `host-${Math.floor(this.#index / workersPerHost)}.workers.training.svc`;
    const workerSlot = String(this.#index % workersPerHost);
    const pid = 1000 + this.#index;
    this.#send({ type: 'join', protocol: protocolVersion, workerId: randomUUID(), pid, host, workerSlot });
  }

  #receive(bytes: Buffer): void {
    counts.received++;
    counts.receivedBytes += bytes.length;
    // The messages are recognised without a decoding, since this process shares the machine with the coordinator.
    const type = /\xa4type(?:[\xa0-\xbf]|\xd9.)([a-z_]+)/.exec(bytes.toString('latin1', 0, 48))?.[1] ?? '';
    if (type.startsWith('welcome')) this.#ready();
    else if (type.startsWith('plan'))
      this.#send({ type: 'connected', generation: firstGeneration, sharesMemory: false });
    else if (type.startsWith('start_generation')) running.add(this);
    else if (!type.startsWith('heartbeat')) refuse(decodeCoordinatorMessage(bytes, 'the coordinator'));
  }

  #ready(): void {
    ready.add(this);
    this.#send({
      type: 'ready',
      device: 'CPU Simulated processor',
      engine: 'TensorFlow 2.9.1',
      layoutHash: sha('a'),
      weightsSha256: sha('b'),
      dataSha256: sha('d'),
      parameterCount: 1_939_114,
      trainCount: 60_000,
      testCount: 10_000,
      endpoint: `tcp://10.${this.#index >> 8}.${this.#index & 255}.7:28601`,
      publicKey: 'x'.repeat(40),
      memory: null,
      identity: {
        engine: 'TensorFlow 2.9.1',
        kernels: 'own',
        device: 'CPU',
        threads: '1',
        cpu: 'x64',
        instructions: 'avx2',
      },
      fingerprint: this.#fingerprint,
      sharesFolder: true,
    });
  }
}

const { endpoint, keys, workers, first, heartbeatMs, stepMs } = JSON.parse(
  process.argv[2] ?? '',
) as Simulation;
const clientKeys = readClientKeys(keys, 'simulated');
const { identity } = await describeStart(await loadDefinition(defaultDefinition));
const fingerprint = {
  engine: { tensorflow: '2.9.1' },
  layers: { dense: '1' },
  ...identity.fingerprint,
} as Fingerprint;
const contexts = Array.from(
  { length: Math.ceil(workers / socketsPerContext) },
  () => new Context({ maxSockets: 1023 }),
);

const all: SimulatedWorker[] = [];
for (let i = 0; i < workers; i++) {
  const context = contexts[Math.floor(i / socketsPerContext)];
  const dealer = new Dealer({
    ...(context && { context }),
    linger: 0,
    sendHighWaterMark: 0,
    curveServerKey: clientKeys.serverKey,
    curvePublicKey: clientKeys.own.publicKey,
    curveSecretKey: clientKeys.own.secretKey,
  });
  all.push(new SimulatedWorker(first + i, dealer, endpoint, fingerprint));
  // The pods of a cluster do not start in the same instant either.
  if (i % workersPerHost === workersPerHost - 1) await new Promise((resolve) => setTimeout(resolve, 20));
}

let beat = 0;
setInterval(() => {
  for (let i = beat % beats; i < all.length; i += beats) {
    const worker = all[i];
    if (worker && ready.has(worker)) worker.beat();
  }
  beat++;
}, heartbeatMs / beats);

/** All workers commit a step at the same moment, since the last all-reduce of a step ends on all of them together. */
function commit(step: number): void {
  const times = { ...noTimes(), forward: 101.37, backward: 201.42, update: 12.31, waitGradients: 81.18 };
  const [generation, epoch, loss, learningRate] = [1, 1, 2.302_585 / step, 0.001];
  const bytes = encodeMessage({ type: 'committed', generation, step, epoch, loss, learningRate, times });
  for (const worker of all) worker.sendBytes(bytes);
}

let startMs: number | undefined;
let committed = 0;
process.on('message', ({ atMs }: { atMs: number }) => (startMs = atMs));
setInterval(() => {
  if (startMs === undefined) return;
  const due = Math.floor((Date.now() - startMs) / stepMs);
  while (committed < due) commit(++committed);
}, 5);
setInterval(() => {
  const report: SimulationCounts = { ...counts, running: running.size, committed };
  process.send?.(report);
}, 200);
process.once('disconnect', () => process.exit(0));
