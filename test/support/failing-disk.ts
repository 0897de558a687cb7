/** A disk that fails for a time, for the processes of a run: test/native/failing_disk.c in their address spaces. */
import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const source = fileURLToPath(new URL('../native/failing_disk.c', import.meta.url));

export interface FailingDisk {
  /** Environment of the processes whose disk fails. */
  readonly env: Readonly<Record<string, string>>;
  fail(): Promise<void>;
  recover(): Promise<void>;
}

/**
 * @param folder a folder for the library and the file that makes the disk fail
 * @param path the beginning of the paths that fail
 */
export async function failingDisk(folder: string, path: string): Promise<FailingDisk> {
  const library = join(folder, 'failing_disk.so');
  const flag = join(folder, 'the-disk-fails');
  await promisify(execFile)(process.env['CC'] ?? 'cc', [
    '-shared',
    '-fPIC',
    '-O1',
    source,
    '-o',
    library,
    '-ldl',
  ]);
  return {
    env: {
      LD_PRELOAD: library,
      LOCKSTEP_FAILING_PATH: path,
      LOCKSTEP_FAILING_WHILE: flag,
      // The library does not see writes through io_uring.
      UV_USE_IO_URING: '0',
    },
    fail: () => writeFile(flag, ''),
    recover: () => rm(flag),
  };
}
