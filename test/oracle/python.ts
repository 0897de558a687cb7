/** Runs PyTorch's side on Lockstep's weights, batches and masks. Never needed by `npm test`. */

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { encodeSafetensors, type NamedTensor } from '../../src/shared/checkpoint/safetensors.js';
import { readTeacher, type Teacher } from './compare.js';
import { batchSize, type LockstepSide } from './lockstep-side.js';

const run = promisify(execFile);
const script = fileURLToPath(new URL('./reference.py', import.meta.url));
const timeoutMs = 20 * 60_000;

/** The Python that has PyTorch: LOCKSTEP_PYTHON or python3. Undefined where it lacks torch or safetensors. */
export async function findPython(): Promise<string | undefined> {
  const python = process.env['LOCKSTEP_PYTHON'] ?? 'python3';
  try {
    await run(python, ['-c', 'import torch, safetensors.torch'], { timeout: 120_000 });
    return python;
  } catch {
    return undefined;
  }
}

export interface Request {
  readonly seed: number;
  /** Steps to train. */
  readonly batches: number;
  /** The n at which a step is compared. */
  readonly visits: readonly number[];
  readonly dropout: boolean;
  /** True to train with oneDNN, PyTorch's default. */
  readonly onednn: boolean;
  /** PyTorch trains once with each of these thread counts. */
  readonly threads: readonly number[];
}

export interface Answer {
  readonly torch: string;
  /** Losses of each thread count. */
  readonly losses: Readonly<Record<string, number[]>>;
  readonly teachers: ReadonlyMap<number, { readonly teacher: Teacher; readonly bytes: Buffer }>;
}

const resultsSchema = z.object({ torch: z.string(), losses: z.record(z.string(), z.array(z.number())) });

export async function askPytorch(python: string, side: LockstepSide, request: Request): Promise<Answer> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'lockstep-oracle-'));
  try {
    const tensors = new Map<string, NamedTensor>();
    const { shapes } = side;
    for (const [i, values] of side.weights.entries())
      tensors.set(`w${i}`, { shape: shapes[i] ?? [], values });
    for (let n = 0; n < request.batches; n++) {
      const { images, labels } = side.batch(n);
      tensors.set(`images${n}`, { shape: [batchSize, 28, 28, 1], values: images });
      tensors.set(`labels${n}`, { shape: [batchSize], values: labels });
    }
    if (request.dropout) {
      for (const n of request.visits) {
        for (const [i, values] of side.masks(n).entries())
          tensors.set(`mask${n}/${i}`, { shape: [batchSize, values.length / batchSize], values });
      }
    }
    await writeFile(path.join(folder, 'request.safetensors'), encodeSafetensors(tensors));
    await writeFile(path.join(folder, 'request.json'), JSON.stringify(request));
    await run(python, [script, folder], {
      timeout: timeoutMs,
      env: { ...process.env, OMP_NUM_THREADS: '2', MKL_NUM_THREADS: '2' },
    });
    const results = resultsSchema.parse(
      JSON.parse(await readFile(path.join(folder, 'results.json'), 'utf8')),
    );
    const teachers = new Map<number, { teacher: Teacher; bytes: Buffer }>();
    for (const n of request.visits) {
      const bytes = await readFile(path.join(folder, `state${n}.safetensors`));
      teachers.set(n, { teacher: readTeacher(bytes, `state${n}`), bytes });
    }
    return { ...results, teachers };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
