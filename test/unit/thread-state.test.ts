import { MessageChannel } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import {
  countRound,
  interruptRounds,
  stateIndex,
  type Interruption,
} from '../../src/worker/communicator/thread-protocol.js';
import { ThreadState } from '../../src/worker/communicator/thread-state.js';
import { PeerLostError, toWireError } from '../../src/shared/errors.js';

function channel() {
  const { port1, port2 } = new MessageChannel();
  port1.unref();
  const main = new ThreadState(port1);
  const thread = new Int32Array(main.buffer);
  const interrupt = (reason: Interruption): void => {
    port2.postMessage(reason);
    interruptRounds(thread);
  };
  return { main, thread, interrupt };
}

const removed: Interruption = {
  kind: 'failed',
  error: toWireError(new PeerLostError('This worker was removed from the run.')),
};

describe('the state that a worker shares with its communicator thread', () => {
  it('returns when the awaited round is counted', () => {
    const { main, thread } = channel();
    countRound(thread, 7);
    expect(() => {
      main.awaitRounds(7, 1);
    }).not.toThrow();
  });

  it('stays interrupted if frames of peers complete a round afterwards', () => {
    const { main, thread, interrupt } = channel();
    interrupt(removed);
    countRound(thread, 7);
    // A counter of zero is what a main thread expects that blocks on the first round.
    expect(thread[stateIndex.collectives + 7]).toBe(-1);
    expect(() => {
      main.awaitRounds(7, 1);
    }).toThrow('This worker was removed from the run.');
  });

  it('counts the rounds of the next generation', () => {
    const { main, thread, interrupt } = channel();
    interrupt({ kind: 'ended', generation: 1 });
    expect(() => {
      main.awaitRounds(7, 1);
    }).toThrow('generation 1');
    main.reset();
    countRound(thread, 7);
    expect(() => {
      main.awaitRounds(7, 1);
    }).not.toThrow();
  });
});
