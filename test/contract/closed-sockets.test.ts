import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { hangMs } from '../support/eventually.js';

const script = fileURLToPath(new URL('../support/close-and-collect.ts', import.meta.url));
const jiti = fileURLToPath(new URL('../../node_modules/.bin/jiti', import.meta.url));

it('a process that has closed its sockets ends, also if V8 collects their contexts at once', async () => {
  // Killed, and the test fails, when it doesn't end.
  const ended = await promisify(execFile)(process.execPath, ['--expose-gc', jiti, script], {
    timeout: hangMs,
  });
  expect(ended.stdout).toBe('closed, collected\n');
});
