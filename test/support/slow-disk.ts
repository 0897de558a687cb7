/** A slow disk for checkpoints: a library that sleeps after each write, compiled from test/native/slow_disk.c. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../native/slow_disk.c', import.meta.url));

export const hasCompiler = ((): boolean => {
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' });
    return process.platform === 'linux';
  } catch {
    return false;
  }
})();

/** Returns the environment of a command whose checkpoints are written at this speed. @param folder receives the library */
export function slowDisk(folder: string, megabytesPerSecond: number): Record<string, string> {
  const library = join(folder, 'slow-disk.so');
  execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl']);
  return {
    LD_PRELOAD: library,
    SLOW_DISK_PATH: '/checkpoints/step-',
    SLOW_DISK_MB_PER_S: String(megabytesPerSecond),
  };
}
