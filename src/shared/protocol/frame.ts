/**
 * The frame of the data plane: a header of 64 bytes, then a payload of little-endian numbers. A frame that does not match the
 * layout is refused. No byte of a payload is read before every field of the header has been checked; the checksum of the payload
 * is verified last because it is the most expensive check.
 *
 * A frame is sent as one or more parts whose concatenated bytes are the frame, so that a payload can be sent from its own memory.
 * The first part contains the whole header.
 *
 * ```
 *  0 magic 'LKS1'   4  version    5  phase      6  sender (u16)
 *  8 run tag (u64)  16 generation 20 collective   24 sequence      28 payload bytes
 * 32 step           36 checksum of the payload (CRC-32)          40 encoding     41..59 zero
 * 60 checksum of 0..59
 * ```
 */

import { crc32 } from 'node:zlib';
import { InvariantError } from '../errors.js';
import { refusal } from './refusals.js';

export type Frame = readonly Buffer[];

/** Returns the CRC-32 of `bytes` appended to bytes whose CRC-32 is `before` (default: no bytes). */
export type Checksum = (bytes: Uint8Array, before?: number) => number;

export const headerBytes = 64;
export const frameVersion = 5;
const magic = 0x31534b4c;
const payloadChecksumAt = 36;
const encodingAt = 40;
const headerChecksumAt = headerBytes - 4;
/** More parts than a collective has vectors; bounds the cost of checking a frame of tiny parts. */
export const maxParts = 4_096;

export const phases = [
  'hello',
  'reduce-scatter',
  'inter-group-reduce',
  'inter-group-broadcast',
  'all-gather',
] as const;
export type Phase = (typeof phases)[number];

/** `plain`: all elements of the vectors. `zero-blocks`: see collectives/zero-blocks.ts. */
export const encodings = ['plain', 'zero-blocks'] as const;
export type Encoding = (typeof encodings)[number];

export interface FrameHeader {
  readonly phase: Phase;
  readonly sender: number;
  /** First 8 bytes of the run's id; a frame of another run is refused. */
  readonly runTag: bigint;
  readonly generation: number;
  /** Id of the registered collective; 0 in a hello frame. */
  readonly collective: number;
  /** Round of the collective: the number of its starts, including this one. */
  readonly sequence: number;
  /** The optimizer step, for the text of a refusal only. */
  readonly step: number;
  readonly encoding: Encoding;
}

/** The payload, without empty parts. */
export function payloadOf([first, ...rest]: Frame): Buffer[] {
  return [...(first ? [first.subarray(headerBytes)] : []), ...rest].filter((part) => part.length > 0);
}

export const bytesOf = (parts: readonly Buffer[]): number =>
  parts.reduce((total, { length }) => total + length, 0);

const checksumOf = (parts: readonly Buffer[], checksum: Checksum): number =>
  parts.reduce((before, part) => checksum(part, before), 0);

/** Writes the header into the first 64 bytes of the frame's first part. All other bytes are the payload. */
export function writeHeader(frame: Frame, header: FrameHeader, checksum: Checksum = crc32): void {
  const [first] = frame;
  if (first === undefined || first.length < headerBytes) throw new InvariantError('a frame without a header');
  const payload = payloadOf(frame);
  first.fill(0, 0, headerBytes);
  first.writeUInt32LE(magic, 0);
  first.writeUInt8(frameVersion, 4);
  first.writeUInt8(phases.indexOf(header.phase), 5);
  first.writeUInt16LE(header.sender, 6);
  first.writeBigUInt64LE(header.runTag, 8);
  first.writeUInt32LE(header.generation, 16);
  first.writeUInt32LE(header.collective, 20);
  first.writeUInt32LE(header.sequence, 24);
  first.writeUInt32LE(bytesOf(payload), 28);
  first.writeUInt32LE(header.step >>> 0, 32);
  first.writeUInt32LE(checksumOf(payload, checksum), payloadChecksumAt);
  first.writeUInt8(encodings.indexOf(header.encoding), encodingAt);
  first.writeUInt32LE(crc32(first.subarray(0, headerChecksumAt)), headerChecksumAt);
}

/** The sender's rank according to a frame that has not been checked. */
export function senderOf([first]: Frame): number | undefined {
  return first === undefined || first.length < headerBytes ? undefined : first.readUInt16LE(6);
}

/**
 * Parses the header of a received frame. The caller must call `verifyPayload` before it uses the payload.
 * @throws ProtocolError if the frame is shorter than a header, has another magic number or version, or is damaged
 */
export function readHeader(frame: Frame): FrameHeader {
  const [first] = frame;
  if (first === undefined || first.length < headerBytes) {
    throw refusal(
      'short',
      `Data frame refused: expected at least ${headerBytes} bytes in its first part, got ${first?.length ?? 0}.`,
    );
  }
  if (frame.length > maxParts) {
    throw refusal('length', `Data frame refused: expected at most ${maxParts} parts, got ${frame.length}.`);
  }
  const foundMagic = first.readUInt32LE(0);
  if (foundMagic !== magic) {
    throw refusal(
      'magic',
      `Data frame refused: expected magic 0x${magic.toString(16)}, got 0x${foundMagic.toString(16)}.`,
    );
  }
  const version = first.readUInt8(4);
  if (version !== frameVersion) {
    throw refusal(
      'version',
      `Data frame refused: expected version ${frameVersion}, got ${version}. Run the same Lockstep on every worker.`,
    );
  }
  if (crc32(first.subarray(0, headerChecksumAt)) !== first.readUInt32LE(headerChecksumAt))
    throw refusal(
      'header',
      'Data frame refused: expected a header that matches its checksum, got a damaged one.',
    );
  const phase = phases[first.readUInt8(5)];
  if (phase === undefined)
    throw refusal(
      'header',
      `Data frame refused: expected a phase from 0 to ${phases.length - 1}, got ${first.readUInt8(5)}.`,
    );
  const encoding = encodings[first.readUInt8(encodingAt)];
  if (encoding === undefined)
    throw refusal(
      'header',
      `Data frame refused: expected an encoding from 0 to ${encodings.length - 1}, got ${first.readUInt8(encodingAt)}.`,
    );
  for (let at = encodingAt + 1; at < headerChecksumAt; at++) {
    if (first.readUInt8(at) !== 0)
      throw refusal(
        'header',
        `Data frame refused: expected zero at byte ${at} of the header, got another value.`,
      );
  }
  const payloadBytes = first.readUInt32LE(28);
  const receivedBytes = bytesOf(frame) - headerBytes;
  if (payloadBytes !== receivedBytes) {
    throw refusal(
      'length',
      `Data frame refused: expected ${payloadBytes} payload bytes, got ${receivedBytes}.`,
    );
  }
  return {
    phase,
    sender: first.readUInt16LE(6),
    runTag: first.readBigUInt64LE(8),
    generation: first.readUInt32LE(16),
    collective: first.readUInt32LE(20),
    sequence: first.readUInt32LE(24),
    step: first.readUInt32LE(32),
    encoding,
  };
}

/** @throws ProtocolError if the payload of a frame, whose header has been read, does not match its checksum */
export function verifyPayload(frame: Frame, checksum: Checksum = crc32): void {
  if (checksumOf(payloadOf(frame), checksum) !== frame[0]?.readUInt32LE(payloadChecksumAt))
    throw refusal(
      'checksum',
      'Data frame refused: expected a payload that matches its checksum, got a damaged one.',
    );
}
