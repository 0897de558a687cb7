/** The stage `pytorch`: the same epoch with PyTorch on CUDA, if this machine's Python has it. */

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Skipped, type Stage } from '../stage.js';
import { dataFolder } from './epoch.js';

const program = fileURLToPath(new URL('../torch_epoch.py', import.meta.url));

interface Answer {
  readonly missing?: string;
  readonly device: string;
  readonly version: string;
  readonly imagesPerSecond: number;
  readonly accuracy: number;
  readonly seconds: number;
}

export const pytorchStage: Stage = {
  name: 'pytorch',
  title: 'The same epoch with PyTorch',
  seconds: 40,
  needsAdapter: false,
  run: async (check, signal) => {
    const args = [program, '--data', dataFolder(check), '--batch', String(check.sizes.batch)];
    const answer = await runPython(check.python, args, signal);
    if (answer.missing !== undefined) throw new Skipped(answer.missing);
    return [
      ['version', `${answer.version} on ${answer.device}, float32 without TF32`],
      ['median speed', `${answer.imagesPerSecond.toFixed(0)} images per second`],
      ['test accuracy', `${(100 * answer.accuracy).toFixed(2)} %`],
      ['training', `${answer.seconds.toFixed(1)} s`],
    ];
  },
};

async function runPython(python: string, args: readonly string[], signal: AbortSignal): Promise<Answer> {
  // The bundle's libraries are for the drivers of its own Node.
  const env = { ...process.env };
  delete env['LD_LIBRARY_PATH'];
  const child = spawn(python, args, {
    env,
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
  if (status === null) throw new Skipped(`${python} could not be started`);
  const line = stdout.trim().split('\n').at(-1) ?? '';
  if (status !== 0 || !line.startsWith('{'))
    throw new Error(`${python}: expected one line of JSON, got "${stderr.trim().split('\n').at(-1) ?? ''}"`);
  return JSON.parse(line) as Answer;
}
