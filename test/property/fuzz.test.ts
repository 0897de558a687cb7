import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { attackParsers } from '../../scripts/fuzz/parsers.js';
import { seeded } from '../../scripts/fuzz/mutate.js';
import { coordinatorMessages, simulateCollectives, workerMessages } from '../../scripts/fuzz/corpus.js';
import {
  decodeCoordinatorMessage,
  decodeWorkerMessage,
  encodeMessage,
} from '../../src/shared/protocol/codec.js';
import { readHeader, verifyPayload } from '../../src/shared/protocol/frame.js';
import { maxDepth, malformation } from '../../src/shared/protocol/well-formed.js';

const packr = new Packr({ useRecords: false, moreTypes: false });

describe('hostile bytes', () => {
  it('are accepted or refused with an operational error by every parser, 20,000 of them', () => {
    const counts = attackParsers(20_000, seeded(7));
    const kinds = new Set([...counts.values()].flatMap((of) => [...of.keys()]));
    // Without these outcomes, the mutations do not reach all checks.
    for (const kind of [
      'malformed',
      'bad-field',
      'accepted',
      'short',
      'magic',
      'version',
      'header',
      'length',
    ])
      expect(kinds).toContain(kind);
    for (const kind of ['checksum', 'stale-generation', 'other-run', 'sender', 'sequence', 'DATA'])
      expect(kinds).toContain(kind);
  });

  it('are derived from valid messages of every type, each of which decodes to itself', () => {
    for (const message of Object.values(workerMessages))
      expect(decodeWorkerMessage(encodeMessage(message), 'test')).toEqual(message);
    for (const message of Object.values(coordinatorMessages))
      expect(decodeCoordinatorMessage(encodeMessage(message), 'test')).toEqual(message);
  });

  it('lead to a refusal of the frame, whichever byte was changed', () => {
    const [frame] = simulateCollectives().frames;
    for (let at = 0; at < frame!.length; at++) {
      const changed = Buffer.from(frame!);
      changed[at]! ^= 1 + ((at * 37) % 255);
      expect(() => {
        readHeader([changed]);
        verifyPayload([changed]);
      }, String(at)).toThrow(/refused/);
    }
  });
});

describe('the structure of a message', () => {
  it('is complete in each encoding of plain values, and incomplete in each truncation of it', () => {
    const plain = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(null, true, false),
        fc.double(),
        fc.integer(),
        fc.string(),
        fc.array(tie('value'), { maxLength: 20 }),
        fc.dictionary(fc.string(), tie('value'), { maxKeys: 20 }),
      ),
    })).value;
    fc.assert(
      fc.property(plain, fc.nat(), (value, cut) => {
        const bytes = Buffer.from(packr.pack(value));
        expect(malformation(bytes)).toBeUndefined();
        expect(malformation(bytes.subarray(0, cut % bytes.length))).toBeDefined();
        expect(malformation(Buffer.concat([bytes, Buffer.from([0])]))).toBe('further bytes follow the value');
      }),
    );
  });

  it.each([
    ['an array of four thousand million', [0xdd, 0xff, 0xff, 0xff, 0xff], 'exceeds the message'],
    ['a map of as many', [0xdf, 0xff, 0xff, 0xff, 0xff], 'exceeds the message'],
    ['a string of four gigabytes', [0xdb, 0xff, 0xff, 0xff, 0xff], 'incomplete'],
    ['an extension', [0xc7, 0x01, 0x72, 0x00], 'type 0xc7'],
    ['a record of msgpackr', [0xd4, 0x72, 0x40], 'type 0xd4'],
    ['a time stamp', [0xd6, 0xff, 0, 0, 0, 0], 'type 0xd6'],
    ['bytes of four gigabytes', [0xc6, 0xff, 0xff, 0xff, 0xff], 'incomplete'],
    ['a key that is bytes', [0x81, 0xc4, 0x01, 0x61, 0x01], 'not a string'],
    ['a key that is a number', [0x81, 0x01, 0x01], 'not a string'],
    ['nothing', [], 'incomplete'],
  ])('is refused before it is decoded: %s', (_, bytes, why) => {
    expect(malformation(Uint8Array.from(bytes))).toMatch(why);
  });

  it('is refused if it is deeply nested or contains the name of a prototype', () => {
    expect(malformation(Buffer.concat([Buffer.alloc(1_000_000, 0x91), Buffer.from([0])]))).toMatch('levels');
    expect(malformation(Buffer.concat([Buffer.alloc(maxDepth, 0x91), Buffer.from([0])]))).toBeUndefined();
    const key = (name: string): Buffer =>
      Buffer.concat([Buffer.from([0x81, 0xa0 + name.length]), Buffer.from(name), Buffer.from([0x80])]);
    for (const name of ['__proto__', 'constructor', 'prototype'])
      expect(() => decodeWorkerMessage(key(name), 'test')).toThrow(/refused/);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});
