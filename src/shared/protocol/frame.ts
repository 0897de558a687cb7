/**
 * The data plane's frame: a fixed header, then a payload of numbers in little-endian. Owns its layout and refuses whatever
 * doesn't fit it. Nothing of a payload is read before every field of the header has been checked.
 *
 * A frame travels as parts, whose bytes one after the other are the frame: so a payload can be sent from where it lies. The
 * header is whole in the first part.
 *
 * ```
 *  0  magic 'LKS1'   4  version    5  phase      6  sender (u16)
 *  8  run tag (u64)  16 generation 20 exchange   24 sequence      28 payload bytes
 *  32 step           36 checksum of the payload (CRC-32)          40..63 zero
 * ```
 */

import { crc32 } from 'node:zlib';
import { InvariantError, ProtocolError } from '../errors.js';

export type Frame = readonly Buffer[];

/** CRC-32 of `bytes` after bytes whose CRC-32 is `before` (default: none). */
export type Checksum = (bytes: Uint8Array, before?: number) => number;

export const headerBytes = 64;
export const frameVersion = 2;
const magic = 0x31534b4c;

export const phases = ['hello', 'scatter', 'between', 'roots', 'gather'] as const;
export type Phase = (typeof phases)[number];

export interface FrameHeader {
  readonly phase: Phase;
  readonly sender: number;
  /** First 8 bytes of the run's id: frames of another run are refused. */
  readonly runTag: bigint;
  readonly generation: number;
  /** Which registered exchange; 0 for hello. */
  readonly exchange: number;
  /** How many times that exchange has been started, this one included. */
  readonly sequence: number;
  /** The optimizer step, for people who read a refusal. */
  readonly step: number;
}

/** The payload, without empty parts. */
export function payloadOf([first, ...rest]: Frame): Buffer[] {
  return [...(first ? [first.subarray(headerBytes)] : []), ...rest].filter((part) => part.length > 0);
}

const bytesOf = (parts: readonly Buffer[]): number => parts.reduce((total, { length }) => total + length, 0);

const checksumOf = (parts: readonly Buffer[], checksum: Checksum): number =>
  parts.reduce((before, part) => checksum(part, before), 0);

/** Writes the header into the first 64 bytes of the frame's first part; all that follows is the payload. */
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
  first.writeUInt32LE(header.exchange, 20);
  first.writeUInt32LE(header.sequence, 24);
  first.writeUInt32LE(bytesOf(payload), 28);
  first.writeUInt32LE(header.step >>> 0, 32);
  first.writeUInt32LE(checksumOf(payload, checksum), 36);
}

/**
 * Parses a received frame.
 * @throws ProtocolError when it is shorter than a header, of another protocol or version, or damaged.
 */
export function readHeader(frame: Frame, checksum: Checksum = crc32): FrameHeader {
  const [first] = frame;
  if (first === undefined || first.length < headerBytes) {
    throw new ProtocolError(
      `Data frame refused: expected at least ${headerBytes} bytes, got ${first?.length ?? 0}.`,
    );
  }
  const foundMagic = first.readUInt32LE(0);
  if (foundMagic !== magic) {
    throw new ProtocolError(
      `Data frame refused: expected magic 0x${magic.toString(16)}, got 0x${foundMagic.toString(16)}.`,
    );
  }
  const version = first.readUInt8(4);
  if (version !== frameVersion) {
    throw new ProtocolError(
      `Data frame refused: expected version ${frameVersion}, got ${version}. Run the same Lockstep on every worker.`,
    );
  }
  const phase = phases[first.readUInt8(5)];
  if (phase === undefined)
    throw new ProtocolError(`Data frame refused: unknown phase ${first.readUInt8(5)}.`);
  const payload = payloadOf(frame);
  const [promised, came] = [first.readUInt32LE(28), bytesOf(payload)];
  if (promised !== came) {
    throw new ProtocolError(`Data frame refused: header promises ${promised} bytes, ${came} came.`);
  }
  if (checksumOf(payload, checksum) !== first.readUInt32LE(36)) {
    throw new ProtocolError('Data frame refused: its checksum does not match its payload.');
  }
  return {
    phase,
    sender: first.readUInt16LE(6),
    runTag: first.readBigUInt64LE(8),
    generation: first.readUInt32LE(16),
    exchange: first.readUInt32LE(20),
    sequence: first.readUInt32LE(24),
    step: first.readUInt32LE(32),
  };
}
