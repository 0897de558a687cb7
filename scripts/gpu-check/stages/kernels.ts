/** The stage `kernels`: the times of the ConvNet's kernels on the GPU, measured in a process of its own. */

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Row, Stage } from '../stage.js';

const [jiti, program] = ['../../../node_modules/jiti/lib/jiti-cli.mjs', '../kernel-times.ts'].map((file) =>
  fileURLToPath(new URL(file, import.meta.url)),
);

export const kernelsStage: Stage = {
  name: 'kernels',
  title: "Times of the ConvNet's kernels",
  seconds: 20,
  needsAdapter: true,
  run: async ({ sizes }, signal) => {
    const args = [jiti ?? '', program ?? '', sizes.images === undefined ? 'all' : 'few'];
    const child = spawn(process.execPath, args, {
      signal,
      killSignal: 'SIGKILL',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-2000)));
    const status = await new Promise<number | null>((resolve) => {
      child.once('error', () => resolve(null));
      child.once('close', resolve);
    });
    signal.throwIfAborted();
    if (status !== 0) throw new Error(stderr.trim().split('\n').at(-1) ?? 'no output');
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Row);
  },
};
