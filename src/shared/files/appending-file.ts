/**
 * A file to which a run appends records: the event log, the ledger, the timeline and TensorBoard's event file. An error of the disk
 * ends neither the run nor the file. Records wait in memory, the file is opened again after growing pauses, and records that exceeded
 * the memory are replaced by one gap record. An incomplete record, of this process or of an earlier one, is repaired before the next.
 */

import { closeSync, constants, openSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { settledWithin } from '../settled-within.js';
import { readInFull, writeInFull } from './in-full.js';
import { endOfWritesMs, lastAttemptMs, WriteAttempts } from './write-attempts.js';

/** Maximum size of the records that wait in memory; later ones are dropped, and a gap record counts them. */
export const maxQueuedBytes = 64 * 2 ** 20;
/** Memory that a waiting record takes in addition to its bytes. */
const overheadBytes = 128;
/** Essential records, such as a run's last event, may exceed the limit by this size. */
const essentialBytes = 16 * 2 ** 20;
/** Length of the records that are written at once. */
const batchBytes = 2 ** 20;

const newline = 10;

/** Records that the file lacks. */
export interface Gap {
  /** Number of lost records. It is 0 if an incomplete record is repeated after the gap record. */
  readonly records: number;
  /** Time of the first of them in milliseconds since 1970; null if an earlier process lost it. */
  readonly fromMs: number | null;
}

/**
 * `terminate`: a text format with one record per line. An incomplete last line gets its end and a gap record, by which readers recognise
 * that the line before it is incomplete. `cut`: another format. An incomplete last record is removed, so only one process may write
 * the file; `intactBytes` returns the length of the complete records.
 */
export type RecordFormat = { readonly gap: (gap: Gap) => string } & (
  | { readonly incompleteEnd: 'terminate' }
  | {
      readonly incompleteEnd: 'cut';
      readonly intactBytes: (file: FileHandle, size: number) => Promise<number>;
    }
);

export interface AppendingFileOptions {
  readonly path: string;
  /** The file's name in messages, e.g. `Event log`. */
  readonly name: string;
  readonly format: RecordFormat;
  /** `new` removes the content that the file has. */
  readonly mode: 'new' | 'append';
  /** Default: `maxQueuedBytes`. */
  readonly maxQueuedBytes?: number;
  /** Receives one message per outage, and one when it is over. */
  readonly notify: (message: string) => void;
}

interface QueuedGap {
  readonly kind: 'gap';
  records: number;
  readonly fromMs: number;
}

type Queued = { readonly kind: 'record'; readonly bytes: Uint8Array } | QueuedGap;

/** The bytes of a queued record or gap, and the number of lost records that a gap reports. */
interface Encoded {
  readonly bytes: Uint8Array;
  readonly lost: number;
}

export class AppendingFile {
  readonly #options: AppendingFileOptions;
  readonly #attempts: WriteAttempts;
  #queue: Queued[] = [];
  #queuedBytes = 0;
  /** The gap in the queue. */
  #gap: QueuedGap | undefined;
  /** Number of lost records for which a gap record has been written since the last report. */
  #lost = 0;
  #file: FileHandle | undefined;
  #isCreated = false;
  /** Length of the complete records; undefined before this process has opened the file and repaired its end. */
  #intactBytes: number | undefined;
  /** A line was written in part, and the gap record that explains it was not. */
  #owesGap = false;
  /** The first record of the queue, if the file lacks nothing of it but the end of its line. */
  #unended: Encoded | undefined;
  #isClosed = false;
  #isWriting = false;
  #writing: Promise<void> | undefined;

  constructor(options: AppendingFileOptions) {
    this.#options = options;
    this.#attempts = new WriteAttempts(`${options.name} ${options.path}`, options.notify);
  }

  /**
   * Creates the file now, so that an unsuitable path is an error of the start. Without this call, the first record creates it.
   * @throws the error of the file system
   */
  create(): void {
    closeSync(openSync(this.#options.path, this.#flags));
    this.#isCreated = true;
  }

  /** @param essential true for a record without which readers misunderstand the file; it is dropped last */
  append(record: string | Uint8Array, { essential = false }: { readonly essential?: boolean } = {}): void {
    if (this.#isClosed) return;
    const bytes = typeof record === 'string' ? Buffer.from(record) : record;
    const limit = (this.#options.maxQueuedBytes ?? maxQueuedBytes) + (essential ? essentialBytes : 0);
    const size = bytes.length + overheadBytes;
    if (this.#queuedBytes > 0 && this.#queuedBytes + size > limit) this.#drop();
    else {
      this.#queue.push({ kind: 'record', bytes });
      this.#queuedBytes += size;
    }
    this.#write();
  }

  /** Resolves when everything is written, or `timeMs` after the call; what is missing then is reported. */
  async close(timeMs = endOfWritesMs): Promise<void> {
    this.#isClosed = true;
    this.#attempts.end(timeMs);
    if (this.#writing) await settledWithin(timeMs + lastAttemptMs, this.#writing);
    const lost = this.#queue.reduce((sum, item) => sum + (item.kind === 'gap' ? item.records : 1), 0);
    if (lost > 0) this.#attempts.giveUp(lost);
    else await this.#closeFile();
  }

  get #flags(): number {
    const { O_RDWR, O_APPEND, O_CREAT, O_TRUNC } = constants;
    const isEmptied = this.#options.mode === 'new' && !this.#isCreated;
    return O_RDWR | O_APPEND | O_CREAT | (isEmptied ? O_TRUNC : 0);
  }

  #drop(): void {
    if (!this.#gap) {
      this.#gap = { kind: 'gap', records: 0, fromMs: Date.now() };
      this.#queue.push(this.#gap);
    }
    this.#gap.records++;
  }

  #write(): void {
    if (this.#isWriting) return;
    this.#isWriting = true;
    this.#writing = this.#writeQueue();
  }

  async #writeQueue(): Promise<void> {
    // The records of one turn of the event loop are written together.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      try {
        this.#file ??= await this.#open();
        await this.#writeBatch(this.#file);
      } catch (error) {
        await this.#file?.close().catch(() => undefined);
        this.#file = undefined;
        if (!(await this.#attempts.failed(error))) return;
      }
    }
    this.#attempts.succeeded(this.#lost);
    this.#lost = 0;
    // In the same turn as the last look at the queue, so that the next record starts the writing again.
    this.#isWriting = false;
  }

  async #open(): Promise<FileHandle> {
    const file = await open(this.#options.path, this.#flags);
    try {
      this.#isCreated = true;
      await this.#repairEnd(file);
      return file;
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
  }

  async #repairEnd(file: FileHandle): Promise<void> {
    const { format } = this.#options;
    const { size } = await file.stat();
    const known = this.#intactBytes;
    if (format.incompleteEnd === 'cut') {
      const intact = known !== undefined && known <= size ? known : await format.intactBytes(file, size);
      if (intact < size) await file.truncate(intact);
      this.#intactBytes = intact;
      return;
    }
    await this.#endLine(file, size, format.gap({ records: known === undefined ? 1 : 0, fromMs: null }));
    this.#intactBytes ??= size;
  }

  /** Ends an incomplete last line. A record that lacks only this end is written then; after any other one, the gap is written. */
  async #endLine(file: FileHandle, size: number, gap: string): Promise<void> {
    const isIncomplete = (await bytesBefore(file, size, 1)).some((byte) => byte !== newline);
    const unended = this.#unended;
    if (isIncomplete && unended && (await endsWith(file, size, unended.bytes.subarray(0, -1)))) {
      await writeInFull(file, Buffer.of(newline));
      this.#shift([unended]);
    } else if (isIncomplete || this.#owesGap) {
      this.#owesGap = true;
      await writeInFull(file, Buffer.from(`${isIncomplete ? '\n' : ''}${gap}`));
    }
    this.#owesGap = false;
    this.#unended = undefined;
  }

  /** Writes the first records of the queue. */
  async #writeBatch(file: FileHandle): Promise<void> {
    const batch: Encoded[] = [];
    let length = 0;
    for (const item of this.#queue) {
      if (length >= batchBytes) break;
      const bytes = item.kind === 'record' ? item.bytes : Buffer.from(this.#options.format.gap(item));
      batch.push({ bytes, lost: item.kind === 'gap' ? item.records : 0 });
      length += bytes.length;
    }
    let written = 0;
    try {
      const bytes = Buffer.concat(batch.map((encoded) => encoded.bytes));
      await writeInFull(file, bytes, null, (count) => (written += count));
    } finally {
      this.#remove(batch, written);
    }
  }

  /** Removes the records that are written from the queue. The first of the others may be written in part. */
  #remove(batch: readonly Encoded[], written: number): void {
    let left = written;
    const complete: Encoded[] = [];
    for (const encoded of batch) {
      if (left < encoded.bytes.length) break;
      left -= encoded.bytes.length;
      complete.push(encoded);
    }
    this.#shift(complete);
    this.#intactBytes = (this.#intactBytes ?? 0) + written - left;
    if (left === 0) return;
    this.#owesGap = true;
    const torn = batch[complete.length];
    this.#unended = left + 1 === torn?.bytes.length ? torn : undefined;
  }

  /** Removes the first records of the queue, which are written. */
  #shift(written: readonly Encoded[]): void {
    for (const [i, item] of this.#queue.splice(0, written.length).entries()) {
      if (item.kind === 'record') this.#queuedBytes -= item.bytes.length + overheadBytes;
      else this.#removeGap(item, written[i]?.lost ?? 0);
    }
  }

  /** Records that were dropped while the gap was written are left for another gap. */
  #removeGap(gap: QueuedGap, written: number): void {
    this.#lost += written;
    gap.records -= written;
    if (gap.records > 0) this.#queue.unshift(gap);
    else if (gap === this.#gap) this.#gap = undefined;
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    // Some network file systems report a failed write only when the file is closed.
    const closing = file?.close().catch((error: unknown) => this.#attempts.incomplete(error));
    if (closing) await settledWithin(lastAttemptMs, closing);
  }
}

/** Returns up to `length` bytes that end at the position. */
async function bytesBefore(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const start = Math.max(0, position - length);
  const bytes = Buffer.alloc(position - start);
  return bytes.subarray(0, await readInFull(file, bytes, start));
}

/** True if the file ends with these bytes, and they are a line of their own. */
async function endsWith(file: FileHandle, size: number, bytes: Uint8Array): Promise<boolean> {
  const end = await bytesBefore(file, size, bytes.length + 1);
  const before = end.subarray(0, -bytes.length);
  return end.subarray(-bytes.length).equals(bytes) && before.every((byte) => byte === newline);
}
