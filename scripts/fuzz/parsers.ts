/**
 * Gives hostile bytes to every parser of bytes, in this process. Each may take them or refuse them with a typed error; the
 * state machine behind the coordinator's may not throw at all, whatever it is told.
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
  exchanges,
  idxFiles,
  messageBytes,
  safetensorsFile,
  workerMessages,
} from './corpus.js';
import { cut, hostile, mend, type Random } from './mutate.js';

export type Outcome = 'taken' | 'refused' | (string & {});

interface Target {
  readonly name: string;
  /** Of every hundred. */
  readonly share: number;
  attack(random: Random): Outcome;
}

/** What came of it. @throws whatever isn't a typed error */
function outcome(parse: () => unknown): Outcome {
  try {
    parse();
    return 'taken';
  } catch (error) {
    if (error instanceof OperationalError) return kindOf(error);
    throw error;
  }
}

/** A coordinator in mid-run whose sockets are this file, and how it is told something. */
function coordinator(): (from: string, bytes: Uint8Array) => void {
  let events: ControlServerEvents | undefined;
  const made = new Coordinator({
    runId: '00000000-0000-4000-8000-000000000000',
    host: 'box',
    config,
    definition: { path: '/config.ts', sha256: 'c'.repeat(64) },
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
    // No time passes: nobody is late.
    now: () => 0,
  });
  void made.run();
  const { join, ready } = workerMessages;
  const say = (from: string, bytes: Uint8Array): void => events?.message(from, bytes);
  for (let rank = 0; rank < config.workers; rank++) {
    const workerId = `00000000-0000-4000-8000-00000000000${rank}`;
    say(`w${rank}`, encodeMessage({ ...join, workerId, pid: rank, slot: String(rank) }));
  }
  for (let rank = 0; rank < config.workers; rank++) say(`w${rank}`, encodeMessage(ready));
  for (let rank = 0; rank < config.workers; rank++) say(`w${rank}`, encodeMessage(workerMessages.connected));
  return say;
}

export function targets(): Target[] {
  const fromWorkers = messageBytes(workerMessages);
  const fromCoordinator = messageBytes(coordinatorMessages);
  const { engines, frames } = exchanges();
  const [engine] = engines;
  const say = coordinator();
  return [
    {
      name: 'worker to coordinator',
      share: 35,
      attack: (random) => {
        // A few connections of strangers, of which some get as far as a join; refusals are counted inside.
        say(`s${random(50)}`, hostile(fromWorkers, random));
        return 'handled';
      },
    },
    {
      name: 'coordinator to worker',
      share: 25,
      attack: (random) => outcome(() => decodeCoordinatorMessage(hostile(fromCoordinator, random), 'fuzz')),
    },
    {
      name: 'data frame',
      share: 30,
      attack: (random) => {
        const frame = hostile(frames, random);
        return outcome(() => engine?.receive(cut(random(2) === 0 ? mend(frame) : frame, random)));
      },
    },
    {
      name: 'replayed frame',
      share: 4,
      attack: (random) => outcome(() => engine?.receive([Buffer.from(frames[random(frames.length)] ?? [])])),
    },
    {
      name: 'safetensors',
      share: 3,
      attack: (random) => outcome(() => decodeSafetensors(hostile([safetensorsFile], random), 'fuzz')),
    },
    {
      name: 'IDX',
      share: 3,
      attack: (random) => {
        const bytes = hostile(idxFiles, random);
        return outcome(() =>
          random(2) === 0 ? parseIdxImages(bytes, 'fuzz') : parseIdxLabels(bytes, 'fuzz'),
        );
      },
    },
  ];
}

/** Counts by target and outcome. @throws the first error that isn't typed */
export function attackParsers(
  count: number,
  random: Random,
  progress: (done: number) => void = () => undefined,
): Map<string, Map<string, number>> {
  const all = targets();
  const counts = new Map(all.map(({ name }) => [name, new Map<string, number>()]));
  for (let done = 0; done < count; done++) {
    let place = random(100);
    const target = all.find(({ share }) => (place -= share) < 0) ?? all[0];
    if (!target) break;
    const result = target.attack(random);
    const of = counts.get(target.name);
    of?.set(result, (of.get(result) ?? 0) + 1);
    if (done % 10_000 === 0) progress(done);
  }
  return counts;
}
