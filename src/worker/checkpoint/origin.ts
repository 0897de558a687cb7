/** Describes the data and the model of a run for its checkpoints, and compares them when a run resumes. */

import { createHash } from 'node:crypto';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { CheckpointDescription, Manifest, Origin } from '../../shared/checkpoint/manifest.js';
import { DataError, ModelError } from '../../shared/errors.js';
import { maxLayers } from '../../shared/model/model-layer.js';
import type { Replica } from '../training/replica.js';

type Layers = NonNullable<Origin['layers']>;

/** Number of differing layers that an error names. */
const mostNamed = 5;

export function originOf({ data, model }: Pick<Replica, 'data' | 'model'>): Origin {
  const { name, train, test } = data;
  return {
    data: { name: name.slice(0, 1_024), trainCount: train.count, testCount: test.count },
    layers: describeLayers(model),
  };
}

/** Null if a layer of the user's has no configuration that can be written down. */
function describeLayers(model: LayersModel): Layers | null {
  try {
    const layers = layersOf(model.getConfig(), '');
    return layers.length <= maxLayers ? layers : null;
  } catch {
    return null;
  }
}

interface LayerConfig {
  readonly className: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly [other: string]: unknown;
}

/** Flattens nested models, so that a difference names the innermost layer. */
function layersOf(config: unknown, prefix: string): Layers {
  const listed = Array.isArray(config) ? (config as unknown[]) : (config as { layers?: unknown[] }).layers;
  return (listed ?? []).filter(isLayer).flatMap((layer) => {
    const { className, config: own } = layer;
    const name = `${prefix}${typeof own['name'] === 'string' ? own['name'] : className}`;
    const inner = Array.isArray(own['layers']) ? layersOf(own, `${name}/`) : [];
    const described = inner.length > 0 ? { ...layer, config: { ...own, layers: inner.length } } : layer;
    const sha256 = createHash('sha256').update(JSON.stringify(described)).digest('hex');
    return [{ name, kind: className, sha256 }, ...inner];
  });
}

function isLayer(value: unknown): value is LayerConfig {
  const { className, config } = (value ?? {}) as Partial<LayerConfig>;
  return typeof className === 'string' && typeof config === 'object';
}

/**
 * @param path the checkpoint's folder
 * @throws DataError, ModelError naming the difference
 */
export function checkOrigin(
  path: string,
  { origin, dataSha256 }: Pick<Manifest, 'origin' | 'dataSha256'>,
  now: Pick<CheckpointDescription, 'config' | 'origin' | 'dataSha256'>,
): void {
  if (!now.config.allowOtherData) checkData(path, { origin, dataSha256 }, now);
  const [before, after] = [origin?.layers, now.origin?.layers];
  if (!before || !after) return;
  const different = differingLayers(before, after);
  if (different.length === 0) return;
  const more = different.length > mostNamed ? ` and ${different.length - mostNamed} more` : '';
  throw new ModelError(
    `Checkpoint ${path}: expected the model that it was written for, got one that differs in ${different.slice(0, mostNamed).join(', ')}${more}. ` +
      'Restore the model, or start a new run, for example from the weights of a saved model with loadModel.',
    { path },
  );
}

function checkData(
  path: string,
  before: Pick<Manifest, 'origin' | 'dataSha256'>,
  now: Pick<Manifest, 'origin' | 'dataSha256'>,
): void {
  const [then, next] = [before.origin?.data, now.origin?.data];
  const hasSameCounts =
    !then || !next || (then.trainCount === next.trainCount && then.testCount === next.testCount);
  if (before.dataSha256 === now.dataSha256 && hasSameCounts) return;
  const shown = ({ origin, dataSha256 }: Pick<Manifest, 'origin' | 'dataSha256'>): string => {
    const counts = origin
      ? `"${origin.data.name}" with ${origin.data.trainCount} training and ${origin.data.testCount} test samples, `
      : '';
    return `${counts}SHA-256 ${dataSha256.slice(0, 12)}…`;
  };
  throw new DataError(
    `Checkpoint ${path}: expected the data that it was trained on (${shown(before)}), got other data (${shown(now)}). ` +
      'Restore them, or accept the other data with --allow-other-data.',
    { path, expected: before.dataSha256, got: now.dataSha256 },
  );
}

/** Returns texts such as `layer "dropout" (Dropout)`, in the order of the present model. */
function differingLayers(before: Layers, now: Layers): string[] {
  const old = new Map(before.map((layer) => [layer.name, layer]));
  const names = new Set(now.map(({ name }) => name));
  const changed = now
    .filter(({ name, sha256 }) => old.get(name)?.sha256 !== sha256)
    .map(({ name, kind }) => `layer "${name}" (${kind}${old.has(name) ? '' : ', new'})`);
  const gone = before
    .filter(({ name }) => !names.has(name))
    .map(({ name, kind }) => `layer "${name}" (${kind}, missing)`);
  return [...changed, ...gone];
}
