/**
 * The data plane's frame: a fixed header, then a payload of float32 or float64 in little-endian. Owns its layout and
 * refuses whatever doesn't fit it. Nothing of a payload is read before every field of the header has been checked.
 *
 * ```
 *  0  magic 'LKS1'   4  version    5  phase      6  sender (u16)
 *  8  run tag (u64)  16 generation 20 exchange   24 sequence      28 payload bytes
 *  32 step           36 checksum of the payload (CRC-32)          40..63 zero
 * ```
 */

import { crc32 } from 'node:zlib';
import { ProtocolError } from '../errors.js';

export const headerBytes = 64;
export const frameVersion = 1;
const magic = 0x31534b4c;

export const phases = ['hello', 'contribution', 'scatter', 'gather'] as const;
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

/** Writes the header into the first 64 bytes of `frame`, whose rest is the payload. */
export function writeHeader(frame: Buffer, header: FrameHeader): void {
  frame.fill(0, 0, headerBytes);
  frame.writeUInt32LE(magic, 0);
  frame.writeUInt8(frameVersion, 4);
  frame.writeUInt8(phases.indexOf(header.phase), 5);
  frame.writeUInt16LE(header.sender, 6);
  frame.writeBigUInt64LE(header.runTag, 8);
  frame.writeUInt32LE(header.generation, 16);
  frame.writeUInt32LE(header.exchange, 20);
  frame.writeUInt32LE(header.sequence, 24);
  frame.writeUInt32LE(frame.length - headerBytes, 28);
  frame.writeUInt32LE(header.step >>> 0, 32);
  frame.writeUInt32LE(crc32(frame.subarray(headerBytes)), 36);
}

/** The rank that a frame names, not yet checked. */
export function senderOf(frame: Buffer): number | undefined {
  return frame.length < headerBytes ? undefined : frame.readUInt16LE(6);
}

/**
 * Parses a received frame.
 * @throws ProtocolError when it is shorter than a header, of another protocol or version, or damaged.
 */
export function readHeader(frame: Buffer): FrameHeader {
  if (frame.length < headerBytes) {
    throw new ProtocolError(
      `Data frame refused: expected at least ${headerBytes} bytes, got ${frame.length}.`,
    );
  }
  const foundMagic = frame.readUInt32LE(0);
  if (foundMagic !== magic) {
    throw new ProtocolError(
      `Data frame refused: expected magic 0x${magic.toString(16)}, got 0x${foundMagic.toString(16)}.`,
    );
  }
  const version = frame.readUInt8(4);
  if (version !== frameVersion) {
    throw new ProtocolError(
      `Data frame refused: expected version ${frameVersion}, got ${version}. Run the same Lockstep on every worker.`,
    );
  }
  const phase = phases[frame.readUInt8(5)];
  if (phase === undefined)
    throw new ProtocolError(`Data frame refused: unknown phase ${frame.readUInt8(5)}.`);
  const payloadBytes = frame.readUInt32LE(28);
  if (payloadBytes !== frame.length - headerBytes) {
    throw new ProtocolError(
      `Data frame refused: header promises ${payloadBytes} bytes, ${frame.length - headerBytes} came.`,
    );
  }
  const checksum = crc32(frame.subarray(headerBytes));
  if (checksum !== frame.readUInt32LE(36)) {
    throw new ProtocolError('Data frame refused: its checksum does not match its payload.');
  }
  return {
    phase,
    sender: frame.readUInt16LE(6),
    runTag: frame.readBigUInt64LE(8),
    generation: frame.readUInt32LE(16),
    exchange: frame.readUInt32LE(20),
    sequence: frame.readUInt32LE(24),
    step: frame.readUInt32LE(32),
  };
}
