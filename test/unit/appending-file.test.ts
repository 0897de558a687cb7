import { appendFile, open, readFile, rm, symlink, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { AppendingFile, type AppendingFileOptions } from '../../src/shared/files/appending-file.js';
import { ReplacedFile } from '../../src/shared/files/replaced-file.js';
import { frame, intactFrames } from '../../src/tensorboard/record.js';
import { eventually } from '../support/eventually.js';
import { temporaryFolder } from '../support/lockstep.js';

const full = '/dev/full';

interface Made {
  readonly file: AppendingFile;
  readonly path: string;
  readonly messages: string[];
}

async function make(
  options: Partial<AppendingFileOptions> = {},
  prepare: (path: string) => Promise<void> = () => Promise.resolve(),
): Promise<Made> {
  const path = join(await temporaryFolder(), 'log');
  await prepare(path);
  const messages: string[] = [];
  const file = new AppendingFile({
    path,
    name: 'Log',
    format: { incompleteEnd: 'terminate', gap: ({ records, fromMs }) => `gap ${records} ${typeof fromMs}\n` },
    mode: 'append',
    notify: (message) => messages.push(message),
    ...options,
  });
  return { file, path, messages };
}

const onFullDisk = (path: string): Promise<void> => symlink(full, path);

describe.skipIf(process.platform !== 'linux')('a file on a full disk', () => {
  it('receives all records in order once there is space, with two messages', async () => {
    const { file, path, messages } = await make({}, onFullDisk);
    file.append('a\n');
    file.append('b\n');
    await eventually('the outage', () => messages.length === 1);
    file.append('c\n');
    await rm(path);
    await eventually('the end of the outage', () => messages.length === 2);
    file.append('d\n');
    await file.close();
    expect(await readFile(path, 'utf8')).toBe('a\nb\nc\nd\n');
    expect(messages).toEqual([
      `Log ${path} can't be written (ENOSPC). Training continues; it is tried again until it can be written.`,
      expect.stringMatching(/^Log .* is written again after \d+\.\d s; nothing was lost\.$/),
    ]);
  });

  it('keeps a bounded number of bytes, counts the others in a gap, and keeps essential records', async () => {
    const { file, path, messages } = await make({ maxQueuedBytes: 300 }, onFullDisk);
    for (const record of ['a\n', 'b\n', 'lost\n', 'lost\n']) file.append(record);
    file.append('last\n', { essential: true });
    await eventually('the outage', () => messages.length === 1);
    file.append('lost\n');
    await rm(path);
    await file.close();
    expect(await readFile(path, 'utf8')).toBe('a\nb\ngap 3 number\nlast\n');
    expect(messages.at(-1)).toMatch(/3 records were lost\.$/);
  });

  it('delays its end by a bounded time and reports what is missing', async () => {
    const { file, messages } = await make({}, onFullDisk);
    file.append('a\n');
    file.append('b\n');
    await file.close(300);
    expect(messages.at(-1)).toMatch(/lacks its last 2 records/);
  });

  it('is replaced as a whole once there is space', async () => {
    const folder = await temporaryFolder();
    const messages: string[] = [];
    // The temporary file of an atomic write is on a full disk.
    await symlink(full, join(folder, 'config.partial'));
    const file = new ReplacedFile(join(folder, 'config'), 'Config', (message) => messages.push(message));
    file.write('first');
    file.write('second');
    await eventually('the outage', () => messages.length === 1);
    await rm(join(folder, 'config.partial'), { force: true });
    await file.close();
    expect(await readFile(join(folder, 'config'), 'utf8')).toBe('second');
  });
});

/** The next write writes so many bytes, and the one after it fails. */
async function fillAfter(path: string, bytes: number): Promise<void> {
  const handle = await open(path, 'a');
  const spy = vi.spyOn(Object.getPrototypeOf(handle) as FileHandle, 'write');
  await handle.close();
  spy.mockImplementationOnce(async function (this: FileHandle, data: string | Uint8Array) {
    spy.mockRestore();
    const part = await this.write(Buffer.from(data as Uint8Array).subarray(0, bytes));
    vi.spyOn(Object.getPrototypeOf(handle) as FileHandle, 'write').mockImplementationOnce(() => {
      vi.restoreAllMocks();
      return Promise.reject(Object.assign(new Error('No space'), { code: 'ENOSPC' }));
    });
    return part;
  } as FileHandle['write']);
}

describe('a record that a full disk tears', () => {
  const written = async (bytes: number): Promise<string> => {
    const { file, path } = await make();
    await fillAfter(path, bytes);
    for (const record of ['first\n', 'second\n', 'third\n']) file.append(record);
    await file.close();
    return readFile(path, 'utf8');
  };

  it('is repeated after a gap', async () => {
    expect(await written(8)).toBe('first\nse\ngap 0 object\nsecond\nthird\n');
  });

  it('is not repeated if it lacks only the end of its line', async () => {
    expect(await written(5)).toBe('first\nsecond\nthird\n');
    expect(await written(12)).toBe('first\nsecond\nthird\n');
    expect(await written(18)).toBe('first\nsecond\nthird\n');
  });

  it('is repeated if another process has continued its line', async () => {
    const { file, path, messages } = await make();
    await fillAfter(path, 5);
    file.append('first\n');
    await eventually('the outage', () => messages.length === 1);
    await appendFile(path, 'other\n');
    await file.close();
    expect(await readFile(path, 'utf8')).toBe('firstother\ngap 0 object\nfirst\n');
  });

  it('that reports a gap is not repeated either', async () => {
    const { file, path, messages } = await make({ maxQueuedBytes: 1 });
    await fillAfter(path, 'first\ngap 2 number'.length);
    for (const record of ['first\n', 'lost\n', 'lost\n']) file.append(record);
    await file.close();
    expect(await readFile(path, 'utf8')).toBe('first\ngap 2 number\n');
    expect(messages.at(-1)).toMatch(/; 2 records were lost\.$/);
  });

  it('an incomplete line of an earlier process stays counted if the first repair fails', async () => {
    const { file, path } = await make({}, (at) => writeFile(at, 'hal'));
    await fillAfter(path, 1);
    file.append('next\n');
    await file.close();
    expect(await readFile(path, 'utf8')).toBe('hal\ngap 1 object\nnext\n');
  });
});

describe('a file that ends in an incomplete record', () => {
  it('gets the end of the line and a gap if it has lines', async () => {
    const { file, path } = await make({}, (at) => writeFile(at, 'whole\nhal'));
    file.append('next\n');
    await file.close();
    expect(await readFile(path, 'utf8')).toBe('whole\nhal\ngap 1 object\nnext\n');
  });

  it('gets no gap after a complete line, and is not changed without a record', async () => {
    const { file, path } = await make({}, (at) => writeFile(at, 'whole\n'));
    file.append('next\n');
    await file.close();
    expect(await readFile(path, 'utf8')).toBe('whole\nnext\n');
    const other = await make({}, (at) => writeFile(at, 'whole\nhal'));
    other.file.create();
    await other.file.close();
    expect(await readFile(other.path, 'utf8')).toBe('whole\nhal');
  });

  it('loses the incomplete record if it has frames', async () => {
    const [first, second] = [frame(Buffer.from('first')), frame(Buffer.from('second'))];
    for (const kept of [1, 11, 13, second.length - 1]) {
      const format = { incompleteEnd: 'cut', intactBytes: intactFrames, gap: () => '' } as const;
      const half = Buffer.concat([first, second.subarray(0, kept)]);
      const { file, path } = await make({ format }, (at) => writeFile(at, half));
      file.append(second);
      await file.close();
      expect(await readFile(path)).toEqual(Buffer.concat([first, second]));
    }
  });

  it('keeps exactly the frames whose checksums are right', async () => {
    const path = join(await temporaryFolder(), 'frames');
    const [first, second] = [frame(Buffer.from('first')), Buffer.from(frame(Buffer.from('second')))];
    second.writeUInt8(second.readUInt8(14) ^ 1, 14);
    await writeFile(path, first);
    await appendFile(path, second);
    const file = await open(path, 'r');
    expect(await intactFrames(file, first.length + second.length)).toBe(first.length);
    await file.close();
  });

  it('keeps its frames if the system reads fewer bytes at once than it was asked for', async () => {
    const path = join(await temporaryFolder(), 'frames');
    const frames = Buffer.concat([frame(Buffer.from('first')), frame(Buffer.from('second'))]);
    await writeFile(path, frames);
    const file = await open(path, 'r');
    const whole = file.read.bind(file) as (...given: readonly unknown[]) => unknown;
    vi.spyOn(file, 'read').mockImplementation(((into: Buffer, at: number, length: number, position: number) =>
      whole(into, at, Math.min(length, 5), position)) as FileHandle['read']);
    expect(await intactFrames(file, frames.length)).toBe(frames.length);
    await file.close();
  });

  it('is emptied at the start of a new run', async () => {
    const { file, path } = await make({ mode: 'new' }, (at) => writeFile(at, 'of an earlier run'));
    file.append('first\n');
    file.append('second\n');
    await file.close();
    expect(await readFile(path, 'utf8')).toBe('first\nsecond\n');
  });
});
