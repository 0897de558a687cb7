/**
 * Entry of the communicator thread. The thread owns every ZeroMQ socket of the worker and stays responsive while TensorFlow occupies
 * the main thread.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { vectorOver } from '../../shared/collectives/reduction.js';
import { invariant, toWireError, asError } from '../../shared/errors.js';
import { openHealthServer, type HealthServer } from '../../shared/http/health-server.js';
import { collectGarbageAsMain } from '../../shared/memory/garbage-collection.js';
import { loadNativeMemory } from '../../shared/memory/native-memory.js';
import { SharedMemory } from '../../shared/memory/shared-memory.js';
import { Refusals } from '../../shared/protocol/refusals.js';
import { ArtefactExchange } from './artefact-exchange.js';
import { CommunicatorCore } from './communicator-core.js';
import { GenerationEnded } from './generation-ended.js';
import type { JoinedGeneration } from './joined-generation.js';
import {
  countRound,
  interruptRounds,
  stateIndex,
  type FromThread,
  type Interruption,
  type ThreadOptions,
  type ToThread,
} from './thread-protocol.js';
import { observationMs, WorkerHealth } from './worker-health.js';
import { openWorkerTransports } from './worker-transports.js';

const port = parentPort;
invariant(port, 'thread.js is started by ThreadCommunicator');
const options = workerData as ThreadOptions;
collectGarbageAsMain();
const state = new Int32Array(options.state);
const post = (message: FromThread): void => port.postMessage(message);
const native = loadNativeMemory(options.memoryAddon);
let memory: SharedMemory | undefined;
const refusals = new Refusals();

const health = new WorkerHealth({
  progress: () => Atomics.load(state, stateIndex.ticks) + Atomics.load(state, stateIndex.turns),
  isWaiting: () => Atomics.load(state, stateIndex.waiting) !== 0,
});

function interrupt(reason: Interruption): void {
  if (reason.kind === 'ended') health.generationEnded();
  else health.failed();
  post(reason);
  options.failures.postMessage(reason);
  // The reason must be in the port before the main thread is woken, because the woken thread reads the port.
  interruptRounds(state);
}

function fail(error: Error): void {
  if (error instanceof GenerationEnded) {
    interrupt({ kind: 'ended', generation: error.generation });
    return;
  }
  interrupt({ kind: 'failed', error: toWireError(error) });
  exchange.fail(error);
  ensureEnd();
}

/** A main thread that hangs in native code cannot end the process, so this thread ends it. */
function ensureEnd(): void {
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), options.graceMs).unref();
}

const transports = openWorkerTransports(options);

const exchange = new ArtefactExchange({
  send: (message) => core.send(message),
  onPiece: () => void Atomics.add(state, stateIndex.ticks, 1),
});

const core = new CommunicatorCore(
  {
    control: transports.control,
    openDataPlane: (request) => transports.openDataPlane(request),
    openMemory: (address) => (memory ? SharedMemory.open(native, address) : undefined),
    arithmetic: native,
  },
  {
    message: (message) => {
      if (exchange.receive(message)) return;
      health.received(message);
      post({ kind: 'message', message });
    },
    finished: (id) => countRound(state, id),
    failed: fail,
    ended: (generation) => interrupt({ kind: 'ended', generation }),
    refused: (error) => {
      if (refusals.note(error) === 1) post({ kind: 'refused', code: error.code, message: error.message });
    },
    ticks: () => Atomics.load(state, stateIndex.ticks),
    waiting: () => Atomics.load(state, stateIndex.waiting),
    // The kernel changes the parent at once; the main thread, which may be computing, learns of the launcher's end later.
    isOrphan: () => options.launcherPid !== undefined && process.ppid !== options.launcherPid,
  },
);

type GenerationMessage = Extract<ToThread, { kind: 'start' | 'allocate' | 'register' | 'register-slice' }>;

/** Handles a request about the joined generation. */
function handleOfGeneration(message: GenerationMessage, generation: JoinedGeneration): void {
  switch (message.kind) {
    case 'start':
      core.start(message.id, message.step);
      break;
    case 'allocate': {
      const { elementCount, buffer } = message;
      generation.allocate(elementCount, ({ offset, bytes }) => {
        const own = buffer ?? memory?.map(offset, bytes);
        invariant(own, 'an allocation without memory');
        return own;
      });
      break;
    }
    case 'register-slice':
      generation.registerSlice(message.spec, message.allocation, message.start);
      break;
    case 'register': {
      const { spec, inputs, output } = message;
      generation.register(spec, {
        inputs: inputs.map((buffer) => vectorOver(spec.reduction, buffer)),
        output: vectorOver(spec.reduction, output),
      });
      break;
    }
  }
}

function handle(message: ToThread): void {
  switch (message.kind) {
    case 'start':
    case 'allocate':
    case 'register':
    case 'register-slice':
      // If the generation has ended and the main thread has not noticed it yet, the request has no effect.
      if (core.generation) handleOfGeneration(message, core.generation);
      break;
    case 'link-fault':
      transports.injectLinkFault?.(message.fault);
      break;
    case 'abandon':
      ensureEnd();
      break;
    case 'send':
      health.sent(message.message);
      core.send(message.message);
      break;
    case 'open':
      memory = SharedMemory.over(native, message.memory);
      core.openDataPlane(message.request).then((address) => post({ kind: 'opened', ...address }), fail);
      break;
    case 'join':
      core.join(message.plan).then((sharesMemory) => {
        health.joined();
        post({ kind: 'joined', sharesMemory });
      }, fail);
      break;
    case 'transfer': {
      const { id, request } = message;
      exchange.perform(request).then(
        (answer) => post({ kind: 'transferred', id, answer }),
        (error: unknown) => post({ kind: 'not-transferred', id, error: toWireError(error) }),
      );
      break;
    }
    case 'close':
      exchange.close();
      void core.close().then(() => {
        const summary = refusals.summary();
        if (summary !== undefined) post({ kind: 'refused', code: 'PROTOCOL', message: summary });
        options.failures.close();
        void healthServer?.close();
        port?.close();
      });
      break;
  }
}

port.on('message', (message: ToThread) => {
  try {
    handle(message);
  } catch (error) {
    fail(asError(error));
  }
});

let healthServer: HealthServer | undefined;
if (options.health) {
  setInterval(() => health.observe(), observationMs).unref();
  openHealthServer(options.health, health).then((server) => {
    healthServer = server;
    post({ kind: 'health', url: server.url });
  }, fail);
}
