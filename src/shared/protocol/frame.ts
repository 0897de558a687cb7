/**
 * The data plane's frame: a fixed header, then a payload of float32 or float64 in little-endian. Owns its layout and
 * refuses whatever doesn't fit it. Nothing of a payload is read before every field of the header has been checked; the
 * payload's own checksum comes last, since it costs most.
 *
 * ```
 *  0 magic 'LKS1'   4  version    5  phase      6  sender (u16)
 *  8 run tag (u64)  16 generation 20 exchange   24 sequence      28 payload bytes
 * 32 step           36 checksum of the payload (CRC-32)          40..59 zero     60 checksum of 0..59
 * ```
 */

import { crc32 } from 'node:zlib';
import { refusal } from './refusals.js';

export const headerBytes = 64;
export const frameVersion = 2;
const magic = 0x31534b4c;
const payloadChecksumAt = 36;
const headerChecksumAt = headerBytes - 4;

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
  frame.writeUInt32LE(crc32(frame.subarray(headerBytes)), payloadChecksumAt);
  frame.writeUInt32LE(crc32(frame.subarray(0, headerChecksumAt)), headerChecksumAt);
}

/** The rank that a frame names, not yet checked. */
export function senderOf(frame: Buffer): number | undefined {
  return frame.length < headerBytes ? undefined : frame.readUInt16LE(6);
}

/**
 * Parses a received frame's header; `verifyPayload` is next, once the header says that anybody wants it.
 * @throws ProtocolError when it is shorter than a header, of another protocol or version, or damaged.
 */
export function readHeader(frame: Buffer): FrameHeader {
  if (frame.length < headerBytes) {
    throw refusal(
      'short',
      `Data frame refused: expected at least ${headerBytes} bytes, got ${frame.length}.`,
    );
  }
  const foundMagic = frame.readUInt32LE(0);
  if (foundMagic !== magic) {
    throw refusal(
      'magic',
      `Data frame refused: expected magic 0x${magic.toString(16)}, got 0x${foundMagic.toString(16)}.`,
    );
  }
  const version = frame.readUInt8(4);
  if (version !== frameVersion) {
    throw refusal(
      'version',
      `Data frame refused: expected version ${frameVersion}, got ${version}. Run the same Lockstep on every worker.`,
    );
  }
  if (crc32(frame.subarray(0, headerChecksumAt)) !== frame.readUInt32LE(headerChecksumAt))
    throw refusal('header', "Data frame refused: its header's checksum does not match.");
  const phase = phases[frame.readUInt8(5)];
  if (phase === undefined)
    throw refusal('header', `Data frame refused: unknown phase ${frame.readUInt8(5)}.`);
  for (let at = payloadChecksumAt + 4; at < headerChecksumAt; at += 4) {
    if (frame.readUInt32LE(at) !== 0)
      throw refusal('header', `Data frame refused: expected zero at byte ${at} of the header.`);
  }
  const payloadBytes = frame.readUInt32LE(28);
  if (payloadBytes !== frame.length - headerBytes) {
    throw refusal(
      'length',
      `Data frame refused: header promises ${payloadBytes} bytes, ${frame.length - headerBytes} came.`,
    );
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

/** @throws ProtocolError when a frame's payload is not what its sender wrote. */
export function verifyPayload(frame: Buffer): void {
  if (crc32(frame.subarray(headerBytes)) !== frame.readUInt32LE(payloadChecksumAt))
    throw refusal('checksum', 'Data frame refused: its checksum does not match its payload.');
}
