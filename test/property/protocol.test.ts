import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '../../src/shared/errors.js';
import {
  decodeCoordinatorMessage,
  decodeWorkerMessage,
  encodeMessage,
} from '../../src/shared/protocol/codec.js';
import { headerBytes, phases, readHeader, writeHeader } from '../../src/shared/protocol/frame.js';
import type { WorkerMessage } from '../../src/shared/protocol/messages.js';

const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const header = fc.record({
  phase: fc.constantFrom(...phases),
  sender: fc.integer({ min: 0, max: 0xffff }),
  runTag: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  generation: uint32,
  exchange: uint32,
  sequence: uint32,
  step: uint32,
});

function frameOf(fields: Parameters<typeof writeHeader>[1], payload: Uint8Array): Buffer {
  const frame = Buffer.concat([Buffer.alloc(headerBytes), payload]);
  writeHeader(frame, fields);
  return frame;
}

const workerMessage: fc.Arbitrary<WorkerMessage> = fc.oneof(
  fc.record({
    type: fc.constant('join' as const),
    protocol: uint32,
    workerId: fc.uuid(),
    pid: uint32,
    host: fc.string(),
    slot: fc.string(),
  }),
  fc.record({ type: fc.constant('standing' as const), generation: uint32, step: uint32 }),
  fc.record({
    type: fc.constant('committed' as const),
    generation: uint32,
    step: uint32,
    epoch: uint32,
    loss: fc.double(),
    learningRate: fc.double({ noNaN: true, noDefaultInfinity: true }),
  }),
  fc.record({ type: fc.constant('saved' as const), path: fc.string({ maxLength: 4096 }) }),
  fc.constant({ type: 'leave' as const }),
);

const refusedOnly = (decode: () => unknown): void => {
  try {
    decode();
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
  }
};

describe('data frames', () => {
  it('decode to what was encoded', () => {
    fc.assert(
      fc.property(header, fc.uint8Array({ maxLength: 200 }), (fields, payload) => {
        expect(readHeader(frameOf(fields, payload))).toEqual(fields);
      }),
    );
  });

  it('are refused when any byte that carries something was changed or cut off', () => {
    fc.assert(
      fc.property(
        header,
        fc.uint8Array({ minLength: 1, maxLength: 60 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (fields, payload, at, change) => {
          const frame = frameOf(fields, payload);
          const damagedAt = headerBytes + (at % payload.length);
          const damaged = Buffer.from(frame);
          damaged[damagedAt]! ^= change;
          expect(() => readHeader(damaged)).toThrow(ProtocolError);
          expect(() => readHeader(frame.subarray(0, at % frame.length))).toThrow(ProtocolError);
          expect(() => readHeader(Buffer.concat([frame, Buffer.from([change])]))).toThrow(ProtocolError);
        },
      ),
    );
  });

  it('give only ProtocolError for random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) =>
        refusedOnly(() => readHeader(Buffer.from(bytes))),
      ),
    );
  });
});

describe('control messages', () => {
  it('decode to what was encoded', () => {
    fc.assert(
      fc.property(workerMessage, (message) => {
        const decoded = decodeWorkerMessage(encodeMessage(message), 'test');
        // Minus zero counts as zero.
        expect(JSON.stringify(decoded)).toBe(JSON.stringify(message));
      }),
    );
  });

  it('give only ProtocolError for random and for mutated bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        refusedOnly(() => decodeWorkerMessage(bytes, 'test'));
        refusedOnly(() => decodeCoordinatorMessage(bytes, 'test'));
      }),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(workerMessage, fc.nat(), fc.integer({ min: 1, max: 255 }), (message, at, change) => {
        const bytes = Buffer.from(encodeMessage(message));
        bytes[at % bytes.length]! ^= change;
        refusedOnly(() => decodeWorkerMessage(bytes, 'test'));
      }),
      { numRuns: 500 },
    );
  });

  it('are refused when they are too long, whatever they promise', () => {
    expect(() => decodeWorkerMessage(new Uint8Array(2 ** 21), 'test')).toThrow(/at most/);
    // An array of four thousand million elements, in five bytes.
    expect(() => decodeWorkerMessage(Uint8Array.from([0xdd, 0xff, 0xff, 0xff, 0xff]), 'test')).toThrow(
      ProtocolError,
    );
  });
});
