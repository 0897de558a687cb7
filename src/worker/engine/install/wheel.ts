/**
 * Extracts TensorFlow's libraries and C headers from Python wheels (zip archives, PEP 427). A wheel is hostile until checked:
 * bounded in size, no path may leave the target, and each library must have the SHA-256 that the wheel's RECORD states.
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as yauzl from 'yauzl';
import { EngineError, OperationalError } from '../../../shared/errors.js';

export interface WheelLimits {
  readonly entries: number;
  readonly entryBytes: number;
  readonly totalBytes: number;
  /** Limit of RECORD and of METADATA, which are kept in memory. */
  readonly textBytes: number;
}

/** Four times the unpacked size of the largest present wheel. */
export const defaultLimits: WheelLimits = {
  entries: 200_000,
  entryBytes: 8 * 2 ** 30,
  totalBytes: 16 * 2 ** 30,
  textBytes: 32 * 2 ** 20,
};

/** Files that the binding is compiled and linked against, in the wheel's layout. */
export function isWanted(name: string): boolean {
  return (
    /^tensorflow\/libtensorflow_(cc|framework)\.(so\.2|2\.dylib)$/.test(name) ||
    /^tensorflow\/include\/(tensorflow\/c|tensorflow\/core\/platform|tensorflow\/core\/common_runtime\/next_pluggable_device\/c|tsl|xla\/tsl)\/.*\.h$/.test(
      name,
    ) ||
    /^nvidia\/[^/]+\/lib\/[^/]+\.so(\.[0-9.]+)?$/.test(name)
  );
}

const isLibrary = (name: string): boolean => !name.startsWith('tensorflow/include/');

export interface ExtractedWheel {
  /** Names of the files written, relative to the target. */
  readonly files: readonly string[];
  /** Requirements of the wheel's `and-cuda` extra, as its METADATA lists them. */
  readonly cudaRequirements: readonly string[];
}

/** Extracts the needed files of `wheel` below `target`. @throws EngineError that names the wheel and the entry */
export async function extractWheel(
  wheel: string,
  target: string,
  limits: WheelLimits = defaultLimits,
): Promise<ExtractedWheel> {
  const digests = new Map<string, string>();
  let record = '';
  let metadata = '';
  try {
    const zip = await yauzl.openPromise(wheel, { lazyEntries: true, validateEntrySizes: true });
    let entries = 0;
    let total = 0;
    for await (const entry of zip.eachEntry()) {
      const name = entry.fileName;
      if (++entries > limits.entries) throw refused(wheel, name, `at most ${limits.entries} entries`, 'more');
      const isRecord = /^[^/]+\.dist-info\/RECORD$/.test(name);
      const isMetadata = /^[^/]+\.dist-info\/METADATA$/.test(name);
      if (!isRecord && !isMetadata && !isWanted(name)) continue;
      total += entry.uncompressedSize;
      if (entry.uncompressedSize > limits.entryBytes || total > limits.totalBytes) {
        throw refused(
          wheel,
          name,
          `at most ${limits.entryBytes} bytes, ${limits.totalBytes} in all`,
          `${total}`,
        );
      }
      if (!isWanted(name) && entry.uncompressedSize > limits.textBytes)
        throw refused(wheel, name, `at most ${limits.textBytes} bytes`, `${entry.uncompressedSize}`);
      const stream = await zip.openReadStreamPromise(entry);
      if (isRecord) record = await text(stream);
      else if (isMetadata) metadata = await text(stream);
      else digests.set(name, await write(stream, inside(target, name, wheel)));
    }
  } catch (error) {
    if (error instanceof OperationalError) throw error;
    throw new EngineError(
      `Wheel ${wheel}: expected a readable archive, got "${error instanceof Error ? error.message : String(error)}". Download it again.`,
      { path: wheel },
      error,
    );
  }
  checkRecord(wheel, record, digests);
  const cudaRequirements = [
    ...metadata.matchAll(/^Requires-Dist: ([^;\n]+);.*extra == ['"]and-cuda['"]/gm),
  ].map(([, requirement = '']) => requirement.trim());
  return { files: [...digests.keys()], cudaRequirements };
}

/** Refuses paths outside the target; yauzl refuses `..` and absolute names as well. */
function inside(target: string, name: string, wheel: string): string {
  const file = path.resolve(target, name);
  if (file.startsWith(path.resolve(target) + path.sep)) return file;
  throw refused(wheel, name, `a path inside ${target}`, file);
}

async function write(stream: Readable, file: string): Promise<string> {
  await mkdir(path.dirname(file), { recursive: true });
  const hash = createHash('sha256');
  const hashing = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  await pipeline(stream, hashing, createWriteStream(file));
  return hash.digest('base64url');
}

async function text(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

/** RECORD is a CSV of path, `sha256=<base64url>`, bytes (PEP 376). */
function checkRecord(wheel: string, record: string, digests: ReadonlyMap<string, string>): void {
  const stated = new Map<string, string>();
  for (const line of record.split('\n')) {
    const [, name, digest] = /^"?(.*?)"?,sha256=([\w-]+)=*,/.exec(line) ?? [];
    if (name !== undefined && digest !== undefined) stated.set(name, digest);
  }
  for (const [name, digest] of digests) {
    if (!isLibrary(name)) continue;
    const expected = stated.get(name);
    if (expected !== digest) throw refused(wheel, name, `SHA-256 ${expected ?? 'in RECORD'}`, digest);
  }
}

function refused(wheel: string, name: string, expected: string, got: string): EngineError {
  return new EngineError(
    `Wheel ${wheel}, entry ${name}: expected ${expected}, got ${got}. Download it again.`,
    {
      path: wheel,
      expected,
      got,
    },
  );
}
