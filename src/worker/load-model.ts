/** Opens a saved model, of a run or any tfjs LayersModel on disk. What it reads is hostile until checked. */

import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import type { LayersModel, io } from '@tensorflow/tfjs';
import { z } from 'zod';
import { ModelError, OperationalError, systemCode } from '../shared/errors.js';
import type { Tensorflow } from './engine/native.js';

/** A model with more than this is no model that was trained here. */
const maxJsonBytes = 256 * 2 ** 20;
const maxWeightBytes = 16 * 2 ** 30;

const manifestSchema = z.object({
  modelTopology: z.record(z.string(), z.unknown()),
  weightsManifest: z.array(
    z.object({
      paths: z.array(z.string().min(1)),
      weights: z.array(
        z.looseObject({ name: z.string(), shape: z.array(z.int().min(0)), dtype: z.string() }),
      ),
    }),
  ),
});

/**
 * Loads the model in `path`: a run's folder, a model's folder, or a model.json. The caller disposes it.
 * @throws ModelError naming the file.
 */
export async function loadModel(tf: Tensorflow, path: string): Promise<LayersModel> {
  const file = await findModelJson(path);
  const directory = dirname(file);
  const manifest = parseManifest(await readBounded(file, maxJsonBytes), file);
  const weightSpecs = manifest.weightsManifest.flatMap(
    ({ weights }) => weights,
  ) as unknown as io.WeightsManifestEntry[];
  const parts: Buffer[] = [];
  for (const name of manifest.weightsManifest.flatMap(({ paths }) => paths)) {
    const part = resolve(directory, name);
    if (!part.startsWith(resolve(directory) + sep)) {
      throw new ModelError(
        `Model ${file}: expected weights beside it, got the path "${name}". Don't use this file.`,
        { file },
      );
    }
    parts.push(await readBounded(part, maxWeightBytes));
  }
  const weightData = Uint8Array.from(Buffer.concat(parts)).buffer;
  try {
    return await tf.loadLayersModel({
      load: () => Promise.resolve({ modelTopology: manifest.modelTopology, weightSpecs, weightData }),
    });
  } catch (cause) {
    throw new ModelError(
      `Model ${file} can't be loaded: ${cause instanceof Error ? cause.message : String(cause)}. Train or export it again.`,
      { file },
      cause,
    );
  }
}

async function findModelJson(path: string): Promise<string> {
  const candidates = [path, join(path, 'model.json'), join(path, 'model', 'model.json')];
  for (const candidate of candidates) {
    const found = await stat(candidate).catch(() => undefined);
    if (found?.isFile()) return resolve(candidate);
  }
  throw new ModelError(
    `No model in ${resolve(path)}: expected model/model.json or model.json. Name the --out folder of a finished run.`,
    { path },
  );
}

async function readBounded(file: string, limit: number): Promise<Buffer> {
  try {
    const { size } = await stat(file);
    if (size > limit) {
      throw new ModelError(
        `Model file ${file}: expected at most ${limit} bytes, got ${size}. Is it a model?`,
        { file },
      );
    }
    return await readFile(file);
  } catch (cause) {
    if (cause instanceof OperationalError) throw cause;
    throw new ModelError(
      `Model file ${file} can't be read (${systemCode(cause) ?? 'unknown error'}). Save the model again.`,
      { file },
      cause,
    );
  }
}

function parseManifest(bytes: Buffer, file: string): z.infer<typeof manifestSchema> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new ModelError(
      `Model ${file}: expected JSON, got ${basename(file)} of other text. Save it again.`,
      { file },
      cause,
    );
  }
  const parsed = manifestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ModelError(
    `Model ${file}: expected a tfjs LayersModel, got at "${issue?.path.join('.') ?? ''}": ${issue?.message ?? ''}. Save it again.`,
    { file },
  );
}
