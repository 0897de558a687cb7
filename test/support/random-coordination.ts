/** Random events for the coordinator's state machine, plausible and hostile ones. */
import fc from 'fast-check';
import type { WorkerRecord } from '../../src/coordinator/types.js';
import type { WorkerMessage } from '../../src/shared/protocol/messages.js';
import { CoordinatedRun, runId, sha } from './coordinated-run.js';

const names = ['a', 'b', 'c', 'd', 'e'];

const kinds = [
  'proceed',
  'proceed',
  'proceed',
  'join',
  'ready',
  'timer',
  'connected',
  'last_committed',
  'committed',
  'drained',
  'finished',
  'saved',
  'checkpointed',
  'heartbeat',
  'lost',
  'failed',
  'leave',
  'rejoin',
  'exited',
  'interrupt',
] as const;

export interface RandomEvent {
  readonly kind: (typeof kinds)[number];
  readonly worker: number;
  readonly value: number;
}

export const randomEvents: fc.Arbitrary<{ takesOver: boolean; events: RandomEvent[] }> = fc.record({
  takesOver: fc.boolean(),
  events: fc.array(
    fc.record({
      kind: fc.constantFrom(...kinds),
      worker: fc.nat(names.length - 1),
      value: fc.nat(5),
    }),
    { minLength: 10, maxLength: 60 },
  ),
});

/** A run of two workers and three shards, so that it can have standby workers. */
export function randomRun(takesOver: boolean): CoordinatedRun {
  const inherited = { runId, step: 1, evaluated: { step: 0, splits: [] }, checkpoint: null };
  return new CoordinatedRun(
    2,
    { shards: 3, batchSize: 3, maxSteps: 1000, balance: 'speed' },
    takesOver ? inherited : null,
  );
}

/** Applies an event to the run. Exit of a worker that is not present has no effect. */
export function apply(run: CoordinatedRun, { kind, worker, value }: RandomEvent): void {
  const name = names[worker] ?? '';
  switch (kind) {
    case 'proceed':
      for (const record of [...run.state.workers.values()]) proceed(run, record);
      break;
    case 'join':
      run.join(name, worker + 1);
      break;
    case 'ready':
      run.ready(name);
      break;
    case 'timer':
      run.tick(run.nowMs + 10 ** value);
      break;
    case 'exited':
      run.on({ kind: 'exited', pid: worker + 1, how: 'died', final: value === 0 });
      break;
    case 'interrupt':
      if (value < 2) run.on({ kind: 'interrupt', signal: 'SIGINT', atOnce: false });
      break;
    case 'rejoin':
      run.rejoin(name, worker, { generation: 1 + (value % 2), worldSize: 1 + value });
      break;
    default:
      run.say(name, messageOf(run, kind, value));
  }
}

/** The message that a correct worker sends next. */
function proceed(run: CoordinatedRun, { connection, lifecycle, committedStep }: WorkerRecord): void {
  const { generation, phase } = run.state;
  switch (lifecycle.state) {
    case 'loading':
      run.ready(connection);
      break;
    case 'connecting':
      run.say(connection, { type: 'connected', generation, sharesMemory: true });
      break;
    case 'stopping':
      run.say(connection, { type: 'last_committed', generation, step: committedStep });
      break;
    case 'running':
      run.say(connection, messageOf(run, 'committed', committedStep + 1));
      break;
    case 'stopped':
      if (phase === 'stopping') run.say(connection, messageOf(run, 'checkpointed', committedStep));
      break;
    case 'standby':
    case 'connected':
    case 'drained':
    case 'finished':
      run.beat(connection, run.nowMs);
      break;
  }
}

type PlainKind = Exclude<
  RandomEvent['kind'],
  'proceed' | 'join' | 'ready' | 'timer' | 'exited' | 'interrupt' | 'rejoin'
>;

function messageOf(run: CoordinatedRun, type: PlainKind, value: number): WorkerMessage {
  const { generation } = run.state;
  switch (type) {
    case 'connected':
      return { type, generation, sharesMemory: value > 0 };
    case 'last_committed':
    case 'drained':
      return { type, generation, step: value };
    case 'committed':
      return { type, generation, step: value, epoch: 1, loss: 1, learningRate: 0.1 };
    case 'finished':
      return { type, generation, steps: value, weightsSha256: sha('1') };
    case 'saved':
      return { type, path: value > 0 ? '/out/model.json' : '' };
    case 'checkpointed':
      return { type, step: value, path: `/out/${value}`, error: value === 1 ? 'disk full' : null };
    case 'heartbeat':
      return { type, generation, ticks: value, waitingFor: value > 2 ? 'gradients' : '' };
    case 'lost':
      return { type, generation, rank: value, reason: 'closed' };
    case 'failed':
      return { type, error: { code: value > 0 ? 'PEER_LOST' : 'INVARIANT', message: 'failed' } };
    case 'leave':
      return { type };
  }
}
