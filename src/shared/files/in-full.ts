/** Reads and writes of all given bytes. One call of the system may transfer fewer. */

import type { FileHandle } from 'node:fs/promises';

/** Fills `into` from the position on. @returns the number of bytes read, which is smaller only if the file ends before */
export async function readInFull(file: FileHandle, into: Uint8Array, position: number): Promise<number> {
  let got = 0;
  while (got < into.length) {
    const { bytesRead } = await file.read(into, got, into.length - got, position + got);
    if (bytesRead === 0) break;
    got += bytesRead;
  }
  return got;
}

/**
 * @param position null: where the file's last write ended, or at its end if it is open for appending
 * @param onWritten called with the number of bytes of each write, also before one that fails
 */
export async function writeInFull(
  file: FileHandle,
  bytes: Uint8Array,
  position: number | null = null,
  onWritten: (bytes: number) => void = () => undefined,
): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const target = position === null ? null : position + at;
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, target);
    at += bytesWritten;
    onWritten(bytesWritten);
  }
}
