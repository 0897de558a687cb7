/** Deterministic mutations of byte sequences: the same seed gives the same bytes. */

import { crc32 } from 'node:zlib';
import { headerBytes } from '../../src/shared/protocol/frame.js';

/** Draws an integer from 0 (inclusive) to `below` (exclusive). */
export type Random = (below: number) => number;

/** Returns a Mulberry32 generator. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const pick = <T>(random: Random, from: readonly T[]): T => from[random(from.length)] as T;

/** First bytes of MessagePack's sized, nested and extension types, and boundary values of lengths. */
const interesting = [
  0x00, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc4, 0xc7, 0xc9, 0xcb, 0xd4, 0xd6, 0xd8,
  0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xfe, 0xff,
];

/** Returns a copy of `bytes` with one to three random mutations. */
export function mutate(bytes: Buffer, random: Random): Buffer {
  let mutated: Buffer = Buffer.from(bytes);
  for (let times = 1 + random(3); times > 0; times--) mutated = mutateOnce(mutated, random);
  return mutated;
}

function mutateOnce(bytes: Buffer, random: Random): Buffer {
  if (bytes.length === 0) return Buffer.from([random(256)]);
  const at = random(bytes.length);
  switch (random(8)) {
    case 0:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
      return bytes;
    case 1:
      bytes[at] = pick(random, interesting);
      return bytes;
    case 2:
      return bytes.subarray(0, at);
    case 3:
      return Buffer.concat([bytes, Buffer.alloc(1 + random(64), random(256))]);
    case 4: // Overwrites bytes that may be a length.
      bytes.fill(random(2) === 0 ? 0xff : 0, at, Math.min(bytes.length, at + 1 + random(8)));
      return bytes;
    case 5: // Repeats a range.
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(random(at + 1))]);
    case 6: // Removes a range.
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random(bytes.length - at))]);
    default: // Inserts deep nesting.
      return Buffer.concat([bytes.subarray(0, at), Buffer.alloc(1 + random(40), 0x91), bytes.subarray(at)]);
  }
}

/** Corrects the length and checksums of a frame in place, so that it passes these checks and reaches the later ones. */
export function repairChecksums(frame: Buffer): Buffer {
  if (frame.length < headerBytes) return frame;
  frame.writeUInt32LE(frame.length - headerBytes, 28);
  frame.writeUInt32LE(crc32(frame.subarray(headerBytes)), 36);
  frame.writeUInt32LE(crc32(frame.subarray(0, headerBytes - 4)), headerBytes - 4);
  return frame;
}

/** Splits bytes into message parts as a peer may send them: usually one, otherwise up to four at random positions. */
export function splitIntoParts(bytes: Buffer, random: Random): Buffer[] {
  const cuts = random(3) > 0 ? [] : Array.from({ length: random(4) }, () => random(bytes.length + 1));
  const bounds = [0, ...cuts.sort((a, b) => a - b), bytes.length];
  return bounds.slice(1).map((end, i) => bytes.subarray(bounds[i], end));
}

/** Returns fewer than `limit` random bytes. */
export function noise(random: Random, limit: number): Buffer {
  const bytes = Buffer.alloc(random(limit));
  for (let at = 0; at < bytes.length; at++) bytes[at] = random(256);
  return bytes;
}

/** Returns a mutation of a random corpus entry with probability 0.9, otherwise noise. */
export function hostile(corpus: readonly Buffer[], random: Random): Buffer {
  return random(10) === 0 ? noise(random, 300) : mutate(pick(random, corpus), random);
}
