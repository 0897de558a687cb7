/**
 * A checkpoint on disk: a folder `step-000000200` with `state.safetensors` (weights, and what the optimizer remembers of each
 * under `SLOT/`, such as `adam.first/`) and `manifest.json`, which names the file's length and SHA-256. Owns its form, how it
 * gets there whole or not at all, and which of several is the newest that verifies.
 */

import { createHash } from 'node:crypto';
import { open, mkdir, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { resolvedConfigSchema } from '../config/run-config.js';
import { identitySchema } from '../protocol/messages.js';
import { CheckpointError, systemCode } from '../errors.js';
import type { Layout } from '../model/layout.js';
import { decodeSafetensors, safetensorsParts, type NamedTensor } from './safetensors.js';

export const checkpointsFolder = 'checkpoints';
const stateName = 'state.safetensors';
const numberPrefix = 'number/';
const manifestName = 'manifest.json';
const format = 1;
const longestManifest = 64 * 2 ** 20;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const uint32 = z.int().min(0).max(0xffffffff);
export const definitionSchema = z.strictObject({ path: z.string().max(4_096), sha256 });

const manifestSchema = z.strictObject({
  format: z.literal(format),
  runId: z.uuid(),
  /** The last step that is in it; training goes on with the next. */
  step: uint32.min(1),
  config: resolvedConfigSchema,
  definition: definitionSchema,
  layoutHash: sha256,
  dataSha256: sha256,
  /** Of the workers that wrote it: what the bits so far depend on besides the config. */
  identity: identitySchema.nullable().default(null),
  file: z.strictObject({ name: z.literal(stateName), bytes: z.int().min(8), sha256 }),
});

export type Manifest = Readonly<z.infer<typeof manifestSchema>>;

/** What the manifest says besides the file. */
export type CheckpointDescription = Omit<Manifest, 'format' | 'file'>;

export interface CheckpointState {
  /** Every weight, in layout order. */
  readonly weights: readonly Float32Array[];
  /** By name of the slot: one vector for each weight that has one, as long as the weight, by its index in the layout. */
  readonly slots: ReadonlyMap<string, ReadonlyMap<number, Float32Array>>;
  /** What schedules remember. */
  readonly schedulerState: ReadonlyMap<string, number>;
}

/** What a checkpoint has to have besides the weights. */
export interface CheckpointNames {
  /** For each slot the indices of the weights that have one. */
  readonly slots: ReadonlyMap<string, readonly number[]>;
  readonly schedulerState: readonly string[];
}

export const checkpointName = (step: number): string => `step-${String(step).padStart(9, '0')}`;
const namePattern = /^step-(\d{9,10})$/;
const partialPattern = /^step-\d{9,10}\.partial-/;

/**
 * Writes `<directory>/step-…`: first beside it, synced, then renamed; so whatever ends this process, there is the whole of it
 * or nothing that looks like one. Then removes all but the newest `keep`, and what others left half written.
 * @param written called when all of it is there, under its temporary name
 * @returns its path @throws CheckpointError when it can't be written; earlier ones are untouched then
 */
export async function writeCheckpoint(
  directory: string,
  about: CheckpointDescription,
  layout: Layout,
  state: CheckpointState,
  keep: number,
  written: () => void = () => undefined,
): Promise<string> {
  const target = join(directory, checkpointName(about.step));
  const draft = `${target}.partial-${process.pid}`;
  try {
    const parts = partsOf(layout, state, about.step);
    const digest = createHash('sha256');
    for (const part of parts) digest.update(part);
    const bytes = parts.reduce((total, part) => total + part.length, 0);
    const manifest: Manifest = {
      ...about,
      format,
      file: { name: stateName, bytes, sha256: digest.digest('hex') },
    };
    await rm(draft, { recursive: true, force: true });
    await mkdir(draft, { recursive: true });
    await writeSynced(join(draft, stateName), parts);
    await writeSynced(join(draft, manifestName), [Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`)]);
    await syncDirectory(draft);
    written();
    // The same step of the same run has the same bits: what is there can go.
    await rm(target, { recursive: true, force: true });
    await rename(draft, target);
    await syncDirectory(directory);
  } catch (cause) {
    await rm(draft, { recursive: true, force: true }).catch(() => undefined);
    throw new CheckpointError(
      `Checkpoint of step ${about.step} can't be written to ${directory} (${systemCode(cause) ?? String(cause)}). ` +
        'Training goes on without it; make room there, or choose another --out.',
      { directory, step: about.step },
      cause,
    );
  }
  await removeOld(directory, keep, draft);
  return target;
}

async function writeSynced(file: string, parts: readonly Buffer[]): Promise<void> {
  const handle = await open(file, 'wx');
  try {
    // Goes on where the part before ended, and writes all of it, which writev need not.
    for (const part of parts) await handle.writeFile(part);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncDirectory(directory: string): Promise<void> {
  // Windows has no such thing.
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  await handle.sync().finally(() => handle.close());
}

async function removeOld(directory: string, keep: number, draft: string): Promise<void> {
  const entries = await readdir(directory).catch(() => []);
  const old = entries
    .filter((name) => namePattern.test(name))
    .sort()
    .slice(0, -keep);
  const halves = entries.filter((name) => partialPattern.test(name) && join(directory, name) !== draft);
  for (const name of [...old, ...halves])
    await rm(join(directory, name), { recursive: true, force: true }).catch(() => undefined);
}

function partsOf(layout: Layout, state: CheckpointState, step: number): Buffer[] {
  const tensors = new Map<string, NamedTensor>();
  layout.forEach(({ name, shape }, i) =>
    tensors.set(name, { shape, values: state.weights[i] as Float32Array }),
  );
  for (const [slot, vectors] of state.slots) {
    for (const [weight, values] of vectors) {
      const { name, shape } = layout[weight] as Layout[number];
      tensors.set(`${slot}/${name}`, { shape, values });
    }
  }
  for (const [name, value] of state.schedulerState)
    tensors.set(`${numberPrefix}${name}`, { shape: [], values: Float64Array.of(value) });
  return safetensorsParts(tensors, { format: 'lockstep-checkpoint', step: String(step) });
}

/** @throws CheckpointError naming what doesn't verify */
export async function readManifest(path: string): Promise<Manifest> {
  const file = join(path, manifestName);
  const wrong = (got: string): CheckpointError =>
    new CheckpointError(`${file}: expected the manifest of a checkpoint, got ${got}.`, { file });
  let text: string;
  try {
    const { size } = await stat(file);
    if (size > longestManifest) throw wrong(`${size} bytes`);
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause;
    throw wrong(systemCode(cause) ?? String(cause));
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong('text that is not JSON');
  }
  const parsed = manifestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw wrong(`"${issue?.path.join('.') ?? ''}" that ${issue?.message ?? 'is wrong'}`);
}

/** The file's bytes, verified. @throws CheckpointError when length or SHA-256 differ from the manifest's */
async function readVerified(path: string, { file }: Manifest): Promise<Buffer> {
  const from = join(path, file.name);
  const wrong = (expected: string, got: string): CheckpointError =>
    new CheckpointError(`${from}: expected ${expected}, got ${got}.`, { file: from, expected, got });
  try {
    const { size } = await stat(from);
    if (size !== file.bytes) throw wrong(`${file.bytes} bytes`, `${size}`);
    const bytes = await readFile(from);
    const digest = createHash('sha256').update(bytes).digest('hex');
    if (digest !== file.sha256)
      throw wrong(`SHA-256 ${file.sha256.slice(0, 12)}…`, `${digest.slice(0, 12)}…`);
    return bytes;
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause;
    throw wrong('a readable file', systemCode(cause) ?? String(cause));
  }
}

/**
 * The state in a checkpoint, for a model of this layout.
 * @throws CheckpointError when it doesn't verify, or belongs to another model
 */
export async function readCheckpoint(
  path: string,
  layout: Layout,
  names: CheckpointNames,
): Promise<CheckpointState & { step: number }> {
  const manifest = await readManifest(path);
  const { tensors } = decodeSafetensors(await readVerified(path, manifest), join(path, stateName));
  const wrong = (name: string, expected: string): CheckpointError => {
    const got = tensors.get(name)?.shape.join('x') ?? 'none';
    return new CheckpointError(`${path}: expected "${name}" of ${expected}, got ${got}.`);
  };
  const take = (name: string, shape: readonly number[]): Float32Array => {
    const found = tensors.get(name);
    if (found?.values instanceof Float32Array && found.shape.join('x') === shape.join('x'))
      return found.values;
    throw wrong(name, `${shape.join('x')} in float32`);
  };
  const slot = (name: string, weights: readonly number[]): Map<number, Float32Array> =>
    new Map(
      weights.map((weight) => {
        const entry = layout[weight] as Layout[number];
        return [weight, take(`${name}/${entry.name}`, entry.shape)];
      }),
    );
  const number = (name: string): number => {
    const values = tensors.get(`${numberPrefix}${name}`)?.values;
    if (values instanceof Float64Array && values.length === 1) return values[0] as number;
    throw wrong(`${numberPrefix}${name}`, 'one number in float64');
  };
  return {
    step: manifest.step,
    weights: layout.map(({ name, shape }) => take(name, shape)),
    slots: new Map([...names.slots].map(([name, weights]) => [name, slot(name, weights)])),
    schedulerState: new Map(names.schedulerState.map((name) => [name, number(name)])),
  };
}

export interface FoundCheckpoint {
  readonly path: string;
  readonly manifest: Manifest;
  /** Newer ones that don't verify, and why. */
  readonly skipped: readonly string[];
}

/** Whether this is a run's folder, or its folder of checkpoints, or one checkpoint. */
async function candidates(directory: string): Promise<string[]> {
  for (const folder of [join(directory, checkpointsFolder), directory]) {
    const names = await readdir(folder).catch((): string[] => []);
    const steps = names.filter((name) => namePattern.test(name));
    const number = (name: string): number => Number(namePattern.exec(name)?.[1]);
    if (steps.length > 0)
      return steps.sort((a, b) => number(b) - number(a)).map((name) => join(folder, name));
  }
  return [directory];
}

/** The newest checkpoint that verifies. @throws CheckpointError when there is none */
export async function findCheckpoint(directory: string): Promise<FoundCheckpoint> {
  const skipped: string[] = [];
  for (const path of await candidates(directory)) {
    try {
      const manifest = await readManifest(path);
      await readVerified(path, manifest);
      return { path, manifest, skipped };
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      skipped.push(error.message);
    }
  }
  throw new CheckpointError(
    `No checkpoint in ${directory} can be used: ${skipped.join(' ')} Train with --checkpoint-every to have one.`,
    { directory },
  );
}
