/** Opens a saved model of a run, or any tfjs LayersModel on disk. The files are untrusted: every size and path is checked first. */

import { open, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import type { io } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { z } from 'zod';
import { registerLayers } from '../../api/layers/multi-head-attention.js';
import { modelFolder } from '../../shared/artefacts/artefact.js';
import { ModelError, OperationalError, systemCode } from '../../shared/errors.js';
import { readInFull } from '../../shared/files/in-full.js';
import { elementCount } from '../../shared/model/layout.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import { convertKeras, layerClasses } from '../import/keras-topology.js';
import { assignWeights, bytesPerElement } from './assign-weights.js';
import { buildTopology } from './build-topology.js';
import { withWeightLimit } from './weight-limit.js';

const maxJsonBytes = 256 * 2 ** 20;
const maxWeightBytes = 16 * 2 ** 30;

const dtypeSchema = z.enum(['float32', 'int32', 'bool', 'complex64']);

const manifestSchema = z.object({
  modelTopology: z.record(z.string(), z.unknown()),
  weightsManifest: z.array(
    z.object({
      paths: z.array(z.string().min(1)),
      weights: z.array(
        z.looseObject({
          name: z.string(),
          shape: z.array(z.int().min(0)),
          dtype: dtypeSchema,
          /** The stored type if it differs from `dtype`; tfjs converts the values when it loads them. */
          quantization: z.looseObject({ dtype: z.enum(['uint8', 'uint16', 'float16']) }).optional(),
        }),
      ),
    }),
  ),
});

type Manifest = z.infer<typeof manifestSchema>;

/** A model's files after validation; no tensors have been created. */
export interface ModelFiles {
  /** Path of model.json. */
  readonly file: string;
  readonly artifacts: io.ModelArtifacts;
  /** The files of the weights: their names in model.json and their paths. */
  readonly weightFiles: readonly { readonly name: string; readonly path: string }[];
}

/**
 * Reads the model in `path`: a run's folder, a model's folder, or a model.json. Reads no file outside the folder of model.json, and no
 * more bytes than its manifest declares.
 * @throws ModelError naming the file
 */
export async function readModelFiles(path: string): Promise<ModelFiles> {
  const file = await findModelJson(path);
  const { modelTopology, weightsManifest } = parseManifest(await readSmall(file), file);
  const weightSpecs = weightsManifest.flatMap(({ weights }) => weights);
  const weightFiles = weightsManifest
    .flatMap(({ paths }) => paths)
    .map((name) => ({ name, path: weightPath(file, name) }));
  const parts = weightFiles.map(({ path: part }) => part);
  const weightData = await readWeights(parts, expectedBytes(weightSpecs), file);
  return {
    file,
    weightFiles,
    artifacts: {
      modelTopology,
      weightSpecs: weightSpecs as unknown as io.WeightsManifestEntry[],
      weightData,
    },
  };
}

/**
 * Builds the model of the files. The caller disposes it.
 * @param register called if the model has layers of classes that are not registered with tfjs; may register them
 * @throws ModelError if tfjs cannot build it
 */
export async function openModel(
  tf: Tensorflow,
  { file, artifacts }: ModelFiles,
  register?: () => Promise<void>,
): Promise<LayersModel> {
  try {
    registerLayers(tf);
    const classes = layerClasses(artifacts.modelTopology as object);
    if (register && classes.some((name) => !isRegistered(tf, name))) await register();
    const topology = convertKeras(artifacts.modelTopology as object, {
      file,
      knows: (name) => isRegistered(tf, name),
    });
    const { weightSpecs = [] } = artifacts;
    const declared = weightSpecs.reduce((sum, { shape }) => sum + elementCount(shape), 0);
    const model = await withWeightLimit(tf, declared, () => buildTopology(tf, topology));
    assignWeights(tf, model, artifacts, file);
    return model;
  } catch (cause) {
    if (cause instanceof OperationalError) throw cause;
    throw new ModelError(
      `Model ${file} can't be loaded: ${cause instanceof Error ? cause.message : String(cause)}. Train or export it again.`,
      { file },
      cause,
    );
  }
}

/** Returns true if tfjs can build an object of the class. */
export function isRegistered(tf: Tensorflow, className: string): boolean {
  return Object.hasOwn(tf.serialization.SerializationMap.getMap().classNameMap, className);
}

async function findModelJson(path: string): Promise<string> {
  const candidates = [path, join(path, 'model.json'), join(path, modelFolder, 'model.json')];
  for (const candidate of candidates) {
    const found = await stat(candidate).catch(() => undefined);
    if (found?.isFile()) return resolve(candidate);
  }
  throw new ModelError(
    `No model in ${resolve(path)}: expected model/model.json or model.json. Name the --out folder of a finished run.`,
    { path },
  );
}

function parseManifest(bytes: Buffer, file: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new ModelError(
      `Model ${file}: expected JSON, got other text. Save the model again.`,
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

function weightPath(file: string, name: string): string {
  const directory = resolve(dirname(file));
  const path = resolve(directory, name);
  if (path.startsWith(directory + sep)) return path;
  throw new ModelError(
    `Model ${file}: expected weights beside it, got the path "${name}". Don't use this file.`,
    { file },
  );
}

function expectedBytes(specs: readonly Manifest['weightsManifest'][number]['weights'][number][]): number {
  return specs.reduce(
    (sum, { shape, dtype, quantization }) =>
      sum + elementCount(shape) * bytesPerElement[quantization?.dtype ?? dtype],
    0,
  );
}

/** Concatenates the parts. @throws ModelError if they do not have `expected` bytes in total */
async function readWeights(parts: readonly string[], expected: number, file: string): Promise<ArrayBuffer> {
  const sizes = await Promise.all(parts.map(sizeOf));
  const got = sizes.reduce((sum, size) => sum + size, 0);
  if (got !== expected || got > maxWeightBytes) {
    const wanted = expected > maxWeightBytes ? `at most ${maxWeightBytes}` : `${expected}`;
    throw new ModelError(
      `Model ${file}: expected ${wanted} bytes of weights, got ${got} in ${parts.join(', ') || 'no file'}. ` +
        'Copy the whole folder again, or train again.',
      { file, expected, got },
    );
  }
  const all = new Uint8Array(new ArrayBuffer(got));
  let offset = 0;
  for (const [i, part] of parts.entries()) {
    const size = sizes[i] ?? 0;
    await fill(part, all.subarray(offset, offset + size));
    offset += size;
  }
  return all.buffer;
}

async function sizeOf(file: string): Promise<number> {
  const found = await stat(file).catch((cause: unknown) => {
    throw unreadable(file, cause);
  });
  // Opening a pipe would block until another process writes to it.
  if (!found.isFile())
    throw new ModelError(`Model file ${file}: expected a regular file. Save the model again.`, { file });
  return found.size;
}

/** Reads exactly as many bytes as `target` has. */
async function fill(file: string, target: Uint8Array): Promise<void> {
  try {
    const handle = await open(file);
    try {
      const got = await readInFull(handle, target, 0);
      if (got < target.length)
        throw new ModelError(
          `Model file ${file}: expected ${target.length} bytes, got ${got}. Don't change it while it is read.`,
          { file },
        );
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw cause instanceof OperationalError ? cause : unreadable(file, cause);
  }
}

async function readSmall(file: string): Promise<Buffer> {
  const size = await sizeOf(file);
  if (size > maxJsonBytes) {
    throw new ModelError(
      `Model file ${file}: expected at most ${maxJsonBytes} bytes, got ${size}. Is it a model?`,
      {
        file,
      },
    );
  }
  return readFile(file).catch((cause: unknown) => {
    throw unreadable(file, cause);
  });
}

function unreadable(file: string, cause: unknown): ModelError {
  const message = `Model file ${file} can't be read (${systemCode(cause) ?? 'unknown error'}). Save the model again.`;
  return new ModelError(message, { file }, cause);
}
