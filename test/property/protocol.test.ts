import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '../../src/shared/errors.js';
import {
  decodeCoordinatorMessage,
  decodeWorkerMessage,
  encodeMessage,
} from '../../src/shared/protocol/codec.js';
import {
  headerBytes,
  phases,
  readHeader,
  verifyPayload,
  encodings,
  writeHeader,
} from '../../src/shared/protocol/frame.js';
import type { CommonPlan, WorkerMessage } from '../../src/shared/protocol/messages.js';
import { consecutiveRanges } from '../../src/shared/sharding/ranges.js';

const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const header = fc.record({
  phase: fc.constantFrom(...phases),
  sender: fc.integer({ min: 0, max: 0xffff }),
  runTag: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  generation: uint32,
  collective: uint32,
  sequence: uint32,
  step: uint32,
  encoding: fc.constantFrom(...encodings),
});

function frameOf(fields: Parameters<typeof writeHeader>[1], payload: Uint8Array): Buffer {
  const frame = Buffer.concat([Buffer.alloc(headerBytes), payload]);
  writeHeader([frame], fields);
  return frame;
}

const workerMessage: fc.Arbitrary<WorkerMessage> = fc.oneof(
  fc.record({
    type: fc.constant('join' as const),
    protocol: uint32,
    workerId: fc.uuid(),
    pid: uint32,
    host: fc.string(),
    workerSlot: fc.string(),
  }),
  fc.record({ type: fc.constant('last_committed' as const), generation: uint32, step: uint32 }),
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

/** A plan for workers with these numbers of shards. */
function planOf(counts: readonly number[]) {
  const address = { endpoint: 'tcp://x', memory: null, pid: 1, host: 'box' };
  const ranges = consecutiveRanges(counts);
  return {
    generation: 1,
    memberIds: counts.map((_, rank) => `00000000-0000-4000-8000-00000000000${rank}`),
    shards: ranges.at(-1)?.end ?? 0,
    step: 0,
    source: null,
    restore: null,
    out: null,
    writer: 0,
    evaluated: { step: 0, splits: [] },
    workers: ranges.map((shards, rank) => ({ rank, shards, ...address })),
  };
}

describe('data frames', () => {
  it('decode to what was encoded', () => {
    fc.assert(
      fc.property(header, fc.uint8Array({ maxLength: 200 }), (fields, payload) => {
        expect(readHeader([frameOf(fields, payload)])).toEqual(fields);
      }),
    );
  });

  it('have the same bytes in one part and in several', () => {
    fc.assert(
      fc.property(header, fc.uint8Array({ maxLength: 200 }), fc.nat(), (fields, payload, at) => {
        const whole = frameOf(fields, payload);
        const cut = headerBytes + (at % (payload.length + 1));
        const parts = [Buffer.alloc(headerBytes), whole.subarray(headerBytes, cut), whole.subarray(cut)];
        writeHeader(parts, fields);
        expect(Buffer.concat(parts).equals(whole)).toBe(true);
        expect(readHeader(parts)).toEqual(fields);
        expect(() => verifyPayload(parts)).not.toThrow();
      }),
    );
  });

  it('are refused if any byte was changed, cut off or appended', () => {
    fc.assert(
      fc.property(
        header,
        fc.uint8Array({ minLength: 1, maxLength: 60 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (fields, payload, at, change) => {
          const frame = frameOf(fields, payload);
          const damagedAt = at % frame.length;
          const damaged = Buffer.from(frame);
          damaged[damagedAt]! ^= change;
          expect(() => {
            readHeader([damaged]);
            verifyPayload([damaged]);
          }).toThrow(ProtocolError);
          expect(() => readHeader([frame.subarray(0, at % frame.length)])).toThrow(ProtocolError);
          expect(() => readHeader([frame, Buffer.from([change])])).toThrow(ProtocolError);
        },
      ),
    );
  });

  it('give only ProtocolError for random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) =>
        refusedOnly(() => readHeader([Buffer.from(bytes)])),
      ),
    );
  });
});

describe('control messages', () => {
  it('decode to what was encoded', () => {
    fc.assert(
      fc.property(workerMessage, (message) => {
        const decoded = decodeWorkerMessage(encodeMessage(message), 'test');
        // JSON does not distinguish minus zero from zero.
        expect(JSON.stringify(decoded)).toBe(JSON.stringify(message));
      }),
    );
  });

  it('cause only ProtocolError for random and for mutated bytes', () => {
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

  it('contain only plans that assign every shard once, to ranges in order of rank', () => {
    const decode = (plan: CommonPlan): void =>
      void decodeCoordinatorMessage(encodeMessage({ type: 'plan', plan }), 'test');
    fc.assert(
      fc.property(
        fc.array(fc.nat(5), { maxLength: 6 }),
        fc.nat(),
        fc.constantFrom(-1, 1),
        (counts, at, by) => {
          const plan = planOf([...counts, 1]);
          decode(plan);
          const worker = plan.workers[at % plan.workers.length]!;
          for (const edge of ['start', 'end'] as const) {
            const shards = { ...worker.shards, [edge]: worker.shards[edge] + by };
            const workers = plan.workers.with(worker.rank, { ...worker, shards });
            expect(() => decode({ ...plan, workers })).toThrow(ProtocolError);
          }
          expect(() => decode({ ...plan, writer: plan.workers.length })).toThrow(ProtocolError);
          const memberIds = plan.memberIds.map(() => plan.memberIds[0]!);
          if (memberIds.length > 1) expect(() => decode({ ...plan, memberIds })).toThrow(ProtocolError);
          expect(() => decode({ ...plan, workers: plan.workers.slice(1) })).toThrow(ProtocolError);
        },
      ),
    );
  });

  it('are refused if they are too long or declare more elements than they contain', () => {
    expect(() => decodeWorkerMessage(new Uint8Array(2 ** 21), 'test')).toThrow(/at most/);
    // An array of four thousand million elements, in five bytes.
    expect(() => decodeWorkerMessage(Uint8Array.from([0xdd, 0xff, 0xff, 0xff, 0xff]), 'test')).toThrow(
      ProtocolError,
    );
  });
});
