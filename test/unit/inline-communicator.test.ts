import { describe, expect, it } from 'vitest';
import { MemoryNetwork } from '../../src/shared/transport/memory.js';
import type { ControlClientEvents } from '../../src/shared/transport/transport.js';
import { InlineCommunicator } from '../../src/worker/communicator/inline-communicator.js';

describe('the communicator of a single process', () => {
  it('reports only the first failure', () => {
    let events: ControlClientEvents | undefined;
    const communicator = new InlineCommunicator(
      {
        connect: (connected) => (events = connected),
        send: () => undefined,
        close: () => Promise.resolve(),
      },
      new MemoryNetwork(),
    );
    const failures: Error[] = [];
    communicator.listen({ message: () => undefined, failed: (error) => failures.push(error) });
    events?.message(Buffer.from('not a message'));
    events?.message(Buffer.from('not a message either'));
    expect(failures.map(({ name }) => name)).toEqual(['ProtocolError']);
  });
});
