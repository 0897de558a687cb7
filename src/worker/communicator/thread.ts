/**
 * Entry of the communicator thread: owns every ZeroMQ socket of the worker, and stays responsive while TensorFlow holds
 * the main thread.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { vectorOver } from '../../shared/collectives/reduction.js';
import { invariant, toWireError } from '../../shared/errors.js';
import { collectGarbageAsMain } from '../../shared/memory/garbage-collection.js';
import { loadNativeMemory } from '../../shared/memory/native-memory.js';
import { SharedMemory } from '../../shared/memory/shared-memory.js';
import { Refusals } from '../../shared/protocol/refusals.js';
import { CommunicatorCore } from './communicator-core.js';
import { GenerationEnded } from './generation-ended.js';
import {
  maxCollectives,
  words,
  type FromThread,
  type Interruption,
  type ThreadOptions,
  type ToThread,
} from './thread-protocol.js';
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

function interrupt(reason: Interruption): void {
  post(reason);
  options.failures.postMessage(reason);
  // After the reason is in the port, else a woken main thread would find no reason there.
  Atomics.store(state, words.failed, 1);
  for (let id = 0; id < maxCollectives; id++) {
    Atomics.store(state, words.collectives + id, -1);
    Atomics.notify(state, words.collectives + id);
  }
}

function fail(error: Error): void {
  if (error instanceof GenerationEnded) {
    interrupt({ kind: 'ended', generation: error.generation });
    return;
  }
  interrupt({ kind: 'failed', error: toWireError(error) });
  // A main thread that hangs in native code can't be told anything: the process ends without it.
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), options.graceMs).unref();
}

const transports = openWorkerTransports(options);

const core = new CommunicatorCore(
  {
    control: transports.control,
    openDataPlane: (request) => transports.openDataPlane(request),
    openMemory: (address) => (memory ? SharedMemory.open(native, address) : undefined),
    arithmetic: native,
  },
  {
    message: (message) => post({ kind: 'message', message }),
    finished: (id) => {
      Atomics.add(state, words.collectives + id, 1);
      Atomics.notify(state, words.collectives + id);
    },
    failed: fail,
    ended: (generation) => interrupt({ kind: 'ended', generation }),
    refused: (error) => {
      if (refusals.note(error) === 1) post({ kind: 'refused', code: error.code, message: error.message });
    },
    ticks: () => Atomics.load(state, words.ticks),
    waiting: () => Atomics.load(state, words.waiting),
  },
);

/** What the main thread says before it has heard that its generation is over. */
const ofGeneration: readonly ToThread['kind'][] = ['start', 'allocate', 'register', 'registerPart'];

function handle(message: ToThread): void {
  if (!core.joined && ofGeneration.includes(message.kind)) return;
  switch (message.kind) {
    case 'start':
      core.start(message.id, message.step);
      break;
    case 'link-fault':
      transports.injectLinkFault?.(message.fault);
      break;
    case 'send':
      core.send(message.message);
      break;
    case 'open':
      memory = SharedMemory.over(native, message.memory);
      core.openDataPlane(message.request).then((address) => post({ kind: 'opened', ...address }), fail);
      break;
    case 'join':
      core.join(message.plan).then((sharing) => post({ kind: 'joined', sharing }), fail);
      break;
    case 'allocate': {
      const { elementCount, buffer } = message;
      core.allocate(elementCount, ({ offset, bytes }) => {
        const own = buffer ?? memory?.map(offset, bytes);
        invariant(own, 'an allocation without memory');
        return own;
      });
      break;
    }
    case 'registerPart':
      core.registerPart(message.spec, message.allocation, message.start);
      break;
    case 'register': {
      const { spec, inputs, output } = message;
      core.register(spec, {
        inputs: inputs.map((buffer) => vectorOver(spec.reduction, buffer)),
        output: vectorOver(spec.reduction, output),
      });
      break;
    }
    case 'close':
      void core.close().then(() => {
        const summary = refusals.summary();
        if (summary !== undefined) post({ kind: 'refused', code: 'PROTOCOL', message: summary });
        options.failures.close();
        port?.close();
      });
      break;
  }
}

port.on('message', (message: ToThread) => {
  try {
    handle(message);
  } catch (error) {
    fail(error instanceof Error ? error : new Error(String(error)));
  }
});
