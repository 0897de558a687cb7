/**
 * Gives hostile bytes to every parser, in this process. A parser must accept them or refuse them with an operational error. The
 * coordinator's state machine must not throw for any message.
 */

import { Coordinator } from '../../src/coordinator/coordinator.js';
import { decodeSafetensors } from '../../src/shared/checkpoint/safetensors.js';
import { parseIdxImages, parseIdxLabels } from '../../src/shared/data/idx.js';
import { OperationalError } from '../../src/shared/errors.js';
import { decodeCoordinatorMessage, encodeMessage } from '../../src/shared/protocol/codec.js';
import { kindOf } from '../../src/shared/protocol/refusals.js';
import type { ControlServerEvents } from '../../src/shared/transport/transport.js';
import {
  config,
  coordinatorMessages,
  idxFiles,
  messageBytes,
  safetensorsFile,
  simulateCollectives,
  workerMessages,
} from './corpus.js';
import { hostile, repairChecksums, splitIntoParts, type Random } from './mutate.js';

export type Outcome = 'accepted' | 'refused' | (string & {});

interface Target {
  readonly name: string;
  /** Percentage of all inputs. */
  readonly share: number;
  attack(random: Random): Outcome;
}

/**
 * Runs a parser and returns its outcome.
 * @throws every error that is not operational
 */
function outcomeOf(parse: () => unknown): Outcome {
  try {
    parse();
    return 'accepted';
  } catch (error) {
    if (error instanceof OperationalError) return kindOf(error);
    throw error;
  }
}

/** Starts a coordinator without sockets, lets all workers connect, and returns a function that delivers a message to it. */
function startCoordinator(): (from: string, bytes: Uint8Array) => void {
  let events: ControlServerEvents | undefined;
  const coordinator = new Coordinator({
    runId: '00000000-0000-4000-8000-000000000000',
    host: 'box',
    config,
    definition: { path: '/config.ts', sha256: 'c'.repeat(64), entry: 'config.ts', files: {} },
    fingerprint: {},
    socketDirectory: null,
    out: null,
    resume: null,
    inherited: null,
    server: {
      endpoint: 'memory://fuzz',
      listen: (given) => (events = given),
      send: () => undefined,
      close: () => Promise.resolve(),
    },
    emit: () => undefined,
    record: () => undefined,
    trace: () => undefined,
    // The clock stands still, so that no worker times out.
    now: () => 0,
  });
  void coordinator.run();
  const { join, ready } = workerMessages;
  const deliver = (from: string, bytes: Uint8Array): void => events?.message(from, bytes);
  for (let rank = 0; rank < config.workers; rank++) {
    const workerId = `00000000-0000-4000-8000-00000000000${rank}`;
    deliver(`w${rank}`, encodeMessage({ ...join, workerId, pid: rank, workerSlot: String(rank) }));
  }
  for (let rank = 0; rank < config.workers; rank++) deliver(`w${rank}`, encodeMessage(ready));
  for (let rank = 0; rank < config.workers; rank++)
    deliver(`w${rank}`, encodeMessage(workerMessages.connected));
  return deliver;
}

/** Returns all parsers, with the share of inputs that each receives. */
export function targets(): Target[] {
  const fromWorkers = messageBytes(workerMessages);
  const fromCoordinator = messageBytes(coordinatorMessages);
  const { engines, frames } = simulateCollectives();
  const [engine] = engines;
  const deliver = startCoordinator();
  return [
    {
      name: 'worker to coordinator',
      share: 35,
      attack: (random) => {
        // Uses a limited number of connections, so that some reach a valid join. The coordinator counts refusals itself.
        deliver(`s${random(50)}`, hostile(fromWorkers, random));
        return 'handled';
      },
    },
    {
      name: 'coordinator to worker',
      share: 25,
      attack: (random) => outcomeOf(() => decodeCoordinatorMessage(hostile(fromCoordinator, random), 'fuzz')),
    },
    {
      name: 'data frame',
      share: 30,
      attack: (random) => {
        const frame = hostile(frames, random);
        return outcomeOf(() =>
          engine?.receive(splitIntoParts(random(2) === 0 ? repairChecksums(frame) : frame, random)),
        );
      },
    },
    {
      name: 'replayed frame',
      share: 4,
      attack: (random) =>
        outcomeOf(() => engine?.receive([Buffer.from(frames[random(frames.length)] ?? [])])),
    },
    {
      name: 'safetensors',
      share: 3,
      attack: (random) => outcomeOf(() => decodeSafetensors(hostile([safetensorsFile], random), 'fuzz')),
    },
    {
      name: 'IDX',
      share: 3,
      attack: (random) => {
        const bytes = hostile(idxFiles, random);
        return outcomeOf(() =>
          random(2) === 0 ? parseIdxImages(bytes, 'fuzz') : parseIdxLabels(bytes, 'fuzz'),
        );
      },
    },
  ];
}

/**
 * Attacks the parsers and returns the number of outcomes by parser and outcome.
 * @throws the first error that is not operational
 */
export function attackParsers(
  count: number,
  random: Random,
  onProgress: (done: number) => void = () => undefined,
): Map<string, Map<string, number>> {
  const all = targets();
  const counts = new Map(all.map(({ name }) => [name, new Map<string, number>()]));
  for (let done = 0; done < count; done++) {
    let draw = random(100);
    const target = all.find(({ share }) => (draw -= share) < 0) ?? all[0];
    if (!target) break;
    const result = target.attack(random);
    const outcomes = counts.get(target.name);
    outcomes?.set(result, (outcomes.get(result) ?? 0) + 1);
    if (done % 10_000 === 0) onProgress(done);
  }
  return counts;
}
