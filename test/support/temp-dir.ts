/** Folders for tests, removed when the test file that asked for them is done. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

const made: string[] = [];

afterAll(() => {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true });
});

/** A new, empty folder with an absolute path that has no symbolic link in it. */
export function tempDir(): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'lockstep-test-')));
  made.push(directory);
  return directory;
}
